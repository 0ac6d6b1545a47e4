//! Volumes of snapshots that were changed behind the store's back: only what lies in them is harmed, nothing is served
//! that never was, and the store goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use y_mesh::document::Stored;
use y_mesh::store::disk::{SledVolumes, Volume, VolumeError, Volumes};
use y_mesh::store::file_system::System;
use y_mesh::store::{DiskOptions, DiskStore, Store, StoreError};
use y_mesh::{DocName, Seq};

use super::{Place, append, copy_folder, name, rounds};
use crate::support::random::Random;

const DOCUMENTS: usize = 16;
const VOLUME_BYTES: u64 = 600_000;

/// All that was ever kept of a document: the last record's position, and every snapshot.
#[derive(Clone, Debug, Default)]
struct History {
    last: u64,
    snapshots: BTreeMap<Seq, Bytes>,
}

type Histories = BTreeMap<DocName, History>;

impl History {
    fn append(&mut self, store: &DiskStore, doc: &DocName) {
        self.last += 1;
        store.append(&[append(doc, self.last, 100)]).unwrap();
    }

    fn compact(&mut self, store: &DiskStore, doc: &DocName, random: &mut Random) {
        let snapshot = noise(random.next(), 1 + random.below(60_000));
        store.compact(doc, Seq(self.last), &snapshot).unwrap();
        self.snapshots.insert(Seq(self.last), snapshot);
    }

    /// Whether this is the document: maybe from a snapshot before the last, and then with more records.
    fn is(&self, doc: &DocName, stored: &Stored) -> bool {
        let through = stored.snapshot.as_ref().map_or(Seq(0), |(through, _)| *through);
        let is_kept = stored.snapshot.as_ref().is_none_or(|(at, bytes)| self.snapshots.get(at) == Some(bytes));
        let tail = (through.0 + 1..=self.last).map(|seq| (Seq(seq), append(doc, seq, 100).record));
        is_kept && stored.exists && tail.eq(stored.tail.iter().cloned())
    }
}

/// Bytes that can't be compressed.
fn noise(seed: u64, len: usize) -> Bytes {
    let mut random = Random::new(seed);
    std::iter::repeat_with(|| random.next().to_le_bytes()).flatten().take(len).collect()
}

fn options() -> DiskOptions {
    let mut options = DiskOptions::default();
    (options.segment_bytes, options.journal_bytes) = (64 << 10, 256 << 10);
    options.volume_bytes = VOLUME_BYTES;
    options
}

fn open(place: &Place) -> Result<DiskStore, StoreError> {
    DiskStore::open_with(&place.0, options())
}

fn doc(number: usize) -> DocName {
    name(&format!("doc {number}"))
}

/// A store with several volumes: documents of every age in each, each of them with a snapshot, most with one before it.
fn filled_store(place: &Place, random: &mut Random) -> Histories {
    let store = open(place).unwrap();
    let mut histories = Histories::new();
    for turn in 0..60 {
        let doc = doc(if turn < DOCUMENTS { turn } else { random.below(DOCUMENTS) });
        let history = histories.entry(doc.clone()).or_default();
        (0..3).for_each(|_| history.append(&store, &doc));
        history.compact(&store, &doc, random);
        history.append(&store, &doc);
    }
    histories
}

