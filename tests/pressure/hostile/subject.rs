//! A document that is sent hostile messages, and everything that must hold of it after each.

use std::time::Duration;

use bytes::Bytes;
use y_mesh::document::{CloseCode, Document, Effect, Event, Now, Reason, Stored};
use y_mesh::wire::sync::{self, Frame, Frames};
use y_mesh::yrs::ReadTxn;
use y_mesh::{ClientId, Identity, Seq, SessionId};

use super::known::Known;
use super::order::Order;
use super::support::random::Random;
use super::support::world::{SERVER, World};
use super::{content, memory};

/// What one message may cost, and what each MiB of it may cost more. Unoptimized code isn't what is measured.
const TIME_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 50 });
const MEMORY_MAX: usize = 64 << 20;
/// Bytes of memory for a byte of a message.
const MEMORY_FACTOR: usize = 8;

/// How long this thread has worked, so that others on the machine don't count.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// So many units can be put in order by the model in good time.
const UNITS_MODELLED_MAX: u64 = 3_000;

/// What was broken, in words.
pub type Broken = String;

/// What one message came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Came {
    pub taken: bool,
    pub refused: bool,
    pub missing: bool,
}

pub struct Subject {
    world: World,
    attacker: SessionId,
    witness: SessionId,
    /// What somebody who was there from the beginning was sent.
    shown: Vec<Bytes>,
    /// SyncStep2 and Update frames that the attacker's present session has sent.
    sent: u64,
    /// Whether one of them stands on something missing.
    is_blocked: bool,
    pub known: Known,
    content: String,
}

impl Subject {
    pub fn new() -> Self {
        let mut world = World::with(|config| config.limits.merge_updates_max = 3);
        let (attacker, witness) = (world.join(), world.join_reader());
        let mut subject = Self {
            world,
            attacker,
            witness,
            shown: Vec::new(),
            sent: 0,
            is_blocked: false,
            known: Known::default(),
            content: String::new(),
        };
        subject.collect();
        subject
    }

    /// Sends one message as a socket would, and holds what must hold.
    pub fn send(&mut self, message: Bytes) -> Result<Came, Broken> {
        let before = self.world.effects.len();
        self.count(&message);
        self.handle(message)?;
        self.world.turn();
        let came = self.came(before);
        self.answered(before)?;
        self.collect();
        self.hold()?;
        let now = self.world.now.monotonic;
        self.world.pass(Duration::from_millis(now.0 % 300));
        Ok(came)
    }

    fn count(&mut self, message: &Bytes) {
        let brings = |frame: &Frame<'_>| matches!(frame, Frame::SyncStep2(_) | Frame::Update(_));
        self.sent += Frames::of(message).map_while(Result::ok).filter(brings).count() as u64;
    }

    fn handle(&mut self, message: Bytes) -> Result<(), Broken> {
        let size = message.len();
        let event = Event::Received { session: self.attacker, message };
        let (now, document) = (self.world.now, &mut self.world.document);
        let mut effects = Vec::new();
        let begun = worked();
        let ((), peak) = memory::peak_of(|| document.handle(now, event, &mut effects));
        let took = worked() - begun;
        self.world.perform(effects);
        if took > TIME_MAX.mul_f64(1.0 + size as f64 / f64::from(1 << 20)) {
            return Err(format!("slow: {} ms for {size} bytes", took.as_millis()));
        }
        if peak > MEMORY_MAX + MEMORY_FACTOR * size {
            return Err(format!("large: {} MiB of memory for {size} bytes", peak >> 20));
        }
        Ok(())
    }

    fn came(&mut self, before: usize) -> Came {
        let new = &self.world.effects[before..];
        let came = Came {
            taken: new.iter().any(|effect| matches!(effect, Effect::Append { .. })),
            refused: new.iter().any(|effect| matches!(effect, Effect::Close { .. })),
            missing: new.iter().any(|effect| matches!(effect, Effect::Refused { reason: Reason::Missing, .. })),
        };
        self.is_blocked |= came.missing;
        came
    }

