//! Snapshots, in sled. The journal says which there are and what they hash to, so what sled gives is always checked.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::segment::Pointer;
use super::sled_volume::VALUE_BYTES_MAX as CHUNK;
use super::volume::{Volume, VolumeError, Volumes};

const KEY_BYTES: usize = 16;

/// The snapshots of a store.
pub struct Snapshots {
    volume: Arc<dyn Volume>,
}

impl Snapshots {
    pub fn open(volumes: &dyn Volumes) -> Result<Self, VolumeError> {
        Ok(Self { volume: volumes.open(0)? })
    }

    /// Keeps a snapshot; it's durable and was read back when this returns.
    pub fn put(&self, doc: u64, pointer: &Pointer, snapshot: &[u8]) -> io::Result<()> {
        for (number, chunk) in snapshot.chunks(CHUNK).enumerate() {
            self.volume.insert(&key(doc, pointer.generation, number as u32), chunk).map_err(failed)?;
        }
        self.volume.flush().map_err(failed)?;
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
            match self.volume.get(&key) {
                Ok(Some(chunk)) => snapshot.extend_from_slice(&chunk),
                Ok(None) | Err(VolumeError::Damaged(_)) => return Ok(None),
                Err(VolumeError::Failed(error)) => return Err(error),
            }
        }
        Ok((*blake3::hash(&snapshot).as_bytes() == pointer.hash).then(|| snapshot.into()))
    }

    #[cfg(test)]
    pub fn parts(&self) -> usize {
        self.volume.keys(&[]).unwrap().len()
    }

    /// Removes what nothing points to: a process that ended amid a compaction leaves it.
    pub fn sweep(&self, points_to: impl Fn(u64, u32, u32, u64) -> bool) -> io::Result<()> {
        let keys = match self.volume.keys(&[]) {
            Ok(keys) => keys,
            // What of it is still needed shows when it's read.
            Err(VolumeError::Damaged(_)) => return Ok(()),
            Err(VolumeError::Failed(error)) => return Err(error),
        };
        for key in keys {
            let (Some((doc, rest)), true) = (key.split_first_chunk::<8>(), key.len() == KEY_BYTES) else {
                continue;
            };
            let (Some(generation), Some(part)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) else {
                continue;
            };
            let (doc, generation) = (u64::from_be_bytes(*doc), u32::from_be_bytes(*generation));
            if !points_to(doc, generation, u32::from_be_bytes(*part), CHUNK as u64) {
                self.volume.remove(&key).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Forgets a snapshot. It may come back after a power cut; nothing points to it then.
    pub fn remove(&self, doc: u64, pointer: &Pointer) -> io::Result<()> {
        for number in 0..pointer.len.div_ceil(CHUNK as u64) {
            self.volume.remove(&key(doc, pointer.generation, number as u32)).map_err(failed)?;
        }
        Ok(())
    }
}

fn key(doc: u64, generation: u32, chunk: u32) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&doc.to_be_bytes());
    key[8..12].copy_from_slice(&generation.to_be_bytes());
    key[12..].copy_from_slice(&chunk.to_be_bytes());
    key
}

fn failed(error: VolumeError) -> io::Error {
    match error {
        VolumeError::Failed(error) => error,
        damaged => io::Error::other(damaged.to_string()),
    }
}
