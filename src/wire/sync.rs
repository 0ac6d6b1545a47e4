//! The frames of y-protocols 1.0.7, as y-websocket sends them (its `y-websocket.js`, and `sync.js`, `awareness.js`,
//! `auth.js` of y-protocols). This is what the document core speaks; other dialects are translated into it.
//!
//! | frame | bytes |
//! |---|---|
//! | SyncStep1 | `00 00` varBytes(state vector) |
//! | SyncStep2 | `00 01` varBytes(update) |
//! | Update | `00 02` varBytes(update) |
//! | Awareness | `01` varBytes(entries) |
//! | Auth: permission denied | `02 00` varString(reason) |
//! | QueryAwareness | `03` |
//! | Acknowledged | `67` varUint(durable) varUint(refused) varUint(durability): ours, only for who asked |
//!
//! Entries of awareness are varUint(n), then n times varUint(client) varUint(clock) varString(JSON); `null` says goodbye.

use bytes::Bytes;

use super::Malformed;
use super::lib0::{Reader, write_var_bytes, write_var_string, write_var_uint};
use crate::id::{ClientId, Clock};

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
pub(crate) const AUTH: u64 = 2;
const QUERY_AWARENESS: u64 = 3;
/// The type of an acknowledgement. Below 128, so that it's one byte in every implementation.
pub const ACKNOWLEDGED: u64 = 103;

const STEP_1: u64 = 0;
const STEP_2: u64 = 1;
const UPDATE: u64 = 2;

/// One frame of a message, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// "This is what I have": a state vector.
    SyncStep1(&'a [u8]),
    /// "This is what you lack": an update in answer to a state vector.
    SyncStep2(&'a [u8]),
    /// "This has changed": an update.
    Update(&'a [u8]),
    /// Awareness entries, encoded.
    Awareness(&'a [u8]),
    /// "Who is here?"
    QueryAwareness,
    /// A refusal in words. Only servers send it.
    Denied(&'a str),
    /// A type, or a sub-type of this type, that we don't know. Its length is unknown too, so the rest of the message is skipped with it.
    Unknown(u64),
}

/// The frames of one message (W1). Ends after a malformed or unknown one.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
    ended: bool,
}

impl<'a> Frames<'a> {
    /// Reads a message from its first byte.
    pub fn of(message: &'a [u8]) -> Self {
        Self { reader: Reader::new(message), ended: false }
    }

    fn read(&mut self) -> Result<Frame<'a>, Malformed> {
        let reader = &mut self.reader;
        Ok(match reader.var_uint()? {
            SYNC => match reader.var_uint()? {
                STEP_1 => Frame::SyncStep1(reader.var_bytes()?),
                STEP_2 => Frame::SyncStep2(reader.var_bytes()?),
                UPDATE => Frame::Update(reader.var_bytes()?),
                _ => Frame::Unknown(SYNC),
            },
            AWARENESS => Frame::Awareness(reader.var_bytes()?),
            AUTH => match reader.var_uint()? {
                0 => Frame::Denied(reader.var_string()?),
                _ => Frame::Unknown(AUTH),
            },
            QUERY_AWARENESS => Frame::QueryAwareness,
            other => Frame::Unknown(other),
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.reader.is_empty() {
            return None;
        }
        let frame = self.read();
        self.ended = matches!(frame, Err(_) | Ok(Frame::Unknown(_)));
        Some(frame)
    }
}

/// One awareness entry, borrowed from its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Whose state it is.
    pub client: ClientId,
    /// Grows with each change and each renewal.
    pub clock: Clock,
    /// JSON; `None` says goodbye.
    pub state: Option<&'a str>,
}

/// The entries of an awareness frame's body. Ends after a malformed one.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    reader: Reader<'a>,
    left: u64,
}

impl<'a> Entries<'a> {
    /// Reads the body of an awareness frame.
    pub fn of(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let left = reader.count(3)?;
        Ok(Self { reader, left })
    }

    /// How many entries are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    fn read(&mut self) -> Result<Entry<'a>, Malformed> {
        let client = ClientId(self.reader.var_uint()?);
        // Larger than any that is taken is as good as that; it's no reason to end a session.
        let clock = Clock::try_from(self.reader.var_uint()?).unwrap_or(Clock::MAX);
        let json = self.reader.var_string()?;
        Ok(Entry { client, clock, state: (json != "null").then_some(json) })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let entry = self.read();
        if entry.is_err() {
            self.left = 0;
        }
        Some(entry)
    }
}

/// A message with one SyncStep1.
pub fn sync_step_1(state_vector: &[u8]) -> Bytes {
    sync(STEP_1, state_vector)
}

/// A message with one SyncStep2.
pub fn sync_step_2(update: &[u8]) -> Bytes {
    sync(STEP_2, update)
}

/// A message with one Update.
pub fn update(update: &[u8]) -> Bytes {
    sync(UPDATE, update)
}

fn sync(step: u64, body: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(body.len() + 8);
    write_var_uint(&mut out, SYNC);
    write_var_uint(&mut out, step);
    write_var_bytes(&mut out, body);
    out.into()
}

/// A message with one awareness frame.
pub fn awareness<'a>(entries: impl ExactSizeIterator<Item = Entry<'a>>) -> Bytes {
    let mut body = Vec::new();
    write_var_uint(&mut body, entries.len() as u64);
    for entry in entries {
        write_var_uint(&mut body, entry.client.0);
        write_var_uint(&mut body, u64::from(entry.clock));
        write_var_string(&mut body, entry.state.unwrap_or("null"));
    }
    let mut out = Vec::with_capacity(body.len() + 6);
    write_var_uint(&mut out, AWARENESS);
    write_var_bytes(&mut out, &body);
    out.into()
}

