//! Space is won back from the volumes: what is needed of one that is mostly unneeded moves to the newest, and then all
//! of it goes.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use super::segment::{Batch, Entry, Pointer};
use super::snapshots::{Held, Packed};
use super::usage::Usage;
use super::{DiskStore, StoreError};

/// Bytes that move at least, each time.
const MOVED_BYTES: u64 = 1 << 20;
/// Documents that move at most, each time.
const MOVED_DOCUMENTS: usize = 128;

/// What is known of the volumes from one time to the next.
#[derive(Debug, Default)]
pub struct Cleaning {
    /// Volumes that nothing was needed of the last time. They go only now, when a later batch is in the journal: should
    /// its last one be torn, what the one before says is still there.
    emptied: BTreeSet<u32>,
    /// Volumes and documents of which something can't be read, and so can't move.
    stuck: BTreeSet<(u32, u64)>,
}

/// A snapshot that was copied, and where it was.
struct Moved {
    old: Pointer,
    new: Packed,
}

impl DiskStore {
    /// Removes volumes that nobody needs; and if they take too much, moves a portion out of the one that is needed
    /// least. For each byte that was just written, two may move.
    pub(super) fn clean_volumes(&self, cleaning: &mut Cleaning, written: u64) -> Result<(), StoreError> {
        let held = self.snapshots.held()?;
        self.remove_emptied(cleaning, &held);
        match self.least_needed(cleaning, &held) {
            Some(volume) => self.move_out(cleaning, volume, MOVED_BYTES.max(2 * written)),
            None => Ok(()),
        }
    }

    fn remove_emptied(&self, cleaning: &mut Cleaning, held: &[Held]) {
        let is_empty = |volume: &&Held| !volume.is_active && self.catalog().usage().needed(volume.number) == 0;
        let empty: BTreeSet<u32> = held.iter().filter(is_empty).map(|volume| volume.number).collect();
        for number in empty.intersection(&cleaning.emptied) {
            self.snapshots.remove(*number);
        }
        cleaning.emptied = empty;
    }

    /// The volume to move something out of, if there's one.
    fn least_needed(&self, cleaning: &Cleaning, held: &[Held]) -> Option<u32> {
        let catalog = self.catalog();
        let usage = catalog.usage();
        let is_movable = |volume: &&Held| {
            let stuck = |doc| cleaning.stuck.contains(&(volume.number, doc));
            !volume.is_active && usage.documents(volume.number).any(|(doc, _)| !stuck(doc))
        };
        let movable: Vec<&Held> = held.iter().filter(is_movable).collect();
        if let Some(given_up) = movable.iter().find(|volume| volume.is_given_up) {
            return Some(given_up.number);
        }
        if !self.is_crowded(usage, held) {
            return None;
        }
        // One that is needed almost wholly would take as much again.
        let is_worth_it = |volume: &&&Held| {
            let fresh = usage.needed(volume.number) + self.snapshots.overhead();
            fresh < volume.bytes - volume.bytes / 8
        };
        let share = |volume: &&&Held| usage.needed(volume.number) * 1_000 / volume.bytes.max(1);
        movable.iter().filter(is_worth_it).min_by_key(share).map(|volume| volume.number)
    }

    /// Whether the volumes take more than they may: a third more than what is needed of them would take.
    fn is_crowded(&self, usage: &Usage, held: &[Held]) -> bool {
        let bytes: u64 = held.iter().map(|volume| volume.bytes).sum();
        let needed: u64 = held.iter().map(|volume| usage.needed(volume.number)).sum();
        let fresh = needed + self.snapshots.overhead() * (1 + needed / self.options.volume_bytes.max(1));
        bytes > (2 * self.options.volume_bytes).max(fresh + fresh / 3)
    }

    fn move_out(&self, cleaning: &mut Cleaning, volume: u32, portion: u64) -> Result<(), StoreError> {
        let (mut moved, mut bytes) = (Vec::new(), 0);
        for (doc, entry) in self.entries_in(cleaning, volume) {
            for old in entry.pointers().filter(|pointer| pointer.volume == volume) {
                match self.snapshots.packed(doc, *old) {
                    Some(new) => {
                        bytes += new.bytes();
                        moved.push(Moved { old: *old, new });
                    }
                    None => {
                        tracing::error!(document = %entry.name, volume, "a snapshot is missing or damaged, and can't move");
                        cleaning.stuck.insert((volume, doc));
                    }
                }
            }
            if bytes >= portion {
                break;
            }
        }
        if moved.is_empty() { Ok(()) } else { self.take_over(moved) }
    }

    fn entries_in(&self, cleaning: &Cleaning, volume: u32) -> Vec<(u64, Entry)> {
        let catalog = self.catalog();
        let documents = catalog.usage().documents(volume).map(|(doc, _)| doc);
        let movable = documents.filter(|doc| !cleaning.stuck.contains(&(volume, *doc))).take(MOVED_DOCUMENTS);
        movable.filter_map(|doc| Some((doc, catalog.get(doc)?.entry.clone()))).collect()
    }

    /// Keeps what moved in the newest volume, and then points to it.
    fn take_over(&self, moved: Vec<Moved>) -> Result<(), StoreError> {
        let (old, mut new): (Vec<_>, Vec<_>) = moved.into_iter().map(|moved| (moved.old, moved.new)).unzip();
        self.snapshots.keep(&mut new)?;
        let mut batch = Batch::default();
        let mut journal = self.journal();
        let mut from = 0;
        for of_one in new.chunk_by(|one, next| one.doc == next.doc) {
            let pairs = old[from..].iter().zip(of_one.iter().map(|packed| packed.pointer));
            from += of_one.len();
            let catalog = self.catalog();
            let Some(doc) = catalog.get(of_one[0].doc) else { continue };
            let entry = pairs.fold(doc.entry.clone(), |entry, (old, new)| entry.repointed(old, new));
            // It may have been deleted meanwhile.
            if entry != doc.entry {
                batch.entry(of_one[0].doc, doc.version + 1, entry);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.write(&mut journal, &batch)?;
        self.clean(&mut journal)
    }

    pub(super) fn compacting(&self) -> std::sync::MutexGuard<'_, Cleaning> {
        self.compacting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
