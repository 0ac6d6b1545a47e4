//! What a session sends: frame by frame, and what becomes of each (W, S2, S4, H, D7).

use bytes::Bytes;

use super::replica::{Applied, Refused};
use super::session::{Fate, Opening};
use super::{CloseCode, Denied, Document, Durability, Effect, Now, Reason, StateVector, refuse};
use crate::id::SessionId;
use crate::wire::Malformed;
use crate::wire::sync::{self, Frame, Frames};

/// What a message asks for, however often.
#[derive(Default)]
struct Asked {
    vector: Option<StateVector>,
    everybody: bool,
}

impl Document {
    pub(super) fn on_received(&mut self, now: Now, id: SessionId, message: &Bytes, effects: &mut Vec<Effect>) {
        self.begin_turn();
        self.greet_if_waiting(now, id, message, effects);
        let mut asked = Asked::default();
        for (number, frame) in Frames::of(message).enumerate() {
            if !self.sessions.contains_key(&id) {
                return;
            }
            if number >= self.limits().message_frames_max {
                return self.close(now, id, CloseCode::TooBig, effects);
            }
            match frame {
                Ok(frame) => self.on_frame(now, id, message, frame, &mut asked, effects),
                Err(malformed) => return self.on_malformed(now, id, malformed, effects),
            }
        }
        self.note_asked(id, asked);
        self.settle(id, effects);
    }

    /// What is asked for is answered when the turn ends: once, and as things are then.
    fn note_asked(&mut self, id: SessionId, asked: Asked) {
        let Some(session) = self.sessions.get_mut(&id).filter(|_| asked.everybody || asked.vector.is_some()) else {
            return;
        };
        session.asks_everybody |= asked.everybody;
        session.question = asked.vector.or(session.question.take());
        self.answers.ask(id, session.was_answered);
    }

    fn on_frame(
        &mut self,
        now: Now,
        id: SessionId,
        message: &Bytes,
        frame: Frame<'_>,
        asked: &mut Asked,
        effects: &mut Vec<Effect>,
    ) {
        let opening = self.advance_opening(id, &frame);
        match frame {
            Frame::SyncStep1(vector) => self.on_sync_step_1(now, id, vector, asked, effects),
            Frame::SyncStep2(update) => self.on_update(now, id, &part(message, update), true, effects),
            Frame::Update(update) => self.on_update(now, id, &part(message, update), false, effects),
            Frame::Awareness(body) => self.on_awareness(now, id, body, opening, effects),
            Frame::QueryAwareness => asked.everybody = true,
            Frame::Denied(_) => refuse(Some(id), Reason::UnknownType(sync::AUTH), effects),
            Frame::Unknown(kind) => refuse(Some(id), Reason::UnknownType(kind), effects),
        }
    }

    /// Where the session stood before this frame, and where it stands after it.
    fn advance_opening(&mut self, id: SessionId, frame: &Frame<'_>) -> Opening {
        let Some(session) = self.sessions.get_mut(&id) else { return Opening::Done(None) };
        let before = session.opening;
        session.opening = match (before, frame) {
            (Opening::Silent, Frame::SyncStep1(_)) => Opening::Asked,
            (Opening::Silent, _) => Opening::Silent,
            (Opening::Asked, _) => Opening::Done(None),
            (Opening::Done(own), _) => Opening::Done(own),
        };
        before
    }

    pub(super) fn on_malformed(&mut self, now: Now, id: SessionId, malformed: Malformed, effects: &mut Vec<Effect>) {
        refuse(Some(id), Reason::Malformed(malformed), effects);
        self.close(now, id, CloseCode::Malformed, effects);
    }

    fn on_sync_step_1(&mut self, now: Now, id: SessionId, vector: &[u8], asked: &mut Asked, effects: &mut Vec<Effect>) {
        if vector.len() > self.limits().state_vector_bytes_max {
            return self.close(now, id, CloseCode::TooBig, effects);
        }
        match StateVector::decode(vector) {
            Ok(known) if self.holds_deleted(&known) => self.close(now, id, CloseCode::Deleted, effects),
            Ok(known) => asked.vector = Some(known),
            Err(malformed) => self.on_malformed(now, id, malformed, effects),
        }
    }

