//! I1: what is deleted doesn't come back with those who still hold it.

use std::sync::Arc;

use y_mesh::document::{CloseCode, Effect, Event, Reason, Refused, StateVector, Stored};
use y_mesh::wire::sync;
use y_mesh::{ClientId, Config, Seq};

use crate::support::client::Client;
use crate::support::frames::kinds;
use crate::support::world::{SERVER, World};

/// A document that two clients wrote, and that was deleted; what the store has of it then.
fn deleted(clients: &mut [&mut Client]) -> (World, Stored) {
    let mut world = World::new();
    let sessions: Vec<_> = clients.iter_mut().map(|client| world.connect(client)).collect();
    for (session, client) in sessions.iter().zip(clients.iter_mut()) {
        let written = client.write("secret");
        world.say(*session, written);
        world.turn();
    }
    let effects = world.event(Event::Deleted);
    let deletion = effects.iter().find_map(|effect| match effect {
        Effect::Delete { through, clients } => Some((*through, clients.clone())),
        _ => None,
    });
    let count = clients.len() as u64;
    let ids: Vec<_> = (1..=count).map(ClientId).collect();
    assert_eq!(deletion, Some((Seq(count + 1), ids)));
    for session in sessions {
        assert_eq!(world.closed(session), Some(CloseCode::Deleted));
    }
    let stored = world.journal.everything();
    (world, stored)
}

fn reopened(stored: &Stored) -> World {
    World::reopened(stored, Arc::default(), SERVER)
}

/// How many messages were sent to anybody.
fn sent(world: &World) -> usize {
    world.effects.iter().filter(|effect| matches!(effect, Effect::Send { .. })).count()
}

#[test]
fn i1_a_deletion_closes_everybody_and_retires_when_it_is_durable() {
    let (mut world, stored) = deleted(&mut [&mut Client::new(1), &mut Client::new(2)]);
    assert!(!world.effects.contains(&Effect::Retire));
    world.turn();
    assert!(world.effects.contains(&Effect::Retire));
    assert_eq!((stored.snapshot, stored.tail, stored.exists), (None, vec![], false));
}

#[test]
fn i1_who_comes_before_it_is_durable_is_to_come_again() {
    let (mut world, _) = deleted(&mut [&mut Client::new(1)]);
    let late = world.join();
    assert_eq!(world.closed(late), Some(CloseCode::Later));
    let task = world.event(Event::Edited { update: Client::new(3).write("x")[0].slice(2..), author: "ada".into() });
    assert!(!task.iter().any(|effect| matches!(effect, Effect::Append { .. })));
    assert!(!world.event(Event::Deleted).iter().any(|effect| matches!(effect, Effect::Delete { .. })));
}

#[test]
fn i1_who_still_holds_what_was_deleted_is_closed_before_anything_is_sent() {
    let mut ada = Client::new(1);
    let (_, stored) = deleted(&mut [&mut ada, &mut Client::new(2)]);
    let mut world = reopened(&stored);
    let session = world.join();
    assert_eq!(world.pop(session), None, "S1 waits for its SyncStep1");
    world.say(session, ada.open());
    assert_eq!((world.closed(session), sent(&world)), (Some(CloseCode::Deleted), 0));
    world.turn();
    assert_eq!((world.text(), world.document.state_vector().len()), (String::new(), 0));
}

#[test]
fn i1_who_shares_no_id_with_it_starts_a_new_incarnation() {
    let mut ada = Client::new(1);
    let (_, stored) = deleted(&mut [&mut ada, &mut Client::new(2)]);
    let mut world = reopened(&stored);
    let (mut carol, mut dan) = (Client::new(3), Client::new(4));
    let session = world.join();
    world.say(session, carol.open());
    world.turn();
    assert_eq!(kinds(&world.pop_all(session))[..2], ["step 1", "step 2"]);
    let second = world.connect(&mut dan);
    let written = carol.write("anew");
    world.say(session, written);
    world.settle(&mut [(session, &mut carol), (second, &mut dan)]);
    assert_eq!((world.text(), dan.text()), ("anew".into(), "anew".into()));
    assert_eq!(world.journal.records().len(), 1);
    assert_eq!(world.journal.last(), Seq(4), "no position is given twice");
}

#[test]
fn i1_what_was_deleted_is_not_taken_from_a_sibling_tab_either() {
    let mut ada = Client::new(1);
    let (_, stored) = deleted(&mut [&mut ada]);
    let mut world = reopened(&stored);
    let (mut fresh, mut witness) = (Client::new(5), Client::new(6));
    let (session, other) = (world.connect(&mut fresh), world.connect(&mut witness));
    world.say(session, [ada.everything()]);
    assert_eq!(world.closed(session), Some(CloseCode::Deleted));
    let is_it = |reason: &&Reason| matches!(reason, Reason::Update(Refused::Deleted(ClientId(1))));
    assert_eq!(world.refusals().iter().filter(|reason| is_it(reason)).count(), 1);
    world.settle(&mut [(other, &mut witness)]);
    assert_eq!((world.closed(other), world.text()), (None, String::new()));
}

