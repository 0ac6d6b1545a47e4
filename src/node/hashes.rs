//! What messages are known by: a hash of the updates in them.

use crate::id::MessageHash;
use crate::wire::sync::{Frame, Frames};

/// An update that changes nothing. Every client that has nothing of its own answers with it.
const EMPTY_UPDATE: [u8; 2] = [0, 0];

/// What several updates are hashed for.
const SEVERAL: &str = "y-mesh 2026-11-24 a message of several updates";

/// The hashes of a message that would change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hashes {
    /// Of all its updates together; of a single one, the hash of that.
    pub whole: MessageHash,
    /// Of each, if there are several.
    pub each: Vec<MessageHash>,
}

impl Hashes {
    /// Those of a message, of which so many frames count; `None` if there's no update in it, so that nothing can come of it.
    pub fn of(message: &[u8], frames_max: usize) -> Option<Self> {
        let update = |frame| match frame {
            Ok(Frame::SyncStep2(update) | Frame::Update(update)) if update != EMPTY_UPDATE => Some(update),
            _ => None,
        };
        let mut updates = Frames::of(message).take(frames_max).filter_map(update);
        let first = updates.next()?;
        let rest: Vec<_> = updates.collect();
        if rest.is_empty() {
            return Some(Self { whole: short(blake3::hash(first)), each: Vec::new() });
        }
        // Of another kind than that of one update, so that nobody can make one update that has it.
        let (mut all, mut each) = (blake3::Hasher::new_derive_key(SEVERAL), Vec::with_capacity(1 + rest.len()));
        for update in std::iter::once(first).chain(rest) {
            all.update(&(update.len() as u64).to_le_bytes()).update(update);
            each.push(short(blake3::hash(update)));
        }
        Some(Self { whole: short(all.finalize()), each })
    }

    /// What bytes are known by in which there's no update.
    pub fn of_bytes(message: &[u8]) -> MessageHash {
        short(blake3::hash(message))
    }

    /// The hash of the message and those of its parts.
    pub fn all(&self) -> impl Iterator<Item = MessageHash> + '_ {
        std::iter::once(self.whole).chain(self.each.iter().copied())
    }
}

fn short(hash: blake3::Hash) -> MessageHash {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    MessageHash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sync;

    #[test]
    fn w6_a_message_is_known_by_its_updates_and_not_by_what_stands_beside_them() {
        let update = sync::update(b"abc");
        let alone = Hashes::of(&update, 9).unwrap();
        assert_eq!(Hashes::of(&sync::sync_step_2(b"abc"), 9), Some(alone.clone()));
        assert_eq!(Hashes::of(&[&sync::keep_alive()[..], &update].concat(), 9), Some(alone.clone()));
        let both = Hashes::of(&[&update[..], &sync::update(b"d")].concat(), 9).unwrap();
        assert!(both.whole != alone.whole && both.each[0] == alone.whole);
    }

    #[test]
    fn w6_no_single_update_has_the_hash_of_several() {
        let several = Hashes::of(&[&sync::update(b"abc")[..], &sync::update(b"d")].concat(), 9).unwrap();
        let one = [&3u64.to_le_bytes()[..], b"abc", &1u64.to_le_bytes(), b"d"].concat();
        assert_ne!(Hashes::of(&sync::update(&one), 9).unwrap().whole, several.whole);
    }

    #[test]
    fn what_brings_nothing_has_no_hash() {
        assert_eq!(Hashes::of(&sync::sync_step_1(&[0]), 9), None);
        assert_eq!(Hashes::of(&sync::sync_step_2(&[0, 0]), 9), None);
        assert_eq!(Hashes::of(&[0, 2, 9, 1], 9), None, "a malformed frame is no update");
    }
}
