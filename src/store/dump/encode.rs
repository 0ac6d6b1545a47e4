//! From documents to bytes.

use bytes::{BufMut, Bytes, BytesMut};

use super::{DAMAGED, DOCUMENT, END, Fingerprint, HEAD, MAGIC, STOPPED, VERSION, item_head};
use crate::document::{Record, Stored, Tombstone};
use crate::id::{DocName, Seq};
use crate::store::durability_byte;

/// Larger parts are shared with who has them; smaller ones are copied, for many small parts cost more than that.
const SHARED_BYTES_MIN: usize = 16 << 10;

/// What a dump begins with.
pub fn head() -> Bytes {
    let mut head = BytesMut::with_capacity(HEAD);
    head.put_slice(MAGIC);
    head.put_u32_le(VERSION);
    head.freeze()
}

/// An item as bytes.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The bytes, in parts that follow one another. Large ones are shared with the document.
    pub parts: Vec<Bytes>,
    /// The hash that the item carries.
    pub fingerprint: Fingerprint,
}

impl Encoded {
    /// A document, with everything that is kept of it.
    pub fn document(name: &DocName, stored: &Stored) -> Self {
        let mut content = Content::default();
        content.text(name.as_str());
        content.last.put_u8(u8::from(stored.exists));
        content.last.put_u8(durability_byte(stored.durability));
        content.tombstone(stored.tombstone.as_ref());
        content.snapshot(stored.snapshot.as_ref());
        content.last.put_u64_le(stored.tail.len() as u64);
        stored.tail.iter().for_each(|(seq, record)| content.record(*seq, record));
        Self::new(DOCUMENT, content)
    }

    /// A document that can't be read.
    pub fn damaged(name: &DocName, why: &str) -> Self {
        let mut content = Content::default();
        content.text(name.as_str());
        content.text(why);
        Self::new(DAMAGED, content)
    }

    /// The end: so many documents, and so many damaged ones, came before.
    pub fn end(documents: u64, damaged: u64) -> Self {
        let mut content = Content::default();
        content.last.put_u64_le(documents);
        content.last.put_u64_le(damaged);
        Self::new(END, content)
    }

    /// An end before the end.
    pub fn stopped(why: &str) -> Self {
        let mut content = Content::default();
        content.text(why);
        Self::new(STOPPED, content)
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    fn new(kind: u8, content: Content) -> Self {
        let content = content.done();
        let head = item_head(kind, content.iter().map(|part| part.len() as u64).sum());
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        for part in &content {
            hasher.update(part);
        }
        let fingerprint = Fingerprint(*hasher.finalize().as_bytes());
        let hash = Bytes::copy_from_slice(&fingerprint.0);
        let parts = [Bytes::copy_from_slice(&head)].into_iter().chain(content).chain([hash]).collect();
        Self { parts, fingerprint }
    }
}

/// An item's content while it's written.
#[derive(Default)]
struct Content {
    done: Vec<Bytes>,
    last: BytesMut,
}

impl Content {
    fn text(&mut self, text: &str) {
        self.last.put_u32_le(text.len() as u32);
        self.last.put_slice(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &Bytes) {
        self.last.put_u64_le(bytes.len() as u64);
        if bytes.len() < SHARED_BYTES_MIN {
            return self.last.put_slice(bytes);
        }
        self.done.push(self.last.split().freeze());
        self.done.push(bytes.clone());
    }

    fn tombstone(&mut self, tombstone: Option<&Tombstone>) {
        self.last.put_u8(u8::from(tombstone.is_some()));
        if let Some(Tombstone { incarnation, through, clients }) = tombstone {
            self.last.put_u32_le(*incarnation);
            self.last.put_u64_le(through.0);
            self.last.put_u64_le(clients.len() as u64);
            clients.iter().for_each(|client| self.last.put_u64_le(client.0));
        }
    }

    fn snapshot(&mut self, snapshot: Option<&(Seq, Bytes)>) {
        self.last.put_u8(u8::from(snapshot.is_some()));
        if let Some((through, snapshot)) = snapshot {
            self.last.put_u64_le(through.0);
            self.bytes(snapshot);
        }
    }

    fn record(&mut self, seq: Seq, record: &Record) {
        self.last.put_u64_le(seq.0);
        self.last.put_u64_le(record.at.0);
        self.text(&record.author.0);
        self.bytes(&record.update);
    }

    fn done(mut self) -> Vec<Bytes> {
        self.done.push(self.last.freeze());
        self.done
    }
}
