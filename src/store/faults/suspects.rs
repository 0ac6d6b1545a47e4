//! What was in flight when the process ended: suspected until it was taken alone and nothing happened. A file that is written anew
//! whenever that changes, which is seldom.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `ymeshsus` |
//! | u32 | version |
//! | u32, each | how many messages, and the 16 bytes of each one's hash, oldest first |
//! | u32, each | how many documents whose load is suspected, and the name of each, u32 bytes and UTF-8 |
//! | u32 | crc of all before |

use std::collections::BTreeSet;
use std::io;

use super::{Decoder, Encoder, Folder, begins};
use crate::id::{DocName, MessageHash};
use crate::store::StoreError;

const NAME: &str = "suspects";
const MAGIC: [u8; 8] = *b"ymeshsus";
const VERSION: u32 = 1;
/// Of more, the oldest are let go: most of them are honest, and come again as part of something else.
const MESSAGES_MAX: usize = 10_000;

/// Messages and documents that are suspected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspects {
    /// What was in flight, oldest first.
    pub messages: Vec<MessageHash>,
    /// What was being loaded.
    pub documents: BTreeSet<DocName>,
}

impl Suspects {
    /// Reads what was kept. A file that isn't one holds nothing.
    ///
    /// # Errors
    /// If the file can't be read, or a newer version wrote it.
    pub fn read(folder: &Folder) -> Result<Self, StoreError> {
        let bytes = folder.read(NAME)?.unwrap_or_default();
        let is_ours = begins(folder, NAME, &bytes, MAGIC, VERSION)?;
        Ok(is_ours.then(|| Self::decode(&bytes)).flatten().unwrap_or_default())
    }

    /// Keeps them.
    ///
    /// # Errors
    /// Those of the file system. What was kept before is still there.
    pub fn write(&self, folder: &Folder, is_synced: bool) -> io::Result<()> {
        folder.write(NAME, &self.encode(), is_synced)
    }

    /// Adds a message, if it isn't among them.
    pub fn add(&mut self, hash: MessageHash) {
        if !self.messages.contains(&hash) {
            self.messages.push(hash);
        }
        let surplus = self.messages.len().saturating_sub(MESSAGES_MAX);
        self.messages.drain(..surplus);
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::beginning(MAGIC, VERSION).bytes(&(self.messages.len() as u32).to_le_bytes());
        for hash in &self.messages {
            out = out.bytes(&hash.0);
        }
        out = out.bytes(&(self.documents.len() as u32).to_le_bytes());
        for name in &self.documents {
            out = out.text(name.as_str());
        }
        out.sealed()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::unsealed(bytes)?;
        decoder.take(MAGIC.len() + size_of_val(&VERSION))?;
        let mut suspects = Self::default();
        for _ in 0..decoder.u32()? {
            suspects.messages.push(MessageHash(decoder.array()?));
        }
        for _ in 0..decoder.u32()? {
            suspects.documents.insert(decoder.text()?.parse().ok()?);
        }
        decoder.is_empty().then_some(suspects)
    }
}
