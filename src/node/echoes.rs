//! What a session says only because it was told who is here. Stock clients send on each awareness entry that they hear, and pay
//! nothing for what they were made to say.

use crate::config::Limits;
use crate::wire::sync::{Frame, Frames};

/// Bytes of awareness that a session was told and hasn't said back.
#[derive(Default)]
pub(super) struct Echoes {
    owed: usize,
}

impl Echoes {
    /// It's told so many bytes of awareness.
    pub fn told(&mut self, bytes: usize, limits: &Limits) {
        self.owed = (self.owed + bytes).min(limits.awareness_bytes_max);
    }

    /// Whether a message is awareness alone, and no more of it than the session was told.
    pub fn said(&mut self, message: &[u8]) -> bool {
        if message.len() > self.owed {
            return false;
        }
        let mut frames = Frames::of(message);
        let is_echo = matches!((frames.next(), frames.next()), (Some(Ok(Frame::Awareness(_))), None));
        self.owed -= if is_echo { message.len() } else { 0 };
        is_echo
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClientId;
    use crate::wire::sync::{self, Entry};

    #[test]
    fn what_was_told_may_be_said_back_once() {
        let entry = Entry { client: ClientId(7), clock: 1, state: Some("{}") };
        let told = sync::awareness([entry].into_iter());
        let (mut echoes, limits) = (Echoes::default(), Limits::default());
        assert!(!echoes.said(&told), "it was told nothing");
        echoes.told(told.len(), &limits);
        assert!(!echoes.said(&[&told[..], &sync::update(&[0, 0])].concat()), "there's more than that");
        assert!(!echoes.said(&sync::update(&[0, 0])));
        assert!(echoes.said(&told));
        assert!(!echoes.said(&told));
        (0..100).for_each(|_| echoes.told(limits.awareness_bytes_max, &limits));
        assert_eq!(echoes.owed, limits.awareness_bytes_max);
    }
}
