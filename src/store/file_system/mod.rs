//! The calls that the disk store makes of a file system, so that another one can stand in its place: one in memory, whose
//! power is cut or whose calls fail. [`System`] is the real one.
//!
//! What a file holds is durable once it was synced; that there is such a file, under its name, once its directory was.

mod system;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use system::System;

/// Files and directories by their paths.
pub trait FileSystem: Debug + Send + Sync + 'static {
    /// Makes a file, to be read and written; one that is there is emptied.
    ///
    /// # Errors
    /// Those of the system. The file may be there, empty.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>>;

    /// Opens a file that is there.
    ///
    /// # Errors
    /// Those of the system; nothing was changed.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FileHandle>>;

    /// All bytes of a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it isn't there, and others of the system; nothing was changed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Gives a file another name in the same directory, at once, in the place of what had that name.
    ///
    /// # Errors
    /// Those of the system. It has either name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it isn't there, and others of the system. It may be gone.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory in one that is there.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if there's something of this name, and others of the system.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// Those of the system; nothing was changed.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// Makes what was created, renamed and removed in a directory durable.
    ///
    /// # Errors
    /// Those of the system. What of it is durable isn't known, and doing it again doesn't tell.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Whether there's a file or a directory.
    ///
    /// # Errors
    /// Those of the system; nothing was changed.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Locks a file, which is made if it isn't there, against all others, as long as what is given back lives. `None` if
    /// somebody else has it.
    ///
    /// # Errors
    /// Those of the system. The file may be there, not locked.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>>;

    /// Bytes that may still be written to the volume on which this lies.
    ///
    /// # Errors
    /// Those of the system; nothing was changed.
    fn available_space(&self, path: &Path) -> io::Result<u64>;
}

/// What an open file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It's read.
    Read,
    /// It's read and written.
    ReadWrite,
}

/// An open file. It's read and written by several threads.
pub trait FileHandle: Debug + Send + Sync {
    /// Reads as many bytes as there's place for.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before, and others of the system.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of the bytes; the file grows as needed.
    ///
    /// # Errors
    /// Those of the system. Any part of it may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or fills it up with zeros.
    ///
    /// # Errors
    /// Those of the system. The length may have changed.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes what was written durable, and a length that is needed to read it.
    ///
    /// # Errors
    /// Those of the system. What was written may never become durable, also if a later call succeeds.
    fn sync_data(&self) -> io::Result<()>;

    /// Like [`sync_data`](Self::sync_data), and all else that is known of the file.
    ///
    /// # Errors
    /// As of [`sync_data`](Self::sync_data).
    fn sync_all(&self) -> io::Result<()>;
}

/// A lock that ends when this is dropped.
pub trait FileLock: Debug + Send + Sync {}
