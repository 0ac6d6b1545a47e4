//! A process that ended while it wrote: what is left of its last batch, and what came before it.

use std::fs;
use std::path::PathBuf;

use y_mesh::store::{Append, Store, StoreError};
use y_mesh::{DocName, Seq};

use super::{Model, Place, append, filled, name};
use crate::support::random::Random;

const SEGMENT_BYTES: u64 = 64 << 10;

/// A store whose process ended, with the newest segment's bytes before and after the last batch.
struct Ended {
    place: Place,
    segment: PathBuf,
    earlier: Model,
    complete: Model,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Ended {
    fn new(what: &str, last: impl FnOnce(&Model) -> Vec<Append>) -> Self {
        let place = Place::new(what);
        let store = place.open(SEGMENT_BYTES).unwrap();
        let mut earlier = Model::default();
        for seq in 1..=8 {
            let batch = docs().map(|doc| append(&doc, seq, 40));
            store.append(&batch).unwrap();
            earlier.append(&batch);
        }
        let snapshot = filled(1, 5_000);
        store.compact(&docs()[0], Seq(6), &snapshot).unwrap();
        earlier.compact(&docs()[0], Seq(6), &snapshot);
        let segment = place.journal(".segment").pop().unwrap();
        let before = fs::read(&segment).unwrap();
        let last = last(&earlier);
        store.append(&last).unwrap();
        let mut complete = earlier.clone();
        complete.append(&last);
        let after = fs::read(&segment).unwrap();
        assert_eq!(before.len(), after.len(), "a segment has its full length from the beginning");
        // It's never closed, as if the process were gone.
        std::mem::forget(store);
        Self { place, segment, earlier, complete, before, after }
    }

    /// Where the last batch lies.
    fn last_batch(&self) -> (usize, usize) {
        let differs = |at: &usize| self.before[*at] != self.after[*at];
        let start = (0..self.after.len()).find(differs).unwrap();
        (start, (0..self.after.len()).rfind(differs).unwrap() + 1)
    }

    /// The directory as it was left, with the newest segment's bytes changed.
    fn with(&self, bytes: &[u8]) -> Place {
        let copy = self.place.copy("torn");
        fs::write(copy.0.join("journal").join(self.segment.file_name().unwrap()), bytes).unwrap();
        copy
    }

    /// Opens it; all that was durable must be there, and of the last batch all or a part from its beginning. Gives how many
    /// records of that came back.
    fn check(&self, bytes: &[u8], what: &str) -> usize {
        let copy = self.with(bytes);
        let store = copy.open(SEGMENT_BYTES).unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut model = Model::default();
        let mut more = 0;
        for doc in store.list(None, usize::MAX).unwrap() {
            let (stored, whole) = (store.load(&doc).unwrap(), &self.complete.0[&doc]);
            assert_eq!(stored.snapshot, whole.snapshot, "{what}");
            assert!(whole.tail.starts_with(&stored.tail), "{what}: {doc:?} isn't what was written");
            more += (stored.last_seq().0 - self.earlier.last(&doc)) as usize;
            model.0.insert(doc, stored);
        }
        for doc in self.earlier.names() {
            assert!(model.last(&doc) >= self.earlier.last(&doc), "{what}: {doc:?} is shorter");
        }
        // It goes on from there.
        let next = append(&docs()[1], model.last(&docs()[1]) + 1, 50);
        store.append(std::slice::from_ref(&next)).unwrap();
        model.append(&[next]);
        drop(store);
        let store = copy.open(SEGMENT_BYTES).unwrap();
        assert_eq!(store.list(None, usize::MAX).unwrap(), model.names());
        model.0.iter().for_each(|(doc, stored)| assert!(store.load(doc).unwrap() == *stored, "{what}, {doc:?}"));
        more
    }
}

fn docs() -> [DocName; 3] {
    ["first", "second", "third"].map(name)
}

/// Records of a document that is compacted, of one that isn't, and of a new one.
fn usual(model: &Model) -> Vec<Append> {
    let [first, second, _] = docs();
    let next = |doc: &DocName, more| append(doc, model.last(doc) + more, 30);
    vec![next(&first, 1), next(&second, 1), next(&second, 2), next(&name("new"), 1)]
}

#[test]
fn a_torn_batch_takes_nothing_with_it() {
    let ended = Ended::new("torn-batch", usual);
    let (start, end) = ended.last_batch();
    assert_eq!(ended.check(&ended.before, "without it"), 0);
    assert_eq!(ended.check(&ended.after, "with all of it"), 4);
    for cut in start + 1..end {
        let front = [&ended.after[..cut], &ended.before[cut..]].concat();
        let count = ended.check(&front, &format!("{} bytes of {}", cut - start, end - start));
        assert!(count < 4, "what wasn't written came back");
    }
}

#[test]
fn blocks_of_a_batch_may_be_written_in_any_order() {
    let ended = Ended::new("torn-order", usual);
    let (start, end) = ended.last_batch();
    for cut in (start + 1..end).step_by(5) {
        let back = [&ended.before[..cut], &ended.after[cut..]].concat();
        let count = ended.check(&back, &format!("without the first {} bytes", cut - start));
        assert!(count < 4, "what wasn't written came back");
    }
}

#[test]
fn a_torn_batch_that_looks_like_two_is_one() {
    // Somebody's update may hold anything, a copy of a journal among it: here a batch with a later number.
    let real = Ended::new("torn-source", usual);
    let (start, end) = real.last_batch();
    let mut later = real.after[start..end].to_vec();
    let number = u64::from_le_bytes(later[8..16].try_into().unwrap()) + 1;
    later[8..16].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c(&later[..28]);
    later[28..32].copy_from_slice(&crc.to_le_bytes());
    let ended = Ended::new("torn-forged", |model| {
        let mut next = append(&docs()[1], model.last(&docs()[1]) + 1, 0);
        next.record.update = [later, vec![1; 600]].concat().into();
        vec![next]
    });
    let (start, end) = ended.last_batch();
    for cut in [end - 500, end - 1] {
        let front = [&ended.after[..cut], &ended.before[cut..]].concat();
        assert_eq!(ended.check(&front, &format!("{} bytes of {}", cut - start, end - start)), 0);
    }
}

/// A CRC-32C bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn what_was_durable_isnt_taken_for_a_torn_batch() {
    let ended = Ended::new("torn-earlier", usual);
    let (start, _) = ended.last_batch();
    let mut random = Random::new(3);
    for at in (0..start).step_by(7) {
        let mut bytes = ended.after.clone();
        bytes[at] ^= 1 << random.below(8);
        let copy = ended.with(&bytes);
        match copy.open(SEGMENT_BYTES) {
            Err(StoreError::Unreadable { path, .. }) => assert_eq!(path.file_name(), ended.segment.file_name()),
            other => panic!("byte {at}: {:?}", other.map(drop)),
        }
    }
}

#[test]
fn a_segment_that_was_shortened_is_told() {
    let ended = Ended::new("torn-short", usual);
    for length in (0..ended.after.len()).step_by(997).chain([ended.after.len() - 1]) {
        let copy = ended.with(&ended.after[..length]);
        match copy.open(SEGMENT_BYTES) {
            Err(StoreError::Unreadable { path, .. }) => assert_eq!(path.file_name(), ended.segment.file_name()),
            other => panic!("{length} bytes: {:?}", other.map(drop)),
        }
    }
}
