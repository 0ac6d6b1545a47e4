//! Awareness as y-protocols 1.0.7 keeps it in a client (its `awareness.js`), and as y-websocket relays it: every entry
//! that counted, its own or not, is sent on.

use std::collections::BTreeMap;

use bytes::Bytes;
use y_mesh::wire::sync::{self, Entries, Entry};
use y_mesh::{ClientId, Clock};

pub struct Presence {
    own: ClientId,
    /// Clocks stay when states go.
    clocks: BTreeMap<ClientId, Clock>,
    states: BTreeMap<ClientId, String>,
}

impl Presence {
    /// A fresh client's: it's there, with nothing to say, at clock 0.
    pub fn new(own: ClientId) -> Self {
        Self { own, clocks: BTreeMap::from([(own, 0)]), states: BTreeMap::from([(own, "{}".to_owned())]) }
    }

    /// Changes the own state, or says goodbye; gives the message.
    pub fn set(&mut self, state: Option<&str>) -> Bytes {
        *self.clocks.entry(self.own).or_default() += 1;
        match state {
            Some(state) => drop(self.states.insert(self.own, state.to_owned())),
            None => drop(self.states.remove(&self.own)),
        }
        self.encode(&[self.own])
    }

    /// The same state at a newer clock, as every 15 s.
    pub fn renew(&mut self) -> Bytes {
        let state = self.states.get(&self.own).cloned();
        self.set(state.as_deref())
    }

    /// What is sent on opening, if the client shows itself at all.
    pub fn opening(&self) -> Option<Bytes> {
        self.states.contains_key(&self.own).then(|| self.encode(&[self.own]))
    }

    /// Everybody known here, as an answer to a question.
    pub fn everybody(&self) -> Bytes {
        self.encode(&self.states.keys().copied().collect::<Vec<_>>())
    }

    /// Takes an awareness frame's body in; gives the message that y-websocket sends on.
    pub fn hear(&mut self, body: &[u8]) -> Option<Bytes> {
        let mut changed = Vec::new();
        for entry in Entries::of(body).expect("the server sends entries") {
            let entry = entry.expect("the server sends whole entries");
            if self.counts(&entry) && self.take(&entry) {
                changed.push(entry.client);
            }
        }
        (!changed.is_empty()).then(|| self.encode(&changed))
    }

    fn counts(&self, entry: &Entry<'_>) -> bool {
        let known = self.clocks.get(&entry.client).copied().unwrap_or(0);
        let says_goodbye = entry.state.is_none() && self.states.contains_key(&entry.client);
        entry.clock > known || entry.clock == known && says_goodbye
    }

    /// Whether it's an event, and so sent on.
    fn take(&mut self, entry: &Entry<'_>) -> bool {
        let was_known = self.clocks.contains_key(&entry.client);
        let is_denied = entry.state.is_none() && entry.client == self.own && self.states.contains_key(&self.own);
        match entry.state {
            Some(state) => drop(self.states.insert(entry.client, state.to_owned())),
            None if is_denied => {}
            None => drop(self.states.remove(&entry.client)),
        }
        self.clocks.insert(entry.client, entry.clock + Clock::from(is_denied));
        entry.state.is_some() || was_known
    }

    /// The connection is gone: all others are, their clocks stay.
    pub fn forget_others(&mut self) {
        self.states.retain(|client, _| *client == self.own);
    }

    pub fn others(&self) -> BTreeMap<ClientId, String> {
        self.states.iter().filter(|(client, _)| **client != self.own).map(|(c, s)| (*c, s.clone())).collect()
    }

    pub fn all(&self) -> &BTreeMap<ClientId, String> {
        &self.states
    }

    pub fn clock(&self) -> Clock {
        self.clocks[&self.own]
    }

    fn encode(&self, clients: &[ClientId]) -> Bytes {
        let entries = clients.iter().map(|client| Entry {
            client: *client,
            clock: self.clocks[client],
            state: self.states.get(client).map(String::as_str),
        });
        sync::awareness(entries.collect::<Vec<_>>().into_iter())
    }
}