    /// One for one: acknowledged, refused for good, or waiting for what is missing.
    fn answered(&mut self, before: usize) -> Result<(), Broken> {
        if let Some(code) = self.world.closed(self.attacker) {
            let says_why = self.world.effects[before..].iter().any(|effect| matches!(effect, Effect::Refused { .. }));
            let is_known = matches!(code, CloseCode::Refused | CloseCode::Malformed | CloseCode::TooBig);
            if !is_known || (code == CloseCode::Refused && !says_why) {
                return Err(format!("the sender was closed with {code:?}"));
            }
            self.world.leave(self.attacker);
            self.attacker = self.world.join();
            (self.sent, self.is_blocked) = (0, false);
            return Ok(());
        }
        let (durable, refused) = self.world.acknowledged(self.attacker);
        if durable + refused > self.sent || (!self.is_blocked && durable + refused != self.sent) {
            return Err(format!("acknowledged {durable} and {refused} of {}", self.sent));
        }
        if self.world.closed(self.witness).is_some() || self.world.document.has_ended() {
            return Err("others were closed".to_owned());
        }
        Ok(())
    }

    fn collect(&mut self) {
        self.world.pop_all(self.attacker);
        let shown = self.world.pop_all(self.witness);
        self.shown.extend(shown);
    }

    /// Nothing is pending; the snapshot can be loaded again, and holds the same.
    fn hold(&mut self) -> Result<(), Broken> {
        let document = &self.world.document;
        if document.read(|txn| txn.has_missing_updates()) {
            return Err("yrs holds something pending".to_owned());
        }
        let snapshot = document.snapshot();
        self.known = Known::of(&snapshot);
        self.content = content::of(document, self.known.has_readable_lists());
        let stored = Stored { snapshot: Some((Seq(1), snapshot)), ..Stored::default() };
        self.same("the snapshot", &stored)
    }

    /// What must hold in the end: the journal, and what others were shown, come to the same.
    pub fn end(&mut self, random: &mut Random) -> Result<(), Broken> {
        self.same("the journal", &self.world.journal.everything())?;
        self.same_shown()?;
        if self.known.has_readable_lists() && random.percent(10) {
            content::by_yrs(&self.world.document);
        }
        Ok(())
    }

    fn same(&self, what: &str, stored: &Stored) -> Result<(), Broken> {
        let opened = Document::open(stored, ClientId(SERVER.0 + 1), self.world.config.clone(), self.world.now);
        let again = opened.map_err(|error| format!("bricked: {what} can't be opened: {error}"))?;
        self.equal(what, &again)
    }

    fn equal(&self, what: &str, other: &Document) -> Result<(), Broken> {
        if other.state_vector() != self.world.document.state_vector() {
            return Err(format!("{what} has another state vector"));
        }
        let content = content::of(other, self.known.has_readable_lists());
        if content != self.content && self.has_one_order() {
            return Err(format!("{what} has another content: {content:?} instead of {:?}", self.content));
        }
        Ok(())
    }

    /// Whether the content can't be in another order. Of what never was between its neighbours, the place depends on what came
    /// first, and with the place the formatting. Where there's too much for the model, nobody can tell.
    fn has_one_order(&self) -> bool {
        self.known.ends.values().sum::<u64>() <= UNITS_MODELLED_MAX && Order::of(&self.known).is_possible
    }

    fn same_shown(&self) -> Result<(), Broken> {
        let config = self.world.config.clone();
        let mut mirror = Document::open(&Stored::default(), ClientId(SERVER.0 + 2), config, Now::default()).unwrap();
        for message in &self.shown {
            for frame in Frames::of(message).map_while(Result::ok) {
                if let Frame::SyncStep2(update) | Frame::Update(update) = frame {
                    let mut effects = Vec::new();
                    let update = Bytes::copy_from_slice(update);
                    let event = Event::Edited { update, author: Identity::anonymous() };
                    mirror.handle(Now::default(), event, &mut effects);
                    let refused = effects.iter().find(|effect| matches!(effect, Effect::Refused { .. }));
                    if let Some(refused) = refused {
                        return Err(format!("what others are shown would be refused by us: {refused:?}"));
                    }
                }
            }
        }
        self.equal("what others were shown", &mirror)
    }

    /// Leaks it: after a panic, nothing of it can be trusted, not even its end.
    pub fn leak(self) {
        std::mem::forget(self);
    }
}

/// The message that brings an update.
pub fn message(update: &[u8], random: &mut Random) -> Bytes {
    if random.percent(20) { sync::sync_step_2(update) } else { sync::update(update) }
}
