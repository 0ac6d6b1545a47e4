//! Where documents survive. A store knows names, numbers and bytes; it knows nothing of Yjs, sessions or nodes.
//!
//! [`Store`] is small and synchronous, so that an implementation can be written in a day and replaced in another.
//! [`writer`] puts one thread in front of it, and one for compactions: what many documents append at the same time becomes
//! one call, and what is durable is told through a watch.

#[cfg(feature = "node")]
pub mod disk;
mod memory;
#[cfg(feature = "node")]
pub mod writer;

use std::path::PathBuf;

use bytes::Bytes;

#[cfg(feature = "node")]
pub use disk::{DiskOptions, DiskStore};
pub use memory::MemoryStore;

use crate::document::{Record, Stored};
use crate::id::{DocName, Seq};

/// Keeps documents.
///
/// A store must
/// - keep the records of a document in the order of their positions, and refuse a position that isn't the next one;
/// - make `append` and `compact` all or nothing for each document;
/// - have what `append` and `compact` were given survive at its [`Durability`] when they return `Ok`;
/// - answer `load` with what was appended before, never with less: what can't be read is an error.
///
/// Calls block. The node makes appends from one thread, compactions from another, and loads from more, all at the same time.
pub trait Store: Send + Sync + 'static {
    /// A short name for people: `memory`, `disk`.
    fn name(&self) -> &'static str;

    /// What "durable" means here.
    fn durability(&self) -> Durability;

    /// All that is kept of a document; empty if nothing is.
    fn load(&self, name: &DocName) -> Result<Stored, StoreError>;

    /// Adds records of one or more documents.
    fn append(&self, records: &[Append]) -> Result<(), StoreError>;

    /// Replaces all records through `through`, which were appended before, by a snapshot.
    fn compact(&self, name: &DocName, through: Seq, snapshot: &Bytes) -> Result<(), StoreError>;

    /// Makes an empty document known, so that it's listed. `false` if it's known already; then nothing is changed.
    fn create(&self, name: &DocName) -> Result<bool, StoreError>;

    /// The names after `after` in byte order, at most `limit`.
    fn list(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError>;

    /// Leaves everything so that the next start is quick. May be called more than once, and other calls may follow.
    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// One record on its way into the store.
#[derive(Clone, Debug)]
pub struct Append {
    /// Whose it is.
    pub name: DocName,
    /// Its position.
    pub seq: Seq,
    /// What to keep.
    pub record: Record,
}

/// What survives when a store says that something is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing beyond the process.
    Memory,
    /// A killed process and a power cut on this machine.
    Local,
}

impl Durability {
    /// The word for it in answers and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Local => "local",
        }
    }
}

/// Why a store couldn't do what it was asked to. Nothing was changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A record doesn't follow the last one. A bug of the caller.
    #[error("record {seq} of \"{name}\" doesn't follow record {last}", seq = .seq.0, last = .last.0)]
    OutOfOrder {
        /// Whose record it is.
        name: DocName,
        /// Its position.
        seq: Seq,
        /// The last position that is kept.
        last: Seq,
    },
    /// A document can't be read as it was written. It's left as it is, and others aren't touched; restore it from a backup.
    #[error("the document \"{name}\" is damaged: {why}")]
    Damaged {
        /// Which one.
        name: DocName,
        /// What is wrong with it.
        why: String,
    },
    /// A file of the store can't be read, so that it can't be said which documents are whole. It's left as it is.
    #[error("{path} can't be read: {why}", path = .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another process has the store. Stop it, or take another directory.
    #[error("{path} is in use by another process", path = .0.display())]
    Locked(PathBuf),
    /// A version of y-mesh that we don't know wrote the store.
    #[error("{path} says format {found}, and this version knows {known}: a newer y-mesh wrote it", path = .path.display())]
    Format {
        /// The file that says so.
        path: PathBuf,
        /// The format that it names.
        found: u32,
        /// The format that this version reads and writes.
        known: u32,
    },
    /// The disk or its file system failed. What was being written may or may not be there.
    #[error("the store failed: {0}")]
    Io(#[from] std::io::Error),
}
