//! The bytes of the journal: segments, batches, records. `docs/disk-format.md` draws them.
//!
//! All numbers are little-endian. Every part carries a CRC-32C of its own, so that what is damaged is told from what is whole.

use bytes::{BufMut, Bytes};

use crate::document::{Durability, Record, Tombstone, WallTime};
use crate::id::{ClientId, DocName, Identity, Seq};
use crate::store::{durability_byte, durability_of};

/// The version of every format here that is written.
pub const FORMAT: u32 = 2;
/// The oldest version that is read.
pub const OLDEST_FORMAT: u32 = 1;
/// Bytes in front of a record's payload.
pub const RECORD_HEAD: usize = 25;
/// Bytes in front of a batch's records.
pub const BATCH_HEAD: usize = 32;

const SEGMENT_MAGIC: &[u8; 8] = b"ymeshseg";
const BATCH_MAGIC: &[u8; 4] = b"ymb1";
const HASH_BYTES: usize = 32;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A document's entry in the catalogue: its position counts the entry's versions.
    Entry = 1,
    /// An update of a document.
    Update = 2,
    /// A segment is freed; the position is its number.
    Freed = 3,
    /// The segment is complete.
    End = 4,
}

impl Kind {
    pub fn of(byte: u8) -> Option<Self> {
        [Self::Entry, Self::Update, Self::Freed, Self::End].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What a record says of itself, in front of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    pub kind: Kind,
    /// The document's number; 0 where there's none.
    pub doc: u64,
    pub seq: u64,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub segment: u32,
    /// Bytes from the segment's front.
    pub offset: u32,
    /// Bytes of the whole record.
    pub len: u32,
}

/// A record that lies somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub head: RecordHead,
    pub place: Place,
}

/// A snapshot, as the catalogue knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    pub generation: u32,
    /// The last record that the snapshot holds.
    pub through: Seq,
    /// Bytes of the snapshot, and what they hash to.
    pub len: u64,
    pub hash: [u8; HASH_BYTES],
    /// Where it lies; 0 is where format 1 had them all.
    pub volume: u32,
    /// Bytes that are kept of it: fewer than `len`, or it isn't compressed.
    pub packed: u64,
}

/// A document's entry in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: DocName,
    pub exists: bool,
    pub durability: Option<Durability>,
    pub current: Option<Pointer>,
    pub previous: Option<Pointer>,
    pub grave: Option<Grave>,
}

/// What is kept of the deleted documents of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grave {
    pub tombstone: Tombstone,
    /// The last generation of their snapshots, so that none of them is ever taken for a later one.
    pub generation: u32,
}

impl Entry {
    /// The entry of a document that was just created.
    pub fn new(name: DocName) -> Self {
        Self { name, exists: true, durability: None, current: None, previous: None, grave: None }
    }

    /// Its snapshots.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        [&self.current, &self.previous].into_iter().flatten()
    }

    /// The entry once a snapshot lies elsewhere; unchanged if it isn't one of its snapshots any more.
    pub fn repointed(mut self, old: &Pointer, new: Pointer) -> Self {
        for pointer in [&mut self.current, &mut self.previous].into_iter().flatten().filter(|pointer| *pointer == old) {
            *pointer = new;
        }
        self
    }

    /// The last record that isn't needed any more, or was never there.
    pub fn floor(&self) -> Seq {
        let deleted = self.deleted();
        self.previous.map_or(deleted, |previous| previous.through.max(deleted))
    }

    /// The position of the last deletion.
    pub fn deleted(&self) -> Seq {
        self.grave.as_ref().map_or(Seq(0), |grave| grave.tombstone.through)
    }

    /// The entry once the document is deleted.
    pub fn buried(self, through: Seq, clients: &[ClientId]) -> Self {
        let incarnation = self.grave.as_ref().map_or(1, |grave| grave.tombstone.incarnation.saturating_add(1));
        let tombstone = Tombstone { incarnation, through, clients: clients.to_vec() };
        let grave = Grave { tombstone, generation: self.generation() };
        Self { exists: false, grave: Some(grave), ..Self::new(self.name) }
    }

    /// The generation of the last snapshot that there ever was; 0 if there never was any.
    pub fn generation(&self) -> u32 {
        let grave = self.grave.as_ref().map_or(0, |grave| grave.generation);
        self.current.map_or(grave, |current| current.generation)
    }
}

