//! One directory, one store at a time.

use y_mesh::Seq;
use y_mesh::store::{DiskStore, Store, StoreError};

use super::{Place, append, filled, name};

const SEGMENT_BYTES: u64 = 4_096;

fn is_locked(opened: &Result<DiskStore, StoreError>, place: &Place) -> bool {
    matches!(opened, Err(StoreError::Locked(path)) if *path == place.0)
}

#[test]
fn a_directory_is_locked_as_long_as_its_store_lives() {
    let place = Place::new("lock");
    let store = place.open(SEGMENT_BYTES).unwrap();
    assert!(is_locked(&place.open(SEGMENT_BYTES), &place));
    // Who is refused takes nothing with it.
    assert!(is_locked(&place.open(SEGMENT_BYTES), &place));
    drop(store);
    place.open(SEGMENT_BYTES).unwrap();
}

/// A program that starts has, for a moment, all files of the one that starts it.
#[cfg(unix)]
#[test]
fn a_closed_directory_is_free_while_programs_start() {
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    let place = Place::new("lock-programs");
    let store = place.open(SEGMENT_BYTES).unwrap();
    for seq in 1..=2 {
        store.append(&[append(&name("notes"), seq, 10)]).unwrap();
        store.compact(&name("notes"), Seq(seq), &filled(seq, 10)).unwrap();
    }
    drop(store);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let start_programs = || {
            while !is_done.load(Ordering::Relaxed) {
                assert!(Command::new("true").status().unwrap().success());
            }
        };
        scope.spawn(start_programs);
        scope.spawn(start_programs);
        let load = |store: DiskStore| store.load(&name("notes")).map(drop);
        let opened: Result<(), _> = (0..300).try_for_each(|_| place.open(SEGMENT_BYTES).and_then(load));
        is_done.store(true, Ordering::Relaxed);
        opened.unwrap();
    });
}
