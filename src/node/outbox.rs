//! What waits for one session's socket: bounded, and nobody ever waits to put something in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::signals::Signals;
use crate::config::Limits;
use crate::document::{CloseCode, Content, Durability};
use crate::id::SessionId;

/// Something for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A message in y-protocols' frames: one frame.
    Message(Bytes),
    /// How many of the session's own SyncStep2 and Update frames are settled: cumulative, the latest counts alone (D7).
    Acknowledged {
        /// So many are durable.
        durable: u64,
        /// So many were refused.
        refused: u64,
        /// What "durable" means here.
        durability: Durability,
    },
    /// The session is over. Nothing follows.
    Closed(CloseCode),
}

pub(crate) struct Outbox {
    session: SessionId,
    state: Mutex<State>,
    ready: Notify,
    signals: Arc<Signals>,
    messages_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// It was full, and takes nothing until all of it has gone (F5).
    is_behind: bool,
    /// The document is to be told when all of it has gone.
    tells: bool,
    acknowledged: Option<(u64, u64, Durability)>,
    closed: Option<CloseCode>,
}

impl Outbox {
    pub fn new(session: SessionId, signals: Arc<Signals>, limits: &Limits) -> Self {
        Self {
            session,
            state: Mutex::default(),
            ready: Notify::new(),
            signals,
            messages_max: limits.outbox_messages_max,
            bytes_max: limits.outbox_bytes_max,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in. `false` if it's dropped, for the session is behind, or is from now on. An empty outbox takes a
    /// message of any size.
    pub fn try_push(&self, message: Bytes, content: Content) -> bool {
        let mut state = self.state();
        if state.closed.is_some() {
            return true;
        }
        let fits = state.queue.len() < self.messages_max && state.bytes + message.len() <= self.bytes_max;
        state.is_behind |= !fits && !state.queue.is_empty();
        if state.is_behind {
            return false;
        }
        state.tells |= content == Content::Answer;
        state.bytes += message.len();
        state.queue.push_back(message);
        drop(state);
        self.ready.notify_one();
        true
    }

    pub fn acknowledge(&self, durable: u64, refused: u64, durability: Durability) {
        self.state().acknowledged = Some((durable, refused, durability));
        self.ready.notify_one();
    }

    /// Ends the session when what waits has gone; at once if it's behind, for then it can't be brought up to date.
    pub fn close(&self, code: CloseCode) {
        let mut state = self.state();
        state.closed.get_or_insert(code);
        if state.is_behind {
            state.queue.clear();
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.state().closed.is_some()
    }

    /// What goes next, if anything waits. Asking says that all that was taken before has left the process.
    pub fn try_next(&self) -> Option<Outgoing> {
        let mut state = self.state();
        let next = state.take();
        if next.is_none() && state.must_tell() {
            drop(state);
            self.signals.drained(self.session);
        }
        next
    }

    /// What goes next, if anything waits. Says nothing of what was taken before.
    pub fn try_more(&self) -> Option<Outgoing> {
        self.state().take()
    }

    pub async fn next(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.try_next() {
                return outgoing;
            }
            self.ready.notified().await;
        }
    }
}

impl State {
    /// Whether the document is to be told that it's empty; once.
    fn must_tell(&mut self) -> bool {
        let was_behind = std::mem::take(&mut self.is_behind);
        std::mem::take(&mut self.tells) || was_behind
    }

    fn take(&mut self) -> Option<Outgoing> {
        if let Some((durable, refused, durability)) = self.acknowledged.take() {
            return Some(Outgoing::Acknowledged { durable, refused, durability });
        }
        if let Some(message) = self.queue.pop_front() {
            self.bytes -= message.len();
            return Some(Outgoing::Message(message));
        }
        self.closed.map(Outgoing::Closed)
    }
}
