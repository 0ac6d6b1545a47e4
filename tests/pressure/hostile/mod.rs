//! Hostile messages by the million, through the same code as a socket's bytes.
//!
//! `YMESH_HOSTILE_INPUTS` says how many (else a few thousand), `YMESH_HOSTILE_SEED` the first seed. What breaks something is
//! named with its seed, and kept below the target folder, in `tmp/hostile`: a message a line, in hexadecimal.

mod case;
mod child;
mod content;
mod honest;
mod invent;
mod known;
mod memory;
mod mutate;
mod order;
mod parent;
mod shrink;
mod subject;
mod tame;
mod update;

use super::support;
use child::Order;
use parent::{Finding, Parent};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Writes down what broke something, as small as it can be made; gives it in words.
fn keep(parent: &Parent, kind: &str, count: usize, finding: &Finding) -> String {
    let messages = shrink::shrink(parent, finding);
    let lines: Vec<_> = messages.iter().map(|message| hex(message)).collect();
    let path = parent.folder.join(format!("seed-{}.hex", finding.seed));
    std::fs::write(&path, lines.join("\n") + "\n").expect("what was found can be written");
    let what = parent.replay(&messages).unwrap_or_else(|| finding.what.clone());
    format!("{count} times {kind:?}, as seed {}: {what}\n  {}", finding.seed, lines.join("\n  "))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn nothing_that_is_sent_hurts_the_node_or_a_document() {
    if let Some(order) = Order::of_this_process() {
        return child::obey(order);
    }
    let inputs = number("YMESH_HOSTILE_INPUTS", 5_000);
    let parent = Parent::new("hostile::nothing_that_is_sent_hurts_the_node_or_a_document");
    let begun = std::time::Instant::now();
    let report = parent.run(number("YMESH_HOSTILE_SEED", 0), inputs.div_ceil(case::MESSAGES as u64));
    println!("{:?} in {:?}", report.counts, begun.elapsed());
    let kinds = parent::kinds(&report.findings);
    let found: Vec<_> = kinds.iter().map(|(kind, (count, finding))| keep(&parent, kind, *count, finding)).collect();
    assert!(found.is_empty(), "{} cases broke something:\n{}", report.findings.len(), found.join("\n"));
}
