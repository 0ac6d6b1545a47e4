//! Who is here, and where their carets are. Never stored (A3).
//!
//! The rules are those of y-protocols 1.0.7 (`awareness.js`), with bounds, owners and an end for everybody.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::Peekable;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::pace::{Allowance, Pace};
use super::time::Millis;
use crate::config::{Limits, Timing};
use crate::id::{ClientId, Clock, SessionId};
use crate::wire::sync::{self, Entry};

/// Clocks from here on are for who has an entry already: others may make a client go on from just below, and it must be able
/// to, for it could not come back from beyond 2^32.
const CLOCK_END: Clock = 1 << 31;
/// So far may somebody else move a clock at once. y-protocols raises it by one with each change.
const CLOCK_STEP_MAX: Clock = 1 << 20;

/// A message to a stock client ends with the entry that fills so much of it. It comes back as it is, and what is long has to wait
/// for what else is long.
const MESSAGE_BYTES: usize = 16 << 10;
/// What an entry has besides its state, about.
const ENTRY_BYTES: usize = 12;

/// The awareness of one document.
#[derive(Debug, Default)]
pub struct Awareness {
    here: BTreeMap<ClientId, Present>,
    /// Clocks of those who went lately. A relayed entry that was on its way when they went must not bring them back.
    gone: BTreeMap<ClientId, Gone>,
    /// The same in the order in which they went, so that there are never more than may be here.
    departures: VecDeque<(Millis, ClientId)>,
    /// Which session an entry goes with (A2). A session owns at most one.
    owners: BTreeMap<ClientId, Owner>,
    /// Bytes of all states.
    bytes: usize,
    /// How often all were told of changes lately.
    said: Pace,
    /// The messages with all who are here, until that changes.
    everybody: Vec<Bytes>,
    /// Who somebody was told is here, and nobody that they went: their goodbyes must go out. Those of others needn't, so
    /// that comings and goings of which nobody was told cost nothing.
    told: BTreeSet<ClientId>,
    /// Whose entries have changed since the last frame to all, each with its clock then.
    changed: BTreeMap<ClientId, Clock>,
    /// The last of those of whom all were told: who comes after it is next.
    told_through: Option<ClientId>,
    /// Not later than the first moment at which an entry expires.
    expires: Option<Millis>,
}

#[derive(Debug)]
struct Present {
    clock: Clock,
    state: Arc<str>,
    renewed: Millis,
    /// Who said so last.
    by: SessionId,
}

#[derive(Debug)]
struct Owner {
    session: SessionId,
    /// Who had it before. If that session is alive it says so, and has it back.
    before: Option<SessionId>,
}

/// Who speaks.
#[derive(Debug)]
pub struct Speaker<'a> {
    /// Its session.
    pub id: SessionId,
    /// How many clients it has brought lately that nobody knew. None where that isn't bounded.
    pub brought: Option<&'a mut Pace>,
}

/// What a session may say of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// All.
    Own,
    /// That it's alive.
    Before,
    /// What it hears of somebody who isn't here.
    Relay,
    /// Nothing: its owner is here.
    Foreign,
}

#[derive(Debug)]
struct Gone {
    clock: Clock,
    at: Millis,
}

/// What came of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It counts, and goes out to all.
    New,
    /// It's old news, or says goodbye for somebody who isn't here.
    Old,
    /// It's too large, one too many, or not JSON (A5).
    Refused,
}

impl Awareness {
    /// Hears an entry (A1).
    pub fn hear(
        &mut self,
        entry: Entry<'_>,
        by: &mut Speaker<'_>,
        now: Millis,
        limits: &Limits,
        timing: &Timing,
    ) -> Heard {
        let known = self.clock(entry.client);
        match self.standing(entry.client, by.id) {
            Standing::Foreign => return Heard::Old,
            Standing::Relay if !self.may_move(entry.client, entry.clock) => return Heard::Refused,
            _ if entry.clock == Clock::MAX => return Heard::Refused,
            Standing::Before if entry.clock <= known => return Heard::Old,
            Standing::Before => self.claim(entry.client, by.id),
            Standing::Relay | Standing::Own => {}
        }
        match entry.state {
            Some(_) if entry.clock <= known => Heard::Old,
            Some(state) => self.renew(entry, state, by, now, limits, timing),
            None if entry.clock < known => Heard::Old,
            None if self.here.contains_key(&entry.client) => {
                self.remove(entry.client, entry.clock, now, limits);
                Heard::New
            }
            None => {
                if let Some(gone) = self.gone.get_mut(&entry.client) {
                    gone.clock = entry.clock;
                }
                Heard::Old
            }
        }
    }

    fn standing(&self, client: ClientId, session: SessionId) -> Standing {
        match self.owners.get(&client) {
            None => Standing::Relay,
            Some(owner) if owner.session == session => Standing::Own,
            Some(owner) if owner.before == Some(session) => Standing::Before,
            Some(_) => Standing::Foreign,
        }
    }

