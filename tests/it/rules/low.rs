//! D5: while the store's disk is almost full nothing is taken, and nothing is lost by that.

use bytes::Bytes;
use y_mesh::document::{Access, Content, Denied, Effect, Event, Reason, StoreLow};
use y_mesh::wire::sync;
use y_mesh::yrs::{Text, WriteTxn};
use y_mesh::{Identity, SessionId};

use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::frames::{appends, kinds};
use crate::support::raw;
use crate::support::world::{World, client};

fn set_low(world: &mut World, is_low: bool) -> Vec<Effect> {
    world.event(Event::StoreLow { is_low })
}

/// How often a session was told in words that there's no space.
fn told(world: &World, session: SessionId) -> usize {
    let is_told = |effect: &&Effect| {
        let content = Content::Denied(Denied::Space);
        matches!(effect, Effect::Send { to, content: its, .. }
            if *its == content && *to == y_mesh::document::Audience::One(session))
    };
    world.effects.iter().filter(is_told).count()
}

#[test]
fn d5_while_the_disk_is_almost_full_changes_are_refused_and_their_sender_is_told_once() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    set_low(&mut world, true);
    let records = world.journal.records().len();
    world.say(first, ada.write("x"));
    world.say(first, ada.write("y"));
    world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
    assert_eq!((world.acknowledged(first), told(&world, first)), ((1, 2), 1));
    assert!(ada.denied[0].contains("disk is almost full"), "{:?}", ada.denied);
    assert_eq!(world.refusals(), [&Reason::StoreLow; 2]);
    assert_eq!((world.journal.records().len(), world.text().as_str(), ben.text().as_str()), (records, "", ""));
    assert_eq!((world.closed(first), told(&world, second)), (None, 0));
}

#[test]
fn d5_what_was_typed_while_the_disk_was_almost_full_arrives_when_it_no_longer_is() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    set_low(&mut world, true);
    world.say(first, ada.write("kept "));
    world.say(first, ada.write("by the client"));
    world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
    let effects = set_low(&mut world, false);
    assert_eq!(effects.len(), 1, "who has nothing refused isn't asked: {effects:?}");
    world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
    assert_eq!((world.text().as_str(), ben.text().as_str()), ("kept by the client", "kept by the client"));
    assert_eq!(world.acknowledged(first), (2, 2), "the answer is durable");
}

#[test]
fn d5_who_joins_while_the_disk_is_almost_full_reads_and_its_offline_work_comes_later() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let first = world.connect(&mut ada);
    world.say(first, ada.write("here before"));
    world.settle(&mut [(first, &mut ada)]);
    set_low(&mut world, true);
    let mut ben = Client::new(2);
    ben.write("offline ");
    let second = world.connect(&mut ben);
    assert!(ben.text().contains("here before"));
    assert_eq!((world.acknowledged(second), world.text().as_str()), ((0, 1), "here before"));
    set_low(&mut world, false);
    world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
    assert!(world.text().contains("offline ") && world.text() == ada.text(), "{}", world.text());
}

#[test]
fn d5_what_is_here_already_is_acknowledged_while_the_disk_is_almost_full() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("kept"));
    world.settle(&mut [(session, &mut ada)]);
    set_low(&mut world, true);
    world.say(session, [sync::sync_step_2(&ada.lacks(&[0]))]);
    world.turn();
    assert_eq!((world.acknowledged(session), told(&world, session)), ((3, 0), 0));
}

#[test]
fn d5_who_may_only_read_is_told_that_and_never_asked() {
    let mut world = World::new();
    let reader = world.join_reader();
    set_low(&mut world, true);
    world.say(reader, Client::new(1).write("x"));
    world.turn();
    assert_eq!((told(&world, reader), world.refusals()), (0, vec![&Reason::ReadOnly]));
    assert_eq!(set_low(&mut world, false), []);
}

#[test]
fn d5_who_may_write_no_longer_isnt_asked_for_what_was_refused_until_it_may_again() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    set_low(&mut world, true);
    world.say(session, ada.write("x"));
    world.event(Event::Reauthorized { session, right: Ok(client(Access::Read)) });
    assert_eq!(set_low(&mut world, false), []);
    world.event(Event::Reauthorized { session, right: Ok(client(Access::Write)) });
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(world.text(), "x");
}

#[test]
fn d5_a_peer_keeps_what_is_refused_for_want_of_space_and_brings_it_later() {
    let mut world = World::new();
    let mut its = Client::new(1);
    let peer = world.join_peer();
    world.open(peer, &mut its);
    set_low(&mut world, true);
    world.say(peer, its.write("far away"));
    world.settle(&mut [(peer, &mut its)]);
    assert_eq!((world.text().as_str(), told(&world, peer)), ("", 1));
    set_low(&mut world, false);
    world.settle(&mut [(peer, &mut its)]);
    assert_eq!(world.text(), "far away");
}

#[test]
fn d5_each_time_the_disk_is_almost_full_is_told_anew_and_asked_about_anew() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    for _ in 0..3 {
        set_low(&mut world, true);
        assert_eq!(set_low(&mut world, true), [], "said twice is said once");
        world.say(session, ada.write("x"));
        world.settle(&mut [(session, &mut ada)]);
        set_low(&mut world, false);
        world.settle(&mut [(session, &mut ada)]);
    }
    assert_eq!((told(&world, session), world.text().as_str()), (3, "xxx"));
}

#[test]
fn d5_who_is_behind_is_asked_when_it_has_caught_up_and_not_told_of_what_is_over() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.join_slow(1, usize::MAX);
    world.say(session, [sync::sync_step_1(&[0])]);
    world.turn();
    assert!(world.is_behind(session));
    set_low(&mut world, true);
    world.say(session, ada.write("x"));
    set_low(&mut world, false);
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!((ada.denied.len(), world.text().as_str()), (0, "x"));
}

#[test]
fn d5_the_programs_edits_are_an_error_while_the_disk_is_almost_full() {
    let mut world = World::new();
    set_low(&mut world, true);
    let mut effects = Vec::new();
    let push = |txn: &mut y_mesh::yrs::TransactionMut<'_>| txn.get_or_insert_text(TEXT).push(txn, "x");
    let refused = world.document.edit(world.now, Identity::anonymous(), push, &mut effects);
    assert_eq!((refused, effects.len()), (Err(StoreLow), 0));
    let update = Bytes::from(raw::alone(7, 0, [raw::text(TEXT, "x")]));
    let effects = world.event(Event::Edited { update, author: Identity::anonymous() });
    assert_eq!(effects, [Effect::Refused { session: None, reason: Reason::StoreLow }]);
    assert_eq!(world.text(), "");
}

#[test]
fn d5_presence_reading_and_compaction_go_on_while_the_disk_is_almost_full() {
    let mut world = World::with(|config| config.limits.compact_after_records = 2);
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let session = world.connect(&mut ada);
    world.say(session, ada.write("a"));
    world.say(session, ada.write("b"));
    set_low(&mut world, true);
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(world.journal.compactions(), 1, "it wins space");
    let other = world.connect(&mut ben);
    let before = world.effects.len();
    world.say(other, [ben.presence.set(Some("{}"))]);
    world.turn();
    assert_eq!((ben.text().as_str(), appends(&world.effects[before..])), ("ab", 0));
    assert_eq!(kinds(&world.pop_all(session)).last(), Some(&"awareness"));
}
