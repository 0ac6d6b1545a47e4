//! Answers to who asks what it lacks, or who is here: once a session a turn, encoded once for all who ask the same, and
//! never more of them at once than may be (S2).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::pace::{Allowance, Pace};
use super::session::{Behind, Session};
use super::{Audience, Content, Document, Effect, Now, StateVector};
use crate::config::Limits;
use crate::id::SessionId;
use crate::wire::sync;

/// Answers that are encoded in one turn, in bytes of documents; one is, however large. Each is a walk over the whole document,
/// be it as short as it may, and others wait meanwhile.
const ENCODED_PER_TURN: u64 = 1 << 20;
/// What an answer costs at least, of what a session may have.
const COST_MIN: u64 = 64 << 10;
/// What encoding an answer costs at least, of what all sessions may have.
const ENCODING_COST_MIN: u64 = 4 << 10;
/// An answer that holds little still takes a walk over the whole document, which takes so many times less than encoding it.
const WALK_PART: u64 = 32;

/// What was encoded, who has it in its outbox, and who is still to be answered.
#[derive(Default)]
pub(super) struct Answers {
    /// Who has asked, in the order in which they're answered: first those who weren't yet.
    asking: [VecDeque<SessionId>; 2],
    whole: Option<Whole>,
    /// What was encoded in this turn for who has something, until something changes.
    diffs: BTreeMap<StateVector, Bytes>,
    /// Diffs larger than an outbox that somebody hasn't taken yet.
    large: BTreeMap<SessionId, usize>,
    /// Bytes of documents that were encoded in this turn, and lately.
    encoded: u64,
    pace: Pace,
    /// How long the last whole was.
    whole_bytes: u64,
}

/// The answer to who has nothing: many may join at once.
struct Whole {
    message: Bytes,
    /// What it holds.
    state: StateVector,
    /// Something has changed since. If it's large it's kept as long as somebody has it in its outbox, and a little longer. Who comes
    /// while that's so, or while much is encoded, gets the same bytes, and then what has changed.
    is_old: bool,
    readers: BTreeSet<SessionId>,
}

impl Answers {
    /// A session is to be answered when the turn ends.
    pub fn ask(&mut self, id: SessionId, was_answered: bool) {
        let asking = &mut self.asking[usize::from(was_answered)];
        if !asking.contains(&id) {
            asking.push_back(id);
        }
    }

    /// What was encoded isn't the latest any more.
    pub fn changed(&mut self, limits: &Limits) {
        self.diffs.clear();
        if let Some(whole) = &mut self.whole {
            whole.is_old = true;
        }
        self.whole.take_if(|whole| whole.message.len() <= limits.outbox_bytes_max);
    }

    /// A session has taken its answer, or is gone.
    pub fn taken(&mut self, id: SessionId) {
        self.large.remove(&id);
        if let Some(whole) = &mut self.whole {
            whole.readers.remove(&id);
        }
    }

    /// Lets go of what nobody needs.
    pub fn tidy(&mut self) {
        self.whole.take_if(|whole| whole.is_old && whole.readers.is_empty());
    }

    pub fn turn_began(&mut self) {
        self.diffs.clear();
        self.encoded = 0;
    }

    fn encode(&mut self, now: Now, of: Allowance, encode: impl FnOnce() -> Bytes) -> Bytes {
        let message = encode();
        let cost = (self.whole_bytes / WALK_PART).max(message.len() as u64).max(ENCODING_COST_MIN);
        self.encoded += cost;
        self.pace.take(now.monotonic, of, cost);
        message
    }
}

impl Document {
    /// What a session may have of answers.
    fn answers_allowed(&self) -> Allowance {
        let limits = self.limits();
        Allowance { burst: limits.answer_burst_bytes, per_second: limits.answer_bytes_per_second }
    }

    /// What may be encoded for all sessions.
    fn encoding_allowed(&self) -> Allowance {
        let per_second = self.limits().encoded_bytes_per_second;
        Allowance { burst: per_second, per_second }
    }

    /// Answers who has asked. Who may not be answered yet is answered later: when its last answer has left its outbox, when it,
    /// or all, have had less lately, or in the next turn.
    pub(super) fn answer_all(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for asking in std::mem::take(&mut self.answers.asking) {
            for id in asking {
                self.answer_if_due(now, id, effects);
            }
        }
    }

    fn answer_if_due(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        let (its, all) = (self.answers_allowed(), self.encoding_allowed());
        let Some(session) = self.sessions.get(&id) else { return };
        if session.has_answer || session.is_stuck() {
            return; // It asks again when its outbox is empty.
        }
        let due = match (session.pace.allows(now.monotonic, its), self.answers.pace.allows(now.monotonic, all)) {
            (false, _) => Some(session.pace.next(its)),
            (_, false) if !self.has_answer_for(session) => Some(self.answers.pace.next(all)),
            _ if self.answers.encoded >= ENCODED_PER_TURN => Some(now.monotonic),
            _ => None,
        };
        if let Some(due) = due {
            self.answers.ask(id, session.was_answered);
            self.wake_at(due);
        } else if session.behind.is_some() {
            self.catch_up(now, id, effects);
        } else {
            self.answer_asked(now, id, effects);
        }
    }