    /// Whether somebody who doesn't have a client's entry may move its clock there.
    pub fn may_move(&self, client: ClientId, clock: Clock) -> bool {
        match self.clock(client) {
            0 => clock < CLOCK_END,
            known => clock <= known || clock < CLOCK_END && clock - known <= CLOCK_STEP_MAX,
        }
    }

    fn renew(
        &mut self,
        entry: Entry<'_>,
        state: &str,
        by: &mut Speaker<'_>,
        now: Millis,
        limits: &Limits,
        timing: &Timing,
    ) -> Heard {
        let Entry { client, clock, .. } = entry;
        let is_json = || serde_json::from_str::<IgnoredAny>(state).is_ok();
        if state.len() > limits.awareness_state_bytes_max || !is_json() || !self.may_bring(client, by, now, limits) {
            return Heard::Refused;
        }
        if !self.make_room(client, state.len(), now, limits) {
            return Heard::Refused;
        }
        self.gone.remove(&client);
        self.bytes += state.len();
        let present = Present { clock, state: state.into(), renewed: now, by: by.id };
        if let Some(before) = self.here.insert(client, present) {
            self.bytes -= before.state.len();
        }
        self.changed.insert(client, clock);
        self.everybody.clear();
        let expiry = now + timing.awareness_expiry;
        self.expires = Some(self.expires.map_or(expiry, |first| first.min(expiry)));
        Heard::New
    }

    /// Whether a session may bring a client's entry, if that's not its own: it may have a few of them here, and new ones at a
    /// bounded rate.
    fn may_bring(&self, client: ClientId, by: &mut Speaker<'_>, now: Millis, limits: &Limits) -> bool {
        let Some(pace) = &mut by.brought else { return true };
        if self.here.contains_key(&client) || self.owners.contains_key(&client) {
            return true;
        }
        let max = limits.awareness_entries_per_session_max;
        let of = Allowance { burst: max as u64, per_second: limits.awareness_new_per_second };
        let is_its =
            |(client, present): (&ClientId, &Present)| present.by == by.id && !self.owners.contains_key(client);
        if !pace.allows(now, of) || self.here.iter().filter(|entry| is_its(*entry)).count() >= max {
            return false;
        }
        pace.take(now, of, 1);
        true
    }

    /// Makes room for a state. Who owns its entry finds room in the place of those that nobody owns, the oldest first.
    fn make_room(&mut self, client: ClientId, bytes: usize, now: Millis, limits: &Limits) -> bool {
        let is_owned = self.owners.contains_key(&client);
        loop {
            let before = self.here.get(&client).map(|present| present.state.len());
            let has_place = before.is_some() || self.here.len() < limits.awareness_entries_max;
            if has_place && self.bytes - before.unwrap_or(0) + bytes <= limits.awareness_bytes_max {
                return true;
            }
            let unowned = self.here.iter().filter(|(client, _)| !self.owners.contains_key(client));
            let oldest = unowned.min_by_key(|(_, present)| present.renewed);
            let Some((other, clock)) = oldest.map(|(client, present)| (*client, present.clock)) else { return false };
            if !is_owned {
                return false;
            }
            self.remove(other, clock, now, limits);
        }
    }

    /// The clock from which on an entry of this client is news.
    pub fn clock(&self, client: ClientId) -> Clock {
        let here = self.here.get(&client).map(|present| present.clock);
        here.or_else(|| self.gone.get(&client).map(|gone| gone.clock)).unwrap_or(0)
    }

    /// The clock of a client that is here and said nothing after `since`.
    pub fn clock_before(&self, client: ClientId, since: Millis) -> Option<Clock> {
        self.here.get(&client).filter(|present| present.renewed <= since).map(|present| present.clock)
    }

