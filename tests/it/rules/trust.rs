//! What the embedding program brings isn't trusted more than yrs bears, and what a client says of itself isn't believed
//! before it's there.

use y_mesh::document::{Document, Effect, Event, Now, Reason, Stored};
use y_mesh::wire::sync::{self, Entry};
use y_mesh::yrs::updates::decoder::Decode;
use y_mesh::yrs::{Any, Array, TransactionMut, Update, WriteTxn};
use y_mesh::{ClientId, Config, Identity, SessionId};

use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::raw;
use crate::support::world::{SERVER, World};

fn edit(world: &mut World, edit: impl FnOnce(&mut TransactionMut<'_>)) {
    let mut effects = Vec::new();
    world.document.edit(world.now, Identity::anonymous(), edit, &mut effects).unwrap();
    world.perform(effects);
    world.turn();
}

/// Stands on something that isn't here.
fn dangling() -> Vec<u8> {
    raw::alone(2, 0, [raw::text_after((3, 0), "x")])
}

fn apply(update: Vec<u8>) -> impl FnOnce(&mut TransactionMut<'_>) {
    move |txn| txn.apply_update(Update::decode_v1(&update).unwrap()).unwrap()
}

#[test]
fn h2_what_the_program_applies_and_does_not_stand_is_dropped_and_hurts_nobody() {
    let mut world = World::new();
    edit(&mut world, apply(dangling()));
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("honest"));
    world.turn();
    assert_eq!((world.closed(session), world.text().as_str()), (None, "honest"));
}

#[test]
fn d2_what_the_program_applied_too_early_is_not_there_behind_the_journals_back() {
    let mut world = World::new();
    edit(&mut world, apply(dangling()));
    let session = world.join();
    world.say(session, [sync::update(&raw::alone(3, 0, [raw::text(TEXT, "y")]))]);
    world.turn();
    let again = World::reopened(&world.journal.everything(), world.config.clone(), ClientId(77));
    assert_eq!(world.text(), again.text());
}

#[test]
fn d2_what_the_program_makes_and_could_not_be_read_again_breaks_the_document_and_is_not_kept() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("kept"));
    edit(&mut world, |txn| {
        let deep = (0..300).fold(Any::Null, |inner, _| Any::Array(vec![inner].into()));
        txn.get_or_insert_array("list").insert(txn, 0, deep);
    });
    assert!(world.document.is_broken());
    let effects = world.effects.len();
    world.say(session, ada.write(" lost"));
    world.turn();
    assert_eq!(world.effects.len(), effects, "it does nothing any more");
    assert_eq!(world.journal.records().len(), 1);

    world.renew();
    world.settle(&mut [(session, &mut ada)]);
    assert!(!world.document.is_broken() && world.closed(session).is_none());
    assert_eq!(world.text(), "kept lost", "who is seated is asked for what isn't here");
    assert_eq!(world.acknowledged(session), (ada.sent - 1, 0), "what it never handled isn't counted");
}

#[test]
fn d2_a_document_in_which_an_update_failed_half_way_opens_again() {
    let keyed = vec![0x27, 1, 1, b'm', 1, b'k', 0];
    let mut world = World::new();
    let good = world.join();
    let steps = [
        raw::alone(1, 0, [raw::text(TEXT, "abc")]),
        raw::alone(2, 0, [keyed, raw::text_in((1, 0), "not in a text")]),
        raw::alone(1, 3, [raw::text_after((1, 2), "d")]),
    ];
    for (number, update) in steps.into_iter().enumerate() {
        let session = if number == 1 { world.join() } else { good };
        world.say(session, [sync::update(&update)]);
        world.turn();
    }
    assert_eq!(world.closed(good), None);
    let again = World::reopened(&world.journal.everything(), world.config.clone(), ClientId(77));
    assert_eq!((world.text().as_str(), again.text().as_str()), ("abcd", "abcd"));
    assert_eq!(world.content(), again.content());
}

