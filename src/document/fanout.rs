//! What goes out: at the end of a turn to all, at once to one, and later to who is behind (F).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::awareness;
use super::session::Behind;
use super::{Audience, Content, Denied, Document, Effect, Now, StateVector};
use crate::id::{ClientId, Clock, SessionId};
use crate::wire::merge::merge;
use crate::wire::sync;

/// Questions that bring nothing become rarer: after so many doublings, about one a minute.
const ASK_DOUBLINGS_MAX: u32 = 6;

/// What came between two `TurnEnded`, and waits to go out.
#[derive(Default)]
pub(super) struct Turn {
    updates: Vec<Relayed>,
    /// What was here of each client's work before the turn. A session that overflows has at least that.
    floor: BTreeMap<ClientId, Clock>,
    /// Sessions that were answered in this turn.
    answered: Vec<SessionId>,
    has_ended: bool,
}

struct Relayed {
    update: Bytes,
    from_peer: bool,
}

impl Turn {
    /// A session was answered, and it's not known yet whether its outbox took that.
    pub(super) fn answered(&mut self, id: SessionId) {
        self.answered.push(id);
    }

    pub(super) fn add(&mut self, update: Bytes, floor: BTreeMap<ClientId, Clock>, from_peer: bool) {
        for (client, before) in floor {
            self.floor.entry(client).or_insert(before);
        }
        self.updates.push(Relayed { update, from_peer });
    }

    /// The same turn, of which nothing was relayed and nothing is any more.
    pub(super) fn unrelayed(&mut self) -> Self {
        Self { updates: Vec::new(), ..std::mem::take(self) }
    }

    /// Who was answered in a turn that hasn't ended: whether that went out isn't known.
    pub(super) fn maybe_answered(&self) -> &[SessionId] {
        if self.has_ended { &[] } else { &self.answered }
    }

    /// What was here before the turn, of what is here now.
    pub(super) fn before(&self, mut now: StateVector) -> StateVector {
        self.floor.iter().for_each(|(client, clock)| now.lower(*client, *clock));
        now
    }
}

