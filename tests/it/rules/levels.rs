//! D7: what acknowledgements mean is a document's own.

use std::time::Duration;

use y_mesh::document::{Durability, Effect, Stored};
use y_mesh::wire::sync;
use y_mesh::{ClientId, Config, Seq};

use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::raw;
use crate::support::world::World;

fn world(durability: Durability) -> World {
    let stored = Stored { exists: true, durability: Some(durability), ..Stored::default() };
    let mut world = World::reopened(&stored, Config::default().into(), ClientId(5));
    world.syncs = false;
    world
}

#[test]
fn d7_at_memory_what_the_document_has_is_acknowledged_at_once_and_at_local_what_the_store_has() {
    for (durability, at_once) in [(Durability::Memory, 2), (Durability::Local, 1)] {
        let mut world = world(durability);
        let mut ada = Client::new(1);
        let session = world.connect(&mut ada);
        world.say(session, ada.write("abc"));
        assert_eq!(world.acknowledged(session), (at_once, 0), "{durability:?}");
        assert_eq!(world.journal.waiting(), 1, "it's on its way to the store all the same");
        world.sync();
        assert_eq!(world.acknowledged(session), (2, 0), "{durability:?}");
    }
}

#[test]
fn d7_at_memory_the_record_is_given_out_before_it_is_acknowledged() {
    let mut world = world(Durability::Memory);
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.effects.clear();
    world.say(session, ada.write("abc"));
    let kept = world.effects.iter().position(|effect| matches!(effect, Effect::Append { .. }));
    let told = world.effects.iter().position(|effect| matches!(effect, Effect::Acknowledge { .. }));
    assert!(kept.is_some() && kept < told, "{:?}", world.effects);
}

#[test]
fn d7_at_memory_what_stands_on_something_missing_is_not_acknowledged() {
    let mut world = world(Durability::Memory);
    let session = world.join();
    let dangling = raw::alone(2, 0, [raw::text_after((3, 0), "x")]);
    world.say(session, [sync::update(&dangling)]);
    world.turn();
    assert_eq!(world.acknowledged(session), (0, 0));
    world.say(session, [sync::update(&raw::alone(3, 0, [raw::text(TEXT, "y")])), sync::sync_step_2(&dangling)]);
    world.turn();
    assert_eq!(world.acknowledged(session), (3, 0));
}

#[test]
fn d6_at_memory_too_a_document_retires_only_when_the_store_has_it() {
    let mut world = world(Durability::Memory);
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    world.leave(session);
    world.pass(Duration::from_secs(300));
    assert!(!world.effects.contains(&Effect::Retire));
    world.sync();
    world.pass(Duration::from_secs(30));
    assert!(world.effects.contains(&Effect::Retire));
}

#[test]
fn d7_a_document_may_learn_late_what_it_was_created_with() {
    let mut world = world(Durability::Local);
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.document.set_durability(Durability::Memory);
    world.say(session, ada.write("abc"));
    assert_eq!((world.acknowledged(session), world.journal.last()), ((2, 0), Seq(1)));
}
