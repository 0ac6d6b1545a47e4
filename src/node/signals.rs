//! Flags of sessions, and a wake-up: what has happened to a session can neither be lost nor pile up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::id::SessionId;

/// What has happened to a session since the actor last looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub has_drained: bool,
    pub has_left: bool,
}

impl Flags {
    /// This has happened too.
    pub fn add(&mut self, more: Self) {
        self.has_drained |= more.has_drained;
        self.has_left |= more.has_left;
    }
}

/// Flags of sessions, and a wake-up.
#[derive(Default)]
pub(crate) struct Signals {
    flags: Mutex<BTreeMap<SessionId, Flags>>,
    raised: Notify,
    /// Whether it can't be loaded. Set before its mailbox is closed, for whoever finds that closed.
    pub broken: AtomicBool,
    /// How many sessions the document has, for those who ask from outside.
    pub sessions: AtomicUsize,
}

impl Signals {
    /// The session's outbox is empty again.
    pub fn drained(&self, session: SessionId) {
        self.raise(session, |flags| flags.has_drained = true);
    }

    /// The session is gone. All its mail was sent before.
    pub fn left(&self, session: SessionId) {
        self.raise(session, |flags| flags.has_left = true);
    }

    fn raise(&self, session: SessionId, set: impl FnOnce(&mut Flags)) {
        set(self.flags.lock().unwrap_or_else(PoisonError::into_inner).entry(session).or_default());
        self.raised.notify_one();
    }

    pub fn take(&self) -> BTreeMap<SessionId, Flags> {
        std::mem::take(&mut *self.flags.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub async fn raised(&self) {
        self.raised.notified().await;
    }
}
