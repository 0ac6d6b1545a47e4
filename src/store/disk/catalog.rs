//! What documents there are, and where their records lie: in memory, rebuilt at every start.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::segment::{Entry, Kind, Place, Placed, Pointer};
use super::usage::Usage;
use crate::id::{DocName, Seq};
use crate::store::file_system::FileHandle;

/// All documents.
#[derive(Debug, Default)]
pub struct Catalog {
    names: BTreeMap<DocName, u64>,
    docs: BTreeMap<u64, Doc>,
    /// Update records of documents whose entry hasn't been met yet; only while the store is opened.
    early: BTreeMap<u64, BTreeMap<u64, Place>>,
    /// The segments that hold what is noted here.
    segments: BTreeMap<u32, Segment>,
    usage: Usage,
}

#[derive(Debug)]
struct Segment {
    file: Arc<dyn FileHandle>,
    /// Bytes that are still needed.
    live: u64,
}

/// One document.
#[derive(Debug)]
pub struct Doc {
    pub entry: Entry,
    /// Counts the entry's versions.
    pub version: u64,
    place: Place,
    /// The updates that the previous snapshot doesn't hold, by position.
    pub updates: BTreeMap<u64, Place>,
}

impl Doc {
    /// The last record's position.
    pub fn last(&self) -> Seq {
        let through = self.entry.current.map_or(Seq(0), |pointer| pointer.through).max(self.entry.deleted());
        self.updates.last_key_value().map_or(through, |(seq, _)| through.max(Seq(*seq)))
    }

    /// The updates after a position, if none is missing.
    pub fn tail(&self, after: Seq) -> Result<Vec<(Seq, Place)>, String> {
        let mut last = after;
        let mut tail = Vec::new();
        for (seq, place) in self.updates.range(after.0 + 1..) {
            if *seq != last.next().0 {
                return Err(format!("record {} is missing", last.next().0));
            }
            last = Seq(*seq);
            tail.push((last, *place));
        }
        Ok(tail)
    }
}

/// A document's entry as it is, to be changed: with the number of the next version, and the last record's position.
pub struct Draft {
    pub doc: u64,
    pub version: u64,
    pub entry: Entry,
    pub last: Seq,
    pub is_known: bool,
}

impl Catalog {
    /// The entry of a document; one that isn't known gets the number `free`.
    pub fn draft(&self, name: &DocName, free: u64) -> Draft {
        match self.find(name) {
            Some((id, doc)) => {
                Draft { doc: id, version: doc.version + 1, entry: doc.entry.clone(), last: doc.last(), is_known: true }
            }
            None => {
                let entry = Entry::new(name.clone());
                Draft { doc: free, version: 1, entry, last: Seq(0), is_known: false }
            }
        }
    }

    pub fn find(&self, name: &DocName) -> Option<(u64, &Doc)> {
        let id = *self.names.get(name)?;
        self.docs.get(&id).map(|doc| (id, doc))
    }

    pub fn get(&self, id: u64) -> Option<&Doc> {
        self.docs.get(&id)
    }