#[test]
fn i1_what_stands_on_what_was_deleted_is_not_waited_for() {
    let mut ada = Client::new(1);
    let (_, stored) = deleted(&mut [&mut ada]);
    let mut heir = Client::new(7);
    heir.take(&ada.everything());
    let stands_on_it = heir.write("more");
    let mut world = reopened(&stored);
    let session = world.connect(&mut Client::new(5));
    world.say(session, stands_on_it);
    world.turn();
    assert_eq!((world.closed(session), world.text()), (Some(CloseCode::Deleted), String::new()));
}

#[test]
fn i1_who_says_too_much_at_once_is_not_heard_to_its_end() {
    let (_, stored) = deleted(&mut [&mut Client::new(1)]);
    let mut config = Config::default();
    config.limits.state_vector_bytes_max = 8;
    let mut world = World::reopened(&stored, config.into(), SERVER);
    let session = world.join();
    let mut vector = StateVector::default();
    (10..20).for_each(|client| vector.raise(ClientId(client), 1));
    world.say(session, [sync::sync_step_1(&vector.encode())]);
    assert_eq!((world.closed(session), sent(&world)), (Some(CloseCode::TooBig), 0));
}

#[test]
fn i1_who_has_said_nothing_yet_is_sent_nothing_of_others() {
    let (_, stored) = deleted(&mut [&mut Client::new(1)]);
    let mut world = reopened(&stored);
    let mut ada = Client::new(5);
    let (session, silent, peer) = (world.connect(&mut ada), world.join(), world.join_peer());
    world.pop_all(peer);
    let mut said = ada.write("anew");
    said.push(ada.presence.set(Some("{}")));
    world.say(session, said);
    world.turn();
    assert_eq!(world.pop(silent), None);
    assert_eq!(kinds(&world.pop_all(peer)), ["update", "awareness"]);
    let mut late = Client::new(6);
    world.open(silent, &mut late);
    assert_eq!(late.text(), "anew");
    assert_eq!(late.presence.others().len(), 1);
}

#[test]
fn i1_a_silent_one_is_kept_alive_and_may_leave() {
    let (_, stored) = deleted(&mut [&mut Client::new(1)]);
    let mut world = reopened(&stored);
    let silent = world.join();
    world.pass(std::time::Duration::from_secs(21));
    assert_eq!(kinds(&world.pop_all(silent)), ["keep alive"]);
    world.leave(silent);
    let mut ada = Client::new(5);
    let session = world.connect(&mut ada);
    let written = ada.write("anew");
    world.say(session, written);
    world.turn();
    assert_eq!(world.text(), "anew");
}

#[test]
fn i1_a_second_deletion_names_those_of_the_first_too() {
    let (_, stored) = deleted(&mut [&mut Client::new(1), &mut Client::new(2)]);
    let mut world = reopened(&stored);
    let mut carol = Client::new(9);
    let session = world.connect(&mut carol);
    let written = carol.write("anew");
    world.say(session, written);
    world.turn();
    world.event(Event::Deleted);
    let tombstone = world.journal.everything().tombstone.unwrap();
    assert_eq!(tombstone.clients, [1, 2, 9].map(ClientId));
    assert_eq!((tombstone.incarnation, tombstone.through), (2, Seq(5)));
}

#[test]
fn i1_the_servers_own_id_is_none_of_those_deleted() {
    let mut world = World::new();
    world.event(Event::Deleted);
    let mut stored = world.journal.everything();
    stored.tombstone.as_mut().unwrap().clients = vec![SERVER];
    let mut world = reopened(&stored);
    let mut effects = Vec::new();
    let author = "program".into();
    let write = |txn: &mut y_mesh::document::WriteTransaction<'_>| {
        use y_mesh::yrs::{Text, WriteTxn};
        let text = txn.get_or_insert_text(crate::support::content::TEXT);
        text.push(txn, "anew");
    };
    world.document.edit(world.now, author, write, &mut effects).unwrap();
    assert!(world.document.state_vector().get(SERVER) == 0 && world.text() == "anew");
}

#[test]
fn i1_without_a_deletion_nobody_waits() {
    let mut world = World::new();
    world.event(Event::Deleted);
    let stored = world.journal.everything();
    assert_eq!(stored.tombstone.as_ref().unwrap().clients, []);
    // Nobody's work was deleted, so there's nothing to wait for.
    let mut world = reopened(&stored);
    let session = world.join();
    assert_eq!(kinds(&world.pop_all(session)), ["step 1"]);
    let garbage = world.join();
    world.say(garbage, [sync::sync_step_1(&[7])]);
    assert_eq!(world.closed(garbage), Some(CloseCode::Malformed));
}
