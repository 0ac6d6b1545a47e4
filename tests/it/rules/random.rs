//! All rules at once: clients that edit, fall behind, go and come back, a journal that is killed, and equality at the end.

use bytes::Bytes;
use y_mesh::document::Event;
use y_mesh::{ClientId, SessionId};

use crate::support::client::Client;
use crate::support::random::Random;
use crate::support::world::World;

/// How many storms there are. `tests/run --campaign` sets more.
fn seeds() -> u64 {
    std::env::var("YMESH_TEST_SEEDS").map_or(200, |seeds| seeds.parse().expect("YMESH_TEST_SEEDS is a number"))
}
const STEPS: usize = 60;

/// One client, its session if it has one, and what is on its way in both directions.
struct Tab {
    client: Client,
    session: Option<SessionId>,
    /// Sent by the client and not yet with the server.
    outgoing: Vec<Bytes>,
    /// A change that was sent once, to be sent again.
    repeats: Vec<Bytes>,
    /// What it once showed, to be relayed by anybody at any time.
    awareness: Vec<Bytes>,
}

struct Storm {
    random: Random,
    world: World,
    tabs: Vec<Tab>,
    /// Whether the disk is almost full now and then.
    fills: bool,
    is_low: bool,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut world = World::with(|config| {
            config.limits.compact_after_records = 1 + seed % 30;
            config.limits.merge_updates_max = 1 + seed as usize % 5;
        });
        (world.syncs, world.holds) = (false, seed % 4 > 1);
        let tabs = (0..2 + random.below(3)).map(|index| Tab {
            client: Client::new(1 + index as u64),
            session: None,
            outgoing: Vec::new(),
            repeats: Vec::new(),
            awareness: Vec::new(),
        });
        Self { tabs: tabs.collect(), random, world, fills: seed % 2 == 1, is_low: false }
    }

    fn step(&mut self) {
        let index = self.random.below(self.tabs.len());
        match self.random.below(25) {
            0..=6 => self.edit(index),
            7..=11 => self.deliver(index),
            12..=15 => self.read(index),
            16 => self.connect(index),
            17 => self.disconnect(index),
            18 => self.show(index),
            19 => self.repeat(index),
            20 => self.sync_some(),
            21 => self.kill(),
            22 => self.set_low(self.fills && !self.is_low),
            _ => self.world.turn(),
        }
    }

    fn edit(&mut self, index: usize) {
        let tab = &mut self.tabs[index];
        let messages = tab.client.edit_randomly(&mut self.random);
        tab.repeats.extend(messages.iter().cloned());
        match tab.session {
            Some(_) => tab.outgoing.extend(messages),
            None => tab.client.sent = 0,
        }
    }

    /// The server gets some of what a client sent.
    fn deliver(&mut self, index: usize) {
        let tab = &mut self.tabs[index];
        let Some(session) = tab.session else { return };
        let count = self.random.below(tab.outgoing.len() + 1);
        let messages: Vec<_> = tab.outgoing.drain(..count).collect();
        match self.random.percent(20) {
            true => self.world.say(session, [Bytes::from(messages.concat())]),
            false => self.world.say(session, messages),
        }
    }

    /// A client reads some of what the server sent.
    fn read(&mut self, index: usize) {
        let tab = &mut self.tabs[index];
        let Some(session) = tab.session else { return };
        for _ in 0..self.random.below(6) {
            let Some(message) = self.world.pop(session) else { break };
            let answers = tab.client.take(&message);
            tab.outgoing.extend(answers);
        }
        self.world.drained(session);
    }

    fn connect(&mut self, index: usize) {
        let tab = &mut self.tabs[index];
        if tab.session.is_some() {
            return;
        }
        let slow = self.random.percent(60);
        let messages_max = if slow { 2 + self.random.below(6) } else { usize::MAX };
        tab.session = Some(self.world.join_slow(messages_max, 1 << 20));
        tab.outgoing = tab.client.open();
    }

    fn disconnect(&mut self, index: usize) {
        let tab = &mut self.tabs[index];
        if let Some(session) = tab.session.take() {
            self.world.leave(session);
            tab.outgoing.clear();
            tab.client.presence.forget_others();
        }
    }

    fn show(&mut self, index: usize) {
        let tab = &mut self.tabs[index];
        let shows = tab.client.presence.set(Some(&self.random.below(100).to_string()));
        tab.awareness.push(shows.clone());
        if tab.session.is_some() {
            tab.outgoing.push(shows);
        }
    }

    /// Something that was said before is said again, late and by anybody.
    fn repeat(&mut self, index: usize) {
        let from = self.random.below(self.tabs.len());
        let old = if self.random.percent(50) { &self.tabs[from].repeats } else { &self.tabs[from].awareness };
        if old.is_empty() || self.tabs[index].session.is_none() {
            return;
        }
        let message = old[self.random.below(old.len())].clone();
        let tab = &mut self.tabs[index];
        tab.client.sent += u64::from(message[0] == 0);
        tab.outgoing.push(message);
    }

    fn sync_some(&mut self) {
        let through = self.world.journal.sync(self.random.below(4));
        self.world.event(Event::Durable { through });
    }

    /// The server dies; what was acknowledged must be in what is durable.
    fn kill(&mut self) {
        if !self.random.percent(30) {
            return;
        }
        (0..self.tabs.len()).for_each(|index| self.disconnect_from_the_dead(index));
        let stored = self.world.journal.durable();
        let id = ClientId(10_000 + self.random.below(1_000) as u64);
        self.world = World::reopened(&stored, self.world.config.clone(), id);
        self.world.syncs = false;
        self.set_low(self.is_low);
    }

    fn set_low(&mut self, is_low: bool) {
        self.is_low = is_low;
        self.world.event(Event::StoreLow { is_low });
    }

    fn disconnect_from_the_dead(&mut self, index: usize) {
        let tab = &mut self.tabs[index];
        tab.session = None;
        tab.outgoing.clear();
        tab.client.presence.forget_others();
    }

    /// Everybody comes, everything is delivered, everything is durable.
    fn calm(&mut self) {
        self.world.syncs = true;
        self.set_low(false);
        (0..self.tabs.len()).for_each(|index| self.connect(index));
        for _ in 0..2 {
            for tab in &mut self.tabs {
                let session = tab.session.expect("everybody is here");
                let outgoing = std::mem::take(&mut tab.outgoing);
                self.world.say(session, outgoing);
            }
            self.settle();
            self.world.pass(self.world.config.timing.ask_interval);
            self.settle();
            for tab in &mut self.tabs {
                let renewed = tab.client.presence.renew();
                tab.outgoing.push(renewed);
            }
        }
    }

    fn settle(&mut self) {
        let mut all: Vec<_> =
            self.tabs.iter_mut().map(|tab| (tab.session.expect("everybody is here"), &mut tab.client)).collect();
        self.world.settle(&mut all);
    }

    fn hold(&self, seed: u64) {
        let wanted = self.world.content();
        for tab in &self.tabs {
            let session = tab.session.expect("everybody is here");
            assert_eq!(tab.client.content(), wanted, "seed {seed}: client {:?}", tab.client.id);
            assert!(!tab.client.is_missing_something(), "seed {seed}");
            let (durable, refused) = self.world.acknowledged(session);
            assert_eq!(durable + refused, tab.client.sent, "seed {seed}: client {:?}", tab.client.id);
            assert!(refused == 0 || self.fills, "seed {seed}: client {:?}", tab.client.id);
            assert_eq!(tab.client.presence.all(), self.tabs[0].client.presence.all(), "seed {seed}");
            assert_eq!(self.world.closed(session), None, "seed {seed}");
        }
        assert_eq!(self.tabs[0].client.presence.all().len(), self.tabs.len(), "seed {seed}");
        let again = World::reopened(&self.world.journal.durable(), self.world.config.clone(), ClientId(9_999));
        assert_eq!(again.content(), wanted, "seed {seed}: the journal rebuilds it");
    }
}

#[test]
fn f5_d2_d7_and_the_rest_hold_together_under_random_storms() {
    for seed in 0..seeds() {
        let mut storm = Storm::new(seed);
        for _ in 0..STEPS {
            storm.step();
        }
        storm.calm();
        storm.hold(seed);
    }
}

#[test]
fn random_storms_are_the_same_each_time() {
    for seed in 0..5 {
        let run = || {
            let mut storm = Storm::new(seed);
            (0..STEPS).for_each(|_| storm.step());
            storm.calm();
            (storm.world.content(), storm.world.effects.len(), storm.world.journal.last())
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}
