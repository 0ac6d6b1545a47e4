//! What leaves the journal passes one place, in order and with all that history needs.

use std::sync::{Arc, Mutex};

use y_mesh::document::{Record, WallTime};
use y_mesh::store::disk::{History, Retired};
use y_mesh::store::{Append, DiskStore, Store, StoreError};
use y_mesh::wire::vet::Span;
use y_mesh::{ClientId, DocName, Seq};

use super::{Place, append, filled, name};
use crate::support::client::Client;

/// Keeps what was handed over; refuses it once if it's told to.
#[derive(Default)]
struct Kept {
    records: Mutex<Vec<(DocName, Retired)>>,
    refuses: Mutex<bool>,
}

impl History for Kept {
    fn retire(&self, name: &DocName, records: &[Retired]) -> Result<(), StoreError> {
        if std::mem::take(&mut *self.refuses.lock().unwrap()) {
            return Err(std::io::Error::other("no history today").into());
        }
        self.records.lock().unwrap().extend(records.iter().map(|record| (name.clone(), record.clone())));
        Ok(())
    }
}

fn open(place: &Place, kept: &Arc<Kept>) -> DiskStore {
    place.open(4_096).unwrap().with_history(kept.clone())
}

fn positions(kept: &Kept, doc: &DocName) -> Vec<u64> {
    let records = kept.records.lock().unwrap();
    records.iter().filter(|(name, _)| name == doc).map(|(_, retired)| retired.seq.0).collect()
}

#[test]
fn what_leaves_the_journal_is_handed_over_with_author_time_and_ids() {
    let (place, kept) = (Place::new("retired"), Arc::new(Kept::default()));
    let (doc, mut ada) = (name("notes"), Client::new(7));
    let mut store = open(&place, &kept);
    let mut written = Vec::new();
    for seq in 1..=9u64 {
        let update = ada.edit_raw(|txn| {
            use y_mesh::yrs::{Text, WriteTxn};
            txn.get_or_insert_text("text").push(txn, "ab");
        });
        let record = Record { update: update.unwrap(), author: "ada".into(), at: WallTime(1_000 + seq) };
        store.append(&[Append { name: doc.clone(), seq: Seq(seq), record: record.clone() }]).unwrap();
        let span = Span { client: ClientId(7), start: 2 * seq as u32 - 2, end: 2 * seq as u32 };
        written.push((doc.clone(), Retired { seq: Seq(seq), record, spans: vec![span] }));
        if seq % 3 == 0 {
            store.compact(&doc, Seq(seq), &filled(seq, 100)).unwrap();
            // The snapshot before is there to fall back to, so what is after that stays.
            assert_eq!(*kept.records.lock().unwrap(), written[..seq as usize - 3]);
            drop(store);
            store = open(&place, &kept);
        }
    }
}

#[test]
fn what_history_does_not_take_stays_and_comes_again() {
    let (place, kept, doc) = (Place::new("retired-refused"), Arc::new(Kept::default()), name("notes"));
    let store = open(&place, &kept);
    for seq in 1..=2 {
        store.append(&[append(&doc, seq, 10)]).unwrap();
        store.compact(&doc, Seq(seq), &filled(seq, 100)).unwrap();
    }
    let before = positions(&kept, &doc);
    *kept.refuses.lock().unwrap() = true;
    store.append(&[append(&doc, 3, 10)]).unwrap();
    assert!(matches!(store.compact(&doc, Seq(3), &filled(3, 100)), Err(StoreError::Io(_))));
    assert_eq!((store.load(&doc).unwrap().tail.len(), positions(&kept, &doc)), (1, before));
    store.compact(&doc, Seq(3), &filled(3, 100)).unwrap();
    assert_eq!(positions(&kept, &doc), [1, 2]);
}

#[test]
fn what_is_deleted_is_handed_over_to_nobody() {
    let (place, kept, doc) = (Place::new("retired-deleted"), Arc::new(Kept::default()), name("notes"));
    let store = open(&place, &kept);
    for seq in 1..=3 {
        store.append(&[append(&doc, seq, 10)]).unwrap();
    }
    store.delete(&doc, Seq(4), &[]).unwrap();
    for seq in 5..=6 {
        store.append(&[append(&doc, seq, 10)]).unwrap();
        store.compact(&doc, Seq(seq), &filled(seq, 100)).unwrap();
    }
    assert_eq!(positions(&kept, &doc), [5]);
}
