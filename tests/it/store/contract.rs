//! What every store owes: each rule of the trait, for each store of the crate.

use bytes::Bytes;
use y_mesh::document::{Stored, Tombstone};
use y_mesh::store::{Append, Durability, MemoryStore, Store, StoreError};
use y_mesh::{ClientId, DocName, Seq};

use super::{Model, Place, append, filled, name};
use crate::support::random::Random;

/// Small, so that a few updates fill several.
const SEGMENT_BYTES: u64 = 4_096;

/// A store with what it must hold, compared after every step; one on disk is closed and opened again before.
struct Subject {
    store: Option<Box<dyn Store>>,
    place: Option<Place>,
    model: Model,
}

impl Subject {
    fn memory() -> Self {
        Self { store: Some(Box::new(MemoryStore::new())), place: None, model: Model::default() }
    }

    fn disk(name: &str) -> Self {
        let place = Place::new(name);
        let store = Box::new(place.open(SEGMENT_BYTES).unwrap());
        Self { store: Some(store), place: Some(place), model: Model::default() }
    }

    fn store(&self) -> &dyn Store {
        self.store.as_deref().unwrap()
    }

    fn check(&mut self) {
        self.compare();
        if let Some(place) = &self.place {
            self.store = None;
            self.store = Some(Box::new(place.open(SEGMENT_BYTES).unwrap()));
            self.compare();
        }
    }

    fn compare(&self) {
        assert_eq!(self.store().list(None, usize::MAX).unwrap(), self.model.names());
        let kept: Vec<_> = self.model.0.keys().cloned().collect();
        assert_eq!(self.store().kept(None, usize::MAX).unwrap(), kept);
        for (name, expected) in &self.model.0 {
            assert_eq!(self.store().contains(name).unwrap(), expected.exists);
            // Their text would be long.
            assert!(self.store().load(name).unwrap() == *expected, "{name:?} isn't what it was");
        }
    }

    fn append(&mut self, records: &[Append]) {
        self.store().append(records).unwrap();
        self.model.append(records);
        self.check();
    }

    /// Appends what must be refused as a whole, at this record.
    fn refuse(&mut self, records: &[Append], at: &Append, kept: u64) {
        match self.store().append(records) {
            Err(StoreError::OutOfOrder { name, seq, last }) => {
                assert_eq!((name, seq, last), (at.name.clone(), at.seq, Seq(kept)));
            }
            other => panic!("not refused: {other:?}"),
        }
        self.check();
    }

    fn compact(&mut self, name: &DocName, through: u64, snapshot: &Bytes) {
        self.store().compact(name, Seq(through), snapshot).unwrap();
        self.model.compact(name, Seq(through), snapshot);
        self.check();
    }

    fn create(&mut self, name: &DocName, is_new: bool) {
        self.create_with(name, None, is_new);
    }

    fn create_with(&mut self, name: &DocName, durability: Option<Durability>, is_new: bool) {
        assert_eq!(self.store().create(name, durability).unwrap(), is_new);
        self.model.create(name, durability);
        self.check();
    }

    fn delete(&mut self, name: &DocName, clients: &[u64]) {
        let through = Seq(self.model.last(name)).next();
        let clients: Vec<_> = clients.iter().map(|client| ClientId(*client)).collect();
        self.store().delete(name, through, &clients).unwrap();
        self.model.delete(name, through, &clients);
        self.check();
    }
}

/// A test of each rule for each store.
macro_rules! contract {
    ($($rule:ident)*) => {
        mod memory {
            $(
                #[test]
                fn $rule() {
                    super::$rule(&mut super::Subject::memory());
                }
            )*
        }

        mod disk {
            $(
                #[test]
                fn $rule() {
                    super::$rule(&mut super::Subject::disk(stringify!($rule)));
                }
            )*
        }
    };
}

contract! {
    an_unknown_document_is_empty records_come_back_in_order a_wrong_position_changes_nothing
    a_batch_holds_several_documents a_snapshot_takes_the_place_of_what_it_holds
    snapshots_of_every_size_come_back updates_of_every_size_come_back created_documents_are_listed
    names_are_listed_in_pages whatever_is_done_is_kept closing_is_no_end
    what_is_deleted_is_gone_and_its_positions_with_it a_deletion_out_of_order_changes_nothing
    a_snapshot_that_comes_after_the_deletion_is_not_taken what_a_document_is_created_with_is_kept
    what_one_store_gives_another_takes a_name_that_is_known_is_not_imported
}

