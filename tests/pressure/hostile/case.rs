//! One case: what a seed sends to one document, message by message.

use bytes::Bytes;
use y_mesh::wire::sync;

use super::known::Known;
use super::subject;
use super::support::random::Random;
use super::update::{Id, Update};
use super::{honest, invent, mutate};

/// Messages of one case: many enough that they meet, few enough that documents stay small.
pub const MESSAGES: usize = 24;

pub struct Case {
    random: Random,
    /// What honest clients still have to send.
    honest: std::vec::IntoIter<Vec<u8>>,
    /// How many of the first are sent as they are.
    untouched: usize,
    /// How many of a hundred are made up against what is there; of the rest, what is honest is changed.
    invents: usize,
    sent: Vec<Vec<u8>>,
}

impl Case {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let honest = if random.percent(60) { honest::sequence(&mut random) } else { Vec::new() };
        let untouched = random.below(honest.len() + 1);
        let invents = if honest.is_empty() { 100 } else { random.pick(&[0, 30, 80]) };
        Self { random, honest: honest.into_iter(), untouched, invents, sent: Vec::new() }
    }

    /// The next message to a document that holds this.
    pub fn next(&mut self, known: &Known) -> Bytes {
        let update = self.update(known);
        self.sent.push(update.clone());
        let mut message = subject::message(&update, &mut self.random);
        match self.random.below(40) {
            0 => message = [message, sync::sync_step_1(&self.vector(known))].concat().into(),
            1 => message = [sync::update(&self.repeated()), message].concat().into(),
            _ => {}
        }
        message
    }

    fn update(&mut self, known: &Known) -> Vec<u8> {
        if self.sent.len() < self.untouched {
            return self.honest.next().unwrap_or_default();
        }
        if self.random.percent(self.invents) {
            return self.invented(known);
        }
        match self.honest.next() {
            Some(update) if self.random.percent(30) => update,
            Some(update) => self.changed(update, known),
            None => {
                let again = self.repeated();
                self.changed(again, known)
            }
        }
    }

    fn invented(&mut self, known: &Known) -> Vec<u8> {
        let mut update = invent::update(known, &mut self.random);
        if self.random.percent(15) {
            mutate::structs(&mut update, &self.ids(known), &mut self.random);
        }
        let bytes = update.encode();
        if self.random.percent(5) { self.scrambled(bytes) } else { bytes }
    }

    fn changed(&mut self, update: Vec<u8>, known: &Known) -> Vec<u8> {
        let ids = self.ids(known);
        match Update::parse(&update) {
            Some(mut parts) if self.random.percent(60) => {
                mutate::structs(&mut parts, &ids, &mut self.random);
                parts.encode()
            }
            _ => self.scrambled(update),
        }
    }

    fn scrambled(&mut self, mut update: Vec<u8>) -> Vec<u8> {
        let other = self.repeated();
        mutate::bytes(&mut update, &other, &mut self.random);
        update
    }

    /// Something that was sent before.
    fn repeated(&mut self) -> Vec<u8> {
        if self.sent.is_empty() {
            return vec![0, 0];
        }
        self.sent[self.random.below(self.sent.len())].clone()
    }

    fn ids(&mut self, known: &Known) -> Vec<Id> {
        (0..6).filter_map(|_| known.any(&mut self.random)).collect()
    }

    fn vector(&mut self, known: &Known) -> Vec<u8> {
        let mut vector = y_mesh::document::StateVector::default();
        for (client, end) in &known.ends {
            if self.random.percent(70) {
                let clock = if self.random.percent(80) { *end } else { mutate::edge(&mut self.random) };
                vector.raise(y_mesh::ClientId(*client), clock as u32);
            }
        }
        vector.encode()
    }
}
