//! D: what is kept, and when it's said to be.

use std::time::Duration;

use bytes::Bytes;
use y_mesh::document::{Audience, CloseCode, Document, Effect, Event, OpenError, Reason, Record, Stored};
use y_mesh::wire::sync;
use y_mesh::{ClientId, Config, Identity, Seq};

use crate::support::client::Client;
use crate::support::content::{self, TEXT};
use crate::support::frames::{appends, closes};
use crate::support::random::Random;
use crate::support::raw;
use crate::support::world::{World, client};

#[test]
fn d1_append_precedes_send_of_the_same_update() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let (session, other) = (world.connect(&mut ada), world.join());
    world.say(session, ada.write("abc"));
    world.say(session, ada.delete(0, 1));
    // Whoever asks in the middle of a turn is answered out of what is appended already.
    world.say(other, [sync::sync_step_1(&[0])]);
    world.turn();
    let position = |wanted: &dyn Fn(&Effect) -> bool| world.effects.iter().position(wanted).expect("it happens");
    let append = position(&|effect| matches!(effect, Effect::Append { seq: Seq(2), .. }));
    let answer = position(&|effect| tells(effect, Audience::One(other)));
    let relay = position(&|effect| tells(effect, Audience::All));
    assert!(append < answer && answer < relay, "{append} {answer} {relay}");
}

/// Whether an effect tells these that Ada's first letter is deleted.
fn tells(effect: &Effect, whom: Audience) -> bool {
    matches!(effect, Effect::Send { to, message, .. } if *to == whom && message.ends_with(&[1, 1, 1, 0, 1]))
}

#[test]
fn d2_the_journal_rebuilds_the_state() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut world = World::with(|config| config.limits.compact_after_records = 7);
        let (mut ada, mut ben) = (Client::new(1), Client::new(2));
        let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
        for _ in 0..30 {
            world.say(first, ada.edit_randomly(&mut random));
            world.say(second, ben.edit_randomly(&mut random));
            world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
            let again = World::reopened(&world.journal.everything(), world.config.clone(), ClientId(5));
            assert_eq!(again.content(), world.content(), "seed {seed}");
        }
        assert!(world.journal.compactions() > 0);
    }
}

#[test]
fn d2_a_hole_in_the_records_is_an_error() {
    let record = |client| Record {
        update: raw::alone(client, 0, [raw::text(TEXT, "a")]).into(),
        author: Identity::anonymous(),
        at: Default::default(),
    };
    let open =
        |stored: &Stored| Document::open(stored, ClientId(5), Config::default().into(), Default::default()).err();
    let hole = Stored { tail: vec![(Seq(1), record(1)), (Seq(3), record(2))], ..Stored::default() };
    assert_eq!(open(&hole), Some(OpenError::Hole(Seq(1), Seq(3))));
    let late = Stored { tail: vec![(Seq(2), record(1))], ..Stored::default() };
    assert_eq!(open(&late), Some(OpenError::Hole(Seq(0), Seq(2))));
    let snapshot = Some((Seq(4), Bytes::from_static(&[0, 0])));
    let early = Stored { snapshot, tail: vec![(Seq(4), record(1))], ..Stored::default() };
    assert_eq!(open(&early), Some(OpenError::Hole(Seq(4), Seq(4))));
}

#[test]
fn d2_what_is_no_update_or_stands_on_nothing_is_an_error_that_names_the_record() {
    let open =
        |stored: &Stored| Document::open(stored, ClientId(5), Config::default().into(), Default::default()).err();
    for bytes in [vec![9, 9], raw::alone(1, 5, [raw::text(TEXT, "a")])] {
        let record = Record { update: bytes.clone().into(), author: Identity::anonymous(), at: Default::default() };
        let tail = Stored { tail: vec![(Seq(1), record)], ..Stored::default() };
        assert!(matches!(open(&tail), Some(OpenError::Record(Seq(1), _))), "{bytes:?}");
        let snapshot = Stored { snapshot: Some((Seq(1), bytes.into())), ..Stored::default() };
        assert!(matches!(open(&snapshot), Some(OpenError::Snapshot(_))));
    }
}

