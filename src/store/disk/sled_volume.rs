//! Volumes in sled.
//!
//! What makes sled 0.34.7 safe: its own `flush` doesn't outlive a power cut, so the file is synced here once more; no value
//! is larger than 3.5 KiB, for larger ones go to files that sled never syncs; `flush_async` is never called; what it left
//! half-made when it was killed is removed before it's opened; its panics are caught; and after an error it's never dropped,
//! for then it waits for itself.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::files::sync_directory;
use super::volume::{Volume, VolumeError, Volumes};

/// Bytes of the largest value.
pub const VALUE_BYTES_MAX: usize = 3_584;
/// Bytes that sled may hold in memory, for each volume.
const CACHE_BYTES: u64 = 8 << 20;
/// How often, and how long apart, sled's own lock is tried for.
const LOCK_TRIES: usize = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The volumes in a directory, each in one of its own.
pub struct SledVolumes {
    root: PathBuf,
}

impl SledVolumes {
    /// Those in this directory, which is made if it isn't there.
    pub fn new(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned() })
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
        fs::create_dir_all(&path)?;
        sync_directory(&self.root)?;
        Ok(Arc::new(SledVolume::open(&path)?))
    }

    fn remove(&self, number: u32) -> io::Result<()> {
        match fs::remove_dir_all(self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_directory(&self.root),
        }
    }
}

fn number_of(name: &str) -> Option<u32> {
    u32::from_str_radix(name, 16).ok().filter(|number| *number > 0 && name.len() == 8)
}

struct SledVolume {
    /// All there is of sled: it stays open as long as one of its trees.
    tree: sled::Tree,
    file: PathBuf,
    has_failed: AtomicBool,
}

impl SledVolume {
    fn open(path: &Path) -> Result<Self, VolumeError> {
        remove(path, |name| name.starts_with("snap.") && name.ends_with(".generating"))?;
        let tree = match open(path) {
            Ok(tree) => tree,
            Err(_) => {
                // What sled sums up of its file can be summed up again.
                remove(path, |name| name.starts_with("snap."))?;
                open(path).map_err(VolumeError::Damaged)?
            }
        };
        // It's written once, and sled never syncs it.
        File::options().write(true).open(path.join("conf"))?.sync_all()?;
        let volume = Self { tree, file: path.join("db"), has_failed: AtomicBool::new(false) };
        volume.flush()?;
        sync_directory(path)?;
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
        self.attempt(|tree| tree.insert(key, value)).map(drop)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, VolumeError> {
        Ok(self.attempt(|tree| tree.get(key))?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.attempt(sled::Tree::flush)?;
        Ok(File::options().write(true).open(&self.file)?.sync_all()?)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.file)?.len())
    }
}

impl Drop for SledVolume {
    fn drop(&mut self) {
        // What is left to be written may make it panic, and that shows here better than below.
        let _ = self.attempt(sled::Tree::flush);
        if self.has_failed.load(Ordering::Relaxed) {
            std::mem::forget(self.tree.clone());
        }
    }
}

/// A process that is being started at this moment may hold the lock of a sled that was just closed.
fn open(path: &Path) -> Result<sled::Tree, String> {
    for _ in 0..LOCK_TRIES {
        match try_open(path) {
            Err(why) if why.contains("lock") => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    try_open(path)
}

fn try_open(path: &Path) -> Result<sled::Tree, String> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    // A damaged file makes sled panic as often as fail.
    match catch_unwind(AssertUnwindSafe(|| config.open()?.open_tree("snapshots"))) {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(_) => Err("sled panicked".into()),
    }
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
