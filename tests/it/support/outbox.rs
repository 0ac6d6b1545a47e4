//! The outbox of one session: bounded, never waited for.

use std::collections::VecDeque;

use bytes::Bytes;
use y_mesh::document::CloseCode;

pub struct Outbox {
    messages: VecDeque<Bytes>,
    messages_max: usize,
    bytes_max: usize,
    pub is_peer: bool,
    /// It refused a message, and takes none until it's empty.
    pub is_behind: bool,
    /// Acknowledgements are a latest value; they take no place.
    pub acknowledged: Option<(u64, u64)>,
    pub closed: Option<CloseCode>,
}

impl Outbox {
    pub fn new(is_peer: bool, messages_max: usize, bytes_max: usize) -> Self {
        let messages = VecDeque::new();
        Self { messages, messages_max, bytes_max, is_peer, is_behind: false, acknowledged: None, closed: None }
    }

    /// Whether it was taken; an empty outbox takes a message of any size.
    pub fn try_push(&mut self, message: &Bytes) -> bool {
        let bytes: usize = self.messages.iter().map(Bytes::len).sum();
        let has_room = self.messages.len() < self.messages_max && bytes + message.len() <= self.bytes_max;
        self.is_behind |= !has_room && !self.messages.is_empty();
        if !self.is_behind {
            self.messages.push_back(message.clone());
        }
        !self.is_behind
    }

    pub fn pop(&mut self) -> Option<Bytes> {
        self.messages.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn clear(&mut self) {
        self.messages.clear();
    }
}