#[test]
fn d2_limits_on_what_comes_in_do_not_hold_for_what_was_stored() {
    let mut world = World::with(|config| {
        config.limits.update_structs_max = 4;
        config.limits.compact_after_records = 10;
    });
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    for _ in 0..12 {
        world.say(session, ada.insert(0, "not in a row "));
        world.turn();
    }
    assert!(world.journal.compactions() > 0);
    let stored = world.journal.everything();
    let again = Document::open(&stored, ClientId(5), world.config.clone(), Default::default());
    assert_eq!(again.map(|again| content::text_of(&again)), Ok(world.text()));
}

#[test]
fn d2_the_same_clock_twice_with_different_content_leaves_replica_and_journal_equal() {
    // Two devices with one client id, after a backup was restored: the second one's structs overlap the first one's.
    let mut world = World::new();
    let session = world.join();
    world.say(session, [sync::update(&raw::alone(1, 0, [raw::values("list", 1, &[125, 1])]))]);
    world.say(session, [sync::update(&raw::alone(1, 0, [raw::text(TEXT, "bc")]))]);
    world.turn();
    let again = World::reopened(&world.journal.everything(), world.config.clone(), ClientId(5));
    assert_eq!(again.content(), world.content());
}

#[test]
fn d3_compaction_loses_nothing_whatever_is_durable_of_it() {
    let mut world = World::with(|config| config.limits.compact_after_records = 3);
    world.syncs = false;
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    let mut texts = vec![(Seq(0), String::new())];
    for turn in 0..10 {
        world.say(session, ada.write(&turn.to_string()));
        texts.push((world.journal.last(), world.text()));
        world.turn();
    }
    assert!(world.journal.compactions() >= 3);
    while world.journal.waiting() > 0 {
        let durable = world.journal.sync(1);
        let again = World::reopened(&world.journal.durable(), world.config.clone(), ClientId(5));
        let wanted = texts.iter().find(|(seq, _)| *seq == durable).expect("each record has its text");
        assert_eq!(again.text(), wanted.1, "durable through {durable:?}");
    }
}

#[test]
fn d3_compaction_comes_after_many_bytes_too_and_its_cost_stays_in_proportion() {
    let mut world = World::with(|config| config.limits.compact_after_bytes = 1_000);
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    for _ in 0..200 {
        world.say(session, ada.write(&"x".repeat(100)));
        world.turn();
    }
    assert!((3..10).contains(&world.journal.compactions()), "{} snapshots", world.journal.compactions());
}

#[test]
fn d3_numbers_go_on_after_a_document_is_opened_again() {
    let mut world = World::with(|config| config.limits.compact_after_records = 3);
    let mut ada = Client::new(1);
    for wanted in [4, 8, 12] {
        let session = world.connect(&mut ada);
        for _ in 0..4 {
            world.say(session, ada.write("x"));
            world.turn();
        }
        assert_eq!(world.journal.last(), Seq(wanted));
        world = World::reopened(&world.journal.everything(), world.config.clone(), ClientId(100 + wanted));
        assert_eq!(world.text(), ada.text());
    }
}

#[test]
fn d5_a_store_that_fails_closes_all_sessions_and_ends_acknowledgements() {
    let mut world = World::new();
    world.syncs = false;
    let mut ada = Client::new(1);
    let (session, other) = (world.connect(&mut ada), world.join());
    world.say(session, ada.write("never durable"));
    world.turn();
    let before = world.acknowledged(session);
    let effects = world.event(Event::StoreFailed);
    assert_eq!(closes(&effects), [(session, CloseCode::Later), (other, CloseCode::Later)]);
    let late = world.event(Event::Durable { through: Seq(1) });
    assert!(!late.iter().any(|effect| matches!(effect, Effect::Acknowledge { .. })));
    assert_eq!(world.acknowledged(session), before);
    let newcomer = world.join();
    assert_eq!(world.closed(newcomer), Some(CloseCode::Later));
    assert!(world.document.has_ended());
}

