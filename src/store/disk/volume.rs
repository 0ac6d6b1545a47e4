//! Where snapshots' bytes lie: numbered files of keys and values. Each can be damaged, given up and removed without the
//! others.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

/// What systems say when no more files can be opened: it has no name of its own in the standard library.
pub const TOO_MANY_FILES: &[i32] = if cfg!(windows) { &[4] } else { &[23, 24] };

/// The volumes of a store. Its numbers grow: the greatest is the newest.
pub trait Volumes: Send + Sync {
    /// The numbers of those that are there, in order: from 1, and also of one that was being made when the power
    /// failed. Number 0 isn't among them: it's what format 1 had, and is only ever read.
    fn numbers(&self) -> io::Result<Vec<u32>>;

    /// Opens one, and makes it if it isn't there: then that it's there is durable. At most one at a time is open of a
    /// number.
    ///
    /// # Errors
    /// [`VolumeError::Damaged`] if it can't be opened as it is, which changes nothing.
    fn open(&self, number: u32) -> Result<Arc<dyn Volume>, VolumeError>;

    /// Removes one that isn't open, durably. One that isn't there is no error.
    fn remove(&self, number: u32) -> io::Result<()>;

    /// Bytes that one takes for itself, whatever is in it.
    fn overhead(&self) -> u64 {
        0
    }
}

/// Keys and values. Calls come from several threads, those that change something from one at a time.
///
/// Nothing is ever removed from one: what is still needed of it moves to a newer one, and then all of it goes. What was
/// inserted since the last [`flush`](Self::flush) is kept or lost by a power cut, each key by itself; what was there
/// before stays.
pub trait Volume: Send + Sync {
    /// Keeps a value, in the place of the one before.
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), VolumeError>;

    /// A value. In a damaged volume it may be missing, or another one: the caller checks it.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, VolumeError>;

    /// Makes durable what was inserted before.
    fn flush(&self) -> Result<(), VolumeError>;

    /// Bytes that it takes on disk.
    fn bytes(&self) -> io::Result<u64>;
}

/// Why a volume couldn't do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// What it holds can't be read. It harms only that, and nothing new should be put into it.
    #[error("it's damaged: {0}")]
    Damaged(String),
    /// The disk or its file system failed.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

/// Whether the machine lacks something: any volume would say so, and nothing is wrong with this one.
pub fn is_lack(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kinds = [StorageFull, QuotaExceeded, OutOfMemory, PermissionDenied, ReadOnlyFilesystem];
    kinds.contains(&error.kind()) || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}
