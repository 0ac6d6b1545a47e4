//! Stores that an older version wrote.

use std::path::Path;

use y_mesh::document::{Document, Now};
use y_mesh::store::{DiskStore, Store, StoreError};
use y_mesh::yrs::{GetString, ReadTxn};
use y_mesh::{ClientId, Config};

use super::{Place, append, copy_folder, name};

/// Three documents with `0 1 2 …` in the text named `text`, as far as it says here, and an empty one.
const WRITTEN: [(&str, u32); 4] = [("notes", 50), ("plans/2026", 7), ("grüße", 1), ("empty", 0)];

fn written_by_format(format: u32) -> Place {
    let place = Place::new(&format!("format-{format}"));
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/fixtures/store-{format}")), &place.0);
    place
}

fn check(store: &DiskStore) {
    assert_eq!(store.list(None, 9).unwrap(), ["empty", "grüße", "notes", "plans/2026"].map(name));
    for (doc, count) in WRITTEN {
        let stored = store.load(&name(doc)).unwrap();
        let document = Document::open(&stored, ClientId(1), Config::default().into(), Now::default()).unwrap();
        let text = document.read(|txn| txn.get_text("text").map_or(String::new(), |text| text.get_string(txn)));
        assert_eq!(text, (0..count).map(|number| format!("{number} ")).collect::<String>());
        assert_eq!(stored.last_seq().0, u64::from(count));
    }
}

#[test]
fn what_this_format_was_when_it_was_new_is_still_read_and_written() {
    let place = written_by_format(2);
    let store = DiskStore::open(&place.0).unwrap();
    check(&store);
    // Written by one client, and deleted.
    assert!(store.kept(None, 9).unwrap().contains(&name("gone")));
    let tombstone = store.load(&name("gone")).unwrap().tombstone.unwrap();
    assert_eq!((tombstone.incarnation, tombstone.through.0, tombstone.clients.len()), (1, 2, 1));
    store.append(&[append(&name("notes"), 51, 10), append(&name("gone"), 3, 10)]).unwrap();
}

#[test]
fn an_older_format_is_not_opened_to_be_written() {
    let place = written_by_format(1);
    let before = std::fs::read(place.0.join("store")).unwrap();
    let refused = DiskStore::open(&place.0);
    assert!(matches!(refused, Err(StoreError::Format { found: 1, .. })), "{refused:?}");
    let old = DiskStore::open_to_copy(&place.0).unwrap();
    assert!(matches!(old.append(&[append(&name("notes"), 51, 10)]), Err(StoreError::Io(_))));
    assert!(matches!(old.create(&name("new"), None), Err(StoreError::Io(_))));
    check(&old);
    drop(old);
    assert_eq!(std::fs::read(place.0.join("store")).unwrap(), before);
}

#[test]
fn an_older_format_is_copied() {
    let (old, new) = (written_by_format(1), Place::new("copied"));
    let from = DiskStore::open_to_copy(&old.0).unwrap();
    check(&from);
    let to = new.open(4_096).unwrap();
    for doc in from.list(None, 9).unwrap() {
        to.import(&[(doc.clone(), from.load(&doc).unwrap())]).unwrap();
    }
    drop(to);
    let to = DiskStore::open(&new.0).unwrap();
    check(&to);
    to.append(&[append(&name("notes"), 51, 10)]).unwrap();
}
