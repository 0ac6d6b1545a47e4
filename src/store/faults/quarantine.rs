//! What is never taken again, a file each in the folder `quarantine`: messages that yrs has failed over, under their hash and
//! `.message`, and documents whose load has ended the process twice, under the hash of their name and `.document`. Who removes a
//! file lifts that.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `ymeshqua` |
//! | u32 | version |
//! | u8 | 1 message, 2 document |
//! | u64 | milliseconds since 1970 |
//! | u32, … | bytes of the document's name, and the name |
//! | u32, … | bytes of what the access hook called the sender, and that |
//! | u32, … | bytes of a sentence that says why, and the sentence |
//! | u64, … | bytes of the message in y-protocols' frames, and the message; of a document 0 |
//! | u32 | crc of all before |

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Decoder, Encoder, Folder, begins};
use crate::document::WallTime;
use crate::id::{DocName, Identity, MessageHash};
use crate::store::StoreError;

/// How the name of a message's file ends.
const MESSAGE: &str = ".message";
const NAME: &str = "quarantine";
const MAGIC: [u8; 8] = *b"ymeshqua";
const VERSION: u32 = 1;

/// One file of the quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// When it came here.
    pub at: WallTime,
    /// The document that it was for, or that isn't loaded.
    pub document: DocName,
    /// Who sent it, as the access hook said.
    pub identity: Identity,
    /// Why it's here.
    pub why: String,
    /// The message in y-protocols' frames; `None` of a document.
    pub message: Option<Bytes>,
}

/// How much the folder may hold. Of more, the oldest is removed.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Files.
    pub files_max: usize,
    /// Bytes of all of them.
    pub bytes_max: u64,
}

/// The folder, for one process.
#[derive(Debug)]
pub struct Quarantine {
    folder: Folder,
    room: Room,
    files: Mutex<BTreeMap<String, File>>,
}

#[derive(Clone, Debug)]
struct File {
    at: WallTime,
    bytes: u64,
}

impl Quarantined {
    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let message = self.message.as_deref().unwrap_or_default();
        Encoder::beginning(MAGIC, VERSION)
            .bytes(&[if self.message.is_some() { 1 } else { 2 }])
            .bytes(&self.at.0.to_le_bytes())
            .text(self.document.as_str())
            .text(&self.identity.0)
            .text(&self.why)
            .bytes(&(message.len() as u64).to_le_bytes())
            .bytes(message)
            .sealed()
    }

    /// Whether bytes begin as such a file does.
    pub fn is_begun_by(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// Reads a file of this version; `None` if it's another's, or damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::unsealed(bytes)?;
        let is_ours = decoder.array()? == MAGIC && decoder.u32()? == VERSION;
        let (kind, at) = (decoder.u8()?, WallTime(decoder.u64()?));
        let (document, identity) = (decoder.text()?.parse().ok()?, decoder.text()?.into());
        let why = decoder.text()?.to_owned();
        let length = usize::try_from(decoder.u64()?).ok()?;
        let message = decoder.take(length)?;
        let message = match kind {
            1 => Some(Bytes::copy_from_slice(message)),
            2 => None,
            _ => return None,
        };
        (is_ours && decoder.is_empty()).then_some(Self { at, document, identity, why, message })
    }
}

