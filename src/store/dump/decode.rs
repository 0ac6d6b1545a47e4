//! From bytes to documents. Whatever the bytes are, this ends, and takes no more memory than came.

use bytes::{Buf, Bytes, BytesMut};

use super::{
    DAMAGED, DOCUMENT, DumpError, END, Fingerprint, HASH_BYTES, HEAD, ITEM_HEAD, Item, MAGIC, STOPPED, VERSION,
    item_head,
};
use crate::document::{Record, Stored, Tombstone, WallTime};
use crate::id::{ClientId, DocName, Identity, Seq};
use crate::store::durability_of;

/// The longest content that is read. A store couldn't take a longer one either.
const CONTENT_BYTES_MAX: u64 = 2 << 30;
/// No journal gets so far, and from positions far beyond nobody could count on.
const POSITION_MAX: u64 = u64::MAX >> 1;

/// Reads a dump that comes in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    waiting: BytesMut,
    has_begun: bool,
    has_ended: bool,
    documents: u64,
    damaged: u64,
}

impl Decoder {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        self.waiting.extend_from_slice(piece);
    }

    /// The next item, if all of it came.
    ///
    /// # Errors
    /// If what came is no dump; then nothing more can be read of it.
    pub fn item(&mut self) -> Result<Option<Item>, DumpError> {
        if !self.has_begun && !self.begin()? {
            return Ok(None);
        }
        if self.has_ended && !self.waiting.is_empty() {
            return Err(self.changed("what stands behind the end"));
        }
        let Some((kind, item)) = self.whole()? else { return Ok(None) };
        let item = decode(kind, item).map_err(|what| self.changed(what))?;
        self.count(&item)?;
        Ok(Some(item))
    }

    /// To be called when nothing more comes.
    ///
    /// # Errors
    /// If something is missing.
    pub fn finish(&self) -> Result<(), DumpError> {
        match self.has_ended && self.waiting.is_empty() {
            true => Ok(()),
            false => Err(DumpError::CutOff(self.documents)),
        }
    }

    fn begin(&mut self) -> Result<bool, DumpError> {
        let there = self.waiting.len().min(MAGIC.len());
        if self.waiting[..there] != MAGIC[..there] {
            return Err(DumpError::Foreign);
        }
        if self.waiting.len() < HEAD {
            return Ok(false);
        }
        self.waiting.advance(MAGIC.len());
        self.has_begun = true;
        match self.waiting.get_u32_le() {
            VERSION => Ok(true),
            other => Err(DumpError::Version(other)),
        }
    }

    /// Takes the bytes of the next item, if they're all there. Its front is checked first, so that nobody waits for what
    /// never comes.
    fn whole(&mut self) -> Result<Option<(u8, Bytes)>, DumpError> {
        let Some(head) = self.waiting.first_chunk::<ITEM_HEAD>().copied() else { return Ok(None) };
        let (kind, len) = (head[0], u64::from_le_bytes(std::array::from_fn(|at| head[1 + at])));
        if item_head(kind, len) != head || len > CONTENT_BYTES_MAX {
            return Err(self.changed("the front"));
        }
        let whole = ITEM_HEAD + len as usize + HASH_BYTES;
        if self.waiting.len() < whole {
            return Ok(None);
        }
        Ok(Some((kind, self.waiting.split_to(whole).freeze())))
    }

    fn count(&mut self, item: &Item) -> Result<(), DumpError> {
        match item {
            Item::Document { .. } => self.documents += 1,
            Item::Damaged { .. } => self.damaged += 1,
            Item::Stopped { .. } => self.has_ended = true,
            Item::End { documents, damaged } if (*documents, *damaged) == (self.documents, self.damaged) => {
                self.has_ended = true;
            }
            Item::End { documents, damaged } => {
                let (came, said) = (self.documents + self.damaged, documents.saturating_add(*damaged));
                return Err(DumpError::Count { came, said });
            }
        }
        Ok(())
    }

    fn changed(&self, what: &'static str) -> DumpError {
        DumpError::Changed { item: self.documents + self.damaged + 1, what }
    }
}

/// Reads an item of which all bytes are there. The error is what can't be right of it.
fn decode(kind: u8, mut item: Bytes) -> Result<Item, &'static str> {
    let bytes = item.len();
    let hash = item.split_off(bytes - HASH_BYTES);
    let fingerprint = Fingerprint(*blake3::hash(&item).as_bytes());
    if hash != fingerprint.0[..] {
        return Err("the hash");
    }
    let mut content = Content(item.split_off(ITEM_HEAD));
    let item = match kind {
        DOCUMENT => content.document(fingerprint, bytes),
        DAMAGED => content.damaged(),
        END => content.end(),
        STOPPED => content.text().map(|why| Item::Stopped { why }),
        _ => None,
    };
    item.filter(|_| content.0.is_empty()).ok_or("the content")
}

/// What is left of an item's content.
struct Content(Bytes);

impl Content {
    fn document(&mut self, fingerprint: Fingerprint, bytes: usize) -> Option<Item> {
        Some(Item::Document { name: self.name()?, stored: self.stored()?, fingerprint, bytes })
    }

    fn damaged(&mut self) -> Option<Item> {
        Some(Item::Damaged { name: self.name()?, why: self.text()? })
    }

    fn end(&mut self) -> Option<Item> {
        Some(Item::End { documents: self.u64()?, damaged: self.u64()? })
    }

    fn take(&mut self, len: u64) -> Option<Bytes> {
        let len = usize::try_from(len).ok().filter(|len| *len <= self.0.len())?;
        Some(self.0.split_to(len))
    }

    fn u8(&mut self) -> Option<u8> {
        self.0.try_get_u8().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.0.try_get_u32_le().ok()
    }

    fn u64(&mut self) -> Option<u64> {
        self.0.try_get_u64_le().ok()
    }

    fn is_there(&mut self) -> Option<bool> {
        [false, true].get(usize::from(self.u8()?)).copied()
    }

    fn text(&mut self) -> Option<String> {
        let len = self.u32()?;
        String::from_utf8(self.take(len.into())?.into()).ok()
    }

    fn name(&mut self) -> Option<DocName> {
        DocName::new(&self.text()?).ok()
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let len = self.u64()?;
        self.take(len)
    }

    fn position(&mut self) -> Option<Seq> {
        self.u64().filter(|position| *position <= POSITION_MAX).map(Seq)
    }

    fn stored(&mut self) -> Option<Stored> {
        let exists = self.is_there()?;
        let durability = durability_of(self.u8()?)?;
        let tombstone = if self.is_there()? { Some(self.tombstone()?) } else { None };
        let snapshot = if self.is_there()? { Some((self.position()?, self.bytes()?)) } else { None };
        let mut stored = Stored { exists, durability, tombstone, snapshot, tail: Vec::new() };
        let mut last = stored.floor();
        for _ in 0..self.u64()? {
            let (seq, record) = (self.position()?, self.record()?);
            if seq != last.next() {
                return None;
            }
            last = seq;
            stored.tail.push((seq, record));
        }
        Some(stored)
    }

    fn tombstone(&mut self) -> Option<Tombstone> {
        let (incarnation, through, count) = (self.u32()?, self.position()?, self.u64()?);
        // Grows as they come, whatever the count says.
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(ClientId(self.u64()?));
        }
        Some(Tombstone { incarnation, through, clients })
    }

    fn record(&mut self) -> Option<Record> {
        let at = WallTime(self.u64()?);
        let author = Identity::from(self.text()?.as_str());
        Some(Record { update: self.bytes()?, author, at })
    }
}
