//! Reading a document: its snapshot and the updates after it, or the snapshot before and all updates after that.

use std::sync::Arc;

use bytes::Bytes;

use super::journal;
use super::segment::{Entry, Kind, Place, Placed, Pointer, RecordHead};
use super::{DiskStore, StoreError};
use crate::document::Stored;
use crate::id::{DocName, Seq};
use crate::store::file_system::FileHandle;

/// What is to be read for a document, found under the lock and read without it.
struct Plan {
    doc: u64,
    entry: Entry,
    fallback: Option<Pointer>,
    tail: Vec<(Seq, Place, Arc<dyn FileHandle>)>,
}

impl DiskStore {
    /// All that is kept of a document.
    pub(super) fn read(&self, name: &DocName) -> Result<Stored, StoreError> {
        let Some(mut plan) = self.plan(name)? else { return Ok(Stored::default()) };
        loop {
            let error = match self.follow(name, &plan) {
                Err(error) => error,
                stored => return stored,
            };
            // A snapshot that was forgotten while it was read has newer ones in its place.
            match self.plan(name)? {
                Some(now) if now.entry != plan.entry => plan = now,
                _ => return Err(error),
            }
        }
    }

    fn plan(&self, name: &DocName) -> Result<Option<Plan>, StoreError> {
        let catalog = self.catalog();
        let Some((id, doc)) = catalog.find(name) else { return Ok(None) };
        let damaged = |why: String| StoreError::Damaged { name: name.clone(), why };
        let (current, previous) = (doc.entry.current, doc.entry.previous);
        let floor = doc.entry.floor();
        let through = current.map_or(floor, |current| current.through);
        let after = doc.tail(through).map_err(damaged)?;
        // With all records after the previous snapshot, that one does as well.
        let (fallback, tail) = match doc.tail(floor) {
            Ok(tail) if tail.last().map_or(floor, |(seq, _)| *seq) >= through => (previous, tail),
            _ => (current, after),
        };
        let with_file = |(seq, place): (Seq, Place)| {
            let file = catalog.file(place.segment).ok_or_else(|| damaged(format!("record {} has no file", seq.0)))?;
            Ok((seq, place, file))
        };
        let tail = tail.into_iter().map(with_file).collect::<Result<_, StoreError>>()?;
        Ok(Some(Plan { doc: id, entry: doc.entry.clone(), fallback, tail }))
    }

    fn follow(&self, name: &DocName, plan: &Plan) -> Result<Stored, StoreError> {
        let damaged = |why: String| StoreError::Damaged { name: name.clone(), why };
        let Some(pointer) = plan.entry.current else { return self.read_tail(plan, None).map_err(damaged) };
        if let Some(snapshot) = self.snapshots.get(plan.doc, &pointer) {
            return self.read_tail(plan, Some((pointer.through, snapshot))).map_err(damaged);
        }
        let lost = || damaged("its snapshot is missing or damaged".into());
        if self.plan(name)?.is_some_and(|now| now.entry != plan.entry) {
            // It moved, or a newer one is in its place.
            return Err(lost());
        }
        let fallback = match plan.fallback {
            Some(fallback) if fallback != pointer => {
                Some((fallback.through, self.snapshots.get(plan.doc, &fallback).ok_or_else(lost)?))
            }
            None if plan.tail.last().is_some_and(|(seq, ..)| *seq >= pointer.through) => None,
            _ => return Err(lost()),
        };
        let stored = self.read_tail(plan, fallback).map_err(damaged)?;
        tracing::error!(document = %name, "the snapshot is missing or damaged; the one before and the journal do as well");
        Ok(stored)
    }

    fn read_tail(&self, plan: &Plan, snapshot: Option<(Seq, Bytes)>) -> Result<Stored, String> {
        let Entry { exists, durability, grave, .. } = &plan.entry;
        let tombstone = grave.as_ref().map(|grave| grave.tombstone.clone());
        let (exists, durability) = (*exists, *durability);
        let mut stored = Stored { exists, durability, tombstone, snapshot, tail: Vec::new() };
        let after = stored.floor();
        for (seq, place, file) in plan.tail.iter().filter(|(seq, ..)| *seq > after) {
            let head = RecordHead { kind: Kind::Update, doc: plan.doc, seq: seq.0 };
            stored.tail.push((*seq, journal::read_update(&**file, &Placed { head, place: *place })?));
        }
        Ok(stored)
    }
}
