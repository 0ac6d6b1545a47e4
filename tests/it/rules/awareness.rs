//! A: who is here.

use std::time::Duration;

use bytes::Bytes;
use y_mesh::document::{Audience, Event, Reason};
use y_mesh::wire::sync;
use y_mesh::{ClientId, SessionId};

use crate::support::client::Client;
use crate::support::frames::{awareness, entries_in, kind, kinds, sends};
use crate::support::world::World;

/// Opens a session by hand: SyncStep1, then one awareness entry.
fn open(world: &mut World, client: u64, clock: u32, state: Option<&str>) -> SessionId {
    let session = world.join();
    world.say(session, [sync::sync_step_1(&[0]), awareness(&[(client, clock, state)])]);
    world.turn();
    session
}

fn observe(world: &mut World) -> SessionId {
    let session = world.join();
    world.say(session, [sync::sync_step_1(&[0])]);
    world.turn();
    world.pop_all(session);
    session
}

/// The awareness that a session was sent, entry by entry.
fn heard(world: &mut World, session: SessionId) -> Vec<(u64, u32, Option<String>)> {
    world.turn();
    let messages = world.pop_all(session);
    let awareness: Vec<_> = messages.iter().filter(|message| message[0] == 1).collect();
    awareness.into_iter().flat_map(|message| entries_in(message)).collect()
}

fn here(client: u64, clock: u32) -> (u64, u32, Option<String>) {
    (client, clock, Some("{}".to_owned()))
}

fn gone(client: u64, clock: u32) -> (u64, u32, Option<String>) {
    (client, clock, None)
}

#[test]
fn a1_an_entry_counts_if_its_clock_is_newer_or_equal_and_it_says_goodbye() {
    let mut world = World::new();
    let (relay, observer) = (observe(&mut world), observe(&mut world));
    let mut tell = |clock, state| {
        world.say(relay, [awareness(&[(7, clock, state)])]);
        heard(&mut world, observer)
    };
    assert_eq!(tell(0, Some("{}")), [], "clock 0 is what everybody knows already");
    assert_eq!(tell(3, Some("{}")), [here(7, 3)]);
    assert_eq!(tell(3, Some("{}")), []);
    assert_eq!(tell(2, Some("{}")), []);
    assert_eq!(tell(2, None), []);
    assert_eq!(tell(4, Some("{}")), [here(7, 4)]);
    assert_eq!(tell(4, None), [gone(7, 4)]);
    assert_eq!(tell(4, None), []);
    assert_eq!(tell(4, Some("{}")), [], "a stale entry brings nobody back");
    assert_eq!(tell(5, Some("{}")), [here(7, 5)]);
    assert_eq!(tell(9, None), [gone(7, 9)]);
    assert_eq!(tell(8, Some("{}")), []);
}

#[test]
fn a1_a_newer_goodbye_for_who_has_left_counts_against_stale_entries() {
    let mut world = World::new();
    let (relay, observer) = (observe(&mut world), observe(&mut world));
    let session = open(&mut world, 7, 5, Some("{}"));
    world.leave(session);
    assert_eq!(heard(&mut world, observer), [here(7, 5), gone(7, 5)]);
    world.say(relay, [awareness(&[(7, 8, None)]), awareness(&[(7, 7, Some("{}"))])]);
    assert_eq!(heard(&mut world, observer), []);
}

#[test]
fn a1_who_reconnects_with_its_old_clock_while_its_old_session_lives_is_seen_at_once() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let observer = world.connect(&mut ben);
    let old = world.connect(&mut ada);
    let shows = ada.presence.set(Some("{}"));
    world.say(old, [shows]);
    world.settle(&mut [(old, &mut ada), (observer, &mut ben)]);
    let clock = ada.clock();
    let new = world.connect(&mut ada);
    assert_eq!(ada.clock(), clock + 1);
    world.leave(old);
    world.settle(&mut [(new, &mut ada), (observer, &mut ben)]);
    assert!(ben.presence.others().contains_key(&ClientId(1)), "the old session's end doesn't take it along");
    world.leave(new);
    world.settle(&mut [(observer, &mut ben)]);
    assert!(ben.presence.others().is_empty());
}

