//! The index of a complete segment, in a file beside it: what it holds, and where. It names the documents whose records are
//! damaged, and saves reading the segment at the start. Entries of the catalogue stand in it whole.

use bytes::BufMut;

use super::segment::{Cursor, FORMAT, Kind, OLDEST_FORMAT, Place, Placed, RecordHead};

const MAGIC: &[u8; 8] = b"ymeshidx";

/// What a complete segment holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    /// The segment's format.
    pub format: u32,
    pub segment: u32,
    /// Bytes of the segment that count.
    pub len: u64,
    /// The segments that were there when this one was made.
    pub others: Vec<u32>,
    /// The number of the batch after its last.
    pub next: u64,
    pub records: Vec<Placed>,
    /// The catalogue's entries among the records, as whole records.
    pub entries: Vec<Vec<u8>>,
}

impl Index {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.put_u32_le(self.format);
        bytes.put_u32_le(self.segment);
        bytes.put_u64_le(self.len);
        bytes.put_u64_le(self.next);
        bytes.put_u32_le(self.others.len() as u32);
        self.others.iter().for_each(|other| bytes.put_u32_le(*other));
        bytes.put_u32_le(self.records.len() as u32);
        for Placed { head, place } in &self.records {
            bytes.put_u8(head.kind as u8);
            bytes.put_u64_le(head.doc);
            bytes.put_u64_le(head.seq);
            bytes.put_u32_le(place.offset);
            bytes.put_u32_le(place.len);
        }
        bytes.put_u32_le(self.entries.len() as u32);
        for entry in &self.entries {
            bytes.put_u32_le(entry.len() as u32);
            bytes.extend_from_slice(entry);
        }
        bytes.put_u32_le(crc32c::crc32c(&bytes));
        bytes
    }

    /// The index, if the bytes are one, whole and unharmed.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut cursor = Cursor(body);
        let (is_ours, format) = (cursor.take(8)? == MAGIC, cursor.u32()?);
        if !is_ours || !(OLDEST_FORMAT..=FORMAT).contains(&format) {
            return None;
        }
        let (segment, len, next) = (cursor.u32()?, cursor.u64()?, cursor.u64()?);
        let others = (0..cursor.u32()?).map(|_| cursor.u32()).collect::<Option<_>>()?;
        let count = cursor.u32()?;
        let placed = |cursor: &mut Cursor<'_>| {
            let head = RecordHead { kind: Kind::of(cursor.u8()?)?, doc: cursor.u64()?, seq: cursor.u64()? };
            Some(Placed { head, place: Place { segment, offset: cursor.u32()?, len: cursor.u32()? } })
        };
        let records = (0..count).map(|_| placed(&mut cursor)).collect::<Option<_>>()?;
        let entry = |cursor: &mut Cursor<'_>| {
            let len = cursor.u32()? as usize;
            cursor.take(len).map(<[u8]>::to_vec)
        };
        let entries = (0..cursor.u32()?).map(|_| entry(&mut cursor)).collect::<Option<_>>()?;
        Some(Self { format, segment, len, others, next, records, entries })
    }
}
