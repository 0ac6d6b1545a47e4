//! Appends, compactions and loads at the same time, as a node makes them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use y_mesh::store::{DiskStore, Store};
use y_mesh::{DocName, Seq};

use super::{Place, append, filled, name};

const SEGMENT_BYTES: u64 = 4_096;
const LAST: u64 = 1_500;

/// A document must be there from its beginning, at least through what was durable before it was loaded.
fn check(store: &DiskStore, doc: &DocName, durable: u64) {
    let stored = store.load(doc).unwrap();
    let mut last = 0;
    if let Some((through, snapshot)) = &stored.snapshot {
        assert_eq!(*snapshot, filled(through.0, 6_000), "the snapshot is the one of its position");
        last = through.0;
    }
    for (seq, record) in &stored.tail {
        assert_eq!(*seq, Seq(last + 1), "no record is missing");
        assert_eq!(*record, append(doc, seq.0, 120).record);
        last = seq.0;
    }
    assert!(last >= durable, "{doc:?}: {last} records are there, {durable} were durable");
}

#[test]
fn whoever_loads_finds_all_that_is_durable_whatever_goes_on() {
    let place = Place::new("parallel");
    let store = place.open(SEGMENT_BYTES).unwrap();
    let docs = ["busy", "idle"].map(name);
    let durable = AtomicU64::new(0);
    let is_on = || durable.load(Ordering::SeqCst) < LAST;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for seq in 1..=LAST {
                store.append(&[append(&docs[0], seq, 120), append(&docs[1], seq, 120)]).unwrap();
                durable.store(seq, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            let mut compacted = 0;
            while is_on() {
                let through = durable.load(Ordering::SeqCst);
                if through > compacted + 10 {
                    store.compact(&docs[0], Seq(through), &filled(through, 6_000)).unwrap();
                    compacted = through;
                }
                std::thread::yield_now();
            }
            assert!(compacted > 0, "compactions were made");
        });
        for doc in &docs {
            let (store, durable) = (&store, &durable);
            scope.spawn(move || {
                while is_on() {
                    check(store, doc, durable.load(Ordering::SeqCst));
                }
            });
        }
    });
    docs.iter().for_each(|doc| check(&store, doc, LAST));
    drop(store);
    let store = place.open(SEGMENT_BYTES).unwrap();
    docs.iter().for_each(|doc| check(&store, doc, LAST));
}

#[test]
fn a_load_may_take_longer_than_compactions() {
    let place = Place::new("parallel-slow");
    let store = place.open(SEGMENT_BYTES).unwrap();
    let doc = name("notes");
    store.append(&[append(&doc, 1, 100)]).unwrap();
    let is_done = AtomicBool::new(false);
    // Only the large ones take long to be read.
    let size = |through: u64| if through % 5 == 1 { 2 << 20 } else { 1 };
    std::thread::scope(|scope| {
        let _done = Raised(&is_done);
        let load = || {
            while !is_done.load(Ordering::SeqCst) {
                let stored = store.load(&doc).unwrap();
                if let Some((through, snapshot)) = stored.snapshot {
                    assert!(snapshot == filled(through.0, size(through.0)), "the snapshot is the one of its position");
                }
            }
        };
        scope.spawn(load);
        scope.spawn(load);
        for through in 1..=40 {
            store.compact(&doc, Seq(through), &filled(through, size(through))).unwrap();
            store.append(&[append(&doc, through + 1, 100)]).unwrap();
        }
    });
}

/// Says at its end, also when something failed before, that it's over.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
