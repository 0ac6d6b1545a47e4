//! What others hold of a document: a handle, which keeps nothing open, and a seat, which is one session of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};

use super::mailbox::{Closed, Mail, Mailbox};
use super::outbox::{Outbox, Outgoing};
use super::{Error, Grant, Node, Request};
use crate::document::{CloseCode, Document, Effect, Now, ReadTransaction, WriteTransaction};
use crate::id::{DocName, Identity, SessionId};

/// A document of a node, by name. Making one opens nothing; each call opens the document if it isn't.
#[derive(Clone)]
pub struct DocumentHandle {
    node: Node,
    name: DocName,
}

impl DocumentHandle {
    pub(crate) fn new(node: Node, name: DocName) -> Self {
        Self { node, name }
    }

    /// The document's name.
    pub fn name(&self) -> &DocName {
        &self.name
    }

    /// Reads the document. The closure runs on one of the node's own threads, between edits of others.
    ///
    /// # Errors
    /// If the document can't be opened. If the closure panics, the document is loaded anew; whoever has it open stays so.
    pub async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction<'_>) -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.work(move |document, _, _| document.read(read)).await
    }

    /// Edits the document; sessions get what changed like any other update. Don't wait inside the closure: the
    /// document waits with it. When this returns, the change is on its way to the store, and not durable yet. An update that
    /// the closure applies and that stands on something missing is dropped.
    ///
    /// ```
    /// # use y_mesh::{Identity, Node, yrs::{GetString, ReadTxn, Text, WriteTxn}};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::builder().start()?;
    /// let notes = node.document(&"notes".parse()?);
    /// notes.edit(Identity::from("robot"), |transaction| {
    ///     let text = transaction.get_or_insert_text("body");
    ///     text.push(transaction, "hello");
    /// }).await?;
    /// let body = notes.read(|transaction| transaction.get_text("body").unwrap().get_string(transaction)).await?;
    /// assert_eq!(body, "hello");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the document can't be opened, or the store's disk is almost full ([`Error::StoreLow`]); the closure wasn't called,
    /// and nothing was changed. If it panics, or makes something that could not be
    /// read again, the document is loaded anew and what the closure did is lost; whoever has it open stays so.
    pub async fn edit<R: Send + 'static>(
        &self,
        author: Identity,
        edit: impl FnOnce(&mut WriteTransaction<'_>) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let edited = self.work(move |document, now, effects| document.edit(now, author, edit, effects)).await?;
        Ok(edited?)
    }

    /// Takes a seat with what the access hook allows.
    ///
    /// # Errors
    /// [`Error::Denied`] if it doesn't allow anything, others if the document can't be opened.
    pub async fn join(&self, request: Request) -> Result<Seat, Error> {
        let asked_in = self.node.round();
        let grant = self.node.authorize(&request, &self.name).await?;
        self.seat(grant, request, asked_in).await
    }

    /// Takes a seat with a right that was found out before, in a round of questions. If another round has begun since,
    /// the hook is asked again: that round may have missed this session.
    pub(crate) async fn seat(&self, grant: Grant, request: Request, asked_in: u64) -> Result<Seat, Error> {
        let mailbox = self.node.open(&self.name)?;
        let (session, outbox) = self.node.outbox(mailbox.signals());
        // From here on the seat says that it leaves, whatever happens.
        let waiting = Arc::new(Semaphore::new(self.node.config().limits.session_mail_bytes_max));
        let seat = Seat { _node: self.node.clone(), session, mailbox, outbox, waiting };
        let request = Arc::new(request);
        let unavailable = |_| Error::Unavailable(self.name.clone());
        let (kind, outbox) = (grant.kind(), seat.outbox.clone());
        let joined = seat.mailbox.send(Mail::Join { session, kind, request: request.clone(), outbox }).await;
        if joined.is_err() && seat.mailbox.signals().broken.load(Ordering::Acquire) {
            // The load failed before this came, and was told to those who had come.
            seat.outbox.close(CloseCode::Broken);
            return Ok(seat);
        }
        joined.map_err(unavailable)?;
        if self.node.round() != asked_in {
            let right = self.node.right(&request, &self.name).await;
            seat.mailbox.send(Mail::Reauthorized { session, right }).await.map_err(unavailable)?;
        }
        Ok(seat)
    }

    async fn work<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Document, Now, &mut Vec<Effect>) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let mailbox = self.node.open(&self.name)?;
        let (reply, answer) = oneshot::channel();
        let task = Box::new(move |document: &mut Document, now: Now, effects: &mut Vec<Effect>| {
            let result = work(document, now, effects);
            if !document.has_ended() && !document.is_broken() {
                // Who asked may have stopped waiting; the work is done all the same.
                let _ = reply.send(result);
            }
        });
        let unavailable = || Error::Unavailable(self.name.clone());
        mailbox.send(Mail::Task(task)).await.map_err(|_| unavailable())?;
        answer.await.map_err(|_| unavailable())
    }
}

impl fmt::Debug for DocumentHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DocumentHandle").field(&self.name).finish()
    }
}

/// One session of a document: messages in y-protocols' frames, both ways, over whatever carries bytes.
///
/// The first message out is a SyncStep1; where a document of that name was deleted, it comes when the other side has said what it
/// holds (I1). Dropping the seat leaves the document.
pub struct Seat {
    /// A seat keeps its node.
    _node: Node,
    session: SessionId,
    mailbox: Arc<Mailbox>,
    outbox: Arc<Outbox>,
    /// Bounds the bytes of its messages that wait.
    waiting: Arc<Semaphore>,
}

impl Seat {
    /// The session's id.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Sends one message, which may hold several frames. Waits while the document has too much to do. It's safe to
    /// drop the future; the message was then sent whole or not at all.
    ///
    /// # Errors
    /// If the session is over; [`next`](Self::next) says why.
    pub async fn send(&self, message: Bytes) -> Result<(), Closed> {
        if self.outbox.is_closed() {
            return Err(Closed);
        }
        self.mailbox.send_message(self.session, &self.waiting, message).await
    }

    /// What goes to this session next. Calling it says that all it gave before has been passed on: a session
    /// that doesn't call it falls behind and, when it calls again, gets one diff instead of what it missed.
    pub async fn next(&self) -> Outgoing {
        self.outbox.next().await
    }

    /// Like [`next`](Self::next), but `None` if nothing waits now.
    pub fn try_next(&self) -> Option<Outgoing> {
        self.outbox.try_next()
    }

    /// Like [`try_next`](Self::try_next), but says nothing of what was taken before: for passing on many at once.
    pub fn try_more(&self) -> Option<Outgoing> {
        self.outbox.try_more()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.mailbox.signals().left(self.session);
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(&self.session).finish()
    }
}
