//! Volumes in sled.
//!
//! What makes sled 0.34.7 safe: its own `flush` doesn't outlive a power cut, so the file is synced here once more, before
//! sled opens it, and every few values; no value is larger than 3.5 KiB, for larger ones go to files that sled never
//! syncs; `flush_async` is never called; what it left half-made when it was killed is removed before it's opened; its
//! panics are caught; and after an error it's never dropped, for then it waits for itself.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::files::sync_directory;
use super::volume::{Volume, VolumeError, Volumes, is_lack};

/// Bytes of the largest value.
pub const VALUE_BYTES_MAX: usize = 3_584;
/// Values that are written between two syncs. With what sled writes beside them, of which each may be a page of 16
/// values, that is less than a segment of its file (512 KiB). A segment says how far sled took the ones before for
/// durable, and after a power cut sled can't open a file in which that isn't so.
const UNSYNCED_MAX: usize = 8;
/// Bytes that sled may hold in memory, for each volume.
const CACHE_BYTES: u64 = 8 << 20;
/// Bytes that sled takes for a file, as measured.
const VOLUME_OVERHEAD: u64 = 2 << 20;
/// How often, and how long apart, sled's own lock is tried for.
const LOCK_TRIES: usize = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Makes what was written to a file durable.
pub type SyncFile = Arc<dyn Fn(&Path) -> io::Result<()> + Send + Sync>;

/// The volumes in a directory, each in one of its own.
pub struct SledVolumes {
    root: PathBuf,
    sync: SyncFile,
}

impl SledVolumes {
    /// Those in this directory, which is made if it isn't there.
    ///
    /// # Errors
    /// If the directory can't be made.
    pub fn new(root: &Path) -> io::Result<Self> {
        Self::synced_by(root, Arc::new(|path| File::options().write(true).open(path)?.sync_all()))
    }

    /// Like [`new`](Self::new), with another way to make files durable, so that it can be watched and made to fail.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn synced_by(root: &Path, sync: SyncFile) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned(), sync })
    }

    /// Format 1 knew one volume, which had no number.
    fn path(&self, number: u32) -> PathBuf {
        if number == 0 { self.root.clone() } else { self.root.join(format!("{number:08x}")) }
    }
}