/// The message that says nothing, so that a client knows we live (F6): an awareness frame without entries.
pub fn keep_alive() -> Bytes {
    Bytes::from_static(&[1, 1, 0])
}

/// A message that asks who is here.
pub fn query_awareness() -> Bytes {
    Bytes::from_static(&[3])
}

/// A message that says why something was refused. Stock clients print it to their console.
pub fn denied(reason: &str) -> Bytes {
    let mut out = Vec::with_capacity(reason.len() + 4);
    write_var_uint(&mut out, AUTH);
    write_var_uint(&mut out, 0);
    write_var_string(&mut out, reason);
    out.into()
}

/// A message with cumulative counts of a session's own SyncStep2 and Update frames, and the number of what "durable" means (D7).
pub fn acknowledged(durable: u64, refused: u64, durability: u64) -> Bytes {
    let mut out = Vec::with_capacity(16);
    write_var_uint(&mut out, ACKNOWLEDGED);
    write_var_uint(&mut out, durable);
    write_var_uint(&mut out, refused);
    write_var_uint(&mut out, durability);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(message: &[u8]) -> Vec<Result<Frame<'_>, Malformed>> {
        Frames::of(message).collect()
    }

    #[test]
    fn the_opening_of_an_empty_client_is_these_bytes() {
        assert_eq!(&sync_step_1(&[0])[..], [0, 0, 1, 0]);
        assert_eq!(&sync_step_2(&[0, 0])[..], [0, 1, 2, 0, 0]);
        assert_eq!(frames(&[0, 0, 1, 0]), [Ok(Frame::SyncStep1(&[0]))]);
    }

    #[test]
    fn w1_a_message_is_read_as_a_sequence_of_frames() {
        let message = [&sync_step_1(&[0])[..], &keep_alive(), &query_awareness(), &update(&[0, 0])].concat();
        let wanted = [Frame::SyncStep1(&[0]), Frame::Awareness(&[0]), Frame::QueryAwareness, Frame::Update(&[0, 0])];
        assert_eq!(frames(&message), wanted.map(Ok));
    }

    #[test]
    fn w3_an_unknown_type_takes_the_rest_of_its_message_with_it() {
        let message = [&sync_step_1(&[0])[..], &[77, 0, 0, 1, 0]].concat();
        assert_eq!(frames(&message), [Ok(Frame::SyncStep1(&[0])), Ok(Frame::Unknown(77))]);
    }

    #[test]
    fn w4_a_truncated_frame_is_malformed_at_every_length() {
        let whole = update(&[1, 2, 3, 4, 5]);
        for length in 1..whole.len() {
            assert!(frames(&whole[..length]).last().unwrap().is_err(), "cut at {length}");
        }
    }

    #[test]
    fn awareness_entries_survive_a_round_trip() {
        let entries = [
            Entry { client: ClientId(7), clock: 3, state: Some(r#"{"user":{"name":"Ada"}}"#) },
            Entry { client: ClientId(1 << 52), clock: 9, state: None },
        ];
        let message = awareness(entries.into_iter());
        let Ok(Frame::Awareness(body)) = frames(&message)[0] else { panic!("not awareness") };
        assert_eq!(Entries::of(body).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), entries);
    }
}
