//! The outbox of one session: bounded, never waited for.

use std::collections::VecDeque;

use bytes::Bytes;
use y_mesh::document::{CloseCode, Content};

pub struct Outbox {
    messages: VecDeque<Bytes>,
    messages_max: usize,
    bytes_max: usize,
    pub is_peer: bool,
    /// It refused a message, and takes none until it's empty.
    pub is_behind: bool,
    /// It was sent a question, so what goes to all goes to it too.
    pub is_greeted: bool,
    /// The document is to be told when it's empty.
    tells: bool,
    /// Acknowledgements are a latest value; they take no place.
    pub acknowledged: Option<(u64, u64)>,
    pub closed: Option<CloseCode>,
}

impl Outbox {
    pub fn new(is_peer: bool, messages_max: usize, bytes_max: usize) -> Self {
        let messages = VecDeque::new();
        let (is_behind, is_greeted, tells) = (false, false, false);
        Self {
            messages,
            messages_max,
            bytes_max,
            is_peer,
            is_behind,
            is_greeted,
            tells,
            acknowledged: None,
            closed: None,
        }
    }

    /// Whether it was taken; an empty outbox takes a message of any size.
    pub fn try_push(&mut self, message: &Bytes, content: Content) -> bool {
        self.is_greeted |= content == Content::Question;
        let bytes: usize = self.messages.iter().map(Bytes::len).sum();
        let has_room = self.messages.len() < self.messages_max && bytes + message.len() <= self.bytes_max;
        self.is_behind |= !has_room && !self.messages.is_empty();
        if !self.is_behind {
            self.messages.push_back(message.clone());
            self.tells |= content == Content::Answer;
        }
        !self.is_behind
    }

    pub fn pop(&mut self) -> Option<Bytes> {
        self.messages.pop_front()
    }

    /// Whether the document is to be told that it's empty; once.
    pub fn must_tell(&mut self) -> bool {
        let was_behind = std::mem::take(&mut self.is_behind);
        std::mem::take(&mut self.tells) || was_behind
    }

    pub fn owes_word(&self) -> bool {
        self.is_behind || self.tells
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn clear(&mut self) {
        self.messages.clear();
    }
}