impl Volumes for SledVolumes {
    fn numbers(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            match number_of(&entry.file_name().to_string_lossy()) {
                Some(number) if entry.file_type()?.is_dir() => numbers.push(number),
                _ => {}
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn open(&self, number: u32) -> Result<Arc<dyn Volume>, VolumeError> {
        let path = self.path(number);
        if !path.exists() {
            fs::create_dir(&path)?;
            sync_directory(&self.root)?;
        }
        Ok(Arc::new(SledVolume::open(&path, self.sync.clone())?))
    }

    fn remove(&self, number: u32) -> io::Result<()> {
        match fs::remove_dir_all(self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_directory(&self.root),
        }
    }

    fn overhead(&self) -> u64 {
        VOLUME_OVERHEAD
    }
}

fn number_of(name: &str) -> Option<u32> {
    u32::from_str_radix(name, 16).ok().filter(|number| *number > 0 && name.len() == 8)
}

struct SledVolume {
    /// All there is of sled: it stays open as long as one of its trees.
    tree: sled::Tree,
    file: PathBuf,
    sync: SyncFile,
    /// Values since the last sync.
    unsynced: AtomicUsize,
    has_failed: AtomicBool,
}

impl SledVolume {
    fn open(path: &Path, sync: SyncFile) -> Result<Self, VolumeError> {
        let file = path.join("db");
        let is_new = !file.exists();
        if !is_new {
            // What sled finds it takes for durable; a process that ended may not have synced it.
            sync(&file)?;
        }
        remove_unfinished(path)?;
        let tree = match open(path) {
            Ok(tree) => tree,
            Err(why) if is_locked(&why) => return Err(VolumeError::Damaged(why.to_string())),
            Err(VolumeError::Failed(error)) if is_lack(&error) => return Err(error.into()),
            Err(_) => {
                // What sled sums up of its file can be summed up again, and its settings are always the same.
                remove(path, |name| name.starts_with("snap.") || name == "conf")?;
                open(path)?
            }
        };
        let volume = Self {
            tree,
            file: path.join("db"),
            sync,
            unsynced: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
        };
        volume.flush()?;
        if is_new {
            // It's written once, and sled never syncs it.
            (volume.sync)(&path.join("conf"))?;
            sync_directory(path)?;
        }
        Ok(volume)
    }

    /// Whether it fails or panics, nothing that sled holds is let go of any more.
    fn attempt<T>(&self, work: impl FnOnce(&sled::Tree) -> sled::Result<T>) -> Result<T, VolumeError> {
        let done = match catch_unwind(AssertUnwindSafe(|| work(&self.tree))) {
            Ok(done) => done.map_err(explain),
            Err(_) => Err(VolumeError::Damaged("sled panicked".into())),
        };
        if done.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        done
    }
}

impl Volume for SledVolume {
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), VolumeError> {
        self.attempt(|tree| tree.insert(key, value))?;
        let unsynced = self.unsynced.fetch_add(1, Ordering::Relaxed) + 1;
        if unsynced < UNSYNCED_MAX { Ok(()) } else { self.flush() }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, VolumeError> {
        Ok(self.attempt(|tree| tree.get(key))?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.attempt(sled::Tree::flush)?;
        self.unsynced.store(0, Ordering::Relaxed);
        Ok((self.sync)(&self.file)?)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.file)?.len())
    }
}

impl Drop for SledVolume {
    fn drop(&mut self) {
        if !self.has_failed.load(Ordering::Relaxed) {
            // What is left to be written may make it panic, and that shows here better than below.
            let _ = self.attempt(sled::Tree::flush);
        }
        if self.has_failed.load(Ordering::Relaxed) {
            std::mem::forget(self.tree.clone());
        }
    }
}

/// A process that is being started at this moment may hold the lock of a sled that was just closed.
fn open(path: &Path) -> Result<sled::Tree, VolumeError> {
    for _ in 0..LOCK_TRIES {
        match try_open(path) {
            Err(why) if is_locked(&why) => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    try_open(path)
}

fn is_locked(why: &VolumeError) -> bool {
    why.to_string().contains("acquire lock")
}

fn try_open(path: &Path) -> Result<sled::Tree, VolumeError> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    // A damaged file makes sled panic as often as fail.
    let open = || {
        let db = config.open()?;
        db.open_tree("snapshots").inspect_err(|_| std::mem::forget(db.clone()))
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(explain),
        Err(_) => Err(VolumeError::Damaged("sled panicked".into())),
    }
}

/// sled may take a summary that it didn't finish for one that it did.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    remove(path, |name| name.starts_with("snap.") && name.ends_with(".generating"))
}

fn remove(path: &Path, is_unwanted: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if is_unwanted(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn explain(error: sled::Error) -> VolumeError {
    match error {
        // What was cut off is damaged, and no failure of the disk.
        sled::Error::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => VolumeError::Failed(error),
        damaged => VolumeError::Damaged(damaged.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A directory of its own, gone when the test is done.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("y-mesh-sled-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn volumes(&self) -> SledVolumes {
            SledVolumes::new(&self.0).unwrap()
        }

        fn volume(&self) -> Arc<dyn Volume> {
            self.volumes().open(1).unwrap()
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.join("00000001").join(name)
        }

        /// The file in which sled sums up the other. It's made when that is opened.
        fn summary(&self) -> PathBuf {
            drop(self.volume());
            let mut paths = fs::read_dir(self.file("")).unwrap().map(|entry| entry.unwrap().path());
            paths.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap.")).unwrap()
        }

        fn values_apart(&self) -> usize {
            fs::read_dir(self.file("blobs")).map_or(0, Iterator::count)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn fill(volume: &dyn Volume, count: u32, bytes: usize) {
        for number in 0..count {
            volume.insert(&number.to_be_bytes(), &vec![number as u8; bytes]).unwrap();
        }
        volume.flush().unwrap();
    }

    fn is_filled(volume: &dyn Volume, count: u32, bytes: usize) -> bool {
        let is_there =
            |number: u32| volume.get(&number.to_be_bytes()).unwrap() == Some(vec![number as u8; bytes].into());
        (0..count).all(is_there)
    }

    #[test]
    fn numbers_are_those_that_are_there() {
        let place = Scratch::new("numbers");
        let volumes = place.volumes();
        assert_eq!(volumes.numbers().unwrap(), [0; 0]);
        for number in [3, 0x10, 1] {
            fill(&*volumes.open(number).unwrap(), 10, 10);
        }
        fs::write(place.0.join("00000002"), "a file").unwrap();
        fs::create_dir(place.0.join("2")).unwrap();
        assert_eq!(volumes.numbers().unwrap(), [1, 3, 0x10]);
        volumes.remove(3).unwrap();
        volumes.remove(3).unwrap();
        assert_eq!(volumes.numbers().unwrap(), [1, 0x10]);
        assert!(is_filled(&*volumes.open(1).unwrap(), 10, 10));
        assert!(volumes.open(1).unwrap().bytes().unwrap() > 0);
    }

    #[test]
    fn no_value_goes_to_a_file_that_is_never_synced() {
        let place = Scratch::new("values");
        fill(&*place.volume(), 2_000, VALUE_BYTES_MAX);
        assert_eq!(place.values_apart(), 0);
        place.volumes().remove(1).unwrap();
        // Larger ones would.
        fill(&*place.volume(), 200, 20 * VALUE_BYTES_MAX);
        assert!(place.values_apart() > 0);
    }

    #[test]
    fn the_file_is_synced_once_all_is_written_to_it() {
        let place = Scratch::new("sync");
        let synced = Synced::default();
        let volumes = SledVolumes::synced_by(&place.0, watch(synced.clone())).unwrap();
        let volume = volumes.open(1).unwrap();
        let opened = std::mem::take(&mut *synced.lock().unwrap());
        assert!(
            opened.iter().any(|(path, _)| path.ends_with("conf"))
                && opened.iter().any(|(path, _)| path.ends_with("db"))
        );
        for round in 1..=20u32 {
            fill(&*volume, 3 * round, 3_000);
            let (path, bytes) = synced.lock().unwrap().pop().unwrap();
            assert!(path == place.file("db") && bytes == fs::read(path).unwrap(), "something was written after it");
        }
        drop(volume);
        synced.lock().unwrap().clear();
        let left = fs::read(place.file("db")).unwrap();
        drop(volumes.open(1).unwrap());
        assert!(synced.lock().unwrap()[0] == (place.file("db"), left), "it wasn't synced before sled saw it");
    }

    #[test]
    fn less_than_a_segment_is_written_between_two_syncs() {
        let place = Scratch::new("segments");
        let synced = Synced::default();
        let volume = SledVolumes::synced_by(&place.0, watch(synced.clone())).unwrap().open(1).unwrap();
        // Keys in no order make sled write the most beside them.
        for number in 0..700u32 {
            volume.insert(&number.wrapping_mul(2_654_435_761).to_be_bytes(), &[number as u8; VALUE_BYTES_MAX]).unwrap();
            let mut synced = synced.lock().unwrap();
            if let [.., (_, before), (_, after)] = &synced[..] {
                let is_new =
                    |(at, sector): (usize, &[u8])| before.get(at * 512..at * 512 + sector.len()) != Some(sector);
                let written = after.chunks(512).enumerate().filter(|sector| is_new(*sector)).count() * 512;
                assert!(written < 512 << 10, "{written} bytes were written between two syncs");
                synced.remove(0);
            }
        }
    }

    /// The files that were synced, with what they held then.
    type Synced = Arc<Mutex<Vec<(PathBuf, Vec<u8>)>>>;

    /// Syncs nothing, and notes what the files held when they should have been.
    fn watch(synced: Synced) -> SyncFile {
        Arc::new(move |path| {
            synced.lock().unwrap().push((path.to_owned(), fs::read(path)?));
            Ok(())
        })
    }

    #[test]
    fn a_failed_sync_is_a_failed_flush() {
        let place = Scratch::new("unsynced");
        let volumes = place.volumes();
        drop(volumes.open(1).unwrap());
        let fails = Arc::new(AtomicBool::new(false));
        let its_fails = fails.clone();
        let sync = move |_: &Path| if its_fails.load(Ordering::Relaxed) { Err(io::Error::other("no")) } else { Ok(()) };
        let volume = SledVolumes { sync: Arc::new(sync), ..volumes }.open(1).unwrap();
        volume.insert(b"key", b"value").unwrap();
        fails.store(true, Ordering::Relaxed);
        assert!(matches!(volume.flush(), Err(VolumeError::Failed(_))));
    }

    #[test]
    fn what_the_system_says_when_sled_opens_is_not_taken_for_damage() {
        let place = Scratch::new("system");
        fs::create_dir(&place.0).unwrap();
        // No directory can be made there.
        fs::write(place.0.join("00000001"), "a file").unwrap();
        let opened = try_open(&place.0.join("00000001")).map(drop);
        assert!(matches!(opened, Err(VolumeError::Failed(_))), "{opened:?}");
    }

    #[test]
    fn what_was_left_half_made_is_removed_and_only_that() {
        let place = Scratch::new("generating");
        fill(&*place.volume(), 500, 3_000);
        // A summary in the making, as a kill leaves it.
        let unfinished = place.file("snap.00000000000FFFFF.generating");
        fs::write(&unfinished, "").unwrap();
        let left = sled::Config::new().path(place.file("")).open();
        assert!(left.is_err(), "sled takes it for whole");
        drop(left);
        assert!(is_filled(&*place.volume(), 500, 3_000));
        let whole = place.summary();
        fs::write(&unfinished, "").unwrap();
        remove_unfinished(&place.file("")).unwrap();
        assert!(whole.exists() && !unfinished.exists());
    }

    #[test]
    fn a_summary_that_cannot_be_read_is_made_anew() {
        let place = Scratch::new("summary");
        fill(&*place.volume(), 500, 3_000);
        fs::write(place.summary(), "nothing").unwrap();
        let left = sled::Config::new().path(place.file("")).open();
        assert!(left.is_err(), "sled doesn't make it anew");
        drop(left);
        assert!(is_filled(&*place.volume(), 500, 3_000));
    }

    #[test]
    fn after_a_failure_sled_is_never_dropped() {
        let place = Scratch::new("failed");
        let is_free = || File::open(place.file("db")).unwrap().try_lock().is_ok();
        let volume = place.volume();
        // More than it holds in memory.
        fill(&*volume, 8_000, 3_000);
        assert!(!is_free());
        drop(volume);
        assert!(is_free(), "one that is whole lets go of everything");
        let volume = place.volume();
        let len = fs::metadata(place.file("db")).unwrap().len();
        let file = File::options().write(true).open(place.file("db")).unwrap();
        file.set_len(0).unwrap();
        file.set_len(len).unwrap();
        let failed = (0..8_000u32).find_map(|number| volume.get(&number.to_be_bytes()).err());
        assert!(matches!(failed, Some(VolumeError::Damaged(_))), "{failed:?}");
        drop(volume);
        assert!(!is_free());
    }

    #[test]
    fn a_volume_that_is_open_cannot_be_opened_and_is_not_harmed_by_it() {
        let place = Scratch::new("locked");
        let volume = place.volume();
        fill(&*volume, 500, 3_000);
        let second = place.volumes().open(1).map(drop);
        assert!(matches!(second, Err(VolumeError::Damaged(_))), "{second:?}");
        assert!(is_filled(&*volume, 500, 3_000));
        drop(volume);
        assert!(is_filled(&*place.volume(), 500, 3_000));
    }
}