impl Quarantine {
    /// Opens the folder beside a store's documents, and makes it if it isn't there. Gives the hashes of the messages in it,
    /// oldest first.
    ///
    /// # Errors
    /// If the folder can't be made or read, or a newer version wrote a file in it.
    pub fn open(beside: &Folder, room: Room) -> Result<(Self, Vec<MessageHash>), StoreError> {
        let folder = beside.below(NAME);
        folder.create()?;
        let mut files = BTreeMap::new();
        for name in folder.file_system.list(&folder.path)? {
            let name = name.to_string_lossy().into_owned();
            if name.ends_with(".new") {
                folder.remove(&name)?;
            }
            if name.ends_with(".message") || name.ends_with(".document") {
                let bytes = folder.read(&name)?.unwrap_or_default();
                begins(&folder, &name, &bytes, MAGIC, VERSION)?;
                // What can't be read in it can't be shown, and its name is enough to refuse it.
                let at = Quarantined::decode(&bytes).map(|it| it.at).unwrap_or_default();
                files.insert(name, File { at, bytes: bytes.len() as u64 });
            }
        }
        let mut hashes: Vec<_> = files.iter().filter_map(|(name, file)| Some((file.at, hash_in(name)?))).collect();
        hashes.sort_unstable();
        let quarantine = Self { folder, room, files: Mutex::new(files) };
        Ok((quarantine, hashes.into_iter().map(|(_, hash)| hash).collect()))
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a message is kept.
    pub fn path_of_message(&self, hash: MessageHash) -> PathBuf {
        self.folder.path.join(message_name(hash))
    }

    /// Where it's said that a document isn't loaded.
    pub fn path_of_document(&self, name: &DocName) -> PathBuf {
        self.folder.path.join(document_name(name))
    }

    /// Keeps a message, in the place of what has its hash. It outlives the process; not being synced, maybe not a power cut.
    ///
    /// # Errors
    /// Those of the file system. It isn't kept then.
    pub fn put_message(&self, hash: MessageHash, it: &Quarantined) -> io::Result<()> {
        self.put(message_name(hash), it)
    }

    /// Says that a document isn't to be loaded.
    ///
    /// # Errors
    /// Those of the file system. It isn't said then.
    pub fn put_document(&self, it: &Quarantined) -> io::Result<()> {
        self.put(document_name(&it.document), it)
    }

    fn put(&self, name: String, it: &Quarantined) -> io::Result<()> {
        let bytes = it.encode();
        let mut files = self.files();
        self.folder.write(&name, &bytes, false)?;
        files.insert(name.clone(), File { at: it.at, bytes: bytes.len() as u64 });
        self.make_room(&mut files, &name)
    }

    /// Removes the oldest until there's room; not what has just come.
    fn make_room(&self, files: &mut BTreeMap<String, File>, newest: &str) -> io::Result<()> {
        let is_message = |(name, _): &(&String, &File)| name.ends_with(MESSAGE);
        loop {
            // What says that a document isn't to be loaded is small, and stays.
            let messages: Vec<_> = files.iter().filter(is_message).collect();
            let bytes: u64 = messages.iter().map(|(_, file)| file.bytes).sum();
            if messages.len() <= self.room.files_max && bytes <= self.room.bytes_max {
                return Ok(());
            }
            let others = messages.into_iter().filter(|(name, _)| *name != newest);
            let Some((_, oldest)) = others.map(|(name, file)| (file.at, name.clone())).min() else { return Ok(()) };
            self.folder.remove(&oldest)?;
            files.remove(&oldest);
        }
    }

    /// Lets a message go that nothing came of, durably: a power cut must not bring it back.
    ///
    /// # Errors
    /// Those of the file system. At the next start it may be refused.
    pub fn remove_message(&self, hash: MessageHash) -> io::Result<()> {
        self.remove(&message_name(hash))
    }

    /// Lets a document go whose load came to nothing bad.
    ///
    /// # Errors
    /// Those of the file system. At the next start it may not be loaded.
    pub fn remove_document(&self, name: &DocName) -> io::Result<()> {
        self.remove(&document_name(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)?;
        self.files().remove(name);
        self.folder.file_system.sync_directory(&self.folder.path)
    }

    /// Whether it's said that a document isn't to be loaded, now: somebody may have removed the file.
    pub fn holds_document(&self, name: &DocName) -> bool {
        let file = document_name(name);
        self.files().contains_key(&file) && self.folder.file_system.exists(&self.folder.path.join(file)).unwrap_or(true)
    }
}

fn message_name(hash: MessageHash) -> String {
    format!("{hash}{MESSAGE}")
}

fn document_name(name: &DocName) -> String {
    let hash = blake3::hash(name.as_str().as_bytes());
    format!("{}.document", &hash.to_hex()[..32])
}

fn hash_in(name: &str) -> Option<MessageHash> {
    MessageHash::parse(name.strip_suffix(".message")?)
}
