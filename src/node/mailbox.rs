//! The mail that waits for one document: it's bounded, and makes its senders wait.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::access::Request;
use super::outbox::Outbox;
use super::signals::Signals;
use crate::config::Limits;
use crate::document::{CloseCode, Document, Effect, Kind, Now};
use crate::id::SessionId;

/// A piece of work on the document itself, from the embedding program.
pub(crate) type Task = Box<dyn FnOnce(&mut Document, Now, &mut Vec<Effect>) + Send>;

pub(crate) enum Mail {
    Join {
        session: SessionId,
        kind: Kind,
        request: Arc<Request>,
        outbox: Arc<Outbox>,
    },
    Message {
        session: SessionId,
        message: Bytes,
        /// When it was to be sent.
        sent: Instant,
        _permits: [OwnedSemaphorePermit; 2],
    },
    Reauthorized {
        session: SessionId,
        right: Result<Kind, CloseCode>,
    },
    Task(Task),
    /// Delete the document, which the store knows or not. Answered once that is durable, or at once that there's nothing;
    /// dropped if it can't be done.
    Delete {
        is_kept: bool,
        deleter: oneshot::Sender<bool>,
    },
    Sessions(oneshot::Sender<Vec<(SessionId, Arc<Request>)>>),
}

/// The document isn't open any more: it was retired, or the node has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is over")]
pub struct Closed;

/// The senders' side. Whoever holds one keeps the document from retiring.
pub(crate) struct Mailbox {
    mail: mpsc::Sender<Mail>,
    signals: Arc<Signals>,
    large: Arc<Semaphore>,
    large_max: usize,
    inbound: Inbound,
}

/// Bounds the bytes in all mailboxes of the node: those of short messages, and those of long ones.
#[derive(Clone)]
pub(crate) struct Inbound {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl Inbound {
    pub fn new(limits: &Limits) -> Self {
        let semaphore = || Arc::new(Semaphore::new(limits.inbound_bytes_max));
        Self { short: semaphore(), long: semaphore() }
    }
}

/// Messages up to this don't wait for longer ones.
const SHORT_BYTES_MAX: usize = 64 << 10;
/// A message counts for so many bytes at least: about what the rest of it takes, and that few of them make a turn.
const BYTES_MIN: usize = 4 << 10;

/// The actor's side.
pub(crate) struct Letters {
    pub mail: mpsc::Receiver<Mail>,
    pub signals: Arc<Signals>,
}

impl Mailbox {
    pub fn new(limits: &Limits, inbound: Inbound) -> (Self, Letters) {
        let (sender, mail) = mpsc::channel(limits.mailbox_messages_max);
        let signals = Arc::new(Signals::default());
        let large_max = limits.mailbox_bytes_max.min(limits.inbound_bytes_max);
        let large = Arc::new(Semaphore::new(large_max));
        (Self { mail: sender, signals: signals.clone(), large, large_max, inbound }, Letters { mail, signals })
    }

    pub fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// Sends something that isn't a client's message. Waits while the mailbox is full.
    pub async fn send(&self, mail: Mail) -> Result<(), Closed> {
        self.mail.send(mail).await.map_err(|_| Closed)
    }

    /// Sends a client's message. Waits while too much waits already: of the session's own, or, if it's long, of others that are.
    pub async fn send_message(&self, session: SessionId, own: &Arc<Semaphore>, message: Bytes) -> Result<(), Closed> {
        let sent = Instant::now();
        let (narrow, wide, max) = match message.len() <= SHORT_BYTES_MAX {
            true => (own, &self.inbound.short, SHORT_BYTES_MAX),
            false => (&self.large, &self.inbound.long, self.large_max),
        };
        let wanted = message.len().clamp(BYTES_MIN.min(max), max) as u32;
        let narrow = narrow.clone().acquire_many_owned(wanted).await.map_err(|_| Closed)?;
        let wide = wide.clone().acquire_many_owned(wanted).await.map_err(|_| Closed)?;
        self.send(Mail::Message { session, message, sent, _permits: [narrow, wide] }).await
    }
}