#[test]
fn d5_nothing_is_asked_of_a_store_that_has_failed() {
    let mut world = World::with(|config| config.limits.compact_after_records = 1);
    world.event(Event::StoreFailed);
    let update = Bytes::from(raw::alone(7, 0, [raw::text(TEXT, "x")]));
    let mut effects = world.event(Event::Edited { update, author: Identity::anonymous() });
    effects.extend(world.event(Event::TurnEnded));
    assert_eq!(appends(&effects), 0);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Compact { .. })));
}

fn retires(world: &mut World, duration: Duration) -> usize {
    let before = world.effects.len();
    world.pass(duration);
    world.effects[before..].iter().filter(|effect| **effect == Effect::Retire).count()
}

#[test]
fn d6_a_document_that_nobody_has_open_retires() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(retires(&mut world, Duration::from_secs(300)), 0, "somebody has it open");
    world.leave(session);
    assert_eq!(retires(&mut world, Duration::from_millis(29_999)), 0);
    assert_eq!(retires(&mut world, Duration::from_millis(1)), 1);
}

#[test]
fn d6_a_document_that_was_opened_for_nobody_retires() {
    assert_eq!(retires(&mut World::new(), Duration::from_secs(30)), 1);
}

#[test]
fn d6_it_does_not_retire_before_all_of_it_is_durable() {
    let mut world = World::new();
    world.syncs = false;
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    world.leave(session);
    assert_eq!(retires(&mut world, Duration::from_secs(300)), 0);
    world.sync();
    assert_eq!(retires(&mut world, Duration::from_secs(30)), 1);
}

#[test]
fn d6_who_comes_back_in_time_keeps_it() {
    let mut world = World::new();
    for _ in 0..5 {
        let session = world.join();
        assert_eq!(retires(&mut world, Duration::from_secs(100)), 0);
        world.leave(session);
        assert_eq!(retires(&mut world, Duration::from_secs(29)), 0);
    }
}

#[test]
fn d6_a_node_that_goes_down_closes_everybody_and_retires_once_it_is_durable() {
    let mut world = World::new();
    world.syncs = false;
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    let effects = world.event(Event::Stopping);
    assert_eq!(closes(&effects), [(session, CloseCode::Restarting)]);
    assert!(!effects.contains(&Effect::Retire));
    let through = world.journal.sync_all();
    assert_eq!(world.event(Event::Durable { through }), [Effect::Retire]);
    assert_eq!(closes(&World::new().event(Event::Stopping)), []);
    assert!(World::new().event(Event::Stopping).contains(&Effect::Retire));
}

#[test]
fn d7_acknowledgements_count_a_sessions_own_frames_that_are_durable() {
    let mut world = World::new();
    world.syncs = false;
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.join(), world.join());
    world.open(first, &mut ada);
    world.open(second, &mut ben);
    assert_eq!((world.acknowledged(first), world.acknowledged(second)), ((1, 0), (1, 0)), "nothing to wait for");
    world.say(first, ada.write("a"));
    world.say(second, ben.write("b"));
    world.say(first, ada.write("c"));
    world.turn();
    assert_eq!(world.acknowledged(first), (1, 0));
    for (wanted_first, wanted_second) in [(2, 1), (2, 2), (3, 2)] {
        let through = world.journal.sync(1);
        world.event(Event::Durable { through });
        assert_eq!((world.acknowledged(first).0, world.acknowledged(second).0), (wanted_first, wanted_second));
    }
}

