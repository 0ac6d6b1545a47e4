//! Documents on disk: updates in an append-only journal, snapshots in sled.
//!
//! A record is durable once its batch was written and `fdatasync` has returned. The journal also holds the catalogue: which
//! documents there are, and which snapshot is theirs, with its hash. Nothing that is damaged is served: what can't be read as it
//! was written is an error that names the document, or the file.

mod catalog;
mod files;
mod freeing;
mod history;
mod index;
mod journal;
mod moving;
mod packed;
mod reading;
mod recovery;
mod segment;
mod sled_volume;
mod snapshots;
mod usage;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::faults::Folder;
use super::file_system::{FileSystem, System};
use super::{Append, Durability, Store, StoreError};
use crate::document::Stored;
use crate::id::{ClientId, DocName, NodeId, Seq};
use catalog::{Catalog, Draft};
use files::Directory;
pub use history::{History, Retired};
use journal::Journal;
use moving::Cleaning;
use segment::{Batch, Entry, FORMAT, Grave, Kind, OLDEST_FORMAT, Pointer};
pub use sled_volume::{SledVolumes, SyncFile};
use snapshots::{Packed, Snapshots};
pub use volume::{Volume, VolumeError, Volumes};

/// Places in a segment are counted in 32 bits, and the last batch may be large.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Sizes of a [`DiskStore`]. The defaults suit most.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct DiskOptions {
    /// Bytes of a segment of the journal; a batch that begins before is written whole.
    pub segment_bytes: u64,
    /// Bytes of the journal from which on space is won back. It may have twice what is needed, if that is more.
    pub journal_bytes: u64,
    /// Bytes of a volume of snapshots from which on another may be begun, and half of what all may take before space is won back.
    pub volume_bytes: u64,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self { segment_bytes: 8 << 20, journal_bytes: 32 << 20, volume_bytes: 16 << 20 }
    }
}

/// A store in a directory of its own, for one process at a time.
///
/// ```
/// use y_mesh::Node;
/// use y_mesh::store::DiskStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("y-mesh-example-{}", std::process::id()));
/// let node = Node::builder().store(DiskStore::open(&directory)?).start()?;
/// node.create(Some("notes".parse()?)).await?;
/// node.shutdown(std::time::Duration::from_secs(5)).await;
/// # drop(node);
/// # let _ = std::fs::remove_dir_all(directory);
/// # Ok(()) }
/// ```
pub struct DiskStore {
    options: DiskOptions,
    file_system: Arc<dyn FileSystem>,
    path: PathBuf,
    node: NodeId,
    // Let go of before the journal, which holds the directory's lock.
    snapshots: Snapshots,
    /// Held from before a snapshot is kept until something points to it. Locked before the journal, if both are.
    compacting: Mutex<Cleaning>,
    // Locked before the catalogue, if both are.
    journal: Mutex<Journal>,
    catalog: Mutex<Catalog>,
    /// Segments that hold something damaged that is still needed: they're left as they are.
    pinned: Mutex<BTreeSet<u32>>,
    /// Who takes over what leaves the journal. Without one it's just gone.
    history: Option<Arc<dyn History>>,
}

