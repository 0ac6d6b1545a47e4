//! The store's directory: its names, its lock, and the calls that make its entries durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::segment::FORMAT;
use crate::id::NodeId;
use crate::store::StoreError;
use crate::store::file_system::{Access, FileHandle, FileLock, FileSystem, System};

/// The first line of the file that says what the directory is.
const TITLE: &str = "y-mesh store";

/// A store's directory, locked for this process as long as this lives.
#[derive(Debug)]
pub struct Directory {
    file_system: Arc<dyn FileSystem>,
    root: PathBuf,
    title: Title,
    _lock: Box<dyn FileLock>,
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
    pub fn open(file_system: Arc<dyn FileSystem>, root: &Path, oldest: u32) -> Result<Self, StoreError> {
        create_directories(&*file_system, root)?;
        let lock = file_system.lock(&root.join("lock"))?.ok_or_else(|| StoreError::Locked(root.to_owned()))?;
        let title = Title { format: FORMAT, newest: 0, node: NodeId(uuid::Uuid::new_v4().as_u128()) };
        let mut directory = Self { file_system, root: root.to_owned(), title, _lock: lock };
        directory.title = directory.read_title(oldest)?;
        create_directory(&*directory.file_system, &directory.journal())?;
        create_directory(&*directory.file_system, &directory.snapshots())?;
        directory.file_system.sync_directory(&directory.root)?;
        Ok(directory)
    }

    /// What the directory says it is; it's made to say so if it's new.
    fn read_title(&self, oldest: u32) -> Result<Title, StoreError> {
        let path = self.root.join("store");
        let text = match self.file_system.read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.file_system.exists(&self.journal())? => {
                self.sync_ancestors()?;
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
        self.write_whole(&self.root, "store", title.encode().as_bytes())
    }

    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.file_system
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes durable that there's the directory. A process that ended before may have made it, or any that it lies in.
    fn sync_ancestors(&self) -> io::Result<()> {
        for ancestor in self.root.ancestors().skip(1) {
            let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
            match self.file_system.sync_directory(ancestor) {
                // Those that were always there may be somebody else's, or of a file system that knows no such thing.
                Err(error) if cannot_be_synced(&error) => {}
                synced => synced?,
            }
        }
        Ok(())
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
    fn journal(&self) -> PathBuf {
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

    /// A segment's file.
    pub fn open_segment(&self, number: u32, access: Access) -> io::Result<Arc<dyn FileHandle>> {
        self.file_system.open(&self.segment(number), access)
    }

    /// A segment's bytes.
    pub fn read_segment(&self, number: u32) -> io::Result<Vec<u8>> {
        self.file_system.read(&self.segment(number))
    }

    /// The bytes of a segment's index, if it has one.
    pub fn read_index(&self, number: u32) -> io::Result<Option<Vec<u8>>> {
        match self.file_system.read(&self.index(number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// The numbers of the segments and of the indexes that are there, in order. What was never finished is removed.
    pub fn numbers(&self) -> io::Result<(Vec<u32>, Vec<u32>)> {
        let (mut segments, mut indexes) = (Vec::new(), Vec::new());
        for name in self.file_system.list(&self.journal())? {
            let path = Path::new(&name);
            let number = path.file_stem().and_then(|stem| u32::from_str_radix(&stem.to_string_lossy(), 16).ok());
            match (number, path.extension().and_then(|end| end.to_str())) {
                (Some(number), Some("segment")) => segments.push(number),
                (Some(number), Some("index")) => indexes.push(number),
                (_, Some("new")) => self.file_system.remove_file(&self.journal().join(path))?,
                _ => {}
            }
        }
        segments.sort_unstable();
        indexes.sort_unstable();
        Ok((segments, indexes))
    }

    /// Makes a segment that has its final name only once its head is durable, and says that it's the newest one.
    pub fn create_segment(&mut self, number: u32, head: &[u8], allocated: u64) -> io::Result<Arc<dyn FileHandle>> {
        let path = self.segment(number);
        let unfinished = path.with_extension("new");
        let file = self.file_system.create(&unfinished)?;
        file.write_at(head, 0)?;
        file.set_len(allocated)?;
        file.sync_all()?;
        self.file_system.rename(&unfinished, &path)?;
        self.sync_journal()?;
        self.title.newest = number;
        self.write_title(self.title)?;
        Ok(file)
    }

    /// Writes an index, durably.
    pub fn write_index(&self, number: u32, bytes: &[u8]) -> io::Result<()> {
        self.write_whole(&self.journal(), &format!("{number:08x}.index"), bytes)
    }

    /// Removes a segment. It was said durably before that it's freed.
    pub fn remove_segment(&self, number: u32) -> io::Result<()> {
        // An index that is left alone says what was freed; a segment that is left alone would be read.
        for path in [self.segment(number), self.index(number)] {
            match self.file_system.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes durable which segments and indexes there are.
    pub fn sync_journal(&self) -> io::Result<()> {
        self.file_system.sync_directory(&self.journal())
    }

    /// Writes a file that is there whole or not at all.
    fn write_whole(&self, directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = directory.join(format!("{name}.new"));
        let file = self.file_system.create(&unfinished)?;
        file.write_at(bytes, 0)?;
        file.sync_all()?;
        self.file_system.rename(&unfinished, &directory.join(name))?;
        self.file_system.sync_directory(directory)
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

/// Makes a directory and those it lies in.
fn create_directories(file_system: &dyn FileSystem, path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || file_system.exists(path)? {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directories(file_system, parent)?;
    }
    create_directory(file_system, path)
}

fn cannot_be_synced(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported)
}

/// Makes a directory, if it isn't there.
fn create_directory(file_system: &dyn FileSystem, path: &Path) -> io::Result<()> {
    match file_system.create_directory(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes what was created, renamed and removed in a directory of this machine durable.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    System.sync_directory(path)
}
