//! What honest clients send always passes, in whatever order and portions it comes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use y_mesh::document::{Document, Reason, StateVector};
use y_mesh::wire::sync::{self, Frame, Frames};
use y_mesh::{ClientId, SessionId};

use crate::support::client::Client;
use crate::support::corpus::{self, Scenario};
use crate::support::random::Random;
use crate::support::shown;
use crate::support::world::World;

/// yrs 0.28.1 can't read JSON that says half a surrogate pair, as JavaScript writes a text that was cut. So it's taken as U+FFFD,
/// and the content isn't what the corpus says.
const HALF_A_PAIR: &str = "half a pair in JSON";

/// More rounds of questions and answers than anything needs.
const ROUNDS_MAX: usize = 20;

/// A document, the sessions of those who sent the scenario, and somebody who only listens.
struct Play<'a> {
    scenario: &'a Scenario,
    world: World,
    sessions: BTreeMap<u64, SessionId>,
    sent: BTreeMap<u64, u64>,
    listener: (SessionId, Client),
}

impl<'a> Play<'a> {
    fn of(scenario: &'a Scenario) -> Self {
        let mut world = World::new();
        let mut client = Client::new(123_456);
        let listener = world.connect(&mut client);
        Self { scenario, world, sessions: BTreeMap::new(), sent: BTreeMap::new(), listener: (listener, client) }
    }

    fn session(&mut self, number: u64) -> SessionId {
        *self.sessions.entry(number).or_insert_with(|| self.world.join())
    }

    /// One message of so many updates.
    fn send(&mut self, number: u64, updates: &[Bytes], frame: fn(&[u8]) -> Bytes) {
        let session = self.session(number);
        let frames: Vec<_> = updates.iter().map(|update| frame(update)).collect();
        *self.sent.entry(number).or_default() += updates.len() as u64;
        self.world.say(session, [frames.concat().into()]);
    }

    /// Each answers with all that there is when it's asked for what is missing, until nobody is asked.
    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.world.turn();
            self.world.exchange(self.listener.0, &mut self.listener.1);
            let asked: Vec<_> = self.sessions.iter().map(|(number, session)| (*number, *session)).collect();
            let asked: Vec<_> = asked.into_iter().filter(|(_, session)| self.is_asked(*session)).collect();
            for (number, _) in &asked {
                self.send(*number, std::slice::from_ref(&self.scenario.whole), sync::sync_step_2);
            }
            if asked.is_empty() && self.is_settled() {
                return;
            }
            self.world.pass(self.world.config.timing.ask_interval);
        }
        panic!("{}: not all is acknowledged: {:?}", self.scenario.name, self.world.refusals());
    }

    fn is_asked(&mut self, session: SessionId) -> bool {
        let messages = self.world.pop_all(session);
        messages.iter().any(|message| matches!(Frames::of(message).next(), Some(Ok(Frame::SyncStep1(_)))))
    }

    fn is_settled(&self) -> bool {
        let settled = |(number, session): (&u64, &SessionId)| {
            let sent = self.sent.get(number).copied().unwrap_or(0);
            self.world.acknowledged(*session) == (sent, 0)
        };
        self.sessions.iter().all(settled)
    }

    /// Nothing was refused, all was acknowledged, and everybody has what Yjs makes of it.
    fn hold(mut self, may_miss: bool) {
        self.settle();
        let name = &self.scenario.name;
        let is_wrong = |reason: &&&Reason| !(may_miss && matches!(reason, Reason::Missing));
        let refusals = self.world.refusals();
        assert_eq!(refusals.iter().find(is_wrong), None, "{name}: nothing is refused");
        for session in self.sessions.values().chain([&self.listener.0]) {
            assert_eq!(self.world.closed(*session), None, "{name}");
        }
        self.equal("the document", &self.world.document);
        let again = World::reopened(&self.world.journal.everything(), self.world.config.clone(), ClientId(9_999));
        self.equal("what the journal holds", &again.document);
        let whole = World::reopened(&self.snapshot(), self.world.config.clone(), ClientId(9_999));
        self.equal("the snapshot", &whole.document);
        let client = &self.listener.1;
        assert!(!client.is_missing_something(), "{name}");
        let theirs = shown::of(&y_mesh::yrs::Transact::transact(&client.doc), &self.scenario.roots);
        self.equal_content("what the others see", &theirs);
    }

    fn snapshot(&self) -> y_mesh::document::Stored {
        let snapshot = Some((y_mesh::Seq(1), self.world.document.snapshot()));
        y_mesh::document::Stored { snapshot, ..Default::default() }
    }

    fn equal(&self, what: &str, document: &Document) {
        let name = &self.scenario.name;
        assert_eq!(document.state_vector(), &vector_of(&self.scenario.whole), "{name}: {what}");
        self.equal_content(what, &document.read(|txn| shown::of(txn, &self.scenario.roots)));
    }

    fn equal_content(&self, what: &str, content: &Value) {
        let (name, wanted) = (&self.scenario.name, &self.scenario.content);
        assert_eq!(shown::normal(content), shown::normal(wanted), "{name}: {what} as against what Yjs reads");
    }
}

