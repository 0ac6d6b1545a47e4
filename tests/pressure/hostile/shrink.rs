//! Makes what broke something smaller, as long as it breaks the same.

use bytes::Bytes;
use y_mesh::wire::sync::{self, Frame, Frames};

use super::child::What;
use super::parent::{Finding, Parent, kind};
use super::update::Update;

/// Tries take a process each.
const TRIES_MAX: usize = 400;

struct Shrink<'a> {
    parent: &'a Parent,
    kind: String,
    messages: Vec<Bytes>,
    tries: usize,
}

/// The fewest and shortest messages that were found to break the same.
pub fn shrink(parent: &Parent, finding: &Finding) -> Vec<Bytes> {
    let mut shrink = Shrink { parent, kind: kind(&finding.what), messages: finding.messages.clone(), tries: TRIES_MAX };
    if !shrink.breaks(&shrink.messages.clone()) {
        return finding.messages.clone();
    }
    loop {
        let before = shrink.messages.clone();
        shrink.drop_messages();
        shrink.drop_parts();
        if shrink.messages == before || shrink.tries == 0 {
            return shrink.messages;
        }
    }
}

impl Shrink<'_> {
    fn breaks(&mut self, messages: &[Bytes]) -> bool {
        if self.tries == 0 {
            return false;
        }
        self.tries -= 1;
        self.parent.replay(What::Replay, messages).is_some_and(|what| kind(&what) == self.kind)
    }

    fn drop_messages(&mut self) {
        for at in (0..self.messages.len()).rev() {
            let mut fewer = self.messages.clone();
            fewer.remove(at);
            if self.breaks(&fewer) {
                self.messages = fewer;
            }
        }
    }

    fn drop_parts(&mut self) {
        for at in 0..self.messages.len() {
            let mut number = 0;
            while let Some(smaller) = only_update(&self.messages[at]).and_then(|update| smaller(&update, number)) {
                let mut fewer = self.messages.clone();
                fewer[at] = sync::update(&smaller.encode());
                match self.breaks(&fewer) {
                    true => self.messages = fewer,
                    false => number += 1,
                }
            }
        }
    }
}

fn only_update(message: &Bytes) -> Option<Update> {
    let mut frames = Frames::of(message);
    match (frames.next()?.ok()?, frames.next()) {
        (Frame::Update(update) | Frame::SyncStep2(update), None) => Update::parse(update),
        _ => None,
    }
}

/// The update without its part of this number, if there is one.
fn smaller(update: &Update, mut number: usize) -> Option<Update> {
    let mut smaller = update.clone();
    for (at, section) in update.sections.iter().enumerate() {
        if number < section.structs.len() {
            smaller.sections[at].structs.remove(section.structs.len() - 1 - number);
            if smaller.sections[at].structs.is_empty() {
                smaller.sections.remove(at);
            }
            return Some(smaller);
        }
        number -= section.structs.len();
    }
    for (at, (_, ranges)) in update.deletes.iter().enumerate() {
        if number < ranges.len() {
            smaller.deletes[at].1.remove(number);
            if smaller.deletes[at].1.is_empty() {
                smaller.deletes.remove(at);
            }
            return Some(smaller);
        }
        number -= ranges.len();
    }
    None
}