fn an_unknown_document_is_empty(subject: &mut Subject) {
    assert_eq!(subject.store().load(&name("nobody")).unwrap(), Default::default());
    subject.append(&[]);
    assert_eq!(subject.store().list(None, usize::MAX).unwrap(), [], "looking makes nothing");
}

fn records_come_back_in_order(subject: &mut Subject) {
    let doc = name("notes");
    for seq in 1..=40 {
        subject.append(&[append(&doc, seq, 300)]);
    }
    let tail = subject.store().load(&doc).unwrap().tail;
    assert!(tail.iter().map(|(seq, _)| seq.0).eq(1..=40));
}

fn a_wrong_position_changes_nothing(subject: &mut Subject) {
    let (doc, other, new) = (name("notes"), name("other"), name("new"));
    let update = |doc: &DocName, seq| append(doc, seq, 20);
    subject.refuse(&[update(&new, 2)], &update(&new, 2), 0);
    subject.refuse(&[update(&new, 0)], &update(&new, 0), 0);
    subject.append(&[update(&doc, 1), update(&doc, 2), update(&other, 1)]);
    for seq in [0, 1, 2, 4, u64::MAX] {
        let (wrong, right) = (update(&doc, seq), update(&other, 2));
        subject.refuse(std::slice::from_ref(&wrong), &wrong, 2);
        subject.refuse(&[right.clone(), wrong.clone()], &wrong, 2);
        subject.refuse(&[wrong.clone(), right], &wrong, 2);
        // A document that only a refused batch names isn't known.
        subject.refuse(&[update(&new, 1), wrong.clone()], &wrong, 2);
    }
    subject.refuse(&[update(&doc, 3), update(&doc, 3)], &update(&doc, 3), 3);
    subject.compact(&doc, 2, &filled(1, 50));
    subject.refuse(&[update(&doc, 2)], &update(&doc, 2), 2);
    subject.append(&[update(&doc, 3), update(&other, 2)]);
}

fn a_batch_holds_several_documents(subject: &mut Subject) {
    let docs: Vec<_> = (0..30).map(|number| name(&format!("doc {number}"))).collect();
    // Those of one document need not stand side by side.
    for turn in 0..4 {
        let seqs = (1..=3).map(|seq| turn * 3 + seq);
        let batch: Vec<_> = seqs.flat_map(|seq| docs.iter().map(move |doc| append(doc, seq, 90))).collect();
        subject.append(&batch);
    }
}

fn a_snapshot_takes_the_place_of_what_it_holds(subject: &mut Subject) {
    let (doc, other) = (name("notes"), name("other"));
    for seq in 1..=10 {
        subject.append(&[append(&doc, seq, 100), append(&other, seq, 10)]);
    }
    for (through, snapshot) in [(4, filled(1, 5_000)), (4, filled(2, 5_000)), (10, filled(3, 9_000))] {
        subject.compact(&doc, through, &snapshot);
    }
    assert_eq!(subject.store().load(&doc).unwrap().tail, []);
    subject.append(&[append(&doc, 11, 100)]);
    subject.compact(&doc, 11, &filled(4, 9_000));
}

fn snapshots_of_every_size_come_back(subject: &mut Subject) {
    let doc = name("notes");
    let sizes = [0, 1, 3_583, 3_584, 3_585, 7_168, 100 << 10, 3 << 20, 3_584, 0];
    for (size, seq) in sizes.into_iter().zip(1..) {
        subject.append(&[append(&doc, seq, 30)]);
        subject.compact(&doc, seq, &filled(seq, size));
        // A document of its own for each, so that all are there at the same time.
        let alone = name(&format!("other {seq}"));
        subject.append(&[append(&alone, 1, 30)]);
        subject.compact(&alone, 1, &filled(seq + 100, size));
    }
}