#[test]
fn a1_who_reconnects_with_its_old_clock_after_it_left_is_seen_at_once() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let observer = world.connect(&mut ben);
    let old = world.connect(&mut ada);
    let shows = ada.presence.set(Some("{}"));
    world.say(old, [shows]);
    world.settle(&mut [(old, &mut ada), (observer, &mut ben)]);
    world.leave(old);
    world.settle(&mut [(observer, &mut ben)]);
    assert!(ben.presence.others().is_empty());
    let new = world.connect(&mut ada);
    world.settle(&mut [(new, &mut ada), (observer, &mut ben)]);
    assert!(ben.presence.others().contains_key(&ClientId(1)));
}

#[test]
fn a1_who_reconnects_after_the_server_restarted_is_seen_by_those_who_remember_its_clock() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    let (shows, shows_too) = (ada.presence.set(Some("{}")), ben.presence.set(Some("{}")));
    world.say(first, [shows]);
    world.say(second, [shows_too]);
    world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
    let mut world = World::new();
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
    assert_eq!(ada.presence.all(), ben.presence.all());
    assert_eq!(ada.presence.all().len(), 2);
}

#[test]
fn a1_the_goodbye_at_a_reconnect_goes_to_that_session_alone() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let session = open(&mut world, 7, 4, Some("{}"));
    assert_eq!(heard(&mut world, session)[0], gone(7, 4));
    assert_eq!(heard(&mut world, observer), [here(7, 4)]);
    let fresh = open(&mut world, 8, 0, Some("{}"));
    assert!(!heard(&mut world, fresh).contains(&gone(8, 0)));
}

#[test]
fn a1_a_relayed_stale_entry_does_not_bring_back_who_left() {
    let mut world = World::new();
    let (mut ada, mut ben, mut cleo) = (Client::new(1), Client::new(2), Client::new(3));
    let (first, second, third) = (world.connect(&mut ada), world.connect(&mut ben), world.connect(&mut cleo));
    let shows = ada.presence.set(Some("{}"));
    world.say(first, [shows.clone()]);
    world.settle(&mut [(first, &mut ada), (second, &mut ben), (third, &mut cleo)]);
    world.leave(first);
    world.turn();
    // Ben's relay of it was on its way when Ada went.
    world.say(second, [shows]);
    world.settle(&mut [(second, &mut ben), (third, &mut cleo)]);
    assert!(cleo.presence.others().is_empty() && ben.presence.others().is_empty());
}

#[test]
fn a2_a_session_owns_the_single_entry_right_after_its_opening() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let session = open(&mut world, 7, 1, Some("{}"));
    world.leave(session);
    assert_eq!(heard(&mut world, observer), [here(7, 1), gone(7, 1)]);
}

#[test]
fn a2_a_client_that_opens_at_clock_0_owns_its_entry_too() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let session = open(&mut world, 7, 0, Some("{}"));
    world.say(session, [awareness(&[(7, 1, Some("{}"))])]);
    assert_eq!(heard(&mut world, observer), [here(7, 1)]);
    world.leave(session);
    assert_eq!(heard(&mut world, observer), [gone(7, 1)]);
}

#[test]
fn a2_entries_relayed_for_sibling_tabs_do_not_change_hands() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let (ada, ben) = (open(&mut world, 7, 1, Some("{}")), open(&mut world, 8, 1, Some("{}")));
    let relayed = [awareness(&[(8, 2, Some("{}"))]), awareness(&[(7, 2, Some("{}")), (8, 3, Some("{}"))])];
    world.say(ada, relayed);
    world.say(ben, [awareness(&[(8, 2, Some("{}"))]), awareness(&[(8, 3, Some("{}"))])]);
    heard(&mut world, observer);
    world.leave(ada);
    assert_eq!(heard(&mut world, observer), [gone(7, 2)]);
    world.leave(ben);
    assert_eq!(heard(&mut world, observer), [gone(8, 3)]);
}

