//! H: how far an update stands on what is here.

use y_mesh::document::{CloseCode, Effect, Event, Reason};
use y_mesh::wire::sync;
use y_mesh::yrs::{Any, ReadTxn, Text, WriteTxn};
use y_mesh::{ClientId, Identity};

use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::frames::{appends, kinds, sends};
use crate::support::raw;
use crate::support::world::{SERVER, World};

/// "abc" of client 1 is here.
fn abc() -> (World, y_mesh::SessionId) {
    let mut world = World::new();
    let session = world.join();
    world.say(session, [sync::update(&raw::alone(1, 0, [raw::text(TEXT, "abc")]))]);
    world.turn();
    world.pop_all(session);
    (world, session)
}

#[test]
fn h1_what_stands_on_something_missing_is_not_taken() {
    let missing = [
        ("a clock", raw::alone(1, 4, [raw::text(TEXT, "x")])),
        ("a skipped clock", raw::alone(1, 3, [raw::skip(1), raw::text(TEXT, "x")])),
        ("a first clock", raw::alone(2, 1, [raw::text(TEXT, "x")])),
        ("an origin's clock", raw::alone(2, 0, [raw::text_after((1, 3), "x")])),
        ("an origin's client", raw::alone(2, 0, [raw::text_after((3, 0), "x")])),
        ("a right origin", raw::alone(2, 0, [raw::text_before((3, 0), "x")])),
        ("a parent", raw::alone(2, 0, [raw::text_in((3, 0), "x")])),
        ("what is deleted", raw::update(&[], &[(1, 3, 2)])),
        ("whose work is deleted", raw::update(&[], &[(3, 0, 1)])),
    ];
    for (what, update) in missing {
        let (mut world, session) = abc();
        let before = world.content();
        let effects = world.event(Event::Received { session, message: sync::update(&update) });
        assert!(matches!(world.refusals()[..], [Reason::Missing]), "{what}");
        assert_eq!(appends(&effects), 0, "{what} is missing");
        assert_eq!(kinds(&world.pop_all(session)), ["step 1"], "its sender is asked for {what}");
        world.turn();
        assert_eq!(world.pop_all(session), [] as [bytes::Bytes; 0]);
        assert_eq!((world.content(), world.closed(session)), (before, None));
        assert_eq!(world.acknowledged(session), (1, 0), "{what}");
        assert!(!world.document.read(|txn| txn.has_missing_updates()), "yrs holds nothing pending");
    }
}

#[test]
fn h1_what_brings_along_what_it_stands_on_is_taken() {
    let whole = [
        raw::update(
            &[raw::section(1, 3, [raw::text_after((2, 0), "x")]), raw::section(2, 0, [raw::text(TEXT, "y")])],
            &[],
        ),
        raw::update(&[raw::section(2, 0, [raw::text(TEXT, "y")])], &[(2, 0, 1)]),
        raw::alone(2, 0, [raw::array(TEXT), raw::array_in((2, 0))]),
        raw::alone(1, 2, [raw::skip(1), raw::text_after((1, 2), "d")]),
    ];
    for update in whole {
        let (mut world, session) = abc();
        let effects = world.event(Event::Received { session, message: sync::update(&update) });
        assert_eq!((appends(&effects), world.refusals().len()), (1, 0), "{update:?}");
        assert!(!world.document.read(|txn| txn.has_missing_updates()));
    }
}

/// What of an update is kept, of which only a part stands on "abc".
fn part_of(update: &[u8]) -> (Vec<u8>, String) {
    let (mut world, session) = abc();
    world.say(session, [sync::update(update)]);
    world.turn();
    let messages = world.pop_all(session);
    assert_eq!(kinds(&messages), ["step 1", "update"], "what stands is relayed, and the rest is asked for");
    assert!(matches!(world.refusals()[..], [Reason::Missing]));
    assert_eq!(
        (world.acknowledged(session), world.closed(session)),
        ((1, 0), None),
        "all of it is acknowledged or nothing"
    );
    let records = world.journal.records();
    assert_eq!(messages[1], sync::update(&records[1].update));
    assert!(!world.document.read(|txn| txn.has_missing_updates()));
    (records[1].update.to_vec(), world.text())
}

