//! F: who gets what. What happens to those who are slow is in `behind.rs`.

use std::time::Duration;

use bytes::Bytes;
use y_mesh::document::{Audience, Event};
use y_mesh::wire::sync;

use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::frames::{kind, kinds, sends, update_in};
use crate::support::raw;
use crate::support::world::World;

fn letter(client: u64, text: &str) -> Bytes {
    sync::update(&raw::alone(client, 0, [raw::text(TEXT, text)]))
}

#[test]
fn f1_an_update_goes_to_every_session_its_author_included() {
    let mut world = World::new();
    let sessions = [world.join(), world.join(), world.join_reader(), world.join_peer()];
    sessions.iter().for_each(|session| drop(world.pop_all(*session)));
    world.say(sessions[0], [letter(1, "a")]);
    world.turn();
    for session in sessions {
        assert_eq!(world.pop_all(session), [letter(1, "a")], "{session}");
    }
}

#[test]
fn f2_what_changes_nothing_goes_nowhere() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    world.say(session, ada.delete(0, 1));
    world.settle(&mut [(session, &mut ada)]);
    let whole = ada.lacks(&[0]);
    let nothing = [
        sync::update(&[0, 0]),
        sync::update(&whole),
        sync::sync_step_2(&whole),
        sync::update(&raw::update(&[], &[(1, 0, 1)])),
        sync::update(&raw::alone(1, 0, [raw::text(TEXT, "abc")])),
    ];
    let (records, content) = (world.journal.records().len(), world.content());
    for message in nothing {
        world.say(session, [message.clone()]);
        world.turn();
        assert_eq!(world.pop_all(session), [] as [Bytes; 0], "{message:?}");
    }
    assert_eq!((world.journal.records().len(), world.content()), (records, content));
}

#[test]
fn f3_what_came_from_a_peer_goes_to_clients_and_not_to_peers() {
    let mut world = World::new();
    let (client, peer, other_peer) = (world.join(), world.join_peer(), world.join_peer());
    [client, peer, other_peer].iter().for_each(|session| drop(world.pop_all(*session)));
    world.say(peer, [letter(1, "a")]);
    world.turn();
    assert_eq!(world.pop_all(client), [letter(1, "a")]);
    assert_eq!((world.pop(peer), world.pop(other_peer)), (None, None));
}

#[test]
fn f3_in_a_turn_of_both_peers_get_what_is_not_from_peers() {
    let mut world = World::new();
    let (client, peer, other_peer) = (world.join(), world.join_peer(), world.join_peer());
    [client, peer, other_peer].iter().for_each(|session| drop(world.pop_all(*session)));
    world.say(peer, [letter(1, "a")]);
    world.say(client, [letter(2, "b")]);
    world.turn();
    let mut reader = Client::new(9);
    world.pop_all(client).iter().for_each(|message| drop(reader.take(message)));
    assert_eq!(reader.text(), world.text());
    assert_eq!((world.pop_all(peer), world.pop_all(other_peer)), (vec![letter(2, "b")], vec![letter(2, "b")]));
}

#[test]
fn f4_a_message_is_encoded_at_most_once_for_all() {
    let mut world = World::new();
    let sessions: Vec<_> = (0..50).map(|_| world.join()).collect();
    world.say(sessions[0], [letter(1, "a")]);
    let effects = world.event(Event::TurnEnded);
    assert_eq!(sends(&effects).len(), 1);
    for session in &sessions {
        world.say(*session, [sync::sync_step_1(&[0])]);
    }
    world.turn();
    let whole: Vec<_> = sends(&world.effects).into_iter().filter(|(_, m)| kind(m) == "step 2").collect();
    assert_eq!(whole.len(), 50);
    assert!(whole.iter().all(|(_, message)| message.as_ptr() == whole[0].1.as_ptr()), "the bytes are shared");
}

