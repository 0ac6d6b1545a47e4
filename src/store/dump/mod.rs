//! Documents as bytes, with all that a store keeps of them: how a backup comes over a wire. `docs/disk-format.md` draws it.
//!
//! A dump is a head, then items, and at last one that says how many there were. Each item carries a hash of itself. So what
//! was cut off, changed or left out on the way is noticed.

mod decode;
mod encode;

use std::mem::size_of;

pub use decode::Decoder;
pub use encode::{Encoded, head};

use crate::document::Stored;
use crate::id::DocName;

const MAGIC: &[u8; 8] = b"ymeshdmp";
const VERSION: u32 = 1;
/// Bytes in front of the first item.
const HEAD: usize = MAGIC.len() + size_of::<u32>();
/// Bytes in front of an item's content: kind, length, checksum of both.
const ITEM_HEAD: usize = 13;
const HASH_BYTES: usize = 32;

/// Kinds of items.
const DOCUMENT: u8 = 1;
const DAMAGED: u8 = 2;
const END: u8 = 3;
const STOPPED: u8 = 4;

/// The hash of a document and all that is kept of it: equal if nothing is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; HASH_BYTES]);

/// What a dump holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A document.
    Document {
        /// Its name.
        name: DocName,
        /// All that is kept of it.
        stored: Stored,
        /// The hash of both.
        fingerprint: Fingerprint,
        /// Bytes of the item.
        bytes: usize,
    },
    /// A document that couldn't be read where the dump was made.
    Damaged {
        /// Its name.
        name: DocName,
        /// What is wrong with it.
        why: String,
    },
    /// That was all.
    End {
        /// So many documents came before.
        documents: u64,
        /// So many damaged ones did.
        damaged: u64,
    },
    /// Who made the dump gave up.
    Stopped {
        /// Why.
        why: String,
    },
}

/// Why bytes are no dump. What was decoded before is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// It doesn't begin as a dump does.
    #[error("it's no dump of documents")]
    Foreign,
    /// Another version of y-mesh made it.
    #[error("it's a dump of version {0}, and this y-mesh reads version {VERSION}")]
    Version(u32),
    /// An item isn't what was written.
    #[error("it was changed on its way: {what} of item {item}")]
    Changed {
        /// Which one, counted from 1.
        item: u64,
        /// What can't be right.
        what: &'static str,
    },
    /// Items are missing, or there are more than there should be.
    #[error("{came} documents came, and it says that there are {said}")]
    Count {
        /// So many came, damaged ones included.
        came: u64,
        /// So many should have.
        said: u64,
    },
    /// It stops before its end.
    #[error("it was cut off after {0} documents")]
    CutOff(u64),
}

/// The front of an item: its length is checked before anything is done with it.
fn item_head(kind: u8, len: u64) -> [u8; ITEM_HEAD] {
    let mut head = [kind; ITEM_HEAD];
    head[1..9].copy_from_slice(&len.to_le_bytes());
    let crc = crc32c::crc32c(&head[..9]);
    head[9..].copy_from_slice(&crc.to_le_bytes());
    head
}
