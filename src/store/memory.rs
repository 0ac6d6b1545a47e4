//! Documents in memory: for tests, for trying things out, and for whoever keeps them elsewhere.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Append, Durability, Store, StoreError};
use crate::document::{Record, Stored};
use crate::id::{DocName, Seq};

/// A store that forgets everything when it's dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    documents: Mutex<BTreeMap<DocName, Stored>>,
}

impl MemoryStore {
    /// A store without documents.
    pub fn new() -> Self {
        Self::default()
    }

    fn documents(&self) -> MutexGuard<'_, BTreeMap<DocName, Stored>> {
        // No call leaves the map half changed, so a panic elsewhere says nothing about it.
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn load(&self, name: &DocName) -> Result<Stored, StoreError> {
        Ok(self.documents().get(name).cloned().unwrap_or_default())
    }

    fn append(&self, records: &[Append]) -> Result<(), StoreError> {
        let mut documents = self.documents();
        let mut last: BTreeMap<&DocName, Seq> = BTreeMap::new();
        for Append { name, seq, .. } in records {
            let last =
                last.entry(name).or_insert_with(|| documents.get(name).map(Stored::last_seq).unwrap_or_default());
            if *seq != last.next() {
                return Err(StoreError::OutOfOrder { name: name.clone(), seq: *seq, last: *last });
            }
            *last = *seq;
        }
        for Append { name, seq, record } in records {
            // What came may be a small part of a large buffer, which a shared reference would keep alive.
            let record = Record { update: Bytes::copy_from_slice(&record.update), ..record.clone() };
            documents.entry(name.clone()).or_default().tail.push((*seq, record));
        }
        Ok(())
    }

    fn compact(&self, name: &DocName, through: Seq, snapshot: &Bytes) -> Result<(), StoreError> {
        let mut documents = self.documents();
        let stored = documents.entry(name.clone()).or_default();
        stored.snapshot = Some((through, snapshot.clone()));
        stored.tail.retain(|(seq, _)| *seq > through);
        Ok(())
    }

    fn create(&self, name: &DocName) -> Result<bool, StoreError> {
        let mut documents = self.documents();
        let is_new = !documents.contains_key(name);
        documents.entry(name.clone()).or_default();
        Ok(is_new)
    }

    fn list(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.documents().range((from, Bound::Unbounded)).take(limit).map(|(name, _)| name.clone()).collect())
    }
}