    /// Whether nothing need be encoded for a session's answer.
    fn has_answer_for(&self, session: &Session) -> bool {
        let missed = session.behind.as_ref().and_then(|behind| behind.basis.as_ref());
        match session.question.as_ref().or(missed) {
            Some(known) if known.is_empty() => self.answers.whole.is_some(),
            Some(known) => self.answers.diffs.contains_key(&known.clone().within(self.replica.state())),
            None => true,
        }
    }

    fn answer_asked(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let asks_everybody = std::mem::take(&mut session.asks_everybody);
        if let Some(known) = session.question.take() {
            self.answer(now, id, known, effects);
        }
        if asks_everybody {
            self.tell_everybody(now, id, effects);
        }
    }

    /// Whether a session that was behind is to wait: it has asked and has had much lately, or all have.
    pub(super) fn must_wait(&self, now: Now, id: SessionId) -> bool {
        let (its, all) = (self.answers_allowed(), self.encoding_allowed());
        let Some(session) = self.sessions.get(&id) else { return false };
        session.question.is_some() && !session.pace.allows(now.monotonic, its)
            || !self.answers.pace.allows(now.monotonic, all) && !self.has_answer_for(session)
    }

    /// Sends what a session lacks that has `known`.
    pub(super) fn answer(&mut self, now: Now, id: SessionId, known: StateVector, effects: &mut Vec<Effect>) {
        // What nobody has here makes no difference, and so fewer answers differ.
        let known = known.within(self.replica.state());
        if let Some(session) = self.sessions.get_mut(&id) {
            // Should yrs fail over it, it's still asked of the document that's loaded anew.
            session.question = Some(known.clone());
        }
        let (message, old) = self.encoded(now, id, &known);
        let allowed = self.answers_allowed();
        let cost = (message.len() as u64).max(COST_MIN).max(self.answers.whole_bytes / 2);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.pace.take(now.monotonic, allowed, cost);
        (session.has_answer, session.was_answered) = (true, true);
        session.question = None;
        session.last_sent = now.monotonic;
        session.basis = Some(known);
        // It lacks what came since, and gets that when it has taken this.
        let behind = |state| Behind { basis: Some(state), ..Behind::since(now.monotonic) };
        session.behind = old.map(behind);
        self.turn.answered(id);
        self.wake_at(now.monotonic + self.timing().behind_max);
        effects.push(Effect::Send { to: Audience::One(id), content: Content::Answer, message });
    }

    /// The answer to who has `known`; and of what state it is, if that's not the latest.
    fn encoded(&mut self, now: Now, id: SessionId, known: &StateVector) -> (Bytes, Option<StateVector>) {
        if known.is_empty() {
            return self.whole(now, id);
        }
        if let Some(message) = self.answers.diffs.get(known) {
            return (message.clone(), None);
        }
        let allowed = self.encoding_allowed();
        let message = self.answers.encode(now, allowed, || sync::sync_step_2(&self.replica.diff(known)));
        if message.len() > self.limits().outbox_bytes_max {
            let others: usize = self.answers.large.values().sum();
            if others + message.len() > self.limits().answers_bytes_max {
                return self.whole_instead(now, id, known);
            }
            self.answers.large.insert(id, message.len());
        }
        self.answers.diffs.insert(known.clone(), message.clone());
        (message, None)
    }

    /// There are as many large diffs under way as may be. The whole document has all of them in it, and is one for all.
    fn whole_instead(&mut self, now: Now, id: SessionId, known: &StateVector) -> (Bytes, Option<StateVector>) {
        self.answers.whole.take_if(|whole| whole.is_old && known.covers(&whole.state));
        self.whole(now, id)
    }

    fn whole(&mut self, now: Now, id: SessionId) -> (Bytes, Option<StateVector>) {
        let (outbox, allowed) = (self.limits().outbox_bytes_max, self.encoding_allowed());
        let answers = &mut self.answers;
        let is_busy = !answers.pace.allows(now.monotonic, allowed);
        answers.whole.take_if(|whole| whole.is_old && whole.readers.is_empty() && !is_busy);
        let mut whole = answers.whole.take().unwrap_or_else(|| {
            let message = answers.encode(now, allowed, || sync::sync_step_2(&self.replica.snapshot()));
            Whole { message, state: self.replica.state().clone(), is_old: false, readers: BTreeSet::new() }
        });
        answers.whole_bytes = whole.message.len() as u64;
        if whole.message.len() > outbox {
            whole.readers.insert(id);
        }
        let answer = (whole.message.clone(), whole.is_old.then(|| whole.state.clone()));
        answers.whole = Some(whole);
        answer
    }
}
