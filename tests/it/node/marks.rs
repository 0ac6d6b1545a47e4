//! What marks cost, and what becomes of a document when they can't be written.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use y_mesh::store::disk::SledVolumes;
use y_mesh::store::file_system::{Access, FileHandle, FileLock, FileSystem, System};
use y_mesh::store::{DiskOptions, DiskStore};
use y_mesh::wire::sync;
use y_mesh::{Node, NodeBuilder};

use super::{Visitor, name};
use crate::store::Place;

/// This machine's file system, of which writes to the file of marks are counted, and fail if they're to.
#[derive(Clone, Debug, Default)]
struct Counted {
    writes: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
}

impl Counted {
    fn node(&self, place: &Place) -> NodeBuilder {
        let volumes = Arc::new(SledVolumes::new(&place.path().join("snapshots")).unwrap());
        let store = DiskStore::open_on(Arc::new(self.clone()), volumes, place.path(), DiskOptions::default());
        Node::builder().store(store.unwrap())
    }

    fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }
}

impl FileSystem for Counted {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let file = System.create(path)?;
        match path.ends_with("in-flight") {
            true => Ok(Arc::new(CountedFile { file, counted: self.clone() })),
            false => Ok(file),
        }
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FileHandle>> {
        System.open(path, access)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        System.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        System.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        System.remove_file(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        System.create_directory(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        System.list(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        System.sync_directory(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        System.exists(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        System.lock(path)
    }

    fn available_space(&self, path: &Path) -> io::Result<u64> {
        System.available_space(path)
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Arc<dyn FileHandle>,
    counted: Counted,
}

impl FileHandle for CountedFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.counted.writes.fetch_add(1, Ordering::SeqCst);
        match self.counted.fails.load(Ordering::SeqCst) {
            true => Err(io::Error::other("on purpose: no more can be written")),
            false => self.file.write_at(bytes, offset),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

#[tokio::test]
async fn marks_cost_two_writes_a_turn_and_none_where_nothing_changes() {
    let (place, counted) = (Place::in_memory("marks"), Counted::default());
    let node = counted.node(&place).start().unwrap();
    let mut visitor = Visitor::join(&node, &name("a"), 1).await;
    visitor.synced().await;
    visitor.saved().await;
    // The file's head, and the load.
    assert_eq!(counted.writes(), 3);
    for _ in 0..50 {
        let entry = visitor.client.presence.renew();
        visitor.seat.send(entry).await.unwrap();
        visitor.seat.send(sync::sync_step_1(&[0])).await.unwrap();
    }
    visitor.until(|visitor| visitor.client.answers > 1).await;
    let before = counted.writes();
    assert_eq!(before, 3, "nothing changes");
    for _ in 0..100 {
        visitor.write("x").await;
        visitor.saved().await;
    }
    // The last one is done a moment after what it brought is saved.
    let writes = counted.writes() - before;
    assert!((199..=200).contains(&writes), "{writes}");
}

#[tokio::test]
async fn a_disk_that_takes_no_marks_stops_nobody() {
    let (place, counted) = (Place::in_memory("marks"), Counted::default());
    let node = counted.node(&place).start().unwrap();
    counted.fails.store(true, Ordering::SeqCst);
    let mut visitor = Visitor::join(&node, &name("a"), 1).await;
    visitor.write("kept").await;
    visitor.saved().await;
    assert!(counted.writes() > 3 && node.is_ready());
}
