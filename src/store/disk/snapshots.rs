//! Snapshots, in volumes. The journal says which there are, where, and what they hash to; so what a volume gives is
//! always checked, and one that is damaged harms only what lies in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::packed::{self, SNAPSHOT_BYTES_MAX};
use super::segment::Pointer;
use super::sled_volume::VALUE_BYTES_MAX;
use super::volume::{Volume, VolumeError, Volumes, is_lack};

const KEY_BYTES: usize = 16;
/// How many volumes in turn are tried to put something into.
const ATTEMPTS: usize = 3;
/// A volume that has more than one part in so many of all bytes is full: so damage to one harms a part of the
/// documents, and what is in it can be moved in the space of that part.
const PARTS: u64 = 8;

/// The snapshots of a store.
pub struct Snapshots {
    volumes: Arc<dyn Volumes>,
    /// Bytes of a volume from which on it may be full.
    volume_bytes: u64,
    open: Mutex<BTreeMap<u32, Arc<dyn Volume>>>,
    active: Mutex<Active>,
}

/// Which volume new snapshots go to.
#[derive(Default)]
struct Active {
    number: Option<u32>,
    /// The greatest number that there ever was.
    last: u32,
    /// Those that something couldn't be put into.
    given_up: BTreeSet<u32>,
    /// What was written last may never become durable, and a later sync wouldn't say so.
    has_failed: bool,
}

/// A snapshot as it's kept.
pub struct Packed {
    pub doc: u64,
    /// It knows its volume once it's kept.
    pub pointer: Pointer,
    bytes: Vec<u8>,
}

impl Packed {
    /// Of a snapshot that isn't kept anywhere yet.
    pub fn new(doc: u64, pointer: Pointer, snapshot: &[u8]) -> Self {
        let bytes = packed::pack(snapshot);
        Self { doc, pointer: Pointer { packed: bytes.len() as u64, ..pointer }, bytes }
    }

    pub fn bytes(&self) -> u64 {
        self.pointer.packed
    }
}

/// A volume that is open.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub number: u32,
    pub bytes: u64,
    /// New snapshots go to it.
    pub is_active: bool,
    /// It's damaged: what can be read of it should move.
    pub is_given_up: bool,
}

impl Snapshots {
    /// Opens the volumes that are `used`, and removes all others. One that can't be opened is left as it is; an error if
    /// that isn't its fault.
    pub fn open(volumes: Arc<dyn Volumes>, volume_bytes: u64, used: &[u32]) -> io::Result<Self> {
        let there = volumes.numbers()?;
        for number in there.iter().filter(|number| !used.contains(number)) {
            remove(&*volumes, *number);
        }
        let mut open = BTreeMap::new();
        for number in used {
            if *number > 0 && !there.contains(number) {
                tracing::error!(volume = number, "a volume of snapshots is missing");
                continue;
            }
            match volumes.open(*number) {
                Ok(volume) => drop(open.insert(*number, volume)),
                // What lies in it would look damaged, and isn't.
                Err(VolumeError::Failed(error)) if is_lack(&error) => return Err(error),
                Err(error) => tracing::error!(volume = number, %error, "a volume of snapshots can't be opened"),
            }
        }
        let last = there.iter().chain(used).copied().max().unwrap_or(0);
        let number = Some(last).filter(|number| *number > 0 && open.contains_key(number));
        let active = Active { number, last, ..Active::default() };
        Ok(Self { volumes, volume_bytes, open: Mutex::new(open), active: Mutex::new(active) })
    }

