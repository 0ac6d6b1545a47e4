//! What outlives a fault: everything but the replica. A document that yrs has failed in is loaded anew, and whoever was seated
//! stays so.

use std::collections::{BTreeMap, BTreeSet};

use super::awareness::Awareness;
use super::fanout::Turn;
use super::presence::Recall;
use super::session::Session;
use super::{Audience, Content, Document, Effect, Millis, Now};
use crate::id::SessionId;
use crate::wire::sync;

/// An update that changes nothing.
const EMPTY_UPDATE: [u8; 2] = [0, 0];

/// What is taken over from a document that had a fault into the same document, loaded anew.
pub struct Survivors {
    sessions: BTreeMap<SessionId, Session>,
    waiting: BTreeSet<SessionId>,
    unsettled: BTreeSet<SessionId>,
    awareness: Awareness,
    turn: Turn,
    recall: Recall,
    last_broadcast: Millis,
    is_store_low: bool,
}

impl Survivors {
    /// Whether a session is among them.
    pub fn holds(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }
}

impl Document {
    /// After a panic: takes what isn't yrs'. Of what is left nothing is to be used again, not even its destructor. Asks for
    /// nothing of yrs, so it can't panic for the same reason.
    pub fn survivors(&mut self) -> Survivors {
        Survivors {
            sessions: std::mem::take(&mut self.sessions),
            waiting: std::mem::take(&mut self.waiting),
            unsettled: std::mem::take(&mut self.unsettled),
            awareness: std::mem::take(&mut self.awareness),
            turn: self.turn.unrelayed(),
            recall: std::mem::take(&mut self.recall),
            last_broadcast: self.last_broadcast,
            is_store_low: self.is_store_low,
        }
    }

    /// Takes over who was seated before a fault. All that was appended before must be in what this document was opened from.
    /// Everybody gets what they may have missed, and is asked for what isn't here. Their counts go on (D7): what they counted
    /// as kept was appended, and what was never handled comes again.
    pub fn resume(&mut self, now: Now, survivors: Survivors, effects: &mut Vec<Effect>) {
        let Survivors { sessions, waiting, unsettled, awareness, turn, recall, last_broadcast, is_store_low } =
            survivors;
        (self.sessions, self.waiting, self.unsettled) = (sessions, waiting, unsettled);
        (self.awareness, self.turn, self.recall) = (awareness, turn, recall);
        (self.last_broadcast, self.is_store_low) = (last_broadcast, is_store_low);
        self.idle_since = self.sessions.is_empty().then_some(now.monotonic);
        self.wake_at(now.monotonic);
        self.answer_anew();
        self.tell_what_was_missed(now, effects);
        let all: Vec<_> = self.sessions.keys().filter(|id| !self.waiting.contains(id)).copied().collect();
        for id in all {
            self.ask_anew(now, id, effects);
        }
        self.settle_all(effects);
    }

    /// The turn in which the fault came was kept, and not relayed: everybody has at least what was here before it.
    fn tell_what_was_missed(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let before = self.turn.before(self.replica.state().clone());
        let missed = self.replica.diff(&before);
        if missed != EMPTY_UPDATE[..] {
            self.broadcast(now, Audience::All, Content::Update, sync::update(&missed), effects);
        }
        if let Some(anew) = self.awareness.anew() {
            self.broadcast(now, Audience::All, Content::Awareness, anew, effects);
        }
    }

    /// Who was about to be answered, or has asked, is answered when the turn ends.
    fn answer_anew(&mut self) {
        for id in self.turn.maybe_answered() {
            if let Some(session) = self.sessions.get_mut(id) {
                session.has_answer = false;
                session.question = session.question.take().or(session.basis.clone());
            }
        }
        for (id, session) in &self.sessions {
            if session.question.is_some() || session.asks_everybody {
                self.answers.ask(*id, session.was_answered);
            }
        }
    }

    fn ask_anew(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        (session.last_asked, session.asked_in_vain) = (None, 0);
        if session.question.is_some() || session.asks_everybody {
            self.answers.ask(id, session.was_answered);
        }
        self.ask(now, id, effects);
    }
}