/// Records on their way into the journal: all of them, or none.
#[derive(Debug, Default)]
pub struct Batch {
    body: Vec<u8>,
    records: Vec<(RecordHead, usize, usize)>,
    entries: Vec<Entry>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.body.len() + BATCH_HEAD
    }

    pub fn update(&mut self, doc: u64, seq: Seq, record: &Record) {
        let author = record.author.0.as_bytes();
        self.add(RecordHead { kind: Kind::Update, doc, seq: seq.0 }, |body| {
            body.put_u64_le(record.at.0);
            body.put_u32_le(author.len() as u32);
            body.extend_from_slice(author);
            body.extend_from_slice(&record.update);
        });
    }

    pub fn entry(&mut self, doc: u64, version: u64, entry: Entry) {
        self.add(RecordHead { kind: Kind::Entry, doc, seq: version }, |body| encode_entry(&entry, body));
        self.entries.push(entry);
    }

    /// The entries among its records, in their order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub fn freed(&mut self, segment: u32) {
        self.add(RecordHead { kind: Kind::Freed, doc: 0, seq: u64::from(segment) }, |_| {});
    }

    pub fn end(&mut self) {
        self.add(RecordHead { kind: Kind::End, doc: 0, seq: 0 }, |_| {});
    }

    /// A whole record as it lies elsewhere, and the entry that it is, if it's one.
    pub fn copy(&mut self, head: RecordHead, record: &[u8], entry: Option<Entry>) {
        self.entries.extend(entry);
        self.records.push((head, self.body.len(), record.len()));
        self.body.extend_from_slice(record);
    }

    fn add(&mut self, head: RecordHead, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = self.body.len();
        self.body.put_u32_le(0);
        self.body.put_u32_le(0);
        self.body.put_u8(head.kind as u8);
        self.body.put_u64_le(head.doc);
        self.body.put_u64_le(head.seq);
        payload(&mut self.body);
        let len = self.body.len() - start;
        self.body[start + 4..start + 8].copy_from_slice(&((len - RECORD_HEAD) as u32).to_le_bytes());
        let crc = crc32c::crc32c(&self.body[start + 4..]);
        self.body[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        self.records.push((head, start, len));
    }

    /// The bytes to write at `offset` of a segment, and where each record will lie.
    pub fn encode(&self, segment: Mark, number: u64, offset: u64) -> (Vec<u8>, Vec<Placed>) {
        let mut bytes = Vec::with_capacity(self.bytes());
        bytes.extend_from_slice(BATCH_MAGIC);
        bytes.put_u32_le(self.body.len() as u32);
        bytes.put_u64_le(number);
        bytes.put_u64_le(segment.salt);
        bytes.put_u32_le(self.records.len() as u32);
        bytes.put_u32_le(crc32c::crc32c(&bytes));
        bytes.extend_from_slice(&self.body);
        let placed = self.records.iter().map(|(head, start, len)| {
            let offset = (offset as usize + BATCH_HEAD + start) as u32;
            Placed { head: *head, place: Place { segment: segment.number, offset, len: *len as u32 } }
        });
        (bytes, placed.collect())
    }
}

/// Reads little-endian numbers from the front; `None` at the end.
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}

/// What tells a segment's batches from all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub number: u32,
    /// Drawn at random, so that nobody can write an update that looks like a batch.
    pub salt: u64,
}

/// The front of a segment: which one it is, how long it was made, and which others there were then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    pub format: u32,
    pub mark: Mark,
    /// The file had so many bytes when it was made. It's shorter only once it's complete, or if it was cut.
    pub allocated: u64,
    pub others: Vec<u32>,
}