fn volumes(place: &Place) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(place.0.join("snapshots")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Loads all, and gives those that are damaged.
fn check(store: &DiskStore, histories: &Histories, what: &str) -> BTreeSet<DocName> {
    assert!(store.list(None, usize::MAX).unwrap().iter().eq(histories.keys()), "{what}: all documents are known");
    let mut damaged = BTreeSet::new();
    for (doc, history) in histories {
        match store.load(doc) {
            Ok(stored) => assert!(history.is(doc, &stored), "{what}: {doc:?} is served as it never was"),
            Err(StoreError::Damaged { name, .. }) => {
                assert_eq!(name, *doc, "{what}: another document is named");
                damaged.insert(name);
            }
            Err(other) => panic!("{what}: an error of another kind: {other}"),
        }
    }
    damaged
}

fn damage(path: &Path, random: &mut Random) {
    let mut bytes = fs::read(path).unwrap();
    match random.below(4) {
        0 => (0..random.pick(&[1, 8, 200])).for_each(|_| {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }),
        1 => {
            let (start, len) = (random.below(bytes.len()) / 512 * 512, random.pick(&[512, 4_096, 262_144]));
            let end = (start + len).min(bytes.len());
            bytes[start..end].fill(0);
        }
        2 => bytes.truncate(random.below(bytes.len())),
        _ => bytes.truncate(bytes.len().saturating_sub(random.below(5_000))),
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_volume_harms_only_what_lies_in_it() {
    let place = Place::in_memory("volumes");
    let histories = filled_store(&place, &mut Random::new(1));
    let lies_in = lying_in(&place, &histories);
    let count = lies_in.len();
    assert!(count >= 3, "several volumes are there: {count}");
    assert!(lies_in.iter().all(|harmed| harmed.len() < DOCUMENTS), "none holds all documents");
    let (mut quiet, mut detected) = (0, 0);
    for round in 0..rounds("YMESH_VOLUME_DAMAGE_ROUNDS", 300) {
        let what = format!("round {round}");
        let mut random = Random::new(round as u64);
        let copy = place.copy("volume-damage");
        let number = random.below(count);
        let mut files: Vec<_> =
            fs::read_dir(&volumes(&copy)[number]).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.is_file());
        files.sort();
        let file = if random.percent(85) {
            volumes(&copy)[number].join("db")
        } else {
            files[random.below(files.len())].clone()
        };
        damage(&file, &mut random);
        let store = open(&copy).unwrap_or_else(|error| panic!("{what}: {error}"));
        let damaged = check(&store, &histories, &what);
        assert!(damaged.is_subset(&lies_in[number]), "{what}: {damaged:?} don't lie there");
        if damaged.is_empty() {
            quiet += 1
        } else {
            detected += 1
        }
        if random.percent(30) {
            go_on(store, &copy, &histories, &damaged, &mut random, &what);
        }
    }
    println!("{detected} rounds detected, {quiet} harmless");
    assert!(detected > 0 && quiet > 0, "both kinds occur");
}

/// Documents that can be loaded go on, and are there at the next start.
fn go_on(
    store: DiskStore,
    place: &Place,
    histories: &Histories,
    damaged: &BTreeSet<DocName>,
    random: &mut Random,
    what: &str,
) {
    let mut histories = histories.clone();
    let mut compacted = BTreeSet::new();
    for (doc, history) in histories.iter_mut().filter(|(doc, _)| !damaged.contains(doc)) {
        if random.percent(20) {
            history.append(&store, doc);
            history.compact(&store, doc, random);
            compacted.insert(doc.clone());
        }
    }
    let damaged = check(&store, &histories, what);
    assert!(damaged.is_disjoint(&compacted), "{what}: what was compacted since can be read");
    drop(store);
    // A volume that failed stays locked as long as the process lives.
    let copy = place.copy("volume-again");
    let store = open(&copy).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    let damaged = check(&store, &histories, what);
    assert!(damaged.is_disjoint(&compacted), "{what}: what was compacted since can be read at the next start");
}

/// The documents that can't be read without each of the volumes.
fn lying_in(place: &Place, histories: &Histories) -> Vec<BTreeSet<DocName>> {
    let without = |number: usize| {
        let copy = place.copy("volume-gone");
        fs::remove_dir_all(&volumes(&copy)[number]).unwrap();
        check(&open(&copy).unwrap(), histories, "a volume is gone")
    };
    (0..volumes(place).len()).map(without).collect()
}

#[test]
fn a_volume_that_cannot_be_opened_is_left_as_it_is() {
    let place = Place::in_memory("volume-unopened");
    let mut histories = filled_store(&place, &mut Random::new(2));
    let lies_in = lying_in(&place, &histories);
    let number = lies_in.iter().position(|harmed| !harmed.is_empty() && harmed.len() < DOCUMENTS).unwrap();
    let volume = volumes(&place).remove(number);
    let whole = Place::in_memory("volume-whole");
    copy_folder(&volume, &whole.0);
    let db = volume.join("db");
    let moved = whole.0.join("db-moved");
    fs::rename(&db, &moved).unwrap();
    // What isn't a file can't be opened.
    fs::create_dir(&db).unwrap();
    let store = open(&place).unwrap();
    let damaged = check(&store, &histories, "not opened");
    assert_eq!(damaged, lies_in[number]);
    let mut random = Random::new(3);
    for turn in 0..60 {
        let doc = doc(turn % DOCUMENTS);
        if !damaged.contains(&doc) {
            let history = histories.get_mut(&doc).unwrap();
            history.append(&store, &doc);
            history.compact(&store, &doc, &mut random);
        }
    }
    assert_eq!(check(&store, &histories, "not opened"), damaged);
    drop(store);
    assert!(db.is_dir());
    fs::remove_dir(&db).unwrap();
    fs::rename(&moved, &db).unwrap();
    assert_eq!(check(&open(&place).unwrap(), &histories, "mended"), BTreeSet::new());
}

/// Volumes of which one can't be read: the disk fails.
struct Unread {
    volumes: SledVolumes,
    number: u32,
}

struct UnreadVolume(Arc<dyn Volume>);

impl Volumes for Unread {
    fn numbers(&self) -> io::Result<Vec<u32>> {
        self.volumes.numbers()
    }

    fn open(&self, number: u32) -> Result<Arc<dyn Volume>, VolumeError> {
        let volume = self.volumes.open(number)?;
        Ok(if number == self.number { Arc::new(UnreadVolume(volume)) } else { volume })
    }

    fn remove(&self, number: u32) -> io::Result<()> {
        self.volumes.remove(number)
    }
}

impl Volume for UnreadVolume {
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), VolumeError> {
        self.0.insert(key, value)
    }

    fn get(&self, _: &[u8]) -> Result<Option<Bytes>, VolumeError> {
        Err(io::Error::other("a bad sector").into())
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.0.flush()
    }

    fn bytes(&self) -> io::Result<u64> {
        self.0.bytes()
    }
}

#[test]
fn a_volume_that_the_disk_cannot_give_back_harms_only_what_lies_in_it() {
    let place = Place::in_memory("volume-unread");
    let histories = filled_store(&place, &mut Random::new(4));
    let lies_in = lying_in(&place, &histories);
    for (at, volume) in volumes(&place).iter().enumerate() {
        let what = format!("{} can't be read", volume.display());
        let number = u32::from_str_radix(&volume.file_name().unwrap().to_string_lossy(), 16).unwrap();
        let copy = place.copy("volume-unread");
        let volumes = Unread { volumes: SledVolumes::new(&copy.0.join("snapshots")).unwrap(), number };
        let store = DiskStore::open_on(Arc::new(System), Arc::new(volumes), &copy.0, options()).unwrap();
        let mut histories = histories.clone();
        assert_eq!(check(&store, &histories, &what), lies_in[at]);
        let mut random = Random::new(5);
        for turn in 0..3 * DOCUMENTS {
            let doc = doc(turn % DOCUMENTS);
            if !lies_in[at].contains(&doc) {
                let history = histories.get_mut(&doc).unwrap();
                history.append(&store, &doc);
                history.compact(&store, &doc, &mut random);
            }
        }
        assert_eq!(check(&store, &histories, &what), lies_in[at]);
    }
}