    /// What is needed of the volumes.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The names after `after`, in order, of documents with such an entry.
    pub fn names(&self, after: Option<&DocName>, limit: usize, is_such: impl Fn(&Entry) -> bool) -> Vec<DocName> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let is_wanted = |id: &u64| self.docs.get(id).is_some_and(|doc| is_such(&doc.entry));
        let wanted = self.names.range((from, Bound::Unbounded)).filter(|(_, id)| is_wanted(id));
        wanted.take(limit).map(|(name, _)| name.clone()).collect()
    }

    /// A number that no document has.
    pub fn free_id(&self) -> u64 {
        self.docs.last_key_value().map_or(0, |(id, _)| *id).max(self.early.keys().copied().max().unwrap_or(0)) + 1
    }

    /// Takes note of a record of the journal. The same one may be met twice, and in any order.
    pub fn note(&mut self, placed: Placed, entry: Option<Entry>) {
        let Placed { head, place } = placed;
        match head.kind {
            Kind::Update => self.note_update(head.doc, head.seq, place),
            Kind::Entry => {
                if let Some(entry) = entry {
                    self.note_entry(head.doc, head.seq, place, entry);
                }
            }
            Kind::Freed | Kind::End => {}
        }
    }

    fn note_update(&mut self, id: u64, seq: u64, place: Place) {
        let Some(doc) = self.docs.get_mut(&id) else {
            self.early.entry(id).or_default().insert(seq, place);
            return;
        };
        if seq <= doc.entry.floor().0 {
            return;
        }
        let old = doc.updates.insert(seq, place);
        self.change(old, Some(place));
    }

    fn note_entry(&mut self, id: u64, version: u64, place: Place, entry: Entry) {
        let old = self.docs.get(&id).map(|doc| (doc.version, doc.place));
        if old.is_some_and(|(known, _)| known > version) {
            return;
        }
        self.names.insert(entry.name.clone(), id);
        self.usage.change(id, self.docs.get(&id).map(|doc| &doc.entry), &entry);
        let mut doc = match self.docs.remove(&id) {
            Some(doc) => Doc { entry, version, place, ..doc },
            None => Doc { entry, version, place, updates: BTreeMap::new() },
        };
        self.change(old.map(|(_, place)| place), Some(place));
        let kept = doc.updates.split_off(&doc.entry.floor().next().0);
        let gone = std::mem::replace(&mut doc.updates, kept);
        gone.into_values().for_each(|place| self.change(Some(place), None));
        self.docs.insert(id, doc);
        for (seq, place) in self.early.remove(&id).unwrap_or_default() {
            self.note_update(id, seq, place);
        }
    }

    fn change(&mut self, old: Option<Place>, new: Option<Place>) {
        if let Some(old) = old
            && let Some(segment) = self.segments.get_mut(&old.segment)
        {
            segment.live = segment.live.saturating_sub(u64::from(old.len));
        }
        if let Some(new) = new
            && let Some(segment) = self.segments.get_mut(&new.segment)
        {
            segment.live += u64::from(new.len);
        }
    }

    /// Makes a segment known, before what it holds is noted.
    pub fn add_segment(&mut self, number: u32, file: impl FnOnce() -> Arc<dyn FileHandle>) {
        self.segments.entry(number).or_insert_with(|| Segment { file: file(), live: 0 });
    }

    /// A segment, to be read.
    pub fn file(&self, segment: u32) -> Option<Arc<dyn FileHandle>> {
        self.segments.get(&segment).map(|segment| segment.file.clone())
    }

    /// Whether there are updates of documents that have no entry. None, in a whole journal.
    pub fn has_orphans(&self) -> bool {
        !self.early.is_empty()
    }

    /// Whether the record at this place is still needed.
    pub fn needs(&self, placed: &Placed) -> bool {
        let Some(doc) = self.docs.get(&placed.head.doc) else { return false };
        match placed.head.kind {
            Kind::Update => doc.updates.get(&placed.head.seq) == Some(&placed.place),
            Kind::Entry => doc.place == placed.place,
            Kind::Freed | Kind::End => false,
        }
    }

    /// Bytes of a segment that are still needed.
    pub fn live(&self, segment: u32) -> u64 {
        self.segments.get(&segment).map_or(0, |segment| segment.live)
    }

    /// Forgets a segment.
    pub fn forget(&mut self, segment: u32) {
        self.segments.remove(&segment);
    }

    /// The entry that a document has once these are its snapshots, and its version. `None` if the document was deleted since.
    pub fn advanced(&self, id: u64, current: Pointer, previous: Option<Pointer>) -> Option<(u64, Entry)> {
        let doc = self.docs.get(&id).filter(|doc| current.through >= doc.entry.deleted())?;
        let entry = Entry { exists: true, current: Some(current), previous, ..doc.entry.clone() };
        Some((doc.version + 1, entry))
    }
}