impl SegmentHead {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = SEGMENT_MAGIC.to_vec();
        bytes.put_u32_le(self.format);
        bytes.put_u32_le(self.mark.number);
        bytes.put_u64_le(self.mark.salt);
        bytes.put_u64_le(self.allocated);
        bytes.put_u32_le(self.others.len() as u32);
        self.others.iter().for_each(|other| bytes.put_u32_le(*other));
        bytes.put_u32_le(crc32c::crc32c(&bytes));
        bytes
    }

    /// The head and its length in bytes.
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut cursor = Cursor(bytes);
        let (is_ours, format) = (cursor.take(8)? == SEGMENT_MAGIC, cursor.u32()?);
        let mark = Mark { number: cursor.u32()?, salt: cursor.u64()? };
        let (allocated, count) = (cursor.u64()?, cursor.u32()? as usize);
        if !is_ours || !(OLDEST_FORMAT..=FORMAT).contains(&format) || count > cursor.0.len() / 4 {
            return None;
        }
        let others = (0..count).map(|_| cursor.u32()).collect::<Option<Vec<_>>>()?;
        let len = bytes.len() - cursor.0.len();
        (cursor.u32()? == crc32c::crc32c(&bytes[..len])).then_some((Self { format, mark, allocated, others }, len + 4))
    }
}

/// The front of a batch.
struct BatchHead {
    body: usize,
    number: u64,
    count: usize,
}

fn batch_head(bytes: &[u8], segment: Mark) -> Option<BatchHead> {
    let head = bytes.get(..BATCH_HEAD)?;
    let mut cursor = Cursor(head);
    let is_ours = cursor.take(4)? == BATCH_MAGIC;
    let (body, number, salt, count) = (cursor.u32()? as usize, cursor.u64()?, cursor.u64()?, cursor.u32()? as usize);
    let is_whole = cursor.u32()? == crc32c::crc32c(&head[..BATCH_HEAD - 4]);
    (is_ours && is_whole && salt == segment.salt).then_some(BatchHead { body, number, count })
}

/// A record with its payload, if the bytes are one, whole and unharmed.
pub fn record(bytes: &[u8]) -> Option<(RecordHead, &[u8])> {
    let mut cursor = Cursor(bytes);
    let (crc, len) = (cursor.u32()?, cursor.u32()? as usize);
    let head = RecordHead { kind: Kind::of(cursor.u8()?)?, doc: cursor.u64()?, seq: cursor.u64()? };
    let payload = cursor.take(len)?;
    (crc32c::crc32c(&bytes[4..RECORD_HEAD + len]) == crc).then_some((head, payload))
}

/// An update record's payload.
pub fn decode_update(payload: &[u8]) -> Option<Record> {
    let mut cursor = Cursor(payload);
    let at = WallTime(cursor.u64()?);
    let author = cursor.u32()? as usize;
    let author = Identity::from(std::str::from_utf8(cursor.take(author)?).ok()?);
    Some(Record { update: Bytes::copy_from_slice(cursor.0), author, at })
}

fn encode_entry(entry: &Entry, body: &mut Vec<u8>) {
    body.put_u32_le(entry.name.as_str().len() as u32);
    body.extend_from_slice(entry.name.as_str().as_bytes());
    for pointer in [&entry.current, &entry.previous] {
        body.put_u8(u8::from(pointer.is_some()));
        if let Some(pointer) = pointer {
            body.put_u32_le(pointer.generation);
            body.put_u64_le(pointer.through.0);
            body.put_u64_le(pointer.len);
            body.extend_from_slice(&pointer.hash);
            body.put_u32_le(pointer.volume);
            body.put_u64_le(pointer.packed);
        }
    }
    body.put_u8(u8::from(entry.exists));
    body.put_u8(durability_byte(entry.durability));
    body.put_u8(u8::from(entry.grave.is_some()));
    if let Some(Grave { tombstone, generation }) = &entry.grave {
        body.put_u32_le(*generation);
        body.put_u32_le(tombstone.incarnation);
        body.put_u64_le(tombstone.through.0);
        body.put_u32_le(tombstone.clients.len() as u32);
        tombstone.clients.iter().for_each(|client| body.put_u64_le(client.0));
    }
}

/// An entry record's payload, as a segment of this format holds it.
pub fn decode_entry(format: u32, payload: &[u8]) -> Option<Entry> {
    let mut cursor = Cursor(payload);
    let len = cursor.u32()? as usize;
    let name = DocName::new(std::str::from_utf8(cursor.take(len)?).ok()?).ok()?;
    let (current, previous) = (decode_pointer(format, &mut cursor)?, decode_pointer(format, &mut cursor)?);
    let entry = Entry { current, previous, ..Entry::new(name) };
    if format == 1 {
        return Some(entry);
    }
    let exists = cursor.u8()? == 1;
    let durability = durability_of(cursor.u8()?)?;
    let grave = if cursor.u8()? == 1 { Some(decode_grave(&mut cursor)?) } else { None };
    Some(Entry { exists, durability, grave, ..entry })
}