#[test]
fn h2_what_stands_of_an_update_is_taken() {
    let (c, x, dangling) = (raw::text_after((1, 2), "d"), raw::text(TEXT, "x"), raw::text_after((9, 0), "?"));
    let only = |update: Vec<u8>, text: &str| (update, text.to_owned());
    let update = raw::update(&[raw::section(3, 0, [dangling.clone()]), raw::section(1, 3, [c.clone()])], &[(1, 0, 1)]);
    assert_eq!(part_of(&update), only(raw::update(&[raw::section(1, 3, [c.clone()])], &[(1, 0, 1)]), "bcd"));
    let update = raw::alone(1, 3, [c.clone(), raw::skip(1), raw::text_after((1, 4), "f")]);
    assert_eq!(part_of(&update), only(raw::alone(1, 3, [c.clone()]), "abcd"));
    let update = raw::update(&[raw::section(2, 0, [x.clone(), dangling])], &[(1, 2, 2), (3, 0, 1)]);
    assert_eq!(part_of(&update).0, raw::update(&[raw::section(2, 0, [x])], &[(1, 2, 1)]));
}

#[test]
fn h2_a_client_with_a_hole_of_its_own_is_not_stuck() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let lost = ben.edit_raw(|txn| txn.get_or_insert_text(TEXT).push(txn, "lost")).unwrap();
    let late = ben.edit_raw(|txn| txn.get_or_insert_text(TEXT).push(txn, "late")).unwrap();
    ada.take(&sync::update(&late));
    let session = world.connect(&mut ada);
    world.say(session, ada.write("mine"));
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!((world.text().as_str(), world.acknowledged(session)), ("mine", (ada.sent, 0)));
    world.pass(world.config.timing.ask_interval * 200);
    let asked = kinds(&world.pop_all(session)).iter().filter(|kind| **kind == "step 1").count();
    assert!(asked <= 9, "it was asked {asked} times for what it hasn't got");
    let other = world.join();
    world.say(other, [sync::update(&lost)]);
    world.settle(&mut [(session, &mut ada)]);
    world.pass(world.config.timing.ask_interval * 100);
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(world.text(), ada.text(), "once the hole is filled, the rest comes");
    assert!(world.text().contains("lostlate"));
}

/// "abc" of client 1 is here, and somebody says this of it.
fn said_of_abc(update: &[u8]) -> (Option<CloseCode>, String, usize) {
    let (mut world, _) = abc();
    let session = world.join();
    world.say(session, [sync::update(update)]);
    world.turn();
    (world.closed(session), world.text(), world.journal.records().len())
}

#[test]
fn h3_what_is_said_otherwise_of_known_work_is_refused() {
    let others = [
        raw::alone(1, 0, [raw::text(TEXT, "abX")]),
        raw::alone(1, 0, [raw::text(TEXT, "Xbc")]),
        raw::alone(1, 0, [raw::text(TEXT, "aXcd")]),
        raw::alone(1, 1, [raw::text_after((1, 0), "X")]),
        raw::alone(1, 1, [raw::text(TEXT, "b")]),
        raw::alone(1, 0, [raw::text("another root", "abc")]),
        raw::alone(1, 0, [raw::values(TEXT, 3, &[126, 126, 126])]),
        raw::alone(1, 0, [raw::text(TEXT, "a"), raw::skip(1), raw::text_after((1, 1), "X")]),
        raw::alone(1, 0, [raw::text(TEXT, "ab"), raw::text_after((1, 0), "c")]),
    ];
    for update in others {
        assert_eq!(said_of_abc(&update), (Some(CloseCode::Refused), "abc".to_owned(), 1), "{update:?}");
    }
}

#[test]
fn h3_what_is_said_again_in_other_words_is_known() {
    let a_b_c = [raw::text(TEXT, "a"), raw::text_after((1, 0), "b"), raw::text_after((1, 1), "c")];
    for update in [raw::alone(1, 0, [raw::text(TEXT, "abc")]), raw::alone(1, 0, a_b_c), raw::alone(1, 0, [raw::gc(3)])]
    {
        assert_eq!(said_of_abc(&update), (None, "abc".to_owned(), 1), "{update:?}");
    }
    let more = raw::alone(1, 1, [raw::text_after((1, 0), "bcd")]);
    assert_eq!(said_of_abc(&more), (None, "abcd".to_owned(), 2));
}

#[test]
fn h1_where_something_cannot_stand_it_is_refused() {
    let key = |key: u8| vec![0x28, 1, 1, b'm', 1, key, 1, 120];
    let list = |clock| raw::array_in((7, clock));
    let both = |left: (u8, u8), right: (u8, u8)| vec![0xc4, left.0, left.1, right.0, right.1, 1, b'x'];
    let unfit = [
        ("text as a parent", raw::alone(7, 0, [raw::text_in((1, 0), "x")])),
        ("neighbours in two types", raw::alone(7, 0, [raw::text("u", "u"), both((1, 0), (7, 0))])),
        ("neighbours under two keys", raw::alone(7, 0, [key(b'k'), key(b'l'), both((7, 0), (7, 1))])),
        ("a key and a sequence", raw::alone(7, 0, [raw::text("m", "u"), key(b'k'), both((7, 0), (7, 1))])),
        ("text in an array", raw::alone(7, 0, [raw::array("l"), raw::text_in((7, 0), "x")])),
        ("a type within itself", raw::alone(7, 0, [raw::array("l"), list(0), vec![0x87, 7, 2, 0]])),
    ];
    for (what, update) in unfit {
        assert_eq!(said_of_abc(&update), (Some(CloseCode::Refused), "abc".to_owned(), 1), "{what}");
    }
}

