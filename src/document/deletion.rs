//! Deleting a document, and keeping away who still holds what was deleted (I1).

use super::{CloseCode, Document, Effect, Kind, Now, StateVector};
use crate::id::SessionId;
use crate::wire::sync::{Frame, Frames};

impl Document {
    /// Takes a position for the deletion, and sends everybody away. The document retires when it's durable.
    pub(super) fn on_deleted(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.ending.is_some() {
            return;
        }
        let mut clients = self.replica.deleted().clone();
        clients.extend(self.replica.state().iter().map(|(client, _)| client));
        let through = self.journal.append(0);
        effects.push(Effect::Delete { through, clients: clients.into_iter().collect() });
        self.end(now, CloseCode::Deleted, effects);
    }

    /// Whether a session is to say first what it holds, before it's sent anything.
    pub(super) fn must_show(&self, kind: &Kind) -> bool {
        matches!(kind, Kind::Client { .. }) && !self.replica.deleted().is_empty()
    }

    /// A session that has said nothing yet says something: it's greeted, unless that shows that it holds what was deleted.
    pub(super) fn greet_if_waiting(&mut self, now: Now, id: SessionId, message: &[u8], effects: &mut Vec<Effect>) {
        if !self.waiting.contains(&id) {
            return;
        }
        let mut frames = Frames::of(message).flatten();
        let Some(first) = frames.find(|frame| !matches!(frame, Frame::Unknown(_))) else { return };
        let is_welcome = match first {
            // What is too long to be read, or can't be, is the end of the session, which is sent nothing either.
            Frame::SyncStep1(vector) if vector.len() > self.limits().state_vector_bytes_max => false,
            Frame::SyncStep1(vector) => StateVector::decode(vector).is_ok_and(|known| !self.holds_deleted(&known)),
            _ => true,
        };
        if is_welcome {
            self.waiting.remove(&id);
            self.greet(now, id, effects);
        }
    }

    /// Whether somebody who has this holds something that was deleted. Costs as much as the shorter of both is long: a message
    /// may ask it a thousand times.
    pub(super) fn holds_deleted(&self, known: &StateVector) -> bool {
        let deleted = self.replica.deleted();
        match known.len() < deleted.len() {
            true => known.iter().any(|(client, clock)| clock > 0 && deleted.contains(&client)),
            false => deleted.iter().any(|client| known.get(*client) > 0),
        }
    }
}
