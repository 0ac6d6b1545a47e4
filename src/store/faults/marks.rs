//! What is in flight: before something is done that could end the process, one unsynced write says what it is, and one says when
//! it's done. The system keeps what was written when the process is killed, which is all that it's for.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `ymeshmrk` |
//! | u32 | version |
//! | … | zeros up to 4,096; then places of 8,192 bytes each, of which the first need not be used |
//!
//! A place:
//!
//! | bytes | what |
//! |---|---|
//! | u8 | 0 nothing, 1 messages, 2 a load |
//! | u32 | crc of all that follows |
//! | u16, … | bytes of the document's name, and the name |
//! | u16 | how many messages; of a load 0 |
//! | 16 each | their hashes |

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Decoder, Encoder, Folder, begins};
use crate::id::{DocName, MessageHash};
use crate::store::StoreError;
use crate::store::file_system::FileHandle;

const NAME: &str = "in-flight";
const MAGIC: [u8; 8] = *b"ymeshmrk";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 4_096;
const PLACE_BYTES: usize = 8_192;
/// Messages in one mark: as many as a place has room for beside the longest name.
pub const MESSAGES_MAX: usize = 480;

/// Something that could end the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// Messages that are handed to a document.
    Messages {
        /// Which document.
        document: DocName,
        /// What they'd change, each.
        hashes: Vec<MessageHash>,
    },
    /// A document that is loaded.
    Load(DocName),
}

/// The file of marks. Clones of what they give out may be dropped by any thread.
#[derive(Debug)]
pub struct Marks {
    file: Arc<dyn FileHandle>,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    free: Vec<u64>,
    count: u64,
}

/// Says until it's dropped that something is in flight.
#[derive(Debug)]
pub struct Mark {
    marks: Arc<Marks>,
    place: u64,
}

/// What was in flight when the process ended that had the folder before.
///
/// # Errors
/// If the file can't be read, or a newer version wrote it. A file that isn't one says nothing.
pub fn found(folder: &Folder) -> Result<Vec<InFlight>, StoreError> {
    let bytes = folder.read(NAME)?.unwrap_or_default();
    if !begins(folder, NAME, &bytes, MAGIC, VERSION)? {
        return Ok(Vec::new());
    }
    Ok(bytes.get(HEAD_BYTES..).unwrap_or_default().chunks(PLACE_BYTES).filter_map(InFlight::decode).collect())
}

impl Marks {
    /// Begins the file anew, with nothing in flight.
    ///
    /// # Errors
    /// Those of the file system. What was found before may be gone.
    pub fn create(folder: &Folder) -> io::Result<Arc<Self>> {
        let file = folder.file_system.create(&folder.path.join(NAME))?;
        file.write_at(&Encoder::beginning(MAGIC, VERSION).0, 0)?;
        Ok(Arc::new(Self { file, places: Mutex::default() }))
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something is in flight, until what is given back is dropped. Of more than [`MESSAGES_MAX`] messages the rest
    /// is left out.
    ///
    /// # Errors
    /// Those of the file system. It isn't said then, and what was said before is.
    pub fn set(self: &Arc<Self>, what: &InFlight) -> io::Result<Mark> {
        let place = {
            let mut places = self.places();
            places.free.pop().unwrap_or_else(|| {
                places.count += 1;
                places.count - 1
            })
        };
        // From here on the place is given back, whatever happens.
        let mark = Mark { marks: self.clone(), place };
        self.file.write_at(&what.encode(), mark.offset())?;
        Ok(mark)
    }
}

impl Mark {
    fn offset(&self) -> u64 {
        HEAD_BYTES as u64 + self.place * PLACE_BYTES as u64
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Err(error) = self.marks.file.write_at(&[0], self.offset()) {
            // At worst, what was in flight is suspected at the next start, and harmed by nothing but that.
            tracing::warn!(%error, "what was in flight can't be marked as done");
        }
        self.marks.places().free.push(self.place);
    }
}

impl InFlight {
    fn encode(&self) -> Vec<u8> {
        let (kind, document, hashes): (_, _, &[_]) = match self {
            Self::Messages { document, hashes } => (1, document, &hashes[..hashes.len().min(MESSAGES_MAX)]),
            Self::Load(document) => (2, document, &[]),
        };
        let name = document.as_str().as_bytes();
        let mut body = Vec::with_capacity(4 + name.len() + 16 * hashes.len());
        body.extend_from_slice(&(name.len() as u16).to_le_bytes());
        body.extend_from_slice(name);
        body.extend_from_slice(&(hashes.len() as u16).to_le_bytes());
        hashes.iter().for_each(|hash| body.extend_from_slice(&hash.0));
        Encoder::default().bytes(&[kind]).bytes(&crc32c::crc32c(&body).to_le_bytes()).bytes(&body).0
    }

    fn decode(place: &[u8]) -> Option<Self> {
        let mut decoder = Decoder(place);
        let (kind, crc, body) = (decoder.u8()?, decoder.u32()?, decoder.0);
        let count = |decoder: &mut Decoder<'_>| Some(usize::from(u16::from_le_bytes(decoder.array()?)));
        let length = count(&mut decoder)?;
        let document = std::str::from_utf8(decoder.take(length)?).ok()?.parse().ok()?;
        let messages = count(&mut decoder)?;
        let hashes: Vec<_> = (0..messages).map_while(|_| decoder.array().map(MessageHash)).collect();
        let is_whole = hashes.len() == messages && crc32c::crc32c(&body[..body.len() - decoder.0.len()]) == crc;
        match kind {
            1 if is_whole => Some(Self::Messages { document, hashes }),
            2 if is_whole => Some(Self::Load(document)),
            _ => None,
        }
    }
}