    fn on_update(&mut self, now: Now, id: SessionId, update: &Bytes, answers: bool, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get(&id) else { return };
        if !session.may_write() {
            return self.on_update_untaken(now, id, update, answers, Denied::Write, effects);
        }
        if self.is_store_low {
            return self.on_update_untaken(now, id, update, answers, Denied::Space, effects);
        }
        let (author, from_peer) = (session.identity(), session.is_peer());
        match self.replica.apply(update, true, &self.config.limits) {
            Ok(Applied::Missing { wants, taken }) => {
                self.keep(now, *taken, author, from_peer, effects);
                refuse(Some(id), Reason::Missing, effects);
                // An answer brings all that its sender shows. The rest of it stands on what the sender lacks as well.
                self.note_answer(id, answers, true);
                let fate = if answers { Fate::Kept(self.journal.appended()) } else { Fate::Missing(wants) };
                self.note(id, fate);
                self.arrived(now, id, effects);
                self.ask(now, id, effects);
            }
            Ok(applied) => {
                self.keep(now, applied, author, from_peer, effects);
                self.note_answer(id, answers, false);
                self.note(id, Fate::Kept(self.journal.appended()));
                self.arrived(now, id, effects);
            }
            Err(refused) => {
                let is_deleted = matches!(refused, Refused::Deleted(_));
                self.on_refused(Some(id), refused, effects);
                self.close(now, id, if is_deleted { CloseCode::Deleted } else { CloseCode::Refused }, effects);
            }
        }
    }

    /// What a session sends that can't change anything now: it's settled if it's here already.
    fn on_update_untaken(
        &mut self,
        now: Now,
        id: SessionId,
        update: &Bytes,
        answers: bool,
        why: Denied,
        effects: &mut Vec<Effect>,
    ) {
        if self.replica.knows(update, answers, &self.config.limits) {
            return self.note(id, Fate::Kept(self.journal.appended()));
        }
        refuse(Some(id), if why == Denied::Space { Reason::StoreLow } else { Reason::ReadOnly }, effects);
        self.deny(now, id, why, effects);
        self.note(id, Fate::Refused);
    }

    fn note_answer(&mut self, id: SessionId, answers: bool, lacks: bool) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|_| answers) {
            session.lacks = lacks;
        }
    }

    /// Notes what became of a session's frame; what is settled is acknowledged after the message (D7).
    fn note(&mut self, id: SessionId, fate: Fate) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.ledger.push(fate);
            self.unsettled.insert(id);
        }
    }

    /// Something has come: it may be what frames of any session were waiting for.
    pub(super) fn arrived_for_all(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let is_blocked = |id: &SessionId| self.sessions.get(id).is_some_and(|session| session.ledger.is_blocked());
        let blocked: Vec<_> = self.unsettled.iter().copied().filter(is_blocked).collect();
        for id in blocked {
            self.arrived(now, id, effects);
            self.settle(id, effects);
        }
    }

    /// Something of a session has come: it may be what its earlier frames were waiting for.
    fn arrived(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let mut is_to_be_asked = false;
        if let Some(wants) = session.ledger.wants().filter(|wants| self.replica.state().covers(&wants.work)) {
            match wants.deletes.is_empty() || self.replica.has_deleted(&wants.deletes) {
                true => session.ledger.arrived(self.journal.appended()),
                // What it deletes has come from somebody else, and its deletes weren't kept.
                false => is_to_be_asked = true,
            }
        }
        if !session.ledger.is_blocked() && !session.lacks {
            session.asked_in_vain = 0;
        }
        if is_to_be_asked {
            self.ask(now, id, effects);
        }
    }

    pub(super) fn settle(&mut self, id: SessionId, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let through = match self.durability {
            Durability::Memory => self.journal.appended(),
            Durability::Local => self.journal.durable(),
        };
        if let Some((durable, refused)) = session.ledger.settle(through) {
            effects.push(Effect::Acknowledge { session: id, durable, refused });
        }
        if !session.ledger.is_open() {
            self.unsettled.remove(&id);
        }
    }

    pub(super) fn settle_all(&mut self, effects: &mut Vec<Effect>) {
        if self.ending == Some(CloseCode::Later) {
            return;
        }
        let open: Vec<_> = self.unsettled.iter().copied().collect();
        for id in open {
            self.settle(id, effects);
        }
    }
}

/// A part of a message: shared, unless that would keep much alive for little.
fn part(message: &Bytes, part: &[u8]) -> Bytes {
    if part.len() < message.len() / 2 { Bytes::copy_from_slice(part) } else { message.slice_ref(part) }
}
