//! The journal: segments of batches. One batch is written and synced at a time, and nothing follows it before it's durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::catalog::Catalog;
use super::files::Directory;
use super::index::Index;
use super::recovery::read_segment;
use super::segment::{self, Batch, Entry, FORMAT, Kind, Mark, Placed, RecordHead, SegmentHead};
use crate::document::Record;
use crate::store::StoreError;
use crate::store::file_system::{Access, FileHandle};

/// The journal's files, and the one that is written now.
pub struct Journal {
    directory: Directory,
    segment_bytes: u64,
    files: BTreeMap<u32, (Arc<dyn FileHandle>, u64)>,
    active: Option<Active>,
    next_segment: u32,
    next_batch: u64,
    has_failed: bool,
    /// It's of an older format, to be copied and not written.
    is_old: bool,
}

/// The segment that isn't complete yet.
struct Active {
    mark: Mark,
    len: u64,
    others: Vec<u32>,
    records: Vec<Placed>,
    entries: Vec<Vec<u8>>,
}

impl Journal {
    /// Reads what is there into `catalog`.
    pub fn open(directory: Directory, segment_bytes: u64, catalog: &mut Catalog) -> Result<Self, StoreError> {
        let (segments, indexes) = directory.numbers()?;
        let mut found = Vec::new();
        for number in &segments {
            let is_newest = segments.last() == Some(number) && !indexes.contains(number);
            found.push(read_segment(&directory, *number, is_newest)?);
        }
        let records = found.iter().flat_map(|index| &index.records);
        let freed = records.filter(|record| record.head.kind == Kind::Freed).map(|record| record.head.seq);
        let freed: BTreeSet<u64> = freed.collect();
        let freed = |number: u32| freed.contains(&u64::from(number));
        let expected = found.last().map(|newest| newest.others.as_slice()).unwrap_or_default();
        let newest = Some(directory.newest()).filter(|newest| *newest > 0);
        for expected in expected.iter().chain(&indexes).chain(&newest) {
            if !segments.contains(expected) && !freed(*expected) {
                let why = "it's missing".to_owned();
                return Err(StoreError::Unreadable { path: directory.segment(*expected), why });
            }
        }
        let mut journal = Self {
            next_segment: segments.last().map_or(1, |last| last + 1),
            next_batch: found.iter().map(|index| index.next).max().unwrap_or(1),
            segment_bytes,
            files: BTreeMap::new(),
            active: None,
            has_failed: false,
            is_old: directory.format() != FORMAT,
            directory,
        };
        let gone: Vec<u32> = segments.iter().chain(&indexes).copied().filter(|number| freed(*number)).collect();
        for number in &gone {
            journal.directory.remove_segment(*number)?;
        }
        journal.directory.sync_journal()?;
        for index in found.into_iter().filter(|index| !gone.contains(&index.segment)) {
            journal.take_over(&index, catalog)?;
        }
        Ok(journal)
    }

    fn take_over(&mut self, index: &Index, catalog: &mut Catalog) -> Result<(), StoreError> {
        let file = self.directory.open_segment(index.segment, Access::Read)?;
        catalog.add_segment(index.segment, || file.clone());
        let mut entries = index.entries.iter();
        for placed in &index.records {
            let entry = match placed.head.kind {
                Kind::Entry => {
                    Some(entry(index.format, entries.next(), placed).ok_or_else(|| StoreError::Unreadable {
                        path: self.directory.index(index.segment),
                        why: "an entry of the catalogue isn't one".into(),
                    })?)
                }
                _ => None,
            };
            catalog.note(*placed, entry);
        }
        self.files.insert(index.segment, (file, index.len));
        Ok(())
    }

    /// Writes a batch. It's durable when this returns; after an error nothing is written any more.
    pub fn append(&mut self, batch: &Batch) -> Result<Vec<Placed>, StoreError> {
        if self.has_failed || self.is_old {
            let why = if self.is_old { "an older format is only read" } else { "an earlier write failed" };
            return Err(StoreError::Io(io::Error::other(why)));
        }
        let written = self.try_append(batch);
        self.has_failed = written.is_err();
        Ok(written?)
    }

    fn try_append(&mut self, batch: &Batch) -> io::Result<Vec<Placed>> {
        if self.active.as_ref().is_some_and(|active| active.len >= self.segment_bytes) {
            self.seal()?;
        }
        if self.active.is_none() {
            self.begin_segment()?;
        }
        self.write(batch)
    }

