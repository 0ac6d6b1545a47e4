//! Documents in memory: for tests, for trying things out, and for whoever keeps them elsewhere.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Append, Durability, Store, StoreError};
use crate::document::{Record, Stored, Tombstone};
use crate::id::{ClientId, DocName, Seq};

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

    fn names(&self, after: Option<&DocName>, limit: usize, is_wanted: impl Fn(&Stored) -> bool) -> Vec<DocName> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let documents = self.documents();
        let documents = documents.range((from, Bound::Unbounded)).filter(|(_, stored)| is_wanted(stored));
        documents.take(limit).map(|(name, _)| name.clone()).collect()
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
            let stored = documents.entry(name.clone()).or_default();
            stored.exists = true;
            stored.tail.push((*seq, record));
        }
        Ok(())
    }

    fn compact(&self, name: &DocName, through: Seq, snapshot: &Bytes) -> Result<(), StoreError> {
        let mut documents = self.documents();
        let Some(stored) = documents.get_mut(name).filter(|stored| through >= stored.floor()) else { return Ok(()) };
        stored.exists = true;
        stored.snapshot = Some((through, snapshot.clone()));
        stored.tail.retain(|(seq, _)| *seq > through);
        Ok(())
    }

    fn create(&self, name: &DocName, durability: Option<Durability>) -> Result<bool, StoreError> {
        let mut documents = self.documents();
        let stored = documents.entry(name.clone()).or_default();
        if stored.exists {
            return Ok(false);
        }
        (stored.exists, stored.durability) = (true, durability);
        Ok(true)
    }

    fn delete(&self, name: &DocName, through: Seq, clients: &[ClientId]) -> Result<(), StoreError> {
        let mut documents = self.documents();
        let last = documents.get(name).map(Stored::last_seq).unwrap_or_default();
        if through != last.next() {
            return Err(StoreError::OutOfOrder { name: name.clone(), seq: through, last });
        }
        let stored = documents.entry(name.clone()).or_default();
        let incarnation = stored.tombstone.as_ref().map_or(1, |tombstone| tombstone.incarnation.saturating_add(1));
        let tombstone = Tombstone { incarnation, through, clients: clients.to_vec() };
        *stored = Stored { tombstone: Some(tombstone), ..Stored::default() };
        Ok(())
    }

    fn import(&self, imported: &[(DocName, Stored)]) -> Result<(), StoreError> {
        let mut documents = self.documents();
        for (name, stored) in imported {
            match documents.entry(name.clone()) {
                Entry::Occupied(_) => return Err(StoreError::Exists(name.clone())),
                Entry::Vacant(vacant) => drop(vacant.insert(stored.clone())),
            }
        }
        Ok(())
    }

    fn contains(&self, name: &DocName) -> Result<bool, StoreError> {
        Ok(self.documents().get(name).is_some_and(|stored| stored.exists))
    }

    fn list(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError> {
        Ok(self.names(after, limit, |stored| stored.exists))
    }

    fn kept(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError> {
        Ok(self.names(after, limit, |_| true))
    }
}
