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
        _permits: [Option<OwnedSemaphorePermit>; 3],
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
    own_max: usize,
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
        let own_max = limits.session_mail_bytes_max;
        let mailbox = Self { mail: sender, signals: signals.clone(), large, large_max, own_max, inbound };
        (mailbox, Letters { mail, signals })
    }

    pub fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// Sends something that isn't a client's message. Waits while the mailbox is full.
    pub async fn send(&self, mail: Mail) -> Result<(), Closed> {
        self.mail.send(mail).await.map_err(|_| Closed)
    }

    /// Sends a client's message. Waits while too much waits already: of the session's own, and, if it's long, of others that are.
    pub async fn send_message(&self, session: SessionId, own: &Arc<Semaphore>, message: Bytes) -> Result<(), Closed> {
        let (sent, bytes) = (Instant::now(), message.len());
        // One session can't fill what all have for long messages: the next one waits until its last was handled.
        let own = acquire(own, bytes, self.own_max).await?;
        let (large, inbound) = match bytes <= SHORT_BYTES_MAX {
            true => (None, acquire(&self.inbound.short, bytes, SHORT_BYTES_MAX).await?),
            false => (
                Some(acquire(&self.large, bytes, self.large_max).await?),
                acquire(&self.inbound.long, bytes, self.large_max).await?,
            ),
        };
        self.send(Mail::Message { session, message, sent, _permits: [Some(own), large, Some(inbound)] }).await
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, bytes: usize, max: usize) -> Result<OwnedSemaphorePermit, Closed> {
    let wanted = bytes.clamp(BYTES_MIN.min(max), max) as u32;
    semaphore.clone().acquire_many_owned(wanted).await.map_err(|_| Closed)
}
