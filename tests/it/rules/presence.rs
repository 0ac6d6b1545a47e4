//! A5, S5: presence can be neither forged nor filled.

use std::time::Duration;

use y_mesh::document::{Access, Kind};
use y_mesh::wire::sync;
use y_mesh::{ClientId, SessionId};

use crate::support::client::Client;
use crate::support::frames::{awareness, entries_in, kind};
use crate::support::world::World;

const FAR: u32 = (1 << 31) - 1;

type Heard = (u64, u32, Option<String>);

/// Opens a session by hand, and says who it is.
fn claim(world: &mut World, session: SessionId, client: u64, clock: u32, state: &str) {
    world.say(session, [sync::sync_step_1(&[0]), awareness(&[(client, clock, Some(state))])]);
    world.turn();
}

fn open(world: &mut World, client: u64, clock: u32, state: &str) -> SessionId {
    let session = world.join();
    claim(world, session, client, clock, state);
    session
}

fn observe(world: &mut World) -> SessionId {
    let session = world.join();
    // What comes next is nobody's claim.
    world.say(session, [sync::sync_step_1(&[0]), awareness(&[])]);
    world.turn();
    world.pop_all(session);
    session
}

fn heard(world: &mut World, session: SessionId) -> Vec<Heard> {
    world.turn();
    let messages = world.pop_all(session);
    world.drained(session);
    messages.iter().filter(|message| message[0] == 1).flat_map(|message| entries_in(message)).collect()
}

fn says(client: u64, clock: u32, state: &str) -> Heard {
    (client, clock, Some(state.to_owned()))
}

fn named(name: &str) -> Kind {
    Kind::Client { access: Access::Write, identity: name.into() }
}

#[test]
fn a5_nobody_speaks_for_somebody_who_is_here() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let victim = open(&mut world, 7, 1, "1");
    let others = [observe(&mut world), open(&mut world, 8, 1, "8"), world.join_reader()];
    heard(&mut world, observer);
    for other in others {
        for clock in [2, 3, 100, FAR - 1, FAR, u32::MAX] {
            world.say(other, [awareness(&[(7, clock, Some("0"))]), awareness(&[(7, clock, None)])]);
        }
    }
    assert_eq!(heard(&mut world, observer), []);
    world.say(victim, [awareness(&[(7, 2, Some("2"))])]);
    assert_eq!(heard(&mut world, observer), [says(7, 2, "2")]);
}

#[test]
fn s5_a_goodbye_in_anothers_name_is_not_taken() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let (victim, other) = (open(&mut world, 7, 1, "{}"), observe(&mut world));
    heard(&mut world, observer);
    world.say(other, [awareness(&[(7, 1, None)]), awareness(&[(7, 9, None)])]);
    assert_eq!(heard(&mut world, observer), []);
    world.leave(victim);
    assert_eq!(heard(&mut world, observer), [(7, 1, None)]);
}

#[test]
fn a5_who_is_claimed_by_somebody_else_has_its_entry_back_at_once() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(7), Client::new(2));
    let (victim, witness) = (world.connect(&mut ada), world.connect(&mut ben));
    let shows = ada.presence.set(Some("\"ada\""));
    world.say(victim, [shows]);
    world.settle(&mut [(victim, &mut ada), (witness, &mut ben)]);
    let forger = open(&mut world, 7, ada.clock() + 50, "\"forged\"");
    // Yjs takes what is said of it for its own; its editor says it anew. What counts is that it's heard.
    world.settle(&mut [(victim, &mut ada), (witness, &mut ben)]);
    let says_anew = ada.presence.set(Some("\"ada\""));
    world.say(victim, [says_anew]);
    world.say(forger, [awareness(&[(7, ada.clock() + 50, Some("\"forged\""))]), awareness(&[(7, 5_000, None)])]);
    world.settle(&mut [(victim, &mut ada), (witness, &mut ben)]);
    assert_eq!(ben.presence.others()[&ClientId(7)], "\"ada\"");
    world.leave(forger);
    world.settle(&mut [(victim, &mut ada), (witness, &mut ben)]);
    assert_eq!(ben.presence.others()[&ClientId(7)], "\"ada\"", "it takes nobody along");
}

#[test]
fn a5_a_claim_that_is_refused_leaves_everything_as_it_was() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let victim = open(&mut world, 7, 1, "1");
    heard(&mut world, observer);
    for (clock, state) in [(2, "no JSON"), (2_000_000, "0"), (u32::MAX, "0")] {
        let forger = open(&mut world, 7, clock, state);
        world.say(forger, [awareness(&[(7, 3, Some("0"))])]);
        world.leave(forger);
    }
    assert_eq!(heard(&mut world, observer), []);
    world.say(victim, [awareness(&[(7, 2, Some("2"))])]);
    assert_eq!(heard(&mut world, observer), [says(7, 2, "2")]);
}

#[test]
fn a5_somebody_elses_entry_cannot_be_claimed_where_people_have_names() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let victim = world.join_as(named("ada"), usize::MAX, usize::MAX);
    claim(&mut world, victim, 7, 1, "1");
    heard(&mut world, observer);
    let forger = world.join_as(named("ben"), usize::MAX, usize::MAX);
    claim(&mut world, forger, 7, 2, "0");
    let anonymous = open(&mut world, 7, 2, "0");
    world.leave(forger);
    world.leave(anonymous);
    assert_eq!(heard(&mut world, observer), []);
    let again = world.join_as(named("ada"), usize::MAX, usize::MAX);
    claim(&mut world, again, 7, 2, "2");
    assert_eq!(heard(&mut world, observer), [says(7, 2, "2")], "who comes back may");
}