#[test]
fn h1_items_that_undo_puts_between_what_never_were_neighbours_are_taken() {
    let between = |left: u8, right: u8| raw::alone(7, 0, [vec![0xc4, 1, left, 1, right, 1, b'x']]);
    for update in [between(1, 1), between(2, 0)] {
        let (closed, text, records) = said_of_abc(&update);
        assert_eq!((closed, text.len(), records), (None, 4, 2), "{update:?}");
    }
}

#[test]
fn d7_a_delete_of_what_comes_later_from_somebody_else_is_not_acknowledged_before_it_is_taken() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    let hello = ben.edit_raw(|txn| txn.get_or_insert_text(TEXT).push(txn, "hello")).unwrap();
    ada.take(&sync::update(&hello));
    world.say(first, ada.delete(0, 5));
    world.turn();
    world.say(second, [sync::update(&hello)]);
    world.turn();
    assert_eq!((world.text().as_str(), world.acknowledged(first)), ("hello", (1, 0)), "only its opening is settled");
    world.pass(world.config.timing.ask_interval * 2);
    world.settle(&mut [(first, &mut ada)]);
    assert_eq!((world.text().as_str(), world.acknowledged(first)), ("", (ada.sent, 0)));
}

#[test]
fn h2_updates_out_of_order_arrive_in_the_end_and_are_acknowledged() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    let mut messages = [ada.write("one "), ada.write("two "), ada.write("three")].concat();
    messages.reverse();
    world.say(first, messages);
    world.pass(world.config.timing.ask_interval);
    world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
    assert_eq!((world.text(), ben.text()), (ada.text(), ada.text()));
    assert_eq!(world.acknowledged(first), (ada.sent, 0));
}

#[test]
fn h2_a_sender_is_asked_at_a_bounded_rate() {
    let (mut world, session) = abc();
    let dangling = sync::update(&raw::alone(2, 0, [raw::text_after((3, 0), "x")]));
    let flood = dangling.repeat(1_000);
    world.say(session, [flood.clone().into(), flood.into()]);
    assert_eq!(kinds(&world.pop_all(session)), ["step 1"]);
    world.pass(world.config.timing.ask_interval);
    assert_eq!(kinds(&world.pop_all(session)), ["step 1"], "and once more, for what came after the question");
    world.pass(world.config.timing.ask_interval * 3);
    assert_eq!(kinds(&world.pop_all(session)), [""; 0]);
}

#[test]
fn h2_an_answer_settles_the_frames_that_were_missing_something() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    let lost = ada.edit_raw(|txn| txn.get_or_insert_text(TEXT).push(txn, "lost "));
    assert!(lost.is_some());
    world.say(session, ada.write("found"));
    assert_eq!(world.acknowledged(session), (1, 0));
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!((world.text(), world.acknowledged(session)), ("lost found".to_owned(), (3, 0)));
}

#[test]
fn h2_a_question_that_meets_a_full_outbox_is_asked_later() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.join_slow(2, 1 << 20);
    world.open(session, &mut ada);
    world.pass(world.config.timing.ask_interval * 2);
    world.pop_all(session);
    let other = world.join();
    for letter in ["a", "b", "c"] {
        world.say(other, [sync::update(&raw::alone(letter.as_bytes()[0].into(), 0, [raw::text(TEXT, letter)]))]);
        world.turn();
    }
    assert!(world.is_behind(session));
    let _lost = ada.edit_raw(|txn| txn.get_or_insert_text(TEXT).push(txn, "lost "));
    world.say(session, ada.write("found"));
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(world.text(), ada.text());
    assert_eq!(world.acknowledged(session), (ada.sent, 0));
}

#[test]
fn h2_a_question_that_is_the_message_too_many_is_asked_later() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.join_slow(1, 1 << 20);
    world.open(session, &mut ada);
    world.pass(world.config.timing.ask_interval * 2);
    world.pop_all(session);
    world.say(session, ada.write("fills the outbox "));
    world.turn();
    assert!(!world.is_behind(session));
    let _lost = ada.edit_raw(|txn| txn.get_or_insert_text(TEXT).push(txn, "lost "));
    world.say(session, ada.write("found"));
    assert!(world.is_behind(session));
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(world.text(), ada.text());
    assert_eq!(world.acknowledged(session), (ada.sent, 0));
}