#[test]
fn d7_a_frame_that_changes_nothing_waits_for_what_it_repeats() {
    let mut world = World::new();
    world.syncs = false;
    let mut ada = Client::new(1);
    let (first, second) = (world.join(), world.join());
    let message = ada.write("a");
    world.say(first, message.clone());
    world.say(second, message);
    assert_eq!(world.acknowledged(second), (0, 0), "what was said by another isn't durable for it either");
    world.sync();
    assert_eq!((world.acknowledged(first), world.acknowledged(second)), ((1, 0), (1, 0)));
}

#[test]
fn d7_awareness_and_questions_are_not_counted() {
    let mut world = World::new();
    let session = world.join();
    world.say(session, [sync::sync_step_1(&[0]), sync::query_awareness(), sync::keep_alive(), sync::denied("")]);
    world.turn();
    assert_eq!(world.acknowledged(session), (0, 0));
}

#[test]
fn d7_counts_start_anew_with_each_session() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(world.acknowledged(session), (2, 0));
    world.leave(session);
    let session = world.connect(&mut ada);
    assert_eq!((world.acknowledged(session), ada.sent), ((1, 0), 1));
}

#[test]
fn d7_a_message_of_many_frames_is_acknowledged_once() {
    let mut world = World::new();
    let session = world.join();
    let effects = world.event(Event::Received { session, message: sync::update(&[0, 0]).repeat(1_000).into() });
    let acknowledgements = effects.iter().filter(|effect| matches!(effect, Effect::Acknowledge { .. })).count();
    assert_eq!((acknowledgements, world.acknowledged(session)), (1, (1_000, 0)));
}

#[test]
fn d8_bytes_are_kept_as_they_came_with_author_and_time() {
    let mut world = World::new();
    let session = world.join_as(
        y_mesh::document::Kind::Client { access: y_mesh::document::Access::Write, identity: "ada".into() },
        usize::MAX,
        usize::MAX,
    );
    let update = raw::update(&[raw::section(7, 0, [raw::text(TEXT, "a"), raw::text_after((7, 0), "b")])], &[(7, 1, 1)]);
    world.say(session, [sync::update(&update)]);
    let records = world.journal.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].update, update, "two structs stay two, though one would do");
    assert_eq!((&records[0].author, records[0].at), (&Identity::from("ada"), world.now.wall));
}

#[test]
fn d8_what_overlaps_what_is_here_is_cut_off_first() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write(&"long ".repeat(1_000)));
    world.say(session, ada.delete(0, 10));
    ada.edit_raw(|txn| {
        use y_mesh::yrs::{Text, WriteTxn};
        txn.get_or_insert_text(TEXT).push(txn, "new");
    });
    world.say(session, [sync::sync_step_2(&ada.lacks(&[0]))]);
    let records = world.journal.records();
    assert_eq!(records.len(), 3);
    assert!(records[2].update.len() < 40, "{} bytes", records[2].update.len());
    assert_eq!(world.text(), ada.text());
    world.say(session, [sync::sync_step_2(&ada.lacks(&[0]))]);
    assert_eq!(world.journal.records().len(), 3);
}

#[test]
fn d8_the_program_that_embeds_the_node_is_journalled_like_everybody() {
    let mut world = World::new();
    let session = world.join();
    world.pop_all(session);
    let update = Bytes::from(raw::alone(7, 0, [raw::text(TEXT, "x")]));
    world.event(Event::Edited { update: update.clone(), author: "program".into() });
    world.turn();
    assert_eq!(world.journal.records()[0].author, "program".into());
    assert_eq!(world.pop_all(session), [sync::update(&update)]);
    world.event(Event::Edited { update: Bytes::from_static(&[1]), author: "program".into() });
    assert!(matches!(world.refusals()[..], [Reason::Update(_)]));
    assert_eq!(world.closed(session), None);
    let reader = world.join_as(client(y_mesh::document::Access::Read), 9, 99);
    assert_eq!(world.closed(reader), None);
}
