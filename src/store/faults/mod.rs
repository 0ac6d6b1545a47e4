//! What is kept of faults beside the documents, so that a message that has ended the process is known when it comes again: which
//! messages were in flight ([`marks`]), which of them are suspected ([`suspects`]), and those that are never taken again
//! ([`quarantine`]). Three small formats; each carries its version, and what can't be read in them is nothing that was saved.

pub mod marks;
pub mod quarantine;
pub mod suspects;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::StoreError;
use super::file_system::FileSystem;

/// A folder in which a node may keep files of its own, beside a store's documents. Nobody else has it open.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where it lies.
    pub file_system: Arc<dyn FileSystem>,
    /// Its path there.
    pub path: PathBuf,
}

impl Folder {
    /// A folder in it.
    fn below(&self, name: &str) -> Self {
        Self { file_system: self.file_system.clone(), path: self.path.join(name) }
    }

    fn create(&self) -> io::Result<()> {
        match self.file_system.create_directory(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// All bytes of a file; `None` if there's none.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.file_system.read(&self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Writes a file that is there whole or not at all after a kill; if it's synced, after a power cut too.
    fn write(&self, name: &str, bytes: &[u8], is_synced: bool) -> io::Result<()> {
        let unfinished = self.path.join(format!("{name}.new"));
        let file = self.file_system.create(&unfinished)?;
        file.write_at(bytes, 0)?;
        if is_synced {
            file.sync_all()?;
        }
        self.file_system.rename(&unfinished, &self.path.join(name))?;
        if is_synced { self.file_system.sync_directory(&self.path) } else { Ok(()) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.file_system.remove_file(&self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether `bytes` begin as a file of this kind and version; an error if a newer version wrote them.
fn begins(folder: &Folder, name: &str, bytes: &[u8], magic: [u8; 8], version: u32) -> Result<bool, StoreError> {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return Ok(false) };
    let Some((found, _)) = rest.split_first_chunk::<4>() else { return Ok(false) };
    let found = u32::from_le_bytes(*found);
    match *head == magic {
        true if found > version => Err(StoreError::Format { path: folder.path.join(name), found, known: version }),
        is_ours => Ok(is_ours && found == version),
    }
}

/// Writes what the formats are made of.
#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn beginning(magic: [u8; 8], version: u32) -> Self {
        Self([&magic[..], &version.to_le_bytes()].concat())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.bytes(&(text.len() as u32).to_le_bytes()).bytes(text.as_bytes())
    }

    /// Ends with a CRC of all before.
    fn sealed(self) -> Vec<u8> {
        let crc = crc32c::crc32c(&self.0);
        self.bytes(&crc.to_le_bytes()).0
    }
}

/// Reads what [`Encoder`] wrote; `None` where it isn't.
struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// What stands before the CRC, if that is right.
    fn unsealed(bytes: &'a [u8]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        (crc32c::crc32c(body) == u32::from_le_bytes(*crc)).then_some(Self(body))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let count = self.u32()? as usize;
        std::str::from_utf8(self.take(count)?).ok()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
