//! How much of the disk snapshots take, however often they're replaced.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use y_mesh::store::{DiskOptions, DiskStore, Store};
use y_mesh::{DocName, Seq};

use super::{Place, append, name};
use crate::support::random::Random;

const VOLUME_BYTES: u64 = 4 << 20;

fn open(place: &Place) -> DiskStore {
    let mut options = DiskOptions::default();
    (options.segment_bytes, options.journal_bytes) = (256 << 10, 1 << 20);
    options.volume_bytes = VOLUME_BYTES;
    DiskStore::open_with(&place.0, options).unwrap()
}

fn bytes_below(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let bytes = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => bytes_below(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(bytes).sum()
}

/// Bytes that can't be compressed.
fn noise(random: &mut Random, len: usize) -> Bytes {
    std::iter::repeat_with(|| random.next().to_le_bytes()).flatten().take(len).collect()
}

/// What each document must be.
#[derive(Default)]
struct Kept(BTreeMap<DocName, Vec<Bytes>>);

impl Kept {
    fn compact(&mut self, store: &DiskStore, doc: &DocName, snapshot: Bytes) {
        let kept = self.0.entry(doc.clone()).or_default();
        let seq = kept.len() as u64 + 1;
        store.append(&[append(doc, seq, 20)]).unwrap();
        store.compact(doc, Seq(seq), &snapshot).unwrap();
        kept.push(snapshot);
    }

    fn check(&self, store: &DiskStore) {
        for (doc, kept) in &self.0 {
            let through = Seq(kept.len() as u64);
            assert!(store.load(doc).unwrap().snapshot == kept.last().map(|last| (through, last.clone())), "{doc:?}");
        }
    }
}

#[test]
fn a_few_documents_take_little_however_often_they_are_compacted() {
    let place = Place::in_memory("space-few");
    let mut store = open(&place);
    let (mut kept, mut random, mut written) = (Kept::default(), Random::new(1), 0);
    for turn in 0..600 {
        let (doc, len) = (name(&format!("doc {}", turn % 3)), 1 + random.below(100_000));
        kept.compact(&store, &doc, noise(&mut random, len));
        written += len as u64;
        let bytes = bytes_below(&place.0.join("snapshots"));
        assert!(bytes < 4 * VOLUME_BYTES, "after {written} bytes, {bytes} are taken");
        if turn % 150 == 149 {
            drop(store);
            store = open(&place);
        }
    }
    kept.check(&store);
    assert!(written > 7 * VOLUME_BYTES);
}

#[test]
fn what_lives_long_moves_out_of_volumes_that_are_mostly_unneeded() {
    let place = Place::in_memory("space-moved");
    let store = open(&place);
    let (mut kept, mut random, mut written) = (Kept::default(), Random::new(2), 0);
    // Among those that are replaced all the time lie some that never are.
    for turn in 0..600 {
        let number = if turn % 20 == 0 { 1_000 + turn } else { random.below(20) };
        let len = 1 + random.below(100_000);
        kept.compact(&store, &name(&format!("doc {number}")), noise(&mut random, len));
        written += len as u64;
        let bytes = bytes_below(&place.0.join("snapshots"));
        assert!(bytes < 5 * VOLUME_BYTES, "after {written} bytes, {bytes} are taken");
    }
    kept.check(&store);
    assert!(written > 7 * VOLUME_BYTES);
    assert!(!place.0.join("snapshots/00000001").exists(), "the first volume is gone");
    drop(store);
    kept.check(&open(&place));
}

#[test]
fn what_can_be_compressed_is() {
    let place = Place::in_memory("space-text");
    let store = open(&place);
    let text: Bytes = "A sentence like many others, and yet not the same: ".bytes().cycle().take(3 << 20).collect();
    store.append(&[append(&name("notes"), 1, 20)]).unwrap();
    store.compact(&name("notes"), Seq(1), &text).unwrap();
    assert!(bytes_below(&place.0.join("snapshots")) < text.len() as u64 / 3);
    assert!(store.load(&name("notes")).unwrap().snapshot == Some((Seq(1), text)));
}