    fn write(&mut self, batch: &Batch) -> io::Result<Vec<Placed>> {
        let Some(active) = &mut self.active else { return Err(io::Error::other("no segment is open")) };
        let Some((file, len)) = self.files.get_mut(&active.mark.number) else {
            return Err(io::Error::other("no segment is open"));
        };
        if active.len + batch.bytes() as u64 > u64::from(u32::MAX) {
            return Err(io::Error::other("a batch is too large"));
        }
        let (bytes, placed) = batch.encode(active.mark, self.next_batch, active.len);
        file.write_at(&bytes, active.len)?;
        file.sync_data()?;
        self.next_batch += 1;
        for placed in placed.iter().filter(|placed| placed.head.kind == Kind::Entry) {
            let start = (u64::from(placed.place.offset) - active.len) as usize;
            active.entries.push(bytes[start..start + placed.place.len as usize].to_vec());
        }
        active.len += bytes.len() as u64;
        *len = active.len;
        active.records.extend_from_slice(&placed);
        Ok(placed)
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.next_segment;
        let others: Vec<u32> = self.files.keys().copied().collect();
        let mark = Mark { number, salt: uuid::Uuid::new_v4().as_u64_pair().1 };
        let head = SegmentHead { format: FORMAT, mark, allocated: self.segment_bytes, others: others.clone() }.encode();
        let allocated = self.segment_bytes.max(head.len() as u64);
        let file = self.directory.create_segment(number, &head, allocated)?;
        self.files.insert(number, (file, head.len() as u64));
        self.next_segment += 1;
        let len = head.len() as u64;
        self.active = Some(Active { mark, len, others, records: Vec::new(), entries: Vec::new() });
        Ok(())
    }

    /// Makes the active segment complete: says so in it, and writes its index. After an error nothing is written any more.
    pub fn seal(&mut self) -> io::Result<()> {
        if self.active.is_none() || self.has_failed {
            return Ok(());
        }
        let sealed = self.try_seal();
        self.has_failed = sealed.is_err();
        sealed
    }

    fn try_seal(&mut self) -> io::Result<()> {
        let mut end = Batch::default();
        end.end();
        self.write(&end)?;
        let Some(active) = self.active.take() else { return Ok(()) };
        let index = Index {
            format: FORMAT,
            segment: active.mark.number,
            len: active.len,
            others: active.others,
            next: self.next_batch,
            records: active.records,
            entries: active.entries,
        };
        self.directory.write_index(active.mark.number, &index.encode())?;
        if let Some((file, len)) = self.files.get(&active.mark.number) {
            file.set_len(*len)?;
        }
        Ok(())
    }

    /// The segment that is written now.
    pub fn active(&self) -> Option<(u32, &Arc<dyn FileHandle>)> {
        let number = self.active.as_ref()?.mark.number;
        self.files.get(&number).map(|(file, _)| (number, file))
    }

    /// The complete segments with their bytes.
    pub fn complete(&self) -> impl Iterator<Item = (u32, u64)> {
        let active = self.active.as_ref().map(|active| active.mark.number);
        self.files.iter().filter(move |(number, _)| Some(**number) != active).map(|(number, (_, len))| (*number, *len))
    }

    /// What a complete segment holds.
    pub fn index(&self, segment: u32) -> Result<Index, StoreError> {
        read_segment(&self.directory, segment, false)
    }

    /// Says durably that segments are freed, and removes them. After an error nothing is written any more.
    pub fn free(&mut self, segments: &[u32]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        segments.iter().for_each(|segment| batch.freed(*segment));
        self.append(&batch)?;
        let removed = self.remove(segments);
        self.has_failed = removed.is_err();
        Ok(removed?)
    }

    fn remove(&mut self, segments: &[u32]) -> io::Result<()> {
        for segment in segments {
            self.files.remove(segment);
            self.directory.remove_segment(*segment)?;
        }
        // Durable before the segment that says so can be freed itself.
        self.directory.sync_journal()
    }
}

/// The entry that a record is.
fn entry(format: u32, bytes: Option<&Vec<u8>>, placed: &Placed) -> Option<Entry> {
    let (head, payload) = segment::record(bytes?)?;
    if head == placed.head { segment::decode_entry(format, payload) } else { None }
}

/// Reads the update at a place, and checks that it's the one that was put there.
pub fn read_update(file: &dyn FileHandle, placed: &Placed) -> Result<Record, String> {
    let bytes = read_record(file, placed)?;
    let record = segment::record(&bytes).and_then(|(_, payload)| segment::decode_update(payload));
    record.ok_or_else(|| format!("record {} is no update", placed.head.seq))
}

/// Reads the record at a place, and checks that it's the one that was put there.
pub fn read_record(file: &dyn FileHandle, placed: &Placed) -> Result<Vec<u8>, String> {
    let Placed { head, place } = placed;
    let mut bytes = vec![0; place.len as usize];
    file.read_at(&mut bytes, u64::from(place.offset))
        .map_err(|error| format!("record {} can't be read: {error}", head.seq))?;
    let is_it =
        |found: RecordHead, payload: &[u8]| found == *head && payload.len() + segment::RECORD_HEAD == bytes.len();
    match segment::record(&bytes) {
        Some((found, payload)) if is_it(found, payload) => Ok(bytes),
        _ => Err(format!("record {} is damaged", head.seq)),
    }
}