impl Document {
    pub(super) fn begin_turn(&mut self) {
        if std::mem::replace(&mut self.turn.has_ended, false) {
            self.turn.floor.clear();
            self.answers.turn_began();
            for id in self.turn.answered.drain(..) {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.basis = None;
                }
            }
        }
    }

    pub(super) fn on_turn_ended(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.begin_turn();
        // Before the updates: who has nothing yet could do nothing with them.
        self.answer_all(now, effects);
        let updates = std::mem::take(&mut self.turn.updates);
        if !self.sessions.is_empty() {
            self.relay(now, &updates, effects);
        }
        if !updates.is_empty() {
            self.arrived_for_all(now, effects);
        }
        self.tell_changes(now, effects);
        self.recall(now, effects);
        if self.journal.wants_compaction(&self.config.limits) {
            self.compact(effects);
        }
        self.turn.has_ended = true;
    }

    fn relay(&mut self, now: Now, updates: &[Relayed], effects: &mut Vec<Effect>) {
        let all: Vec<_> = updates.iter().map(|relayed| &relayed.update).collect();
        let ours: Vec<_> = updates.iter().filter(|r| !r.from_peer).map(|relayed| &relayed.update).collect();
        if ours.len() == all.len() {
            return self.relay_to(now, Audience::All, &all, effects);
        }
        self.relay_to(now, Audience::Clients, &all, effects);
        self.relay_to(now, Audience::Peers, &ours, effects);
    }

    fn relay_to(&mut self, now: Now, to: Audience, updates: &[&Bytes], effects: &mut Vec<Effect>) {
        for together in updates.chunks(self.limits().merge_updates_max.max(1)) {
            let bytes: Vec<&[u8]> = together.iter().map(|update| &update[..]).collect();
            let merged = if bytes.len() > 1 { merge(&bytes) } else { None };
            let merged = merged.as_deref().map(|merged| vec![merged]);
            for update in merged.unwrap_or(bytes) {
                self.broadcast(now, to, Content::Update, sync::update(update), effects);
            }
        }
    }

    pub(super) fn broadcast(
        &mut self,
        now: Now,
        to: Audience,
        content: Content,
        message: Bytes,
        effects: &mut Vec<Effect>,
    ) {
        if self.sessions.is_empty() {
            return;
        }
        if to == Audience::All {
            self.last_broadcast = now.monotonic;
        }
        effects.push(Effect::Send { to, content, message });
    }

    /// Gives a session a message of its own, unless it's behind: then it gets what matters of it later.
    pub(super) fn send(
        &mut self,
        now: Now,
        id: SessionId,
        content: Content,
        message: Bytes,
        effects: &mut Vec<Effect>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.behind.is_some() {
            return self.on_missed(now, id, content);
        }
        session.last_sent = now.monotonic;
        effects.push(Effect::Send { to: Audience::One(id), content, message });
    }

    /// Asks a session for what is missing: now, or as soon as it may be asked again (H2).
    pub(super) fn ask(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        let shortest = self.timing().ask_interval;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.asks = true;
        let interval = shortest * 2u32.pow(session.asked_in_vain.saturating_sub(1).min(ASK_DOUBLINGS_MAX));
        if let Some(last) = session.last_asked
            && now.monotonic.since(last) < interval
        {
            return self.wake_at(last + interval);
        }
        if session.behind.is_none() {
            session.asks = false;
            session.last_asked = Some(now.monotonic);
            session.asked_in_vain += u32::from(session.ledger.is_blocked() || session.lacks);
            let question = sync::sync_step_1(&self.replica.state().encode());
            self.send(now, id, Content::Question, question, effects);
        }
    }

    /// Asks a question that was noted but not sent, however short ago the last one was.
    fn ask_if_owed(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.asks) {
            session.last_asked = None;
            self.ask(now, id, effects);
        }
    }

    /// Tells a session, once, that something of its own isn't taken.
    pub(super) fn deny(&mut self, now: Now, id: SessionId, what: Denied, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let was_told = match what {
            Denied::Write => &mut session.was_denied_write,
            Denied::Space => &mut session.was_denied_space,
            Denied::Awareness => &mut session.was_denied_awareness,
        };
        if !std::mem::replace(was_told, true) {
            self.send(now, id, Content::Denied(what), denied(what), effects);
        }
    }

    pub(super) fn on_overflowed(&mut self, now: Now, id: SessionId, content: Content) {
        if let Some(behind) = self.sessions.get_mut(&id).and_then(|session| session.behind.as_mut()) {
            behind.is_drained = false;
        }
        self.on_missed(now, id, content);
    }

    /// Notes what a session has missed, so that it gets it when its outbox is empty.
    pub(super) fn on_missed(&mut self, now: Now, id: SessionId, content: Content) {
        let until = now.monotonic + self.config.timing.behind_max;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let behind = session.behind.get_or_insert_with(|| Behind::since(now.monotonic));
        match content {
            Content::Question => session.asks = true,
            Content::Answer => {
                behind.basis = session.basis.take().or(behind.basis.take());
                session.has_answer = false;
                self.answers.taken(id);
            }
            Content::Update if behind.basis.is_none() => {
                behind.basis = Some(self.turn.before(self.replica.state().clone()));
            }
            Content::Awareness => behind.awareness = true,
            Content::Goodbye => behind.goodbye = true,
            Content::Denied(what) if !behind.denied.contains(&what) => behind.denied.push(what),
            Content::Update | Content::Denied(_) | Content::KeepAlive => {}
        }
        self.wake_at(until);
    }

    /// A session's outbox is empty: it gets what it has missed, and what it has asked for.
    pub(super) fn on_drained(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        self.begin_turn();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.has_answer = false;
        let asks = session.question.is_some() || session.asks_everybody;
        let is_behind = session.behind.is_some();
        self.answers.taken(id);
        let must_wait = self.must_wait(now, id);
        if must_wait || asks && !is_behind {
            self.answers.ask(id, true);
        }
        match must_wait {
            true => self.wait_drained(id),
            false if is_behind => self.catch_up(now, id, effects),
            false => {}
        }
    }

    fn wait_drained(&mut self, id: SessionId) {
        if let Some(behind) = self.sessions.get_mut(&id).and_then(|session| session.behind.as_mut()) {
            behind.is_drained = true;
        }
    }

    /// Gives a session what it has missed. What of that isn't taken either, for an empty outbox takes one message of any
    /// size and not two, is noted anew, and comes when that one has gone.
    pub(super) fn catch_up(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(mut behind) = session.behind.take() else { return };
        behind.basis = session.question.take().or(behind.basis);
        behind.awareness |= std::mem::take(&mut session.asks_everybody);
        let own = session.own().filter(|_| behind.goodbye);
        if let Some(client) = own {
            let goodbye = awareness::goodbye(client, self.awareness.clock(client));
            self.send(now, id, Content::Goodbye, goodbye, effects);
        }
        self.ask_if_owed(now, id, effects);
        for what in behind.denied {
            self.send(now, id, Content::Denied(what), denied(what), effects);
        }
        if let Some(basis) = behind.basis {
            self.answer(now, id, basis, effects);
        }
        if behind.awareness
            && let Some(anew) = self.awareness.anew()
        {
            self.send(now, id, Content::Awareness, anew, effects);
        }
        self.wake_at(now.monotonic + self.timing().quiet_max);
    }
}

fn denied(what: Denied) -> Bytes {
    sync::denied(match what {
        Denied::Write => "read-only: this session may not change the document; its changes aren't saved",
        Denied::Space => "no space: the server's disk is almost full; changes aren't saved until there's space again",
        Denied::Awareness => "awareness: a state was dropped; it's too large, not JSON, or one too many",
    })
}
