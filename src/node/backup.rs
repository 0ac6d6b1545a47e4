//! A backup of a node that goes on working: all that its store keeps, a document after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;

use super::{Denied, Error, Node, QUESTIONS_MAX, Request};
use crate::document::Access;
use crate::id::DocName;
use crate::store::dump::{self, Encoded};
use crate::store::{Store, StoreError};

/// Names that the access hook is asked about at a time.
const NAMES: usize = 100;
/// Bytes that are read at a time: as many small documents, or one large one.
const BYTES: usize = 256 << 10;

/// A backup on its way to somebody who may manage every document.
pub(crate) struct Backup {
    node: Node,
    request: Arc<Request>,
    /// Those of the next documents; then it goes on after this one.
    names: VecDeque<DocName>,
    after: Option<DocName>,
    documents: u64,
    damaged: u64,
    has_ended: bool,
    _permit: OwnedSemaphorePermit,
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
    /// Begins a backup for somebody.
    ///
    /// # Errors
    /// [`Error::Denied`] if it isn't known who that is, or not every document may be managed: a backup that left some out without
    /// a word would be worse than none. [`Error::TooManyBackups`] if others are being taken.
    pub(crate) async fn backup(&self, request: Request) -> Result<Backup, Error> {
        let permit = self.shared().backups.clone().try_acquire_owned().map_err(|_| Error::TooManyBackups)?;
        let mut backup = Backup {
            node: self.clone(),
            request: Arc::new(request),
            names: VecDeque::new(),
            after: None,
            documents: 0,
            damaged: 0,
            has_ended: false,
            _permit: permit,
        };
        backup.look_further().await?;
        if backup.names.is_empty() {
            // Where there's nothing to ask about, it's asked about a document that there isn't.
            may_take(self.clone(), backup.request.clone(), Self::drawn_name()).await?;
        }
        Ok(backup)
    }
}

impl Backup {
    /// The next bytes of the dump behind its head, in parts; `None` when it's complete. Whatever prevents that is said in the
    /// dump itself.
    pub async fn next(&mut self) -> Option<Vec<Bytes>> {
        if self.has_ended {
            return None;
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
            tracing::info!(documents = self.documents, damaged = self.damaged, "a backup was taken");
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
        answers.try_collect::<()>().await?;
        self.after = names.last().cloned().or(self.after.take());
        self.names = names.into();
        Ok(())
    }
}

async fn may_take(node: Node, request: Arc<Request>, name: DocName) -> Result<(), Denied> {
    let grant = node.authorize(&request, &name).await?;
    if grant.access < Access::Manage { Err(Denied::Forbidden) } else { Ok(()) }
}

/// Why a backup ends, for who takes it. No name: it may be one that isn't theirs to know.
pub(crate) fn said(error: &Error) -> String {
    match error {
        Error::Denied(Denied::Forbidden) => "a backup is for those who may manage every document".into(),
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

/// What the dump begins with.
pub(crate) fn head() -> Bytes {
    dump::head()
}