#[test]
fn a2_neither_several_entries_nor_later_ones_nor_goodbyes_are_a_claim() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let several = world.join();
    world.say(several, [sync::sync_step_1(&[0]), awareness(&[(7, 1, Some("{}")), (8, 1, Some("{}"))])]);
    let later = world.join();
    world.say(later, [sync::sync_step_1(&[0]), sync::update(&[0, 0]), awareness(&[(9, 1, Some("{}"))])]);
    let before = world.join();
    world.say(before, [awareness(&[(10, 1, Some("{}"))]), sync::sync_step_1(&[0])]);
    let goodbye = open(&mut world, 11, 1, None);
    assert_eq!(heard(&mut world, observer).len(), 4);
    [several, later, before, goodbye].into_iter().for_each(|session| world.leave(session));
    assert_eq!(heard(&mut world, observer), []);
}

#[test]
fn a2_a_later_claim_moves_an_entry() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let old = open(&mut world, 7, 1, Some("{}"));
    let new = open(&mut world, 7, 1, Some("{}"));
    heard(&mut world, observer);
    world.leave(old);
    assert_eq!(heard(&mut world, observer), []);
    world.leave(new);
    assert_eq!(heard(&mut world, observer), [gone(7, 1)]);
}

#[test]
fn a3_awareness_is_never_stored() {
    let mut world = World::new();
    let session = open(&mut world, 7, 1, Some(r#"{"name":"secret"}"#));
    world.pass(Duration::from_secs(40));
    world.leave(session);
    assert_eq!(world.journal.last().0, 0);
    let mut again = World::reopened(&world.journal.everything(), world.config.clone(), ClientId(5));
    let session = again.join();
    assert_eq!(kinds(&again.pop_all(session)), ["step 1"]);
}

#[test]
fn a4_an_entry_that_is_not_renewed_for_30_s_is_removed_and_announced() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let session = open(&mut world, 7, 1, Some("{}"));
    heard(&mut world, observer);
    world.pass(Duration::from_secs(15));
    world.say(session, [awareness(&[(7, 2, Some("{}"))])]);
    assert_eq!(heard(&mut world, observer), [here(7, 2)]);
    world.pass(Duration::from_millis(29_999));
    assert_eq!(heard(&mut world, observer), []);
    world.pass(Duration::from_millis(1));
    assert_eq!(heard(&mut world, observer), [gone(7, 2)]);
    world.leave(session);
    assert_eq!(heard(&mut world, observer), [], "goodbye is said once");
    assert_eq!(kinds(&join_and_pop(&mut world)), ["step 1"]);
}

fn join_and_pop(world: &mut World) -> Vec<Bytes> {
    let session = world.join();
    world.pop_all(session)
}

#[test]
fn a4_an_entry_that_nobody_owns_ends_too() {
    let mut world = World::new();
    let (relay, observer) = (observe(&mut world), observe(&mut world));
    world.say(relay, [awareness(&[(50, 3, Some("{}"))])]);
    assert_eq!(heard(&mut world, observer), [here(50, 3)]);
    world.pass(Duration::from_secs(30));
    assert_eq!(heard(&mut world, observer), [gone(50, 3)]);
}

#[test]
fn a4_who_was_removed_can_renew_and_is_back() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let session = open(&mut world, 7, 1, Some("{}"));
    world.pass(Duration::from_secs(31));
    heard(&mut world, observer);
    world.say(session, [awareness(&[(7, 2, Some("{}"))])]);
    assert_eq!(heard(&mut world, observer), [here(7, 2)]);
}

#[test]
fn a5_a_state_that_is_too_large_or_not_json_is_dropped_and_its_sender_told_once() {
    let mut world = World::with(|config| config.limits.awareness_state_bytes_max = 20);
    let (session, observer) = (observe(&mut world), observe(&mut world));
    let large = format!("\"{}\"", "x".repeat(19));
    for state in [&large, "{", "", "nul", "{} {}"] {
        world.say(session, [awareness(&[(7, 1, Some(state)), (8, 1, Some("\"others count\""))])]);
    }
    assert_eq!(heard(&mut world, observer), [(8, 1, Some("\"others count\"".to_owned()))]);
    let told = sends(&world.effects).iter().filter(|(_, message)| kind(message) == "denied").count();
    assert_eq!((told, world.closed(session)), (1, None));
    assert_eq!(world.refusals().len(), 5);
    assert!(world.refusals().iter().all(|reason| **reason == Reason::Awareness));
}