impl DiskStore {
    /// Opens the store in a directory, which is made if it isn't there. After an unclean end, what was never durable is cut off.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it, [`StoreError::Format`] if a newer version wrote it,
    /// [`StoreError::Unreadable`] if it's damaged so that it can't be said which documents are. Nothing is lost by that.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, DiskOptions::default())
    }

    /// Like [`open`](Self::open), with other sizes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: &Path, options: DiskOptions) -> Result<Self, StoreError> {
        let directory = Directory::open(Arc::new(System), path, FORMAT)?;
        let volumes = SledVolumes::new(&directory.snapshots())?;
        Self::open_directory(directory, Arc::new(volumes), options)
    }

    /// Like [`open_with`](Self::open_with), with the journal on another file system, and snapshots in other volumes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(
        file_system: Arc<dyn FileSystem>,
        volumes: Arc<dyn Volumes>,
        path: &Path,
        options: DiskOptions,
    ) -> Result<Self, StoreError> {
        Self::open_directory(Directory::open(file_system, path, FORMAT)?, volumes, options)
    }

    /// Opens a store of this or an older format, for reading alone: [`import`](Store::import) what it gives into a new one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_copy(path: &Path) -> Result<Self, StoreError> {
        let directory = Directory::open(Arc::new(System), path, OLDEST_FORMAT)?;
        let volumes = SledVolumes::new(&directory.snapshots())?;
        Self::open_directory(directory, Arc::new(volumes), DiskOptions::default())
    }

    /// Whether there's a store in a directory, of whatever format and in whatever state.
    pub fn is_in(path: &Path) -> bool {
        path.join("store").exists() || path.join("journal").exists()
    }

    fn open_directory(
        directory: Directory,
        volumes: Arc<dyn Volumes>,
        options: DiskOptions,
    ) -> Result<Self, StoreError> {
        let options = DiskOptions { segment_bytes: options.segment_bytes.clamp(1, SEGMENT_BYTES_MAX), ..options };
        let node = directory.node();
        let (file_system, path) = (directory.file_system().clone(), directory.root().to_owned());
        let mut catalog = Catalog::default();
        let journal = Journal::open(directory, options.segment_bytes, &mut catalog)?;
        if catalog.has_orphans() {
            let why = "it holds updates of documents that aren't in it".to_owned();
            return Err(StoreError::Unreadable { path: path.join("journal"), why });
        }
        let snapshots = Snapshots::open(volumes, options.volume_bytes, &catalog.usage().volumes())?;
        Ok(Self {
            options,
            file_system,
            path,
            node,
            journal: Mutex::new(journal),
            catalog: Mutex::new(catalog),
            snapshots,
            pinned: Mutex::default(),
            history: None,
            compacting: Mutex::default(),
        })
    }

    /// Hands records over before they leave the journal.
    #[must_use]
    pub fn with_history(mut self, history: Arc<dyn History>) -> Self {
        self.history = Some(history);
        self
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        // A write that was interrupted has marked the journal as failed, and the catalogue changes after it.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draft(&self, name: &DocName) -> Draft {
        let catalog = self.catalog();
        catalog.draft(name, catalog.free_id())
    }

    /// Keeps a snapshot that nothing points to yet.
    fn keep(&self, doc: u64, generation: u32, through: Seq, snapshot: &Bytes) -> Result<Pointer, StoreError> {
        let (len, hash) = (snapshot.len() as u64, *blake3::hash(snapshot).as_bytes());
        let pointer = Pointer { generation, through, len, hash, volume: 0, packed: len };
        let mut packed = [Packed::new(doc, pointer, snapshot)];
        self.snapshots.keep(&mut packed)?;
        Ok(packed[0].pointer)
    }

    /// Makes snapshots the current and the previous one of their document, unless that was deleted since.
    fn point(&self, doc: u64, current: Pointer, previous: Option<Pointer>) -> Result<(), StoreError> {
        let mut journal = self.journal();
        let Some((version, entry)) = self.catalog().advanced(doc, current, previous) else { return Ok(()) };
        let mut batch = Batch::default();
        batch.entry(doc, version, entry);
        self.write(&mut journal, &batch)?;
        self.clean(&mut journal)
    }

    /// Writes a batch and takes note of it.
    fn write(&self, journal: &mut Journal, batch: &Batch) -> Result<(), StoreError> {
        let placed = journal.append(batch)?;
        let mut catalog = self.catalog();
        if let Some((number, file)) = journal.active() {
            catalog.add_segment(number, || file.clone());
        }
        let mut entries = batch.entries();
        for placed in placed {
            let entry = if placed.head.kind == Kind::Entry { entries.next() } else { None };
            catalog.note(placed, entry.cloned());
        }
        Ok(())
    }

    /// The batch for these records, with entries for the documents that don't exist yet.
    fn batch(&self, records: &[Append]) -> Result<Batch, StoreError> {
        let catalog = self.catalog();
        let mut known: BTreeMap<&DocName, (u64, Seq)> = BTreeMap::new();
        let (mut batch, mut free) = (Batch::default(), catalog.free_id());
        for Append { name, seq, record } in records {
            let (doc, last) = known.entry(name).or_insert_with(|| match catalog.find(name) {
                Some((id, doc)) if doc.entry.exists => (id, doc.last()),
                _ => {
                    let Draft { doc, version, entry, last, is_known } = catalog.draft(name, free);
                    batch.entry(doc, version, Entry { exists: true, ..entry });
                    free += u64::from(!is_known);
                    (doc, last)
                }
            });
            follows(name, *last, *seq)?;
            *last = *seq;
            batch.update(*doc, *seq, record);
        }
        Ok(batch)
    }
}

impl Store for DiskStore {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn durability(&self) -> Durability {
        Durability::Local
    }

    fn load(&self, name: &DocName) -> Result<Stored, StoreError> {
        self.read(name)
    }

    fn append(&self, records: &[Append]) -> Result<(), StoreError> {
        let mut journal = self.journal();
        let batch = self.batch(records)?;
        if batch.is_empty() {
            return Ok(());
        }
        let before = journal.active().map(|(number, _)| number);
        self.write(&mut journal, &batch)?;
        let after = journal.active().map(|(number, _)| number);
        if after == before { Ok(()) } else { self.clean(&mut journal) }
    }

