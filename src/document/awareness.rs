//! Who is here, and where their carets are. Never stored (A3).
//!
//! The rules are those of y-protocols 1.0.7 (`awareness.js`), with bounds, owners and an end for everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::event::Millis;
use crate::config::{Limits, Timing};
use crate::id::{ClientId, Clock, SessionId};
use crate::wire::sync::{self, Entry};

/// The awareness of one document.
#[derive(Debug, Default)]
pub struct Awareness {
    here: BTreeMap<ClientId, Present>,
    /// Clocks of those who went lately. A relayed entry that was on its way when they went must not bring them back.
    gone: BTreeMap<ClientId, Gone>,
    /// Which session an entry goes with (A2). A session owns at most one.
    owners: BTreeMap<ClientId, SessionId>,
    /// Whose entries have changed since the last frame to all.
    changed: BTreeSet<ClientId>,
    /// Not later than the first moment at which an entry expires.
    expires: Option<Millis>,
}

#[derive(Debug)]
struct Present {
    clock: Clock,
    state: Arc<str>,
    renewed: Millis,
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
    pub fn hear(&mut self, entry: Entry<'_>, now: Millis, limits: &Limits, timing: &Timing) -> Heard {
        let known = self.clock(entry.client);
        match entry.state {
            Some(_) if entry.clock <= known => Heard::Old,
            Some(state) => self.renew(entry.client, entry.clock, state, now, limits, timing),
            None if entry.clock < known => Heard::Old,
            None if !self.here.contains_key(&entry.client) => Heard::Old,
            None => {
                self.remove(entry.client, entry.clock, now);
                Heard::New
            }
        }
    }

    fn renew(
        &mut self,
        client: ClientId,
        clock: Clock,
        state: &str,
        now: Millis,
        limits: &Limits,
        timing: &Timing,
    ) -> Heard {
        let is_full = self.here.len() >= limits.awareness_entries_max && !self.here.contains_key(&client);
        let is_json = || serde_json::from_str::<IgnoredAny>(state).is_ok();
        if is_full || state.len() > limits.awareness_state_bytes_max || !is_json() {
            return Heard::Refused;
        }
        self.gone.remove(&client);
        self.here.insert(client, Present { clock, state: state.into(), renewed: now });
        self.changed.insert(client);
        let expiry = now + timing.awareness_expiry;
        self.expires = Some(self.expires.map_or(expiry, |first| first.min(expiry)));
        Heard::New
    }

    /// The clock from which on an entry of this client is news.
    fn clock(&self, client: ClientId) -> Clock {
        let here = self.here.get(&client).map(|present| present.clock);
        here.or_else(|| self.gone.get(&client).map(|gone| gone.clock)).unwrap_or(0)
    }

    /// The clock of a client that is here and said nothing after `since`.
    pub fn clock_before(&self, client: ClientId, since: Millis) -> Option<Clock> {
        self.here.get(&client).filter(|present| present.renewed <= since).map(|present| present.clock)
    }

    fn remove(&mut self, client: ClientId, clock: Clock, now: Millis) {
        self.here.remove(&client);
        self.gone.insert(client, Gone { clock, at: now });
        self.changed.insert(client);
    }

    /// The entry of `client` goes with `session` from now on (A2).
    pub fn claim(&mut self, client: ClientId, session: SessionId) {
        self.owners.insert(client, session);
    }

    /// Says goodbye for a client whose session has gone, unless another session has claimed its entry since (S5).
    pub fn leave(&mut self, client: ClientId, session: SessionId, now: Millis) {
        if self.owners.get(&client) != Some(&session) {
            return;
        }
        self.owners.remove(&client);
        if let Some(present) = self.here.get(&client) {
            self.remove(client, present.clock, now);
        }
    }

    /// Says goodbye for all who weren't renewed for too long, and forgets who is long gone (A4).
    pub fn expire(&mut self, now: Millis, limits: &Limits, timing: &Timing) {
        let is_over = |since: Millis| now.since(since) >= timing.awareness_expiry;
        let over: Vec<_> = self.here.iter().filter(|(_, p)| is_over(p.renewed)).map(|(c, p)| (*c, p.clock)).collect();
        for (client, clock) in over {
            self.remove(client, clock, now);
        }
        self.gone.retain(|_, gone| !is_over(gone.at));
        while self.gone.len() > limits.awareness_entries_max {
            let Some(oldest) = self.gone.iter().min_by_key(|(_, gone)| gone.at).map(|(c, _)| *c) else { break };
            self.gone.remove(&oldest);
        }
        let renewed = self.here.values().map(|present| present.renewed);
        let first = renewed.chain(self.gone.values().map(|gone| gone.at)).min();
        self.expires = first.map(|first| first + timing.awareness_expiry);
    }

    /// When `expire` is to be called next.
    pub fn deadline(&self) -> Option<Millis> {
        self.expires
    }

    /// One message with all that has changed since the last, or none.
    pub fn changes(&mut self) -> Option<Bytes> {
        if self.changed.is_empty() {
            return None;
        }
        let changed = std::mem::take(&mut self.changed);
        let entries: Vec<_> = changed.iter().map(|client| self.entry(*client)).collect();
        Some(sync::awareness(entries.into_iter()))
    }

    fn entry(&self, client: ClientId) -> Entry<'_> {
        match self.here.get(&client) {
            Some(present) => Entry { client, clock: present.clock, state: Some(&present.state) },
            None => Entry { client, clock: self.clock(client), state: None },
        }
    }

    /// One message with all who are here, or none if nobody is.
    pub fn everybody(&self) -> Option<Bytes> {
        let entries: Vec<_> = self.here.keys().map(|client| self.entry(*client)).collect();
        (!entries.is_empty()).then(|| sync::awareness(entries.into_iter()))
    }

    /// One message for somebody who missed what was said lately: all who are here, and a goodbye for all who went.
    pub fn anew(&self) -> Option<Bytes> {
        let entries: Vec<_> = self.here.keys().chain(self.gone.keys()).map(|client| self.entry(*client)).collect();
        (!entries.is_empty()).then(|| sync::awareness(entries.into_iter()))
    }
}

/// A message that says goodbye for one client.
pub fn goodbye(client: ClientId, clock: Clock) -> Bytes {
    sync::awareness([Entry { client, clock, state: None }].into_iter())
}