fn decode_pointer(format: u32, cursor: &mut Cursor<'_>) -> Option<Option<Pointer>> {
    if cursor.u8()? == 0 {
        return Some(None);
    }
    let (generation, through, len) = (cursor.u32()?, Seq(cursor.u64()?), cursor.u64()?);
    let hash = cursor.take(HASH_BYTES)?.try_into().ok()?;
    let (volume, packed) = if format == 1 { (0, len) } else { (cursor.u32()?, cursor.u64()?) };
    Some(Some(Pointer { generation, through, len, hash, volume, packed }))
}

fn decode_grave(cursor: &mut Cursor<'_>) -> Option<Grave> {
    let (generation, incarnation, through) = (cursor.u32()?, cursor.u32()?, Seq(cursor.u64()?));
    let count = cursor.u32()?;
    let clients = (0..count).map(|_| cursor.u64().map(ClientId)).collect::<Option<_>>()?;
    Some(Grave { tombstone: Tombstone { incarnation, through, clients }, generation })
}

/// What a walk over a segment found.
#[derive(Debug)]
pub struct Scan {
    pub records: Vec<Placed>,
    /// Through here all was durable before more was written. A start writes the last batch again together with the end.
    pub settled: usize,
    /// Where the last whole batch ends.
    pub end: usize,
    /// The number that the next batch would have.
    pub next: Option<u64>,
    /// Whether the segment says that it's complete.
    pub is_complete: bool,
    /// Behind what can't be read lies a later batch: so it was whole once, and no torn write.
    pub is_damaged: bool,
}

/// Walks over a segment's batches, as far as they're whole.
pub fn scan(bytes: &[u8], segment: Mark, start: usize) -> Scan {
    let mut scan =
        Scan { records: Vec::new(), settled: start, end: start, next: None, is_complete: false, is_damaged: false };
    while let Some((number, end)) = scan_batch(bytes, segment, scan.end, scan.next, &mut scan.records) {
        scan.next = Some(number + 1);
        scan.is_complete = scan.records.last().is_some_and(|record| record.head.kind == Kind::End);
        if !scan.is_complete {
            scan.settled = scan.end;
        }
        scan.end = end;
        if scan.is_complete {
            return scan;
        }
    }
    scan.is_damaged = holds_later_batch(&bytes[scan.end..], segment, scan.next);
    scan
}

fn scan_batch(
    bytes: &[u8],
    segment: Mark,
    start: usize,
    expected: Option<u64>,
    records: &mut Vec<Placed>,
) -> Option<(u64, usize)> {
    let head = batch_head(bytes.get(start..)?, segment).filter(|head| expected.is_none_or(|it| it == head.number))?;
    let end = start + BATCH_HEAD + head.body;
    let mut body = bytes.get(start + BATCH_HEAD..end)?;
    let before = records.len();
    for _ in 0..head.count {
        let Some((record_head, payload)) = record(body) else {
            records.truncate(before);
            return None;
        };
        let (len, offset) = (RECORD_HEAD + payload.len(), end - body.len());
        records.push(Placed {
            head: record_head,
            place: Place { segment: segment.number, offset: offset as u32, len: len as u32 },
        });
        body = &body[len..];
    }
    Some((head.number, end))
}

/// A batch is written only once the one before it is durable.
fn holds_later_batch(bytes: &[u8], segment: Mark, torn: Option<u64>) -> bool {
    let is_later = |at: usize| {
        let Some(head) = batch_head(&bytes[at..], segment) else { return false };
        match torn {
            Some(torn) => head.number > torn,
            // The first batch can't be read, so any that isn't the one at the front was written after it.
            None => at > 0,
        }
    };
    let step = BATCH_MAGIC[0];
    (0..bytes.len().saturating_sub(BATCH_HEAD - 1)).any(|at| bytes[at] == step && is_later(at))
}
