//! S2: who asks what it lacks, or who is here, is answered once, and costs the others nothing.

use std::time::Duration;

use bytes::Bytes;
use y_mesh::document::{Effect, Event, StateVector};
use y_mesh::wire::sync;
use y_mesh::{ClientId, Config, SessionId};

use crate::support::client::Client;
use crate::support::frames::{awareness, kind, kinds, sends};
use crate::support::world::World;

/// Larger than an outbox, in the worlds below.
const LARGE: usize = 20_000;

/// A world with a large document whose writer goes on.
struct Large {
    world: World,
    writer: SessionId,
    ada: Client,
}

impl Large {
    fn new(configure: impl FnOnce(&mut Config)) -> Self {
        let mut world = World::with(|config| {
            config.limits.outbox_bytes_max = LARGE / 2;
            config.limits.answers_bytes_max = 2 * LARGE;
            configure(config);
        });
        let mut ada = Client::new(1);
        let writer = world.connect(&mut ada);
        let mut large = Self { world, writer, ada };
        large.write(&"x".repeat(LARGE));
        large
    }

    fn write(&mut self, text: &str) {
        let messages = self.ada.write(text);
        self.world.say(self.writer, messages);
        self.world.settle(&mut [(self.writer, &mut self.ada)]);
    }

    /// A session that has a few letters of it, asks for the rest, and doesn't read.
    fn asker(&mut self, letters: usize) -> (SessionId, Client) {
        let mut client = Client::new(1);
        client.write(&"x".repeat(letters));
        let session = self.world.join_slow(100, LARGE / 2);
        self.world.pop_all(session);
        self.world.say(session, [sync::sync_step_1(&client.state())]);
        self.world.turn();
        (session, client)
    }

    /// Lets a session read everything.
    fn read(&mut self, session: SessionId, client: &mut Client) {
        for _ in 0..10 {
            self.world.pop_all(session).iter().for_each(|message| drop(client.take(message)));
            self.world.drained(session);
            self.world.turn();
        }
    }
}

fn answers(effects: &[Effect]) -> Vec<Bytes> {
    let all = sends(effects).into_iter();
    all.filter(|(_, message)| kind(message) == "step 2").map(|(_, message)| message.clone()).collect()
}

fn vector(entries: &[(u64, u32)]) -> Bytes {
    let mut vector = StateVector::default();
    entries.iter().for_each(|(client, clock)| vector.raise(ClientId(*client), *clock));
    sync::sync_step_1(&vector.encode())
}

#[test]
fn s2_a_session_is_answered_once_a_turn_with_what_it_said_last() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let writer = world.connect(&mut ada);
    let shows = ada.presence.set(Some("{}"));
    world.say(writer, [ada.write("abcdef"), vec![shows]].concat());
    world.turn();
    let session = world.join();
    world.pop_all(session);
    for letters in 0..6 {
        world.say(session, [vector(&[(1, letters)]), sync::query_awareness()]);
    }
    assert_eq!(world.pop(session), None, "the turn goes on");
    world.say(writer, ada.write("g"));
    world.turn();
    let messages = world.pop_all(session);
    assert_eq!(kinds(&messages), ["step 2", "awareness", "update"]);
    let mut knows = Client::new(1);
    knows.write("abcde");
    knows.take(&messages[0]);
    assert_eq!(knows.text(), "abcdefg", "the answer has what came in the same turn");
}

#[test]
fn s2_the_next_answer_waits_until_the_last_one_has_left_the_outbox() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let writer = world.connect(&mut ada);
    world.say(writer, ada.write("abc"));
    let session = world.join();
    for _ in 0..3 {
        world.say(session, [vector(&[])]);
        world.turn();
    }
    assert_eq!(kinds(&world.pop_all(session)), ["step 1", "step 2", "update"]);
    world.turn();
    assert_eq!(world.pop(session), None);
    world.drained(session);
    world.turn();
    assert_eq!(kinds(&world.pop_all(session)), ["step 2"], "of two questions, the last");
}

#[test]
fn s2_sessions_that_have_the_same_share_an_answer() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let writer = world.connect(&mut ada);
    world.say(writer, ada.write("abcdef"));
    world.turn();
    // What each has of its own isn't here, and makes no difference.
    for other in 0..50 {
        let session = world.join();
        world.say(session, [vector(&[(1, 3), (100 + other, 7)])]);
    }
    let all = answers(&world.event(Event::TurnEnded));
    assert_eq!(all.len(), 50);
    assert!(all.iter().all(|message| message.as_ptr() == all[0].as_ptr()), "the bytes are shared");
}

#[test]
fn s2_a_turn_encodes_few_different_answers_and_the_next_turns_the_others() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let writer = world.connect(&mut ada);
    world.say(writer, ada.write(&"long ".repeat(40_000)));
    world.turn();
    for letters in 1..=50 {
        let session = world.join();
        world.say(session, [vector(&[(1, letters)])]);
    }
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < 50 {
        counts.push(answers(&world.event(Event::TurnEnded)).len());
        assert!(counts.last().is_some_and(|count| (1..=8).contains(count)), "{counts:?}");
        let is_last = counts.iter().sum::<usize>() == 50;
        assert!(is_last || world.document.deadline() <= Some(world.now.monotonic), "it wants to be woken at once");
    }
}