#[test]
fn d7_a_frame_that_stands_on_something_missing_is_not_acknowledged_for_an_answer_that_brings_nothing() {
    let mut world = World::new();
    let session = world.join();
    world.say(session, [sync::update(&dangling()), sync::sync_step_2(&[0, 0])]);
    world.turn();
    assert_eq!((world.acknowledged(session), world.journal.records().len()), ((0, 0), 0));
    world.say(session, [sync::update(&raw::alone(3, 0, [raw::text(TEXT, "y")]))]);
    world.say(session, [sync::sync_step_2(&dangling())]);
    world.turn();
    assert_eq!(world.acknowledged(session), (4, 0));
}

#[test]
fn h2_who_never_brings_what_is_missing_is_asked_ever_more_rarely() {
    let mut world = World::new();
    let session = world.join();
    world.say(session, [sync::update(&dangling())]);
    let mut questions = 0;
    for _ in 0..600 {
        world.pass(std::time::Duration::from_secs(1));
        let asked = world.pop_all(session).into_iter().filter(|message| message.starts_with(&[0, 0])).count();
        questions += asked;
        // It answers, and what is missing isn't in it.
        world.say(session, (0..asked).map(|_| sync::sync_step_2(&dangling())));
    }
    assert!((6..20).contains(&questions), "{questions} questions in ten minutes");
}

#[test]
fn a1_a_clock_that_no_client_could_go_on_from_is_neither_taken_nor_passed_on() {
    let mut world = World::new();
    let victim = world.join();
    let entry = |clock, state| sync::awareness([Entry { client: ClientId(1), clock, state }].into_iter());
    world.say(victim, [entry(1, Some("{}"))]);
    world.turn();
    world.pop_all(victim);
    let attacker = world.join_reader();
    for clock in [1 << 31, u32::MAX] {
        world.say(attacker, [entry(clock, None), entry(clock, Some("{}"))]);
        world.turn();
    }
    assert_eq!(world.pop_all(victim).len(), 0);
    let beyond = [&[1, 10, 1, 1][..], &[0x80, 0x80, 0x80, 0x80, 0x10], &[2], b"{}"].concat();
    world.say(victim, [beyond.into()]);
    assert_eq!(world.closed(victim), None, "it's no reason to end a session");
}

#[test]
fn a5_an_awareness_frame_of_millions_of_entries_is_refused_as_a_whole() {
    let mut document = Document::open(&Stored::default(), SERVER, Config::default().into(), Now::default()).unwrap();
    let mut effects = Vec::new();
    let kind = crate::support::world::client(y_mesh::document::Access::Read);
    document.handle(Now::default(), Event::Joined { session: SessionId(1), kind }, &mut effects);
    effects.clear();
    let entries = 2_000_000;
    let (mut body, mut message) = (Vec::new(), vec![1]);
    y_mesh::wire::lib0::write_var_uint(&mut body, entries);
    (0..entries).for_each(|_| body.extend([1, 1, 0]));
    y_mesh::wire::lib0::write_var_bytes(&mut message, &body);
    document.handle(Now::default(), Event::Received { session: SessionId(1), message: message.into() }, &mut effects);
    let refused = effects.iter().filter(|e| matches!(e, Effect::Refused { reason: Reason::Awareness, .. })).count();
    assert_eq!((effects.len(), refused), (2, 1), "once counted, once told");
}

#[test]
fn f6_many_silent_sessions_do_not_mean_many_wake_ups() {
    let mut world = World::with(|config| config.timing.idle_max = std::time::Duration::from_secs(3_600));
    for _ in 0..2_000 {
        world.join();
        world.pass(std::time::Duration::from_millis(2));
    }
    let before = world.ticks;
    world.pass(std::time::Duration::from_secs(20));
    assert!(world.ticks - before < 50, "{} wake-ups", world.ticks - before);
}