#[test]
fn a5_entries_are_limited() {
    let mut world = World::with(|config| config.limits.awareness_entries_max = 3);
    let session = observe(&mut world);
    let entries: Vec<_> = (1..10).map(|client| (client, 1, Some("{}"))).collect();
    world.say(session, [awareness(&entries)]);
    assert_eq!(heard(&mut world, session).len(), 3);
    world.say(session, [awareness(&[(2, 2, Some("{}"))])]);
    assert_eq!(heard(&mut world, session), [here(2, 2)], "who is here can go on");
    world.say(session, [awareness(&[(2, 2, None), (9, 2, Some("{}"))])]);
    let mut told = heard(&mut world, session);
    told.sort();
    assert_eq!(told, [gone(2, 2), here(9, 2)], "who goes makes room");
}

#[test]
fn a5_a_flood_of_comings_and_goings_is_bounded() {
    let mut world = World::with(|config| config.limits.awareness_entries_max = 10);
    let (session, observer) = (observe(&mut world), observe(&mut world));
    let come_and_go = |client| [(client, 1, Some("{}")), (client, 1, None)];
    let entries: Vec<_> = (1..5_000).flat_map(come_and_go).collect();
    world.say(session, [awareness(&entries)]);
    let effects = world.event(Event::TurnEnded);
    let bytes: usize = sends(&effects).iter().map(|(_, message)| message.len()).sum();
    assert!(bytes < 1_000, "who came and went in one turn of 10 places costs all others {bytes} bytes");
    assert!(heard(&mut world, observer).len() <= 20);
}

#[test]
fn a5_who_asks_who_is_here_is_told_alone() {
    let mut world = World::new();
    let observer = observe(&mut world);
    let session = open(&mut world, 7, 1, Some("{}"));
    [observer, session].iter().for_each(|session| drop(world.pop_all(*session)));
    world.drained(session);
    world.say(session, [sync::query_awareness()]);
    let effects = world.event(Event::TurnEnded);
    let sends = sends(&effects);
    assert_eq!((sends.len(), sends[0].0), (1, Audience::One(session)));
    assert_eq!(entries_in(&sends[0].1), [here(7, 1)]);
    assert_eq!(heard(&mut world, observer), []);
}

#[test]
fn a1_who_goes_comes_and_goes_within_one_turn_is_gone_for_all() {
    let mut world = World::new();
    let (relay, observer) = (observe(&mut world), observe(&mut world));
    world.say(relay, [awareness(&[(2, 1, Some("{}"))])]);
    assert_eq!(heard(&mut world, observer), [here(2, 1)]);
    let steps = [(2, 1, None), (2, 2, Some("{}")), (2, 2, None)];
    world.say(relay, steps.iter().map(|entry| awareness(&[*entry])));
    assert_eq!(heard(&mut world, observer), [gone(2, 2)]);
}

#[test]
fn s1_who_was_shown_to_somebody_who_came_in_the_same_turn_is_gone_for_them_too() {
    let mut world = World::new();
    let session = observe(&mut world);
    world.say(session, [awareness(&[(2, 1, Some("{}"))])]);
    let late = world.join();
    world.say(session, [awareness(&[(2, 1, None)])]);
    let last = heard(&mut world, late).pop();
    assert_eq!(last, Some(gone(2, 1)), "it was told that 2 is here");
}

#[test]
fn a6_all_are_told_so_often_and_then_what_is_so_by_then() {
    let mut world = World::new();
    let (observer, mover) = (observe(&mut world), open(&mut world, 7, 1, Some("{}")));
    heard(&mut world, observer);
    world.pass(Duration::from_secs(2));
    heard(&mut world, observer);
    let mut messages = 0;
    for clock in 2..=100 {
        world.say(mover, [awareness(&[(7, clock, Some("{}"))])]);
        messages += usize::from(!heard(&mut world, observer).is_empty());
    }
    assert_eq!(messages, 20, "at once");
    world.pass(Duration::from_millis(49));
    assert_eq!(heard(&mut world, observer), []);
    world.pass(Duration::from_millis(1));
    assert_eq!(heard(&mut world, observer), [here(7, 100)], "the last is told, and what was between isn't");
}

