//! Which documents have snapshots in which volume, and how much of it they need.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::segment::{Entry, Pointer};
use super::sled_volume::VALUE_BYTES_MAX;

/// What a volume that has only what is needed takes for a value beside its bytes, and for four of its bytes: as measured.
const VALUE_OVERHEAD: u64 = 256;
const QUARTERS: u64 = 7;

/// What is needed of the volumes, by volume and document.
#[derive(Debug, Default)]
pub struct Usage {
    documents: BTreeMap<(u32, u64), u64>,
    volumes: BTreeMap<u32, u64>,
}

impl Usage {
    /// Takes note of a document's entry, in the place of the one before.
    pub fn change(&mut self, doc: u64, old: Option<&Entry>, new: &Entry) {
        for pointer in new.pointers() {
            *self.documents.entry((pointer.volume, doc)).or_default() += space(pointer);
            *self.volumes.entry(pointer.volume).or_default() += space(pointer);
        }
        for pointer in old.into_iter().flat_map(Entry::pointers) {
            subtract(&mut self.documents, (pointer.volume, doc), space(pointer));
            subtract(&mut self.volumes, pointer.volume, space(pointer));
        }
    }

    /// The volumes that something is needed of.
    pub fn volumes(&self) -> Vec<u32> {
        self.volumes.keys().copied().collect()
    }

    /// Bytes that what is needed of a volume would take in a new one; 0 if nothing is needed.
    pub fn needed(&self, volume: u32) -> u64 {
        self.volumes.get(&volume).copied().unwrap_or(0)
    }

    /// The documents that have snapshots in a volume, with the bytes they need there.
    pub fn documents(&self, volume: u32) -> impl Iterator<Item = (u64, u64)> {
        let all = (Bound::Included((volume, 0)), Bound::Included((volume, u64::MAX)));
        self.documents.range(all).map(|((_, doc), bytes)| (*doc, *bytes))
    }
}

/// Bytes that a snapshot takes in a volume: never 0.
fn space(pointer: &Pointer) -> u64 {
    let values = pointer.packed.div_ceil(VALUE_BYTES_MAX as u64).max(1);
    (pointer.packed / 4).saturating_mul(QUARTERS).saturating_add(values.saturating_mul(VALUE_OVERHEAD))
}

fn subtract<Key: Ord>(sums: &mut BTreeMap<Key, u64>, key: Key, bytes: u64) {
    if let Some(sum) = sums.get_mut(&key) {
        *sum = sum.saturating_sub(bytes);
        if *sum == 0 {
            sums.remove(&key);
        }
    }
}