fn updates_of_every_size_come_back(subject: &mut Subject) {
    let doc = name("notes");
    for (size, seq) in [0, 1, 511, 512, 513, 100_000, 16 << 20, 0, 5].into_iter().zip(1..) {
        subject.append(&[append(&doc, seq, size)]);
    }
}

fn created_documents_are_listed(subject: &mut Subject) {
    let (doc, other) = (name("notes"), name("other"));
    subject.create(&doc, true);
    subject.create(&doc, false);
    subject.append(&[append(&other, 1, 10)]);
    subject.create(&other, false);
    subject.append(&[append(&doc, 1, 10)]);
    subject.compact(&doc, 1, &filled(1, 10));
    subject.create(&doc, false);
}

fn names_are_listed_in_pages(subject: &mut Subject) {
    let longest = "x".repeat(256);
    let mut names: Vec<_> = ["b", "a", "a/b", "a b", "B", "é", "é\u{301}", "🦀", "~", &longest].map(name).into();
    names.iter().for_each(|name| subject.create(name, true));
    names.sort_by(|a, b| a.as_str().as_bytes().cmp(b.as_str().as_bytes()));
    let list = |after: Option<&DocName>, limit| subject.store().list(after, limit).unwrap();
    for limit in 0..=names.len() + 1 {
        assert_eq!(list(None, limit), names[..limit.min(names.len())]);
        for at in 0..names.len() {
            assert_eq!(list(Some(&names[at]), limit), names[at + 1..(at + 1 + limit).min(names.len())]);
        }
    }
    // What isn't there itself has names after it all the same.
    assert_eq!(list(Some(&name("aa")), 1), [name("b")]);
}

fn whatever_is_done_is_kept(subject: &mut Subject) {
    let mut random = Random::new(7);
    let docs: Vec<_> = (0..9).map(|number| name(&format!("doc {number}"))).collect();
    for step in 0..150 {
        let doc = &docs[random.below(docs.len())];
        let last = subject.model.last(doc);
        match random.below(8) {
            0 => subject.create(doc, !subject.model.names().contains(doc)),
            3 if step % 3 == 0 => subject.delete(doc, &[1, step]),
            1 | 2 if subject.model.0.get(doc).is_some_and(|stored| last > stored.floor().0) => {
                let held = subject.model.0[doc].floor().0 + 1;
                let through = held + random.below((last - held + 1) as usize) as u64;
                subject.compact(doc, through, &filled(step, random.below(12_000)));
            }
            _ => {
                let count = 1 + random.below(5) as u64;
                let batch: Vec<_> = (1..=count).map(|seq| append(doc, last + seq, random.below(700))).collect();
                subject.append(&batch);
            }
        }
    }
}

fn closing_is_no_end(subject: &mut Subject) {
    let doc = name("notes");
    let kind = if subject.place.is_some() { ("disk", Durability::Local) } else { ("memory", Durability::Memory) };
    assert_eq!((subject.store().name(), subject.store().durability()), kind);
    let free = subject.store().space().unwrap();
    assert_eq!(free.is_some_and(|bytes| bytes > 0), subject.place.is_some());
    for seq in 1..=5 {
        subject.append(&[append(&doc, seq, 10)]);
        subject.store().close().unwrap();
        subject.store().close().unwrap();
        subject.compare();
    }
}

fn what_is_deleted_is_gone_and_its_positions_with_it(subject: &mut Subject) {
    let (doc, other) = (name("notes"), name("other"));
    subject.append(&[append(&doc, 1, 10), append(&doc, 2, 10_000), append(&other, 1, 10)]);
    subject.compact(&doc, 2, &filled(2, 9_000));
    subject.append(&[append(&doc, 3, 10)]);
    subject.delete(&doc, &[7, 1 << 40]);
    assert_eq!(subject.store().load(&doc).unwrap().last_seq(), Seq(4));
    subject.refuse(&[append(&doc, 4, 10)], &append(&doc, 4, 10), 4);
    subject.append(&[append(&doc, 5, 10)]);
    subject.compact(&doc, 5, &filled(5, 9_000));
    subject.delete(&doc, &[7, 8, 1 << 40]);
    assert_eq!(subject.store().load(&doc).unwrap().tombstone.unwrap().incarnation, 2);
    subject.create(&doc, true);
    // Of a name that nobody ever wrote to, a tombstone may be left as well.
    subject.delete(&name("nobody's"), &[]);
}