#[test]
fn a6_who_comes_and_goes_meanwhile_is_never_told() {
    let mut world = World::with(|config| config.limits.awareness_messages_per_second = 1);
    let observer = observe(&mut world);
    let stays = open(&mut world, 7, 1, Some("{}"));
    assert_eq!(heard(&mut world, observer), [here(7, 1)]);
    let visitor = open(&mut world, 8, 1, Some("{}"));
    world.leave(visitor);
    world.say(stays, [awareness(&[(7, 2, Some("{}"))])]);
    assert_eq!(heard(&mut world, observer), []);
    world.pass(Duration::from_secs(1));
    assert_eq!(heard(&mut world, observer), [here(7, 2)]);
    world.leave(stays);
    assert_eq!(heard(&mut world, observer), []);
    world.pass(Duration::from_secs(1));
    assert_eq!(heard(&mut world, observer), [gone(7, 2)], "who was told that it's here is told that it went");
}

#[test]
fn a6_a_crowd_is_told_less_often() {
    let told = |sessions: usize| {
        let mut world = World::with(|config| config.limits.awareness_echoes_per_second = 100);
        let mover = open(&mut world, 7, 1, Some("{}"));
        let crowd: Vec<_> = (1..sessions).map(|_| observe(&mut world)).collect();
        world.pass(Duration::from_secs(20));
        crowd.iter().for_each(|session| drop(world.pop_all(*session)));
        let moves = (2..=100).filter(|clock| {
            world.say(mover, [awareness(&[(7, *clock, Some("{}"))])]);
            !heard(&mut world, crowd[0]).is_empty()
        });
        moves.count()
    };
    assert_eq!([5, 10, 50, 200].map(told), [20, 10, 2, 1]);
}

#[test]
fn a6_what_is_told_comes_in_short_messages_and_everybody_in_turn() {
    let mut world = World::new();
    let (relay, observer) = (observe(&mut world), observe(&mut world));
    let state = format!("{{\"name\":\"{}\"}}", "x".repeat(2_000));
    let everybody = |clock| (1..=40).map(|client| (client, clock, Some(state.as_str()))).collect::<Vec<_>>();
    let times =
        |told: &[u64]| (1..=40).map(|client| told.iter().filter(|one| **one == client).count()).collect::<Vec<_>>();
    let mut told: Vec<u64> = Vec::new();
    for clock in 1..=12 {
        world.say(relay, [awareness(&everybody(clock))]);
        world.turn();
        let messages = world.pop_all(observer);
        assert!(messages.iter().all(|message| message.len() < 20 << 10), "short enough to come back unhindered");
        told.extend(messages.iter().flat_map(|message| entries_in(message)).map(|(client, ..)| client));
    }
    world.pass(Duration::from_secs(1));
    let times = times(&told);
    let (least, most) = (times.iter().min(), times.iter().max());
    assert!(most <= least.map(|least| least + 1).as_ref(), "nobody is told of while others wait longer: {times:?}");
    assert!(told.len() < 12 * 40, "more changes than may be told");
    let last: std::collections::BTreeMap<_, _> =
        heard(&mut world, observer).into_iter().map(|(client, clock, _)| (client, clock)).collect();
    assert_eq!(last.len(), 40);
    assert!(last.values().all(|clock| *clock == 12), "in the end all is told as it is");
    let late = world.join();
    world.say(late, [sync::sync_step_1(&[0])]);
    world.turn();
    let messages = world.pop_all(late);
    let messages: Vec<_> = messages.iter().filter(|message| message[0] == 1).collect();
    assert!(messages.iter().all(|message| message.len() < 20 << 10));
    assert_eq!(messages.iter().flat_map(|message| entries_in(message)).count(), 40);
}
