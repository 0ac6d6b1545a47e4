//! Stores: what every one owes, and what the one on disk keeps when files are damaged and processes killed.

#[cfg(feature = "server")]
mod backup;
#[cfg(feature = "server")]
mod checking;
mod contract;
#[cfg(feature = "server")]
mod crashes;
mod damage;
mod dump;
mod failing;
mod formats;
mod freed;
#[cfg(feature = "server")]
mod kill;
mod lock;
mod marked;
mod owed;
mod parallel;
mod power;
mod retired;
mod scenario;
mod simulation;
mod space;
mod torn;
mod volume_cuts;
mod volume_damage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use y_mesh::document::{Record, Stored, Tombstone, WallTime};
use y_mesh::store::{Append, DiskOptions, DiskStore, Durability, StoreError};
use y_mesh::{ClientId, DocName, Seq};

/// How often something random is done.
fn rounds(variable: &str, default: usize) -> usize {
    let number = |rounds: String| rounds.parse().unwrap_or_else(|_| panic!("{variable} is a number"));
    std::env::var(variable).map_or(default, number)
}

/// A directory that no other test has. It's gone when the test is done, and stays to be looked at when it failed.
pub struct Place(PathBuf);

impl Place {
    pub fn new(name: &str) -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")), name)
    }

    /// Where it doesn't matter what is synced: in memory, if the system has a place there.
    pub fn in_memory(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory, &format!("y-mesh-{name}")) } else { Self::new(name) }
    }

    fn below(folder: &Path, name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("store-{}-{count}-{name}", std::process::id()));
        // A process before may have had the same number.
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn open(&self, segment_bytes: u64) -> Result<DiskStore, StoreError> {
        let mut options = DiskOptions::default();
        options.segment_bytes = segment_bytes;
        // Little, so that space is won back often.
        options.journal_bytes = 4 * segment_bytes;
        options.volume_bytes = 1 << 20;
        DiskStore::open_with(&self.0, options)
    }

    /// A copy of all that is there now, also while the store is open.
    fn copy(&self, name: &str) -> Self {
        let copy = Self::below(self.0.parent().unwrap(), name);
        copy_folder(&self.0, &copy.0);
        copy
    }

    /// The journal's files with this ending, in order; all of them, if it's empty.
    fn journal(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join("journal")).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
        paths.sort();
        paths
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_folder(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

fn name(name: &str) -> DocName {
    name.parse().unwrap()
}

/// Bytes that tell themselves from others of the same length.
fn filled(seed: u64, length: usize) -> Bytes {
    (0..length as u64).map(|at| (at * 7 + at / 251 + seed % 256 * 31 + 1) as u8).collect()
}

fn append(name: &DocName, seq: u64, length: usize) -> Append {
    let author = ["", "ada", "Grace Hopper <grace@example.org>", "äöü 🦀"][seq as usize % 4];
    let record = Record {
        update: filled(seq, length),
        author: author.into(),
        at: WallTime(1_700_000_000_000 + seq % 1_000 * 1_001),
    };
    Append { name: name.clone(), seq: Seq(seq), record }
}

/// What a store must hold, kept in the simplest way.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model(BTreeMap<DocName, Stored>);

impl Model {
    fn create(&mut self, name: &DocName, durability: Option<Durability>) {
        let stored = self.0.entry(name.clone()).or_default();
        if !stored.exists {
            (stored.exists, stored.durability) = (true, durability);
        }
    }

    fn append(&mut self, records: &[Append]) {
        for Append { name, seq, record } in records {
            let stored = self.0.entry(name.clone()).or_default();
            stored.exists = true;
            stored.tail.push((*seq, record.clone()));
        }
    }

    fn compact(&mut self, name: &DocName, through: Seq, snapshot: &Bytes) {
        let stored = self.0.get_mut(name).unwrap();
        stored.snapshot = Some((through, snapshot.clone()));
        stored.tail.retain(|(seq, _)| *seq > through);
    }

    fn delete(&mut self, name: &DocName, through: Seq, clients: &[ClientId]) {
        let stored = self.0.entry(name.clone()).or_default();
        let incarnation = stored.tombstone.as_ref().map_or(0, |tombstone| tombstone.incarnation) + 1;
        let tombstone = Some(Tombstone { incarnation, through, clients: clients.to_vec() });
        *stored = Stored { tombstone, ..Stored::default() };
    }

    fn names(&self) -> Vec<DocName> {
        self.0.iter().filter(|(_, stored)| stored.exists).map(|(name, _)| name.clone()).collect()
    }

    fn last(&self, name: &DocName) -> u64 {
        self.0.get(name).map_or(0, |stored| stored.last_seq().0)
    }
}