#[test]
fn a5_whose_clock_was_made_to_jump_can_go_on() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let forger = observe(&mut world);
    world.say(forger, [awareness(&[(7, FAR, Some("0"))])]);
    assert_eq!(heard(&mut world, observer), [says(7, FAR, "0")]);
    let mut ada = Client::new(7);
    ada.presence.set(Some("1"));
    let victim = world.join();
    let opening = ada.open();
    world.say(victim, opening);
    world.settle(&mut [(victim, &mut ada)]);
    let clock = ada.clock();
    assert!(clock > FAR, "it's told how far its clock must be, and what it has said");
    assert_eq!(heard(&mut world, observer).last(), Some(&says(7, clock, "1")));
    let shows = ada.presence.set(Some("2"));
    world.say(victim, [shows]);
    assert_eq!(heard(&mut world, observer), [says(7, clock + 1, "2")]);
    world.leave(victim);
    let again = world.join();
    let opening = ada.open();
    world.say(again, opening);
    world.settle(&mut [(again, &mut ada)]);
    assert_eq!(heard(&mut world, observer).last(), Some(&says(7, clock + 2, "2")), "and come back");
}

#[test]
fn a5_a_clock_moves_only_so_far_at_once() {
    let mut world = World::new();
    let (observer, relay) = (observe(&mut world), observe(&mut world));
    world.say(relay, [awareness(&[(7, 5, Some("{}"))])]);
    world.say(relay, [awareness(&[(7, 2_000_000, Some("{}"))]), awareness(&[(7, 2_000_000, None)])]);
    assert_eq!(heard(&mut world, observer), [says(7, 5, "{}")]);
    assert_eq!(world.refusals().len(), 2);
    world.say(relay, [awareness(&[(7, 1_000_000, Some("{}"))])]);
    assert_eq!(heard(&mut world, observer), [says(7, 1_000_000, "{}")], "who was away comes back with its clock");
}

#[test]
fn a5_a_session_brings_only_a_few_entries_of_others() {
    let mut world = World::new();
    let (observer, hostile, honest) = (observe(&mut world), observe(&mut world), observe(&mut world));
    let invented: Vec<_> = (1_000..2_000).map(|client| (client, 1, Some("{}"))).collect();
    world.say(hostile, [awareness(&invented)]);
    assert_eq!(heard(&mut world, observer).len(), 64);
    for round in 0..20 {
        world.pass(Duration::from_secs(1));
        let renewed: Vec<_> = (1_000..2_000).map(|client| (client, 2 + round, Some("{}"))).collect();
        world.say(hostile, [awareness(&renewed)]);
        assert_eq!(heard(&mut world, observer).len(), 64);
    }
    let siblings: Vec<_> = (1..=20).map(|client| (client, 1, Some("{}"))).collect();
    world.say(honest, [awareness(&siblings)]);
    assert_eq!(heard(&mut world, observer).len(), 20);
}

#[test]
fn a5_new_entries_come_at_a_bounded_rate() {
    let mut world = World::new();
    let (observer, hostile) = (observe(&mut world), observe(&mut world));
    let mut count = 0;
    for second in 0..20 {
        world.pass(Duration::from_secs(1));
        for client in 0..1_000 {
            let client = 1_000 * (1 + second) + client;
            world.say(hostile, [awareness(&[(client, 1, Some("{}"))]), awareness(&[(client, 2, None)])]);
        }
        count += world.refusals().len();
        world.effects.clear();
        heard(&mut world, observer);
    }
    assert!(count >= 20_000 - 64 - 2 * 21, "only {count} were refused");
}

#[test]
fn a5_who_says_who_it_is_finds_room_where_others_have_filled_it() {
    for fill in [|_: &mut y_mesh::Config| {}, |config: &mut y_mesh::Config| config.limits.awareness_bytes_max = 2_000] {
        let mut world = World::with(|config| {
            config.limits.awareness_entries_max = 50;
            fill(config);
        });
        let observer = observe(&mut world);
        let state = format!("\"{}\"", "x".repeat(98));
        for hostile in 1..=3 {
            let session = observe(&mut world);
            let entries: Vec<_> = (1..40).map(|client| (1_000 * hostile + client, 1, Some(state.as_str()))).collect();
            world.say(session, [awareness(&entries)]);
        }
        let full = heard(&mut world, observer).len();
        assert!(full == 50 || full == 20);
        for client in 1..=10 {
            open(&mut world, client, 1, &state);
            let shown = heard(&mut world, observer);
            assert!(shown.contains(&says(client, 1, &state)), "{client} is shown");
            assert_eq!(shown.iter().filter(|(_, _, state)| state.is_none()).count(), 1, "and one went for it");
        }
        let late = world.join();
        let all: usize =
            world.pop_all(late).iter().filter(|message| kind(message) == "awareness").map(|m| m.len()).sum();
        assert!(all < 50 * 120);
    }
}

#[test]
fn a5_a_readers_presence_is_shown_and_shows_nobody_else() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let victim = open(&mut world, 7, 1, "1");
    let reader = world.join_reader();
    claim(&mut world, reader, 8, 1, "8");
    heard(&mut world, observer);
    world.say(reader, [awareness(&[(8, 2, Some("9")), (7, 2, Some("0"))])]);
    assert_eq!(heard(&mut world, observer), [says(8, 2, "9")]);
    world.leave(victim);
}

#[test]
fn a2_who_stays_without_a_session_is_shown_through_its_sibling() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let (tab, sibling) = (open(&mut world, 7, 1, "1"), open(&mut world, 8, 1, "8"));
    heard(&mut world, observer);
    world.leave(tab);
    heard(&mut world, observer);
    world.say(sibling, [awareness(&[(7, 2, Some("2"))])]);
    assert_eq!(heard(&mut world, observer), [says(7, 2, "2")]);
}
