//! Where documents survive. A store knows names, numbers and bytes; it knows nothing of Yjs, sessions or nodes.
//!
//! [`Store`] is small and synchronous, so that an implementation can be written in a day and replaced in another.
//! [`writer`] puts one thread in front of it, and one for compactions: what many documents append at the same time becomes
//! one call, and what is durable is told through a watch.

#[cfg(feature = "node")]
pub mod disk;
#[cfg(feature = "node")]
pub mod dump;
#[cfg(feature = "node")]
pub mod faults;
#[cfg(feature = "node")]
pub mod file_system;
mod memory;
#[cfg(feature = "node")]
pub mod writer;

use std::path::PathBuf;

use bytes::Bytes;

#[cfg(feature = "node")]
pub use disk::{DiskOptions, DiskStore};
pub use memory::MemoryStore;

pub use crate::document::Durability;
use crate::document::{Record, Stored};
use crate::id::{ClientId, DocName, NodeId, Seq};

/// Keeps documents.
///
/// A store must
/// - keep the records of a document in the order of their positions, and refuse a position that isn't the next one;
/// - make each call all or nothing for each document;
/// - have what it was given survive at its [`Durability`] when a call returns `Ok`;
/// - answer `load` with what was appended before, never with less: what can't be read is an error;
/// - never give a position twice, not even after a deletion.
///
/// Calls block. The node makes appends and deletions from one thread, compactions from another, and loads from more, all at
/// the same time.
pub trait Store: Send + Sync + 'static {
    /// A short name for people: `memory`, `disk`.
    fn name(&self) -> &'static str;

    /// What "durable" means here.
    fn durability(&self) -> Durability;

    /// All that is kept of a document; empty if nothing is.
    fn load(&self, name: &DocName) -> Result<Stored, StoreError>;

    /// Adds records of one or more documents. Those that there weren't exist then.
    fn append(&self, records: &[Append]) -> Result<(), StoreError>;

    /// Replaces all records through `through`, which were appended before, by a snapshot. Does nothing if they were deleted, or
    /// a later snapshot is there.
    fn compact(&self, name: &DocName, through: Seq, snapshot: &Bytes) -> Result<(), StoreError>;

    /// Makes an empty document known, so that it's listed. `false` if it's known already; then nothing is changed.
    fn create(&self, name: &DocName, durability: Option<Durability>) -> Result<bool, StoreError>;

    /// Deletes a document, and leaves a tombstone that names `clients` (I1). The deletion takes a position, `through`, as a
    /// record does.
    fn delete(&self, name: &DocName, through: Seq, clients: &[ClientId]) -> Result<(), StoreError>;

    /// Takes over what another store gave, tombstones included, for names of which it keeps nothing. All or nothing for each.
    ///
    /// # Errors
    /// [`StoreError::Exists`] for a name of which something is kept.
    fn import(&self, documents: &[(DocName, Stored)]) -> Result<(), StoreError>;

    /// Whether a document exists.
    fn contains(&self, name: &DocName) -> Result<bool, StoreError>;

    /// The names of documents after `after` in byte order, at most `limit`.
    fn list(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError>;

    /// Like [`list`](Self::list), of all names of which something is kept: also of documents that were deleted and don't exist.
    fn kept(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError>;

    /// Bytes that are free for it; `None` if it knows no bound.
    fn space(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Which node it belongs to; `None` if it doesn't outlive the node.
    fn node(&self) -> Option<NodeId> {
        None
    }

    /// Where the node may keep what it knows of faults, so that it's known after a crash: a folder that outlives the process, and
    /// that no other process has. `None`: nowhere, and the node forgets it when it ends.
    #[cfg(feature = "node")]
    fn folder(&self) -> Option<faults::Folder> {
        None
    }

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
    /// Something is kept of a document that was to be imported.
    #[error("something is kept of the document \"{0}\" already")]
    Exists(DocName),
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
    /// Another version of y-mesh wrote the store. A newer one is needed; or, if the format is an older one,
    /// [`DiskStore::open_to_copy`] reads it.
    #[error("{path} says format {found}, and this version writes {known}: {whose} y-mesh wrote it", path = .path.display(),
        whose = if found > known { "a newer" } else { "an older" })]
    Format {
        /// The file that says so.
        path: PathBuf,
        /// The format that it names.
        found: u32,
        /// The format that this version writes.
        known: u32,
    },
    /// The disk or its file system failed. What was being written may or may not be there.
    #[error("the store failed: {0}")]
    Io(#[from] std::io::Error),
}

/// A document's own durability as a byte, on disk and in dumps: 0 if it has none.
#[cfg(feature = "node")]
fn durability_byte(durability: Option<Durability>) -> u8 {
    durability.map_or(0, |durability| durability as u8 + 1)
}

/// What a byte says of a document's own durability; `None` if it says nothing.
#[cfg(feature = "node")]
fn durability_of(byte: u8) -> Option<Option<Durability>> {
    let all = [None, Some(Durability::Memory), Some(Durability::Local)];
    all.into_iter().find(|durability| durability_byte(*durability) == byte)
}