#[test]
fn s2_who_asks_again_and_again_is_answered_at_a_bounded_rate_and_to_the_end() {
    let mut large = Large::new(|config| {
        config.limits.answer_burst_bytes = 100_000;
        config.limits.answer_bytes_per_second = 200_000;
    });
    let session = large.world.join();
    let mut count = 0;
    for _ in 0..1_000 {
        large.world.say(session, [vector(&[]), sync::query_awareness()]);
        large.world.turn();
        count += large.world.pop_all(session).iter().filter(|message| kind(message) == "step 2").count();
        large.world.drained(session);
        large.world.pass(Duration::from_millis(1));
    }
    assert!((2..=6).contains(&count), "each costs 64 KiB at least: {count}");
    large.world.pass(Duration::from_secs(1));
    assert!(kinds(&large.world.pop_all(session)).contains(&"step 2"), "the last one is answered too");
}

#[test]
fn s2_many_who_come_back_to_a_large_document_are_answered_at_once_whoever_came_before_them() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let writer = world.connect(&mut ada);
    world.say(writer, ada.write(&"x".repeat(2 << 20)));
    world.settle(&mut [(writer, &mut ada)]);
    let newcomer = world.join();
    world.say(newcomer, [sync::sync_step_1(&[0])]);
    world.turn();
    let back: Vec<_> = (0..200).map(|_| world.join()).collect();
    for (lacks, session) in (1..).zip(&back) {
        world.say(*session, [vector(&[(1, (2 << 20) - lacks)])]);
    }
    world.turn();
    world.pass(Duration::from_secs(2));
    let answered = back.iter().filter(|session| kinds(&world.pop_all(**session)).contains(&"step 2")).count();
    assert_eq!(answered, back.len());
}

#[test]
fn s2_large_answers_to_who_does_not_read_are_bounded_and_all_arrive() {
    let mut large = Large::new(|_| {});
    let mut askers: Vec<_> = (1..40).map(|letters| large.asker(letters)).collect();
    for turn in 0..5 {
        large.write(&format!("more {turn} "));
        askers.push(large.asker(50 + turn));
    }
    let taken = answers(&large.world.effects);
    let mut memory: Vec<_> = taken.iter().filter(|m| m.len() > LARGE / 2).map(|m| (m.as_ptr(), m.len())).collect();
    memory.sort_unstable();
    memory.dedup();
    let bytes: usize = memory.iter().map(|(_, length)| length).sum();
    assert!(bytes <= 5 * LARGE, "{} answers hold {bytes} bytes", askers.len());
    for (session, mut client) in askers {
        large.read(session, &mut client);
        assert_eq!(client.content(), large.ada.content());
        assert!(!client.is_missing_something());
    }
}

#[test]
fn s2_a_large_answer_that_somebody_still_has_is_given_to_others_too_and_then_what_has_changed() {
    let mut large = Large::new(|_| {});
    let slow = large.world.join_slow(100, LARGE / 2);
    large.world.pop_all(slow);
    large.world.say(slow, [vector(&[])]);
    large.world.turn();
    large.write("and more");
    let mut ben = Client::new(2);
    let late = large.world.join_slow(100, LARGE / 2);
    let opening = ben.open();
    large.world.pop_all(late);
    large.world.say(late, opening);
    large.world.turn();
    let taken = answers(&large.world.effects);
    let last: Vec<_> = taken.iter().rev().take(2).map(|message| message.as_ptr()).collect();
    assert_eq!(last[0], last[1], "the bytes are shared, though something has changed");
    large.world.settle(&mut [(late, &mut ben), (large.writer, &mut large.ada)]);
    assert_eq!(ben.text(), large.ada.text());
    assert!(!ben.is_missing_something());
}

#[test]
fn s2_who_is_here_is_encoded_once_until_it_changes() {
    let mut world = World::new();
    let relay = world.join();
    world.say(relay, [awareness(&[(7, 1, Some("{}")), (8, 1, Some("{}"))])]);
    world.turn();
    let sessions = [world.join(), world.join()];
    sessions.iter().for_each(|session| world.say(*session, [sync::query_awareness()]));
    let effects = world.event(Event::TurnEnded);
    let told: Vec<_> = sends(&effects).into_iter().filter(|(_, message)| kind(message) == "awareness").collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].1.as_ptr(), told[1].1.as_ptr());
    world.say(relay, [awareness(&[(7, 2, None)])]);
    let late = world.join();
    let shown = world.pop_all(late);
    assert_eq!(crate::support::frames::entries_in(&shown[1]), [(8, 1, Some("{}".to_owned()))]);
}
