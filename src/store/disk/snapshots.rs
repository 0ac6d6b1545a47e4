//! Snapshots, in sled. The journal says which there are and what they hash to, so what sled gives is always checked.
//!
//! What makes sled 0.34.7 safe: its own `flush` doesn't outlive a power cut, so the file is synced here once more; no value
//! is larger than 3.5 KiB, for larger ones go to files that sled never syncs; `flush_async` is never called; and what it left
//! half-made when it was killed is removed before it's opened.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::files::sync_directory;
use super::segment::Pointer;
use crate::store::StoreError;

/// Bytes in a value.
const CHUNK: usize = 3_584;
const KEY_BYTES: usize = 16;
/// Bytes that sled may hold in memory.
const CACHE_BYTES: u64 = 32 << 20;
/// How often, and how long apart, sled's own lock is tried for.
const LOCK_TRIES: usize = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The snapshots of a store.
pub struct Snapshots {
    /// All there is of sled: it stays open as long as one of its trees.
    tree: sled::Tree,
    file: PathBuf,
    has_failed: AtomicBool,
}

impl Snapshots {
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unreadable = |why: String| StoreError::Unreadable { path: path.to_owned(), why };
        fs::create_dir_all(path)?;
        remove(path, |name| name.starts_with("snap.") && name.ends_with(".generating"))?;
        let db = match open(path) {
            Ok(db) => db,
            Err(_) => {
                // What sled sums up of its file can be summed up again.
                remove(path, |name| name.starts_with("snap."))?;
                open(path).map_err(&unreadable)?
            }
        };
        let tree = db.open_tree("snapshots").map_err(|error| unreadable(error.to_string()))?;
        tree.flush().map_err(|error| unreadable(error.to_string()))?;
        sync_directory(path)?;
        Ok(Self { tree, file: path.join("db"), has_failed: AtomicBool::new(false) })
    }

    /// Keeps a snapshot; it's durable and was read back when this returns.
    pub fn put(&self, doc: u64, pointer: &Pointer, snapshot: &[u8]) -> io::Result<()> {
        // A panic in here leaves it as it is: failed.
        let had_failed = self.has_failed.swap(true, Ordering::Relaxed);
        self.try_put(doc, pointer, snapshot)?;
        self.has_failed.fetch_and(had_failed, Ordering::Relaxed);
        Ok(())
    }

    fn try_put(&self, doc: u64, pointer: &Pointer, snapshot: &[u8]) -> io::Result<()> {
        for (number, chunk) in snapshot.chunks(CHUNK).enumerate() {
            self.tree.insert(key(doc, pointer.generation, number as u32), chunk).map_err(failed)?;
        }
        self.tree.flush().map_err(failed)?;
        File::options().write(true).open(&self.file)?.sync_all()?;
        match self.get(doc, pointer)? {
            Some(_) => Ok(()),
            None => Err(io::Error::other("a snapshot that was just written can't be read back")),
        }
    }

    /// A snapshot, if it's there and is what was kept.
    pub fn get(&self, doc: u64, pointer: &Pointer) -> io::Result<Option<Bytes>> {
        let mut snapshot = Vec::new();
        for number in 0..pointer.len.div_ceil(CHUNK as u64) {
            let key = key(doc, pointer.generation, number as u32);
            // Where its file is damaged, sled says so, finds nothing, or panics.
            match catch_unwind(AssertUnwindSafe(|| self.tree.get(key))) {
                Ok(Ok(Some(chunk))) => snapshot.extend_from_slice(&chunk),
                Ok(Ok(None)) | Ok(Err(sled::Error::Corruption { .. })) => return Ok(None),
                Ok(Err(error)) => return Err(failed(error)),
                Err(_) => {
                    self.has_failed.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
            }
        }
        Ok((*blake3::hash(&snapshot).as_bytes() == pointer.hash).then(|| snapshot.into()))
    }

    #[cfg(test)]
    pub fn parts(&self) -> usize {
        self.tree.len()
    }

    /// Removes what nothing points to: a process that ended amid a compaction leaves it.
    pub fn sweep(&self, points_to: impl Fn(u64, u32, u32, u64) -> bool) -> io::Result<()> {
        let sweep = || {
            for key in self.tree.iter().keys() {
                let key = key?;
                let (Some((doc, rest)), true) = (key.split_first_chunk::<8>(), key.len() == KEY_BYTES) else {
                    continue;
                };
                let (Some(generation), Some(part)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) else {
                    continue;
                };
                let (doc, generation) = (u64::from_be_bytes(*doc), u32::from_be_bytes(*generation));
                if !points_to(doc, generation, u32::from_be_bytes(*part), CHUNK as u64) {
                    self.tree.remove(&key)?;
                }
            }
            Ok(())
        };
        match catch_unwind(AssertUnwindSafe(sweep)) {
            Ok(Ok(()) | Err(sled::Error::Corruption { .. })) => Ok(()),
            Ok(Err(error)) => Err(failed(error)),
            // Damaged: what of it is still needed shows when it's read.
            Err(_) => {
                self.has_failed.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Forgets a snapshot. It may come back after a power cut; nothing points to it then.
    pub fn remove(&self, doc: u64, pointer: &Pointer) -> io::Result<()> {
        for number in 0..pointer.len.div_ceil(CHUNK as u64) {
            self.tree.remove(key(doc, pointer.generation, number as u32)).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        if self.has_failed.load(Ordering::Relaxed) {
            // After an error sled waits for itself for ever when it's dropped, so it never is.
            std::mem::forget(self.tree.clone());
        }
    }
}

/// A process that is being started at this moment may hold the lock of a sled that was just closed.
fn open(path: &Path) -> Result<sled::Db, String> {
    for _ in 0..LOCK_TRIES {
        match try_open(path) {
            Err(why) if why.contains("lock") => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    try_open(path)
}

fn try_open(path: &Path) -> Result<sled::Db, String> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    // A damaged file makes sled panic as often as fail.
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
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

fn key(doc: u64, generation: u32, chunk: u32) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&doc.to_be_bytes());
    key[8..12].copy_from_slice(&generation.to_be_bytes());
    key[12..].copy_from_slice(&chunk.to_be_bytes());
    key
}

fn failed(error: sled::Error) -> io::Error {
    io::Error::other(error.to_string())
}