    fn volumes(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<dyn Volume>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps snapshots; they're durable and were read back when this returns, and their pointers say where they are. After
    /// an error of the disk none is kept any more.
    pub fn keep(&self, snapshots: &mut [Packed]) -> io::Result<()> {
        if snapshots.iter().any(|snapshot| snapshot.pointer.len > SNAPSHOT_BYTES_MAX) {
            return Err(io::Error::other("a snapshot is too large"));
        }
        let mut active = self.active();
        if active.has_failed {
            return Err(io::Error::other("snapshots couldn't be written before"));
        }
        for _ in 0..ATTEMPTS {
            let kept = self.writable(&mut active).and_then(|(number, volume)| {
                snapshots.iter_mut().for_each(|snapshot| snapshot.pointer.volume = number);
                put(&*volume, snapshots)
            });
            match kept {
                Ok(()) => return Ok(()),
                Err(VolumeError::Failed(error)) => {
                    active.has_failed = true;
                    return Err(error);
                }
                Err(VolumeError::Damaged(why)) => {
                    tracing::error!(volume = active.last, %why, "a volume of snapshots is damaged; another takes its place");
                    active.number = None;
                    let damaged = active.last;
                    active.given_up.insert(damaged);
                }
            }
        }
        Err(io::Error::other("snapshots can't be written: volume after volume is damaged"))
    }

    /// The volume that new snapshots go to: a new one, if the last is full.
    fn writable(&self, active: &mut Active) -> Result<(u32, Arc<dyn Volume>), VolumeError> {
        let total = self.total()?;
        if let Some(number) = active.number
            && let Some(volume) = self.volumes().get(&number).cloned()
            && volume.bytes()? < self.volume_bytes.max(total / PARTS)
        {
            return Ok((number, volume));
        }
        active.number = None;
        active.last = active.last.checked_add(1).ok_or_else(|| io::Error::other("no volume's number is left"))?;
        let volume = self.volumes.open(active.last)?;
        active.number = Some(active.last);
        self.volumes().insert(active.last, volume.clone());
        Ok((active.last, volume))
    }

    fn total(&self) -> io::Result<u64> {
        self.volumes().values().map(|volume| volume.bytes()).sum()
    }

    /// A snapshot, if it can be read and is what was kept.
    pub fn get(&self, doc: u64, pointer: &Pointer) -> Option<Bytes> {
        packed::unpack(self.read(doc, pointer)?, pointer).map(Bytes::from)
    }

    /// A snapshot as it's kept, if it can be read and is what was kept.
    pub fn packed(&self, doc: u64, pointer: Pointer) -> Option<Packed> {
        let bytes = self.read(doc, &pointer)?;
        packed::unpack(bytes.clone(), &pointer)?;
        Some(Packed { doc, pointer, bytes })
    }

    fn read(&self, doc: u64, pointer: &Pointer) -> Option<Vec<u8>> {
        let volume = self.volumes().get(&pointer.volume).cloned()?;
        read(&*volume, doc, pointer).unwrap_or_else(|error| {
            // A disk that can't give one place back may give all others: that's no reason to give up the store.
            tracing::error!(volume = pointer.volume, %error, "a snapshot can't be read");
            None
        })
    }

    /// The volumes that are open.
    pub fn held(&self) -> io::Result<Vec<Held>> {
        let active = self.active();
        let held = |(number, volume): (&u32, &Arc<dyn Volume>)| {
            let (is_active, is_given_up) = (active.number == Some(*number), active.given_up.contains(number));
            Ok(Held { number: *number, bytes: volume.bytes()?, is_active, is_given_up })
        };
        self.volumes().iter().map(held).collect()
    }

    /// Bytes that a volume takes for itself; fewer if so few fill one.
    pub fn overhead(&self) -> u64 {
        self.volumes.overhead().min(self.volume_bytes)
    }

    /// Closes and removes a volume, unless somebody is reading it. Then it's for another time.
    pub fn remove(&self, number: u32) {
        let closed = match self.volumes().entry(number) {
            std::collections::btree_map::Entry::Occupied(held) if Arc::strong_count(held.get()) == 1 => held.remove(),
            _ => return,
        };
        drop(closed);
        remove(&*self.volumes, number);
    }
}

/// What isn't needed costs space alone: that's no reason to give up what is. A start tries again.
fn remove(volumes: &dyn Volumes, number: u32) {
    if let Err(error) = volumes.remove(number) {
        tracing::warn!(volume = number, %error, "a volume of snapshots that nobody needs can't be removed");
    }
}

fn put(volume: &dyn Volume, snapshots: &[Packed]) -> Result<(), VolumeError> {
    for Packed { doc, pointer, bytes } in snapshots {
        for (number, part) in bytes.chunks(VALUE_BYTES_MAX).enumerate() {
            volume.insert(&key(*doc, pointer.generation, number as u32), part)?;
        }
    }
    volume.flush()?;
    for Packed { doc, pointer, bytes } in snapshots {
        if read(volume, *doc, pointer).ok().flatten().is_none_or(|found| found != *bytes) {
            return Err(VolumeError::Damaged("what was just written can't be read back".into()));
        }
    }
    Ok(())
}

fn read(volume: &dyn Volume, doc: u64, pointer: &Pointer) -> Result<Option<Vec<u8>>, VolumeError> {
    let mut bytes = Vec::new();
    for number in 0..pointer.packed.div_ceil(VALUE_BYTES_MAX as u64) {
        match volume.get(&key(doc, pointer.generation, number as u32))? {
            Some(part) => bytes.extend_from_slice(&part),
            None => return Ok(None),
        }
    }
    Ok((bytes.len() as u64 == pointer.packed).then_some(bytes))
}

fn key(doc: u64, generation: u32, part: u32) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&doc.to_be_bytes());
    key[8..12].copy_from_slice(&generation.to_be_bytes());
    key[12..].copy_from_slice(&part.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::super::volume::TOO_MANY_FILES;
    use super::*;
    use crate::id::Seq;

    impl Snapshots {
        /// Has a snapshot be another one than was kept.
        pub fn lose(&self, doc: u64, pointer: &Pointer) {
            self.volumes()[&pointer.volume].insert(&key(doc, pointer.generation, 0), b"lost").unwrap();
        }
    }

    /// Volumes in memory. Those of some numbers fail when something is put into them.
    #[derive(Default)]
    struct Memory {
        /// Why none can be opened.
        closed: Option<fn() -> io::Error>,
        damaged: Vec<u32>,
        failing: Vec<u32>,
        removed: Mutex<Vec<u32>>,
    }

    #[derive(Default)]
    struct Values {
        is_damaged: bool,
        is_failing: bool,
        values: Mutex<BTreeMap<Vec<u8>, Bytes>>,
    }

    impl Volumes for Memory {
        fn numbers(&self) -> io::Result<Vec<u32>> {
            Ok(vec![1, 2, 4])
        }

        fn open(&self, number: u32) -> Result<Arc<dyn Volume>, VolumeError> {
            if let Some(why) = self.closed {
                return Err(why().into());
            }
            let (is_damaged, is_failing) = (self.damaged.contains(&number), self.failing.contains(&number));
            Ok(Arc::new(Values { is_damaged, is_failing, ..Values::default() }))
        }

        fn remove(&self, number: u32) -> io::Result<()> {
            self.removed.lock().unwrap().push(number);
            Ok(())
        }
    }

    impl Volume for Values {
        fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), VolumeError> {
            self.values.lock().unwrap().insert(key.to_vec(), Bytes::copy_from_slice(value));
            if self.is_failing { Err(io::Error::other("full").into()) } else { Ok(()) }
        }

        fn get(&self, key: &[u8]) -> Result<Option<Bytes>, VolumeError> {
            Ok(self.values.lock().unwrap().get(key).cloned())
        }

        fn flush(&self) -> Result<(), VolumeError> {
            if self.is_damaged { Err(VolumeError::Damaged("so it is".into())) } else { Ok(()) }
        }

        fn bytes(&self) -> io::Result<u64> {
            Ok(self.values.lock().unwrap().values().map(|value| value.len() as u64).sum())
        }
    }

    fn keep(snapshots: &Snapshots, generation: u32) -> io::Result<Pointer> {
        let snapshot = vec![generation as u8; 9_000];
        let (len, hash) = (snapshot.len() as u64, *blake3::hash(&snapshot).as_bytes());
        let pointer = Pointer { generation, through: Seq(1), len, hash, volume: 0, packed: len };
        let mut packed = [Packed::new(1, pointer, &snapshot)];
        snapshots.keep(&mut packed)?;
        assert!(snapshots.get(1, &packed[0].pointer) == Some(snapshot.into()));
        Ok(packed[0].pointer)
    }

    fn numbers(snapshots: &Snapshots) -> Vec<u32> {
        snapshots.held().unwrap().iter().map(|held| held.number).collect()
    }

    #[test]
    fn volumes_that_nothing_points_to_are_removed_and_their_numbers_not_used_again() {
        let volumes = Arc::new(Memory::default());
        // Number 3 is pointed to, and missing.
        let snapshots = Snapshots::open(volumes.clone(), 1_000, &[2, 3]).unwrap();
        assert_eq!((numbers(&snapshots), &*volumes.removed.lock().unwrap()), (vec![2], &vec![1, 4]));
        assert_eq!(keep(&snapshots, 1).unwrap().volume, 5);
        let missing = Pointer { volume: 3, ..keep(&snapshots, 2).unwrap() };
        assert_eq!(snapshots.get(1, &missing), None);
    }

    #[test]
    fn where_the_machine_lacks_something_nothing_is_taken_for_damaged() {
        let opened = |why: fn() -> io::Error| {
            let memory = Memory { closed: Some(why), ..Memory::default() };
            Snapshots::open(Arc::new(memory), 1_000, &[1, 2]).map(|snapshots| numbers(&snapshots))
        };
        for why in [|| io::ErrorKind::StorageFull.into(), || io::Error::from_raw_os_error(TOO_MANY_FILES[0])] {
            assert_eq!(opened(why).unwrap_err().to_string(), why().to_string());
        }
        // A volume that alone can't be read harms no other.
        assert_eq!(opened(|| io::Error::other("a bad sector")).unwrap(), [0; 0]);
    }

    #[test]
    fn the_newest_volume_is_filled_before_another_is_begun() {
        let snapshots = Snapshots::open(Arc::new(Memory::default()), 150, &[2, 4]).unwrap();
        let volumes: Vec<u32> = (1..=9).map(|generation| keep(&snapshots, generation).unwrap().volume).collect();
        assert!(volumes.is_sorted() && volumes.starts_with(&[4, 4]), "{volumes:?}");
        assert!(*volumes.last().unwrap() > 5);
    }

    #[test]
    fn another_volume_takes_the_place_of_a_damaged_one() {
        let memory = Memory { damaged: vec![4, 5], ..Memory::default() };
        let snapshots = Snapshots::open(Arc::new(memory), 1 << 20, &[4]).unwrap();
        assert_eq!(keep(&snapshots, 1).unwrap().volume, 6);
        assert_eq!(keep(&snapshots, 2).unwrap().volume, 6);
        let given_up: Vec<bool> = snapshots.held().unwrap().iter().map(|held| held.is_given_up).collect();
        assert_eq!(given_up, [true, true, false]);
    }

    #[test]
    fn a_failure_is_not_tried_again() {
        let memory = Memory { failing: vec![4], damaged: vec![5, 6, 7], ..Memory::default() };
        let snapshots = Snapshots::open(Arc::new(memory), 1 << 20, &[4]).unwrap();
        assert_eq!(keep(&snapshots, 1).unwrap_err().to_string(), "full");
        assert_eq!(keep(&snapshots, 2).unwrap_err().to_string(), "snapshots couldn't be written before");
        assert_eq!(numbers(&snapshots), [4]);
        let memory = Memory { damaged: (5..20).collect(), ..Memory::default() };
        let snapshots = Snapshots::open(Arc::new(memory), 1 << 20, &[1]).unwrap();
        assert_eq!(
            keep(&snapshots, 1).unwrap_err().to_string(),
            "snapshots can't be written: volume after volume is damaged"
        );
    }

    #[test]
    fn a_volume_that_is_being_read_is_not_removed() {
        let volumes = Arc::new(Memory::default());
        let snapshots = Snapshots::open(volumes.clone(), 1_000, &[1, 2, 4]).unwrap();
        let reader = snapshots.volumes().get(&2).cloned();
        snapshots.remove(2);
        assert_eq!(numbers(&snapshots), [1, 2, 4]);
        drop(reader);
        snapshots.remove(2);
        assert_eq!((numbers(&snapshots), &*volumes.removed.lock().unwrap()), (vec![1, 4], &vec![2]));
    }
}