fn a_deletion_out_of_order_changes_nothing(subject: &mut Subject) {
    let doc = name("notes");
    subject.append(&[append(&doc, 1, 10)]);
    for through in [0, 1, 3, u64::MAX] {
        let refused = subject.store().delete(&doc, Seq(through), &[]);
        assert!(matches!(refused, Err(StoreError::OutOfOrder { last: Seq(1), .. })), "{refused:?}");
        subject.check();
    }
}

fn a_snapshot_that_comes_after_the_deletion_is_not_taken(subject: &mut Subject) {
    let doc = name("notes");
    subject.append(&[append(&doc, 1, 10), append(&doc, 2, 10)]);
    subject.delete(&doc, &[1]);
    subject.store().compact(&doc, Seq(2), &filled(2, 9_000)).unwrap();
    subject.check();
    subject.append(&[append(&doc, 4, 10)]);
    subject.store().compact(&doc, Seq(1), &filled(1, 9_000)).unwrap();
    subject.check();
}

fn what_a_document_is_created_with_is_kept(subject: &mut Subject) {
    let (doc, other) = (name("notes"), name("other"));
    subject.create_with(&doc, Some(Durability::Memory), true);
    subject.create_with(&doc, Some(Durability::Local), false);
    subject.create_with(&other, Some(Durability::Local), true);
    subject.append(&[append(&doc, 1, 10), append(&other, 1, 10)]);
    subject.compact(&doc, 1, &filled(1, 10));
    subject.delete(&other, &[1]);
    subject.append(&[append(&other, 3, 10)]);
    assert_eq!(subject.store().load(&other).unwrap().durability, None, "that was of the one that was deleted");
}

fn what_one_store_gives_another_takes(subject: &mut Subject) {
    let records = |range: std::ops::RangeInclusive<u64>| {
        range.map(|seq| (Seq(seq), append(&name("x"), seq, 2_000).record)).collect::<Vec<_>>()
    };
    let tombstone = Some(Tombstone { incarnation: 3, through: Seq(5), clients: vec![ClientId(1), ClientId(9)] });
    let whole = Stored { exists: true, tail: records(1..=9), ..Stored::default() };
    let snapshot = Some((Seq(7), filled(7, 9_000)));
    let both = Stored { snapshot, durability: Some(Durability::Memory), tail: records(8..=9), ..whole.clone() };
    let again = Stored { tombstone: tombstone.clone(), tail: records(6..=9), ..whole.clone() };
    let gone = Stored { tombstone, ..Stored::default() };
    let empty = Stored { exists: true, ..Stored::default() };
    let all = [("whole", whole), ("both", both), ("again", again), ("gone", gone), ("empty", empty)];
    let all: Vec<_> = all.into_iter().map(|(doc, stored)| (name(doc), stored)).collect();
    subject.store().import(&all).unwrap();
    subject.model.0.extend(all.clone());
    subject.check();
    subject.append(&all.iter().map(|(doc, stored)| append(doc, stored.last_seq().0 + 1, 10)).collect::<Vec<_>>());
}

fn a_name_that_is_known_is_not_imported(subject: &mut Subject) {
    let (doc, gone) = (name("notes"), name("gone"));
    subject.append(&[append(&doc, 1, 10)]);
    subject.delete(&gone, &[1]);
    for known in [&doc, &gone] {
        let refused = subject.store().import(&[(known.clone(), Stored::default())]);
        assert!(matches!(refused, Err(StoreError::Exists(name)) if name == *known));
        subject.check();
    }
    let stored =
        |seq: u64| Stored { exists: true, tail: vec![(Seq(1), append(&doc, seq, 10).record)], ..Stored::default() };
    let twice = name("twice");
    let refused = subject.store().import(&[(twice.clone(), stored(1)), (twice.clone(), stored(2))]);
    assert!(matches!(refused, Err(StoreError::Exists(name)) if name == twice));
    let kept = subject.store().load(&twice).unwrap();
    assert!(kept == Stored::default() || kept == stored(1), "one takes no other's place");
}
