//! Mail that was taken from the mailbox, and what of it makes one turn.

use std::collections::VecDeque;

use super::hashes::Hashes;
use super::mailbox::Mail;
use crate::id::{DocName, MessageHash};
use crate::store::faults::marks::{InFlight, MESSAGES_MAX};

/// One piece of mail.
pub(super) struct Waiting {
    pub mail: Mail,
    /// Of a message that would change something.
    pub hashes: Option<Hashes>,
}

/// Mail in its order. After a fault, what is left of it is handled by the document that was loaded anew.
#[derive(Default)]
pub(super) struct Backlog(VecDeque<Waiting>);

/// What of the backlog makes the next turn.
pub(super) struct Portion {
    /// So much mail.
    pub count: usize,
    /// It's one message, which is suspected.
    pub suspect: Option<MessageHash>,
    hashes: Vec<MessageHash>,
}

impl Backlog {
    pub fn push(&mut self, waiting: Waiting) {
        self.0.push_back(waiting);
    }

    pub fn pop(&mut self) -> Option<Waiting> {
        self.0.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it, but for suspects: each makes a turn of its own.
    pub fn portion(&self, is_suspect: impl Fn(MessageHash) -> bool) -> Portion {
        let (mut count, mut hashes) = (0, Vec::new());
        for waiting in &self.0 {
            if let Some(hash) = waiting.hashes.as_ref().map(|hashes| hashes.whole) {
                if is_suspect(hash) {
                    let suspect = (count == 0).then_some(hash);
                    return Portion { count: count.max(1), suspect, hashes };
                }
                if hashes.len() == MESSAGES_MAX {
                    break;
                }
                hashes.push(hash);
            }
            count += 1;
        }
        Portion { count, suspect: None, hashes }
    }
}

impl Portion {
    /// What is in flight while it's handled. A suspect has a mark of another kind.
    pub fn mark(&self, document: &DocName) -> Option<InFlight> {
        let hashes = self.hashes.clone();
        (!hashes.is_empty()).then(|| InFlight::Messages { document: document.clone(), hashes })
    }
}