#[test]
fn f4_the_answer_to_who_has_nothing_is_never_an_old_one() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    for text in ["a", "b", "c"] {
        world.say(session, ada.write(text));
        let mut ben = Client::new(2);
        let other = world.join();
        world.open(other, &mut ben);
        assert_eq!(ben.text(), ada.text());
        world.leave(other);
    }
    world.say(session, ada.delete(0, 2));
    let mut ben = Client::new(2);
    world.connect(&mut ben);
    assert_eq!(ben.text(), "c");
}

#[test]
fn f6_a_session_that_was_sent_nothing_for_20_s_gets_an_empty_awareness_frame() {
    let mut world = World::new();
    let session = world.join();
    world.pop_all(session);
    world.pass(Duration::from_millis(19_999));
    assert_eq!(world.pop(session), None);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.pop_all(session), [sync::keep_alive()]);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.pop_all(session).len(), 3);
}

#[test]
fn f6_whoever_was_sent_something_is_not_told_that_the_server_lives() {
    let mut world = World::new();
    let (quiet, asker) = (world.join(), world.join());
    world.pass(Duration::from_secs(10));
    world.say(asker, [sync::sync_step_1(&[0])]);
    world.turn();
    [quiet, asker].iter().for_each(|session| drop(world.pop_all(*session)));
    world.pass(Duration::from_secs(12));
    assert_eq!((world.pop_all(quiet).len(), world.pop_all(asker).len()), (1, 0));
    world.say(quiet, [letter(1, "a")]);
    world.turn();
    [quiet, asker].iter().for_each(|session| drop(world.pop_all(*session)));
    world.pass(Duration::from_millis(19_999));
    assert_eq!((world.pop_all(quiet).len(), world.pop_all(asker).len()), (0, 0), "what goes to all counts for all");
}

#[test]
fn f6_nobody_ever_waits_30_s_for_a_message() {
    let mut world = World::new();
    let mut sessions = Vec::new();
    for second in 0..90 {
        if second % 7 == 0 {
            sessions.push((world.join(), 0));
        }
        if second % 11 == 0 {
            world.say(sessions[0].0, [sync::query_awareness(), sync::sync_step_1(&[0])]);
        }
        world.pass(Duration::from_secs(1));
        for (session, silent) in &mut sessions {
            *silent = if world.pop_all(*session).is_empty() { *silent + 1 } else { 0 };
            assert!(*silent <= 21, "{session} in second {second}");
        }
    }
}

#[test]
fn f7_a_lone_update_goes_out_as_it_came_and_only_when_the_turn_ends() {
    let mut world = World::new();
    let session = world.join();
    world.pop_all(session);
    world.say(session, [letter(1, "a")]);
    assert_eq!(world.pop(session), None);
    world.turn();
    assert_eq!(world.pop_all(session), [letter(1, "a")]);
    world.turn();
    assert_eq!(world.pop(session), None, "it goes out once");
}

#[test]
fn f7_what_waits_together_leaves_together() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    for text in ["one ", "two ", "three"] {
        world.say(first, ada.write(text));
    }
    world.say(first, ada.delete(0, 4));
    world.turn();
    let messages = world.pop_all(second);
    assert_eq!(kinds(&messages), ["update"]);
    ben.take(&messages[0]);
    assert_eq!(ben.content(), ada.content());
}

#[test]
fn f7_not_more_are_merged_at_once_than_the_limit_says() {
    let mut world = World::with(|config| config.limits.merge_updates_max = 4);
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    for _ in 0..9 {
        world.say(first, ada.write("ten chars "));
    }
    let effects = world.event(Event::TurnEnded);
    let lengths: Vec<_> = sends(&effects).iter().map(|(to, message)| (*to, update_in(message).len() / 40)).collect();
    assert_eq!(lengths.len(), 3, "four, four and one");
    assert!(lengths.iter().all(|(to, _)| *to == Audience::All));
    world.exchange(second, &mut ben);
    assert_eq!(ben.content(), ada.content());
}
