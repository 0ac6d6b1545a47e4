//! Where snapshots' bytes lie: numbered files of keys and values. Each can be damaged, given up and removed without the others.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

/// The volumes of a store. Its numbers grow: the greatest is the newest.
pub trait Volumes: Send + Sync {
    /// The numbers of those that are there, in order; also of one that was made in part when the power failed.
    fn numbers(&self) -> io::Result<Vec<u32>>;

    /// Opens one, and makes it if it isn't there: then that it's there is durable. At most one at a time is open of a number.
    ///
    /// # Errors
    /// [`VolumeError::Damaged`] if it can't be opened as it is, which changes nothing.
    fn open(&self, number: u32) -> Result<Arc<dyn Volume>, VolumeError>;

    /// Removes one that isn't open, durably. One that isn't there is no error.
    fn remove(&self, number: u32) -> io::Result<()>;
}

/// Keys and values. Calls come from several threads, those that change something from one at a time.
///
/// What was inserted or removed since the last [`flush`](Self::flush) is kept, lost or damaged by a power cut, each key by itself;
/// what was there at that time isn't touched.
pub trait Volume: Send + Sync {
    /// Keeps a value, in the place of the one before.
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), VolumeError>;

    /// A value. In a damaged volume it may be missing, or another one: the caller checks it.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, VolumeError>;

    /// Forgets a value.
    fn remove(&self, key: &[u8]) -> Result<(), VolumeError>;

    /// Makes durable what was inserted and removed before.
    fn flush(&self) -> Result<(), VolumeError>;

    /// The keys from `first` on, in order.
    fn keys(&self, first: &[u8]) -> Result<Vec<Vec<u8>>, VolumeError>;

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
