//! A backup of a node that goes on working: all that its store keeps, a document after the other.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;

use super::{Denied, Error, Node, QUESTIONS_MAX, Request};
use crate::document::Access;
use crate::id::{DocName, Identity};
use crate::store::dump::{self, Encoded};
use crate::store::{Store, StoreError};

/// Names that the access hook is asked about at a time.
const NAMES: usize = 100;
/// Bytes that are read at a time: as many small documents, or one large one.
const BYTES: usize = 256 << 10;

/// What somebody is told who may not manage every document.
pub(crate) const NOT_ALL: &str = "a backup is for those who may manage every document";

/// A backup on its way to somebody who may manage every document: [`Node::backup`].
pub struct Backup {
    node: Node,
    request: Arc<Request>,
    who: Identity,
    /// Those of the next documents; then it goes on after this one.
    names: VecDeque<DocName>,
    after: Option<DocName>,
    documents: u64,
    damaged: u64,
    has_begun: bool,
    has_ended: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Some documents in the form of a dump.
#[derive(Default)]
struct Read {
    parts: Vec<Bytes>,
    bytes: usize,
    documents: u64,
    damaged: u64,
}

impl Node {
    /// Begins a backup for somebody: all that is kept of every document, in the form of [`dump`]. No document is opened for it,
    /// and none waits for it. What was durable before this was called is in it.
    ///
    /// # Errors
    /// [`Error::Denied`] if it isn't known who that is, or not every document may be managed: a backup that left some out without
    /// a word would be worse than none. [`Error::TooManyBackups`] if others are being taken.
    pub async fn backup(&self, request: Request) -> Result<Backup, Error> {
        let mut backup = Backup {
            node: self.clone(),
            request: Arc::new(request),
            who: Identity::anonymous(),
            names: VecDeque::new(),
            after: None,
            documents: 0,
            damaged: 0,
            has_begun: false,
            has_ended: false,
            _permit: None,
        };
        backup.look_further().await?;
        if backup.names.is_empty() {
            // Where there's nothing to ask about, it's asked about a document that there isn't.
            backup.who = may_take(self.clone(), backup.request.clone(), Self::drawn_name()).await?;
        }
        // Not before it's known that they may: else whoever may not could keep those away who may.
        let permit = self.shared().backups.clone().try_acquire_owned();
        backup._permit = Some(permit.map_err(|_| Error::TooManyBackups)?);
        tracing::info!(who = %backup.who.0, "a backup begins");
        Ok(backup)
    }
}

impl Backup {
    /// The next bytes of the dump, in parts; `None` behind its end. At most one document is in memory for it, or a few small
    /// ones. If it can't be completed, the dump itself says so.
    pub async fn next(&mut self) -> Option<Vec<Bytes>> {
        if self.has_ended {
            return None;
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(vec![dump::head()]);
        }
        let parts = self.read_on().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a backup isn't complete");
            self.has_ended = true;
            Encoded::stopped(&said(&error)).parts
        });
        Some(parts)
    }

    async fn read_on(&mut self) -> Result<Vec<Bytes>, Error> {
        if self.node.is_stopping() {
            return Err(Error::Stopping);
        }
        if self.names.is_empty() {
            self.look_further().await?;
        }
        if self.names.is_empty() {
            self.has_ended = true;
            tracing::info!(who = %self.who.0, documents = self.documents, damaged = self.damaged, "a backup was taken");
            return Ok(Encoded::end(self.documents, self.damaged).parts);
        }
        let (store, mut names) = (self.node.shared().store.clone(), std::mem::take(&mut self.names));
        let work = move || (read(&*store, &mut names), names);
        let (read, names) = self.node.blocking(work).await?;
        self.names = names;
        self.documents += read.documents;
        self.damaged += read.damaged;
        Ok(read.parts)
    }

    /// Finds out which documents come next, and whether they may be taken.
    async fn look_further(&mut self) -> Result<(), Error> {
        let (store, after) = (self.node.shared().store.clone(), self.after.clone());
        let names = self.node.blocking(move || store.kept(after.as_ref(), NAMES)).await??;
        let questions = names.iter().map(|name| may_take(self.node.clone(), self.request.clone(), name.clone()));
        let answers = stream::iter(questions.collect::<Vec<_>>()).buffer_unordered(QUESTIONS_MAX);
        let mut who: Vec<Identity> = answers.try_collect().await?;
        self.who = who.pop().unwrap_or_else(|| self.who.clone());
        self.after = names.last().cloned().or(self.after.take());
        self.names = names.into();
        Ok(())
    }
}

async fn may_take(node: Node, request: Arc<Request>, name: DocName) -> Result<Identity, Denied> {
    let grant = node.authorize(&request, &name).await?;
    if grant.access < Access::Manage { Err(Denied::Forbidden) } else { Ok(grant.identity) }
}

/// Why a backup ends, for who takes it. No name: it may be one that isn't theirs to know.
fn said(error: &Error) -> String {
    match error {
        Error::Denied(Denied::Forbidden) => NOT_ALL.into(),
        Error::Store(_) => "the store failed".into(),
        other => other.to_string(),
    }
}

/// Reads the first of these documents, and takes their names away.
fn read(store: &dyn Store, names: &mut VecDeque<DocName>) -> Read {
    let mut read = Read::default();
    while read.bytes < BYTES
        && let Some(name) = names.pop_front()
    {
        match store.load(&name) {
            Ok(stored) => {
                read.documents += 1;
                read.add(Encoded::document(&name, &stored));
            }
            Err(error) => {
                tracing::error!(%error, document = %name, "a document can't be backed up");
                read.damaged += 1;
                read.add(Encoded::damaged(&name, &reason(error)));
            }
        }
    }
    read.parts = joined(read.parts);
    read
}

/// What is wrong, without the name: that stands beside it.
fn reason(error: StoreError) -> String {
    match error {
        StoreError::Damaged { why, .. } => why,
        other => other.to_string(),
    }
}

impl Read {
    fn add(&mut self, encoded: Encoded) {
        self.bytes += encoded.bytes();
        self.parts.extend(encoded.parts);
    }
}

/// The same bytes in fewer parts: each is a write of its own to the socket.
fn joined(parts: Vec<Bytes>) -> Vec<Bytes> {
    let (mut joined, mut small) = (Vec::new(), BytesMut::new());
    for part in parts {
        if part.len() < BYTES {
            small.extend_from_slice(&part);
        } else {
            joined.extend([small.split().freeze(), part]);
        }
    }
    joined.push(small.freeze());
    joined.retain(|part| !part.is_empty());
    joined
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup").field("after", &self.after).field("documents", &self.documents).finish_non_exhaustive()
    }
}