#[test]
fn h2_what_the_program_brings_stands_or_is_reported() {
    let mut world = World::new();
    let dangling = raw::alone(2, 0, [raw::text_after((3, 0), "x")]);
    let effects = world.event(Event::Edited { update: dangling.into(), author: Identity::anonymous() });
    assert_eq!(effects, [Effect::Refused { session: None, reason: Reason::Missing }]);
}

#[test]
fn h4_the_servers_edits_use_the_id_it_was_given_and_are_journalled_as_they_were_made() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    write_as_server(&mut world, "hello");
    let records = world.journal.records();
    assert_eq!((records.len(), &records[0].author), (1, &Identity::from("server")));
    world.turn();
    let messages = world.pop_all(session);
    assert_eq!(messages, [sync::update(&records[0].update)]);
    assert_eq!(world.document.state_vector().get(SERVER), 5);
}

fn write_as_server(world: &mut World, text: &str) {
    let mut effects = Vec::new();
    let push = |txn: &mut y_mesh::yrs::TransactionMut<'_>| txn.get_or_insert_text(TEXT).push(txn, text);
    world.document.edit(world.now, "server".into(), push, &mut effects).unwrap();
    world.perform(effects);
}

#[test]
fn h4_an_edit_that_changes_nothing_is_nothing() {
    let mut world = World::new();
    let mut effects = Vec::new();
    let length = world.document.edit(world.now, "server".into(), |txn| txn.state_vector().len(), &mut effects);
    assert_eq!((length, effects), (Ok(0), Vec::new()));
}

#[test]
fn h4_from_outside_nothing_new_comes_under_the_servers_id() {
    let mut world = World::new();
    write_as_server(&mut world, "hello");
    let (good, bad) = (world.join(), world.join());
    let mut ada = Client::new(1);
    world.open(good, &mut ada);
    world.say(good, [sync::sync_step_2(&ada.lacks(&[0]))]);
    assert_eq!(world.closed(good), None, "what the server made may come back");
    world.say(bad, [sync::update(&raw::alone(SERVER.0, 5, [raw::text(TEXT, "forged")]))]);
    assert_eq!((world.closed(bad), world.text()), (Some(CloseCode::Refused), "hello".to_owned()));
}

#[test]
fn h4_an_id_that_the_document_knows_is_not_used_again() {
    let mut world = World::new();
    write_as_server(&mut world, "hello");
    let mut again = World::reopened(&world.journal.everything(), world.config.clone(), SERVER);
    write_as_server(&mut again, " again");
    assert_eq!(again.text(), "hello again");
    assert_eq!(again.document.state_vector().get(SERVER), 5, "the old id gets no new work");
    assert_eq!(again.document.state_vector().iter().count(), 2);
}

#[test]
fn h5_offsets_count_utf_16_code_units() {
    let mut world = World::new();
    write_as_server(&mut world, "😀b");
    let insert = |txn: &mut y_mesh::yrs::TransactionMut<'_>| txn.get_or_insert_text(TEXT).insert(txn, 2, "a");
    world.document.edit(world.now, "server".into(), insert, &mut Vec::new()).unwrap();
    assert_eq!(world.text(), "😀ab");
    assert_eq!(world.document.state_vector().get(SERVER), 4);
}

#[test]
fn h5_deleted_content_is_collected() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write(&"secret".repeat(1_000)));
    world.say(session, ada.delete(0, 6_000));
    assert!(world.document.snapshot().len() < 100);
}

#[test]
fn h5_formatting_is_not_tidied_by_the_server_on_its_own() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    let format = |value: Any| {
        move |txn: &mut y_mesh::yrs::TransactionMut<'_>| {
            let text = txn.get_or_insert_text(TEXT);
            text.format(txn, 0, 3, [("bold".into(), value)].into_iter().collect());
        }
    };
    world.say(session, ada.edit(format(Any::Bool(true))));
    world.say(session, ada.edit(|txn| txn.get_or_insert_text(TEXT).remove_range(txn, 0, 3)));
    world.settle(&mut [(session, &mut ada)]);
    let deleted = world.content().deleted;
    let of_the_text: u32 = deleted.iter().flat_map(|(_, ranges)| ranges.iter()).map(|r| r.end - r.start).sum();
    assert_eq!(of_the_text, 3, "what the client deleted, and no mark more: {deleted:?}");
    assert_eq!(world.document.state_vector().iter().collect::<Vec<_>>(), [(ClientId(1), 5)]);
    assert_eq!(world.content(), ada.content());
    assert!(sends(&world.effects).iter().all(|(_, message)| !message.is_empty()));
}