fn vector_of(update: &Bytes) -> StateVector {
    use y_mesh::wire::vet::{Bounds, outline};
    let mut vector = StateVector::default();
    let spans = outline(update, &Bounds::STORED).expect("Yjs encodes updates").spans;
    spans.iter().for_each(|span| vector.raise(span.client, span.end));
    vector
}

fn passing() -> Vec<Scenario> {
    let scenarios: Vec<_> = corpus::all().into_iter().filter(|scenario| scenario.name != HALF_A_PAIR).collect();
    assert!(scenarios.len() > 40, "the corpus is there");
    scenarios
}

/// Plays every scenario, and holds what must hold.
fn each(may_miss: bool, play: impl Fn(&mut Play<'_>, &mut Random)) {
    for scenario in &passing() {
        let mut playing = Play::of(scenario);
        play(&mut playing, &mut Random::new(scenario.updates.len() as u64));
        playing.hold(may_miss);
    }
}

/// Some scenarios were recorded out of order: those who sent them are asked for what is missing.
fn in_order(play: &mut Play<'_>, frame: fn(&[u8]) -> Bytes) {
    for (session, update) in &play.scenario.updates {
        play.send(*session, std::slice::from_ref(update), frame);
    }
}

#[test]
fn h1_what_honest_clients_send_is_taken_as_it_comes() {
    each(true, |play, _| in_order(play, sync::update));
}

#[test]
fn h1_what_honest_clients_send_is_taken_as_answers_too() {
    each(true, |play, _| in_order(play, sync::sync_step_2));
}

#[test]
fn h1_what_honest_clients_send_never_stands_on_nothing_in_the_end() {
    each(false, |play, _| {
        let whole = play.scenario.whole.clone();
        play.send(1, &[whole], sync::sync_step_2);
        in_order(play, sync::update);
    });
}

#[test]
fn h3_what_honest_clients_send_twice_is_known() {
    each(true, |play, _| {
        in_order(play, sync::update);
        in_order(play, sync::update);
        let whole = play.scenario.whole.clone();
        play.send(2, &[whole], sync::sync_step_2);
    });
}

#[test]
fn w1_what_honest_clients_send_may_come_in_messages_of_many_frames() {
    each(true, |play, random| {
        let mut updates = &play.scenario.updates[..];
        while let Some((session, _)) = updates.first() {
            let same = updates.iter().take_while(|(its, _)| its == session).count();
            let count = 1 + random.below(same.min(9));
            let some: Vec<_> = updates[..count].iter().map(|(_, update)| update.clone()).collect();
            play.send(*session, &some, sync::update);
            if random.percent(30) {
                play.world.turn();
            }
            updates = &updates[count..];
        }
    });
}

#[test]
fn f7_what_honest_clients_send_reaches_the_others_turn_by_turn() {
    each(true, |play, _| {
        for (session, update) in &play.scenario.updates {
            play.send(*session, std::slice::from_ref(update), sync::update);
            play.world.turn();
        }
    });
}

#[test]
fn h2_what_honest_clients_send_may_come_backwards() {
    each(true, |play, _| {
        for (session, update) in play.scenario.updates.iter().rev() {
            play.send(*session, std::slice::from_ref(update), sync::update);
        }
    });
}

#[test]
fn h2_what_honest_clients_send_may_come_in_any_order() {
    each(true, |play, random| {
        let mut left: Vec<_> = play.scenario.updates.iter().collect();
        while !left.is_empty() {
            let (session, update) = left.swap_remove(random.below(left.len()));
            play.send(*session, std::slice::from_ref(update), sync::update);
            if random.percent(10) {
                play.world.turn();
                play.world.exchange(play.listener.0, &mut play.listener.1);
            }
        }
    });
}

#[test]
fn d2_a_document_that_is_opened_anew_amid_it_takes_the_rest() {
    for scenario in &passing() {
        let mut play = Play::of(scenario);
        for (at, (session, update)) in scenario.updates.iter().enumerate() {
            if at == scenario.updates.len() / 2 {
                play.world.turn();
                let stored = play.world.journal.everything();
                play.world = World::reopened(&stored, play.world.config.clone(), ClientId(800_000));
                play.sessions.clear();
                play.sent.clear();
                play.listener.0 = play.world.connect(&mut play.listener.1);
            }
            play.send(*session, std::slice::from_ref(update), sync::update);
        }
        play.hold(true);
    }
}

#[test]
fn w5_half_a_pair_in_json_is_taken_as_a_replacement() {
    let scenarios = corpus::all();
    let scenario = scenarios.iter().find(|scenario| scenario.name == HALF_A_PAIR).expect("it's in the corpus");
    let mut play = Play::of(scenario);
    for (client, update) in &scenario.updates {
        play.send(*client, std::slice::from_ref(update), sync::update);
    }
    assert!(play.world.refusals().is_empty(), "{:?}", play.world.refusals());
    let kept: Vec<_> = play.world.journal.records().iter().map(|record| record.update.to_vec()).collect();
    let says = |kept: &[Vec<u8>], text: &str| kept.iter().any(|update| String::from_utf8_lossy(update).contains(text));
    assert!(says(&kept, r"cut \ufffd") && !says(&kept, r"cut \ud83d"));
}