    fn compact(&self, name: &DocName, through: Seq, snapshot: &Bytes) -> Result<(), StoreError> {
        let mut cleaning = self.compacting();
        let Some((doc, entry)) = self.catalog().find(name).map(|(id, doc)| (id, doc.entry.clone())) else {
            return Ok(());
        };
        let current = entry.current;
        if through < current.map_or(entry.deleted(), |current| current.through) {
            // What is there holds it already, or it's deleted.
            return Ok(());
        }
        let pointer = self.keep(doc, entry.generation() + 1, through, snapshot)?;
        let is_whole = current.is_none_or(|current| self.snapshots.get(doc, &current).is_some());
        // One that is lost is none to fall back to.
        let previous = if is_whole { current } else { entry.previous };
        self.retire(doc, previous.map_or(Seq(0), |previous| previous.through))?;
        self.point(doc, pointer, previous)?;
        self.clean_volumes(&mut cleaning, pointer.packed)
    }

    fn create(&self, name: &DocName, durability: Option<Durability>) -> Result<bool, StoreError> {
        let mut journal = self.journal();
        let Draft { doc, version, entry, is_known, .. } = self.draft(name);
        if is_known && entry.exists {
            return Ok(false);
        }
        let mut batch = Batch::default();
        batch.entry(doc, version, Entry { exists: true, durability, ..entry });
        self.write(&mut journal, &batch)?;
        Ok(true)
    }

    fn delete(&self, name: &DocName, through: Seq, clients: &[ClientId]) -> Result<(), StoreError> {
        let mut journal = self.journal();
        let Draft { doc, version, entry, last, .. } = self.draft(name);
        follows(name, last, through)?;
        let mut batch = Batch::default();
        batch.entry(doc, version, entry.buried(through, clients));
        self.write(&mut journal, &batch)?;
        self.clean(&mut journal)
    }

    fn import(&self, documents: &[(DocName, Stored)]) -> Result<(), StoreError> {
        let _compacting = self.compacting();
        // Held all the time: nobody takes the numbers meanwhile.
        let mut journal = self.journal();
        let (mut batch, first) = (Batch::default(), self.catalog().free_id());
        let mut names = BTreeSet::new();
        for (doc, (name, stored)) in (first..).zip(documents) {
            let Draft { entry, is_known, .. } = self.catalog().draft(name, doc);
            if is_known || !names.insert(name) {
                return Err(StoreError::Exists(name.clone()));
            }
            let grave = stored.tombstone.clone().map(|tombstone| Grave { tombstone, generation: 0 });
            let current = match &stored.snapshot {
                Some((through, snapshot)) => Some(self.keep(doc, 1, *through, snapshot)?),
                None => None,
            };
            let (exists, durability) = (stored.exists, stored.durability);
            batch.entry(doc, 1, Entry { exists, durability, current, grave, ..entry });
            let mut last = stored.floor();
            for (seq, record) in &stored.tail {
                follows(name, last, *seq)?;
                last = *seq;
                batch.update(doc, *seq, record);
            }
        }
        if batch.is_empty() { Ok(()) } else { self.write(&mut journal, &batch) }
    }

    fn contains(&self, name: &DocName) -> Result<bool, StoreError> {
        Ok(self.catalog().find(name).is_some_and(|(_, doc)| doc.entry.exists))
    }

    fn list(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError> {
        Ok(self.catalog().names(after, limit, |entry| entry.exists))
    }

    fn kept(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError> {
        Ok(self.catalog().names(after, limit, |_| true))
    }

    fn space(&self) -> Result<Option<u64>, StoreError> {
        Ok(Some(self.file_system.available_space(&self.path)?))
    }

    fn node(&self) -> Option<NodeId> {
        Some(self.node)
    }

    fn folder(&self) -> Option<Folder> {
        Some(Folder { file_system: self.file_system.clone(), path: self.path.clone() })
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(self.journal().seal()?)
    }
}

/// Whether a position is the one after the last.
fn follows(name: &DocName, last: Seq, seq: Seq) -> Result<(), StoreError> {
    if seq == last.next() { Ok(()) } else { Err(StoreError::OutOfOrder { name: name.clone(), seq, last }) }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the journal couldn't be completed; it is at the next start");
        }
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::document::{Record, WallTime};

    /// A directory of its own, gone when the test is done.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("y-mesh-disk-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn open(&self) -> DiskStore {
            DiskStore::open_with(
                &self.0,
                DiskOptions { segment_bytes: 4_096, journal_bytes: 16_384, volume_bytes: 1 << 20 },
            )
            .unwrap()
        }

