//! Answers to who asks what it lacks, or who is here: once a session a turn, encoded once for all who ask the same, and
//! never more of them at once than may be (S2).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::pace::Allowance;
use super::session::Behind;
use super::{Audience, Content, Document, Effect, Now, StateVector};
use crate::config::Limits;
use crate::id::SessionId;
use crate::wire::sync;

/// Diffs that are encoded in one turn. Each is a walk over the whole document; who asks for one more waits for the next turn.
const ENCODED_PER_TURN: usize = 8;
/// What an answer costs at least, of what a session may have.
const COST_MIN: u64 = 64 << 10;

/// What was encoded, who has it in its outbox, and who is still to be answered.
#[derive(Default)]
pub(super) struct Answers {
    /// Who has asked, in the order in which they're answered.
    asking: VecDeque<SessionId>,
    whole: Option<Whole>,
    /// What was encoded in this turn for who has something, until something changes.
    diffs: BTreeMap<StateVector, Bytes>,
    /// Diffs larger than an outbox that somebody hasn't taken yet.
    large: BTreeMap<SessionId, usize>,
    /// Diffs and wholes that were encoded in this turn.
    encoded: usize,
    /// How long the last whole was.
    whole_bytes: usize,
}

/// The answer to who has nothing: many may join at once.
struct Whole {
    message: Bytes,
    /// What it holds.
    state: StateVector,
    /// Something has changed since. It's kept as long as somebody has it in its outbox and it's large: who comes meanwhile gets
    /// the same bytes, and then what has changed.
    is_old: bool,
    readers: BTreeSet<SessionId>,
}

impl Answers {
    /// A session is to be answered when the turn ends.
    pub fn ask(&mut self, id: SessionId) {
        if !self.asking.contains(&id) {
            self.asking.push_back(id);
        }
    }

    /// What was encoded isn't the latest any more.
    pub fn changed(&mut self, limits: &Limits) {
        self.diffs.clear();
        if let Some(whole) = &mut self.whole {
            whole.is_old = true;
        }
        self.tidy(limits);
    }

    /// A session has taken its answer, or is gone.
    pub fn taken(&mut self, id: SessionId, limits: &Limits) {
        self.large.remove(&id);
        if let Some(whole) = &mut self.whole {
            whole.readers.remove(&id);
        }
        self.tidy(limits);
    }

    pub fn turn_began(&mut self) {
        self.diffs.clear();
        self.encoded = 0;
    }

    fn tidy(&mut self, limits: &Limits) {
        let is_large = |whole: &Whole| whole.message.len() > limits.outbox_bytes_max;
        self.whole.take_if(|whole| whole.is_old && (whole.readers.is_empty() || !is_large(whole)));
    }
}

impl Document {
    /// What a session may have of answers.
    fn answers_allowed(&self) -> Allowance {
        let limits = self.limits();
        Allowance { burst: limits.answer_burst_bytes, per_second: limits.answer_bytes_per_second }
    }

    /// Answers who has asked. Who may not be answered yet is answered later: when its last answer has left its outbox, when it has
    /// had less of them lately, or in the next turn.
    pub(super) fn answer_all(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let allowed = self.answers_allowed();
        for id in std::mem::take(&mut self.answers.asking) {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            let is_due = session.pace.allows(now.monotonic, allowed);
            let at = if is_due { now.monotonic } else { session.pace.next(allowed) };
            if session.has_answer || session.is_stuck() {
                // It comes back here when its outbox is empty.
            } else if !is_due || self.answers.encoded >= ENCODED_PER_TURN {
                self.answers.asking.push_back(id);
                self.wake_at(at);
            } else if session.behind.is_some() {
                self.catch_up(now, id, effects);
            } else {
                self.answer_asked(now, id, effects);
            }
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

    /// Whether a session that was behind and has asked is to wait, for it has had much lately.
    pub(super) fn must_wait(&mut self, now: Now, id: SessionId) -> bool {
        let allowed = self.answers_allowed();
        let Some(session) = self.sessions.get(&id) else { return false };
        session.question.is_some() && !session.pace.allows(now.monotonic, allowed)
    }

    /// Sends what a session lacks that has `known`.
    pub(super) fn answer(&mut self, now: Now, id: SessionId, known: StateVector, effects: &mut Vec<Effect>) {
        // What nobody has here makes no difference, and so fewer answers differ.
        let known = known.within(self.replica.state());
        if let Some(session) = self.sessions.get_mut(&id) {
            // Should yrs fail over it, it's still asked of the document that's loaded anew.
            session.question = Some(known.clone());
        }
        let (message, old) = self.encoded(id, &known);
        let allowed = self.answers_allowed();
        let cost = (message.len() as u64).max(COST_MIN).max(self.answers.whole_bytes as u64 / 2);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.pace.take(now.monotonic, allowed, cost);
        session.has_answer = true;
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
    fn encoded(&mut self, id: SessionId, known: &StateVector) -> (Bytes, Option<StateVector>) {
        if known.is_empty() {
            return self.whole(id);
        }
        if let Some(message) = self.answers.diffs.get(known) {
            return (message.clone(), None);
        }
        let message = sync::sync_step_2(&self.replica.diff(known));
        self.answers.encoded += 1;
        if message.len() > self.limits().outbox_bytes_max {
            let others: usize = self.answers.large.values().sum();
            if others + message.len() > self.limits().answers_bytes_max {
                return self.whole_instead(id, known);
            }
            self.answers.large.insert(id, message.len());
        }
        self.answers.diffs.insert(known.clone(), message.clone());
        (message, None)
    }

    /// There are as many large diffs under way as may be. The whole document has all of them in it, and is one for all.
    fn whole_instead(&mut self, id: SessionId, known: &StateVector) -> (Bytes, Option<StateVector>) {
        self.answers.whole.take_if(|whole| whole.is_old && known.covers(&whole.state));
        self.whole(id)
    }

    fn whole(&mut self, id: SessionId) -> (Bytes, Option<StateVector>) {
        let outbox = self.config.limits.outbox_bytes_max;
        let answers = &mut self.answers;
        let whole = answers.whole.get_or_insert_with(|| {
            answers.encoded += 1;
            let (message, state) = (sync::sync_step_2(&self.replica.snapshot()), self.replica.state().clone());
            Whole { message, state, is_old: false, readers: BTreeSet::new() }
        });
        answers.whole_bytes = whole.message.len();
        if whole.message.len() > outbox {
            whole.readers.insert(id);
        }
        (whole.message.clone(), whole.is_old.then(|| whole.state.clone()))
    }
}
