//! The store's directory: its names, its lock, and the calls that make its entries durable.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::segment::FORMAT;
use crate::id::NodeId;
use crate::store::StoreError;

/// The first line of the file that says what the directory is.
const TITLE: &str = "y-mesh store";

/// A store's directory, locked for this process as long as this lives.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    title: Title,
    lock: File,
}

/// What the file `store` says.
#[derive(Clone, Copy, Debug)]
struct Title {
    format: u32,
    /// The newest segment that there ever was.
    newest: u32,
    /// Drawn with the store; a copy of all documents into another store is another node's. Format 1 had none.
    node: NodeId,
}

impl Directory {
    /// Makes the directory if it isn't there, locks it, and checks its format: `oldest` at least.
    pub fn open(root: &Path, oldest: u32) -> Result<Self, StoreError> {
        create_directories(root)?;
        let lock = File::options().create(true).truncate(false).write(true).open(root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(root.to_owned())),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let title = Title { format: FORMAT, newest: 0, node: NodeId(uuid::Uuid::new_v4().as_u128()) };
        let mut directory = Self { root: root.to_owned(), title, lock };
        directory.title = directory.read_title(oldest)?;
        fs::create_dir_all(directory.journal())?;
        sync_directory(&directory.root)?;
        Ok(directory)
    }

    /// What the directory says it is; it's made to say so if it's new.
    fn read_title(&self, oldest: u32) -> Result<Title, StoreError> {
        let path = self.root.join("store");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.journal().exists() => {
                self.write_title(self.title)?;
                return Ok(self.title);
            }
            Err(error) => return Err(StoreError::Unreadable { path, why: error.to_string() }),
        };
        let known = FORMAT;
        match Title::format(&text) {
            Some(found) if found < oldest || found > known => return Err(StoreError::Format { path, found, known }),
            Some(_) => Title::decode(&text).ok_or("it doesn't say all that it should"),
            None => Err("it doesn't say what it is"),
        }
        .map_err(|why| StoreError::Unreadable { path, why: why.into() })
    }

    fn write_title(&self, title: Title) -> io::Result<()> {
        write_whole(&self.root, "store", title.encode().as_bytes())
    }

    /// The number of the newest segment that there ever was; 0 if there never was any.
    pub fn newest(&self) -> u32 {
        self.title.newest
    }

    /// The format that it says it has.
    pub fn format(&self) -> u32 {
        self.title.format
    }

    /// Which node it belongs to.
    pub fn node(&self) -> NodeId {
        self.title.node
    }

    /// Where the segments are.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// Where sled is.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub fn segment(&self, number: u32) -> PathBuf {
        self.journal().join(format!("{number:08x}.segment"))
    }

    pub fn index(&self, number: u32) -> PathBuf {
        self.journal().join(format!("{number:08x}.index"))
    }

    /// The numbers of the segments and of the indexes that are there, in order. What was never finished is removed.
    pub fn numbers(&self) -> io::Result<(Vec<u32>, Vec<u32>)> {
        let (mut segments, mut indexes) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(self.journal())? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| u32::from_str_radix(&stem.to_string_lossy(), 16).ok());
            match (number, path.extension().and_then(|end| end.to_str())) {
                (Some(number), Some("segment")) => segments.push(number),
                (Some(number), Some("index")) => indexes.push(number),
                (_, Some("new")) => fs::remove_file(path)?,
                _ => {}
            }
        }
        segments.sort_unstable();
        indexes.sort_unstable();
        Ok((segments, indexes))
    }

    /// Makes a segment that has its final name only once its head is durable, and says that it's the newest one.
    pub fn create_segment(&mut self, number: u32, head: &[u8], allocated: u64) -> io::Result<File> {
        let path = self.segment(number);
        let unfinished = path.with_extension("new");
        let mut file = File::options().create(true).truncate(true).read(true).write(true).open(&unfinished)?;
        file.write_all(head)?;
        file.set_len(allocated)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        sync_directory(&self.journal())?;
        self.title.newest = number;
        self.write_title(self.title)?;
        Ok(file)
    }

    /// Writes an index, durably.
    pub fn write_index(&self, number: u32, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.journal(), &format!("{number:08x}.index"), bytes)
    }

    /// Removes a segment. It was said durably before that it's freed.
    pub fn remove_segment(&self, number: u32) -> io::Result<()> {
        // An index that is left alone says what was freed; a segment that is left alone would be read.
        for path in [self.segment(number), self.index(number)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Title {
    /// The format that a title names.
    fn format(text: &str) -> Option<u32> {
        let mut lines = text.lines();
        lines.next().filter(|first| *first == TITLE)?;
        lines.next()?.strip_prefix("format ")?.trim().parse().ok()
    }

    fn decode(text: &str) -> Option<Self> {
        let format = Self::format(text)?;
        let mut lines = text.lines().skip(2);
        let newest = lines.next()?.strip_prefix("newest segment ")?.trim().parse().ok()?;
        let node = match format {
            1 => 0,
            _ => lines.next()?.strip_prefix("node ")?.trim().parse::<uuid::Uuid>().ok()?.as_u128(),
        };
        Some(Self { format, newest, node: NodeId(node) })
    }

    fn encode(&self) -> String {
        let Self { format, newest, node } = self;
        format!("{TITLE}\nformat {format}\nnewest segment {newest}\nnode {}\n", uuid::Uuid::from_u128(node.0))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing the file isn't enough: a process that is being started at this moment still holds it.
        let _ = self.lock.unlock();
    }
}

/// Makes a directory and those it lies in, durably.
fn create_directories(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.exists() {
        return Ok(());
    }
    if let Some(parent) = parent {
        create_directories(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_directory(parent.unwrap_or(Path::new(".")))
}

/// Writes a file that is there whole or not at all.
fn write_whole(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!("{name}.new"));
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(unfinished, directory.join(name))?;
    sync_directory(directory)
}

/// Makes what was created, renamed and removed in a directory durable.
#[cfg(unix)]
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere, the system does that on its own, and directories can't be opened.
#[cfg(not(unix))]
pub fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