    fn remove(&mut self, client: ClientId, clock: Clock, now: Millis, limits: &Limits) {
        if let Some(present) = self.here.remove(&client) {
            self.bytes -= present.state.len();
        }
        self.everybody.clear();
        match self.told.contains(&client) {
            true => self.changed.insert(client, clock),
            false => self.changed.remove(&client),
        };
        self.gone.insert(client, Gone { clock, at: now });
        self.departures.push_back((now, client));
        while self.departures.len() > limits.awareness_entries_max {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((at, client)) = self.departures.pop_front() else { return };
        if self.gone.get(&client).is_some_and(|gone| gone.at == at) {
            self.gone.remove(&client);
        }
    }

    /// The entry of `client` goes with `session` from now on (A2).
    pub fn claim(&mut self, client: ClientId, session: SessionId) {
        let before = self.owners.get(&client).filter(|owner| owner.session != session && owner.before != Some(session));
        let before = before.map(|owner| owner.session);
        self.owners.insert(client, Owner { session, before });
    }

    /// A claim comes to nothing: the entry goes with who had it before.
    pub fn give_back(&mut self, client: ClientId, before: Option<SessionId>) {
        match before {
            Some(session) => drop(self.owners.insert(client, Owner { session, before: None })),
            None => drop(self.owners.remove(&client)),
        }
    }

    /// Which session the entry of a client goes with.
    pub fn owner(&self, client: ClientId) -> Option<SessionId> {
        self.owners.get(&client).map(|owner| owner.session)
    }

    /// Says goodbye for a client whose session has gone, unless another session has claimed its entry since (S5).
    pub fn leave(&mut self, client: ClientId, session: SessionId, now: Millis, limits: &Limits) {
        if self.owner(client) != Some(session) {
            return;
        }
        self.owners.remove(&client);
        if let Some(present) = self.here.get(&client) {
            self.remove(client, present.clock, now, limits);
        }
    }

    /// Says goodbye for all who weren't renewed for too long, and forgets who is long gone (A4).
    pub fn expire(&mut self, now: Millis, limits: &Limits, timing: &Timing) {
        let is_over = |since: Millis| now.since(since) >= timing.awareness_expiry;
        let over: Vec<_> = self.here.iter().filter(|(_, p)| is_over(p.renewed)).map(|(c, p)| (*c, p.clock)).collect();
        for (client, clock) in over {
            self.remove(client, clock, now, limits);
        }
        while self.departures.front().is_some_and(|(at, _)| is_over(*at)) {
            self.forget_oldest();
        }
        let renewed = self.here.values().map(|present| present.renewed);
        let first = renewed.chain(self.departures.front().map(|(at, _)| *at)).min();
        self.expires = first.map(|first| first + timing.awareness_expiry);
    }

    /// When `expire` is to be called next.
    pub fn deadline(&self) -> Option<Millis> {
        self.expires
    }

    /// When what has changed since the last message to all may be told, if anything has (A6).
    pub fn due(&self, now: Millis, of: Allowance) -> Option<Millis> {
        let due = if self.said.allows(now, of) { now } else { self.said.next(of) };
        (!self.changed.is_empty()).then_some(due)
    }

    /// One message with what has changed: all of it, unless that's much.
    pub fn changes(&mut self, now: Millis, of: Allowance) -> Bytes {
        self.said.take(now, of, 1);
        let (later, earlier): (Vec<_>, Vec<_>) =
            self.changed.iter().partition(|(client, _)| Some(**client) > self.told_through);
        let in_turn = later.into_iter().chain(earlier).map(|(client, clock)| self.entry(*client, *clock));
        let entries = first_message(&mut in_turn.peekable());
        let clients: Vec<_> = entries.iter().map(|entry| entry.client).collect();
        let message = sync::awareness(entries.into_iter());
        for client in &clients {
            self.changed.remove(client);
            match self.here.contains_key(client) {
                true => self.told.insert(*client),
                false => self.told.remove(client),
            };
        }
        self.told_through = clients.last().copied();
        message
    }

    /// The entry of a client, or a goodbye at this clock.
    fn entry(&self, client: ClientId, clock: Clock) -> Entry<'_> {
        match self.here.get(&client) {
            Some(present) => Entry { client, clock: present.clock, state: Some(&present.state) },
            None => Entry { client, clock, state: None },
        }
    }

    /// Messages with all who are here.
    pub fn everybody(&mut self) -> Vec<Bytes> {
        if self.everybody.is_empty() {
            self.told.extend(self.here.keys());
            let mut entries = self.here.keys().map(|client| self.entry(*client, 0)).peekable();
            let mut messages = Vec::new();
            while entries.peek().is_some() {
                messages.push(sync::awareness(first_message(&mut entries).into_iter()));
            }
            self.everybody = messages;
        }
        self.everybody.clone()
    }

    /// One message for somebody who missed what was said lately: all who are here, and a goodbye for all who went.
    pub fn anew(&mut self) -> Option<Bytes> {
        self.told.extend(self.here.keys());
        let here = self.here.keys().map(|client| self.entry(*client, 0));
        let gone = self.gone.iter().map(|(client, gone)| self.entry(*client, gone.clock));
        let entries: Vec<_> = here.chain(gone).collect();
        (!entries.is_empty()).then(|| sync::awareness(entries.into_iter()))
    }
}

/// Takes the entries of one message.
fn first_message<'a>(entries: &mut Peekable<impl Iterator<Item = Entry<'a>>>) -> Vec<Entry<'a>> {
    let (mut first, mut bytes) = (Vec::new(), 0);
    while let Some(entry) = entries.next_if(|_| bytes < MESSAGE_BYTES) {
        bytes += entry.state.map_or(0, str::len) + ENTRY_BYTES;
        first.push(entry);
    }
    first
}

/// A message that says goodbye for one client.
pub fn goodbye(client: ClientId, clock: Clock) -> Bytes {
    sync::awareness([Entry { client, clock, state: None }].into_iter())
}