        fn segments(&self) -> usize {
            let names = fs::read_dir(self.0.join("journal")).unwrap().map(|entry| entry.unwrap().path());
            names.filter(|path| path.extension().is_some_and(|end| end == "segment")).count()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn name(name: &str) -> DocName {
        name.parse().unwrap()
    }

    fn update(name: &DocName, seq: u64, bytes: usize) -> Append {
        let update = vec![seq as u8; bytes].into();
        Append { name: name.clone(), seq: Seq(seq), record: Record { update, author: "ada".into(), at: WallTime(seq) } }
    }

    #[test]
    fn what_nobody_needs_is_freed_and_an_idle_document_pins_nothing() {
        let place = Scratch::new("freed");
        let (idle, busy) = (name("idle"), name("busy"));
        let mut store = place.open();
        let mut expected = Stored { exists: true, ..Stored::default() };
        for seq in 1..=2_000u64 {
            if seq % 100 == 1 {
                let seq = seq / 100 + 1;
                store.append(&[update(&idle, seq, 50)]).unwrap();
                expected.tail.push((Seq(seq), update(&idle, seq, 50).record));
            }
            store.append(&[update(&busy, seq, 200)]).unwrap();
            if seq % 50 == 0 {
                store.compact(&busy, Seq(seq), &vec![1; 5_000].into()).unwrap();
            }
            if seq % 500 == 0 {
                drop(store);
                store = place.open();
            }
        }
        assert_eq!(store.load(&idle).unwrap(), expected);
        assert_eq!(store.load(&busy).unwrap().last_seq(), Seq(2_000));
        // 2,000 updates fill more than a hundred segments.
        assert!(place.segments() < 15, "{} segments are left", place.segments());
    }

    #[test]
    fn a_lost_snapshot_is_replaced_by_the_one_before_and_never_by_nothing() {
        let place = Scratch::new("lost");
        let doc = name("doc");
        let store = place.open();
        for seq in 1..=9 {
            store.append(&[update(&doc, seq, 10)]).unwrap();
            if seq % 3 == 0 {
                store.compact(&doc, Seq(seq), &vec![seq as u8; 9_000].into()).unwrap();
            }
        }
        let entry = store.catalog().find(&doc).unwrap().1.entry.clone();
        store.snapshots.lose(1, &entry.current.unwrap());
        let stored = store.load(&doc).unwrap();
        assert_eq!(stored.snapshot, Some((Seq(6), vec![6; 9_000].into())));
        assert_eq!(stored.tail.iter().map(|(seq, _)| seq.0).collect::<Vec<_>>(), [7, 8, 9]);
        store.snapshots.lose(1, &entry.previous.unwrap());
        assert!(matches!(store.load(&doc), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_lost_snapshot_takes_the_place_of_no_other() {
        let place = Scratch::new("damaged");
        let doc = name("doc");
        let store = place.open();
        for seq in 1..=3 {
            store.append(&[update(&doc, seq, 10)]).unwrap();
            store.compact(&doc, Seq(seq), &vec![seq as u8; 9_000].into()).unwrap();
            if seq == 2 {
                let lost = store.catalog().find(&doc).unwrap().1.entry.current.unwrap();
                store.snapshots.lose(1, &lost);
            }
        }
        let entry = store.catalog().find(&doc).unwrap().1.entry.clone();
        assert_eq!(entry.previous.unwrap().through, Seq(1));
        store.snapshots.lose(1, &entry.current.unwrap());
        assert_eq!(store.load(&doc).unwrap().tail.len(), 2);
    }

    #[test]
    fn many_starts_leave_few_segments_and_no_unneeded_volumes() {
        let place = Scratch::new("starts");
        for start in 1..=120 {
            let store = place.open();
            let doc = name(&format!("doc {start}"));
            store.append(&[update(&doc, 1, 10)]).unwrap();
            store.keep(1_000 + start, 7, Seq(1), &vec![7; 9_000].into()).unwrap();
        }
        let store = place.open();
        assert!(place.segments() < 60, "{} segments are left", place.segments());
        assert_eq!(store.list(None, 1_000).unwrap().len(), 120);
        assert!((1..=120).all(|start| store.load(&name(&format!("doc {start}"))).unwrap().last_seq() == Seq(1)));
        assert_eq!(fs::read_dir(place.0.join("snapshots")).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_is_for_one_process_at_a_time_and_for_formats_that_are_known() {
        let place = Scratch::new("format");
        let store = place.open();
        assert!(matches!(DiskStore::open(&place.0), Err(StoreError::Locked(_))));
        drop(store);
        for found in [1, 3] {
            fs::write(place.0.join("store"), format!("y-mesh store\nformat {found}\nanything")).unwrap();
            assert!(matches!(DiskStore::open(&place.0), Err(StoreError::Format { found: it, .. }) if it == found));
        }
        fs::write(place.0.join("store"), "something else").unwrap();
        assert!(matches!(DiskStore::open(&place.0), Err(StoreError::Unreadable { .. })));
    }
}
