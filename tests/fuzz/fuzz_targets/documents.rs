//! Messages to one document, each behind its length in two bytes, with all that must hold after each.
#![no_main]

#[path = "../../it/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "../../pressure/hostile/content.rs"]
mod content;
#[path = "../../pressure/hostile/known.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod known;
#[path = "../../pressure/hostile/memory.rs"]
mod memory;
#[path = "../../pressure/hostile/subject.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod subject;
#[path = "../../pressure/hostile/update.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod update;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use subject::Subject;
use support::random::Random;

/// Documents stay small.
const MESSAGES_MAX: usize = 32;

fuzz_target!(|data: &[u8]| {
    let mut subject = Subject::new();
    let mut rest = data;
    for _ in 0..MESSAGES_MAX {
        let Some((length, after)) = rest.split_first_chunk() else { break };
        let (message, after) = after.split_at((u16::from_le_bytes(*length) as usize).min(after.len()));
        hold(subject.send(Bytes::copy_from_slice(message)));
        rest = after;
    }
    hold(subject.end(&mut Random::new(0)));
});

fn hold<T>(came: Result<T, subject::Broken>) {
    match came {
        // Sanitizers and coverage cost their time; tests/pressure measures it without them.
        Err(broken) if broken.starts_with("slow") => {}
        Err(broken) => panic!("{broken}"),
        Ok(_) => {}
    }
}
