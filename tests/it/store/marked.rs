//! What is kept of faults beside the documents: marks, suspects, and the quarantine, byte for byte and when damaged.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use y_mesh::document::WallTime;
use y_mesh::store::faults::Folder;
use y_mesh::store::faults::marks::{self, InFlight, Marks};
use y_mesh::store::faults::quarantine::{Quarantine, Quarantined, Room};
use y_mesh::store::faults::suspects::Suspects;
use y_mesh::store::file_system::System;
use y_mesh::{MessageHash, StoreError};

use super::{Place, name};

fn folder(place: &Place) -> Folder {
    fs::create_dir_all(place.path()).unwrap();
    Folder { file_system: Arc::new(System), path: place.path().to_owned() }
}

fn messages(document: &str, hashes: impl IntoIterator<Item = u8>) -> InFlight {
    let hashes = hashes.into_iter().map(|byte| MessageHash([byte; 16])).collect();
    InFlight::Messages { document: name(document), hashes }
}

#[test]
fn what_is_in_flight_is_found_and_what_is_done_is_not() {
    let place = Place::new("marks");
    let folder = folder(&place);
    assert_eq!(marks::found(&folder).unwrap(), []);
    let marks = Marks::create(&folder).unwrap();
    let long = messages(&"n".repeat(256), 0..=255);
    let (first, second) = (marks.set(&messages("a", [1])).unwrap(), marks.set(&long).unwrap());
    let load = marks.set(&InFlight::Load(name("b"))).unwrap();
    drop(first);
    assert_eq!(marks::found(&folder).unwrap(), [long.clone(), InFlight::Load(name("b"))]);
    let again = marks.set(&messages("c", [7, 8])).unwrap();
    assert_eq!(marks::found(&folder).unwrap(), [messages("c", [7, 8]), long, InFlight::Load(name("b"))]);
    drop((second, load, again));
    assert_eq!(marks::found(&folder).unwrap(), []);
    Marks::create(&folder).unwrap().set(&messages("d", [9])).map(std::mem::forget).unwrap();
    assert_eq!(marks::found(&folder).unwrap(), [messages("d", [9])]);
}

#[test]
fn a_mark_that_a_power_cut_tore_says_nothing() {
    let place = Place::new("marks");
    let folder = folder(&place);
    std::mem::forget(Marks::create(&folder).unwrap().set(&messages("a", [1, 2])).unwrap());
    let path = place.path().join("in-flight");
    let whole = fs::read(&path).unwrap();
    let begins = whole.len() - 5 - 2 - 1 - 2 - 32;
    for at in begins..whole.len() {
        let mut torn = whole.clone();
        torn[at] ^= 0xff;
        fs::write(&path, &torn).unwrap();
        assert_eq!(marks::found(&folder).unwrap(), [], "byte {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert_eq!(marks::found(&folder).unwrap(), [], "cut at {at}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(marks::found(&folder).unwrap(), [messages("a", [1, 2])]);
}

#[test]
fn suspects_are_read_as_they_were_written_and_not_when_damaged() {
    let place = Place::new("suspects");
    let folder = folder(&place);
    assert_eq!(Suspects::read(&folder).unwrap(), Suspects::default());
    let mut suspects = Suspects::default();
    [1, 2, 1, 3].into_iter().for_each(|byte| suspects.add(MessageHash([byte; 16])));
    assert_eq!(suspects.messages.len(), 3);
    suspects.documents.insert(name("a"));
    suspects.write(&folder, true).unwrap();
    assert_eq!(Suspects::read(&folder).unwrap(), suspects);
    let path = place.path().join("suspects");
    let mut damaged = fs::read(&path).unwrap();
    damaged[20] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert_eq!(Suspects::read(&folder).unwrap(), Suspects::default());
    for more in 0..20_000_u128 {
        suspects.add(MessageHash(more.to_be_bytes()));
    }
    assert!(suspects.messages.len() == 10_000 && suspects.messages[0] == MessageHash(10_000_u128.to_be_bytes()));
}

#[test]
fn what_a_newer_version_wrote_is_refused() {
    for (file, magic) in [("in-flight", "ymeshmrk"), ("suspects", "ymeshsus"), ("quarantine/x.message", "ymeshqua")] {
        let place = Place::new("newer");
        let folder = folder(&place);
        fs::create_dir_all(place.path().join("quarantine")).unwrap();
        fs::write(place.path().join(file), [magic.as_bytes(), &[2, 0, 0, 0]].concat()).unwrap();
        let room = Room { files_max: 9, bytes_max: 999 };
        let found = [
            marks::found(&folder).map(drop),
            Suspects::read(&folder).map(drop),
            Quarantine::open(&folder, room).map(drop),
        ];
        let newer = found.into_iter().filter(|found| matches!(found, Err(StoreError::Format { found: 2, .. })));
        assert_eq!(newer.count(), 1, "{file}");
    }
}

fn quarantined(at: u64, message: &'static [u8]) -> Quarantined {
    Quarantined {
        at: WallTime(at),
        document: name("a"),
        identity: "ada".into(),
        why: "a test".into(),
        message: Some(Bytes::from_static(message)),
    }
}

#[test]
fn the_quarantine_has_bounds_and_lets_the_oldest_go() {
    let place = Place::new("quarantine");
    let folder = folder(&place);
    let hash = |byte: u8| MessageHash([byte; 16]);
    let bytes = quarantined(0, b"message").encode().len() as u64;
    let (quarantine, found) = Quarantine::open(&folder, Room { files_max: 3, bytes_max: 3 * bytes }).unwrap();
    assert_eq!(found, []);
    // The clock may go back.
    for (at, byte) in [(50, 1), (20, 2), (30, 3), (40, 4)] {
        quarantine.put_message(hash(byte), &quarantined(at, b"message")).unwrap();
    }
    let found = || Quarantine::open(&folder, Room { files_max: 3, bytes_max: 3 * bytes }).unwrap().1;
    assert_eq!(found(), [hash(3), hash(4), hash(1)]);
    quarantine.put_message(hash(5), &quarantined(60, b"one that takes a little more")).unwrap();
    assert_eq!(found(), [hash(1), hash(5)], "it's bounded in bytes as well");
    let large = Quarantined { why: "long ".repeat(1_000), ..quarantined(70, b"message") };
    quarantine.put_message(hash(6), &large).unwrap();
    assert_eq!(found(), [hash(6)], "what has just come stays");
    quarantine.remove_message(hash(6)).unwrap();
    assert_eq!(found(), []);
}

#[test]
fn a_file_of_the_quarantine_is_read_as_it_was_written_and_refused_by_its_name_when_damaged() {
    let file = quarantined(1_700_000_000_000, b"bytes");
    let document = Quarantined { message: None, ..file.clone() };
    for file in [&file, &document] {
        let bytes = file.encode();
        assert_eq!(Quarantined::decode(&bytes).as_ref(), Some(file));
        for at in 0..bytes.len() {
            assert_eq!(Quarantined::decode(&bytes[..at]), None, "cut at {at}");
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(Quarantined::decode(&damaged), None, "byte {at}");
        }
    }
    let place = Place::new("quarantine");
    let folder = folder(&place);
    let (quarantine, _) = Quarantine::open(&folder, Room { files_max: 9, bytes_max: 999 }).unwrap();
    quarantine.put_message(MessageHash([1; 16]), &file).unwrap();
    fs::write(quarantine.path_of_message(MessageHash([1; 16])), b"damaged").unwrap();
    assert_eq!(Quarantine::open(&folder, Room { files_max: 9, bytes_max: 999 }).unwrap().1, [MessageHash([1; 16])]);
}
