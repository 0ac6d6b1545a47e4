//! What a store owes when it's interrupted.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use y_mesh::document::{Record, Stored};
use y_mesh::store::{DiskStore, Store, StoreError};
use y_mesh::{DocName, Seq};

use super::Model;
use super::scenario::Step;

/// What a store holds, if a call was cut off in the middle: of each document, what was before or what would be after.
#[derive(Clone, Debug, Default)]
pub struct Owed {
    before: Model,
    after: Model,
    /// All there ever was.
    history: BTreeMap<DocName, History>,
}

#[derive(Clone, Debug, Default)]
struct History {
    snapshots: Vec<(Seq, Bytes)>,
    /// What was lost before it was acknowledged gives way to what took its position.
    records: BTreeMap<Seq, Record>,
}

impl History {
    /// Whether `found` comes to the same as `expected`, by way of an earlier snapshot.
    fn comes_to(&self, found: &Stored, expected: &Stored) -> bool {
        let after = self.records.iter().filter(|(seq, _)| **seq > found.floor() && **seq <= expected.last_seq());
        let tail: Vec<_> = after.map(|(seq, record)| (*seq, record.clone())).collect();
        let is_known = |snapshot| self.snapshots.contains(snapshot);
        let deleted = expected.tombstone.as_ref().map_or(Seq(0), |tombstone| tombstone.through);
        found.snapshot.as_ref().is_none_or(is_known)
            && found.floor() >= deleted
            && *found == Stored { snapshot: found.snapshot.clone(), tail, ..expected.clone() }
    }
}

impl Owed {
    /// Reads all documents; gives what is owed from now on. What is found is owed, or it's an error. Where snapshots can't be read,
    /// earlier ones do.
    pub fn check(&self, store: &DiskStore, are_snapshots_lost: impl Fn() -> bool) -> Result<Self, StoreError> {
        let mut owed = self.clone();
        let listed = store.list(None, usize::MAX)?;
        let kept = store.kept(None, usize::MAX)?;
        let known = [&self.before, &self.after].map(|model| model.0.keys().cloned().collect::<Vec<_>>());
        for name in BTreeSet::from_iter([known.concat(), kept.clone()].concat()) {
            let stored = store.load(&name)?;
            assert_eq!(stored.exists, listed.contains(&name), "{name:?} is listed if it exists");
            assert_eq!(stored != Stored::default(), kept.contains(&name), "{name:?}");
            owed.settle(&name, &stored, are_snapshots_lost());
        }
        Ok(owed)
    }

    /// From now on, what is there of a document is owed.
    fn settle(&mut self, name: &DocName, stored: &Stored, are_snapshots_lost: bool) {
        let of = |model: &Model| model.0.get(name).cloned().unwrap_or_default();
        let (before, after) = (of(&self.before), of(&self.after));
        let history = self.history.entry(name.clone()).or_default();
        let comes_to = |expected| stored == expected || are_snapshots_lost && history.comes_to(stored, expected);
        match (comes_to(&before), comes_to(&after)) {
            // It's one of them, and what is found is what either comes to without its snapshot.
            (true, true) => {}
            (true, false) => self.after.set(name, before),
            (false, true) => self.before.set(name, after),
            (false, false) => {
                panic!("{name:?} was {}, or became {}, and is {}", brief(&before), brief(&after), brief(stored));
            }
        }
    }

    /// Something is to be done, in any order.
    pub fn begin<'a>(&mut self, steps: impl IntoIterator<Item = &'a Step>) {
        self.after = self.before.clone();
        steps.into_iter().for_each(|step| step.change(&mut self.after));
        for (name, stored) in &self.after.0 {
            let history = self.history.entry(name.clone()).or_default();
            history.records.extend(stored.tail.iter().cloned());
            let is_new = |snapshot: &&(Seq, Bytes)| history.snapshots.last() != Some(*snapshot);
            history.snapshots.extend(stored.snapshot.iter().filter(is_new).cloned().collect::<Vec<_>>());
        }
    }

    /// One of the things is done.
    pub fn keep(&mut self, step: &Step) {
        step.change(&mut self.before);
    }

    /// Whether it's known what is there: with lost snapshots, what is found may come to the same either way.
    pub fn is_settled(&self) -> bool {
        self.before == self.after
    }

    /// What was before.
    pub fn model(&self) -> &Model {
        &self.before
    }

    /// It's done.
    pub fn end(&mut self) {
        self.before = self.after.clone();
    }
}

impl Model {
    fn set(&mut self, name: &DocName, stored: Stored) {
        match stored == Stored::default() {
            true => self.0.remove(name),
            false => self.0.insert(name.clone(), stored),
        };
    }
}

fn brief(stored: &Stored) -> String {
    let tail: Vec<_> = stored.tail.iter().map(|(seq, record)| (seq.0, record.update.len())).collect();
    let snapshot = stored.snapshot.as_ref().map(|(seq, snapshot)| (seq.0, snapshot.len()));
    let tombstone = stored.tombstone.as_ref().map(|tombstone| (tombstone.incarnation, tombstone.through.0));
    format!("[exists: {}, tombstone: {tombstone:?}, snapshot: {snapshot:?}, tail: {tail:?}]", stored.exists)
}
