//! S: coming, asking, and going.

use bytes::Bytes;
use y_mesh::ClientId;
use y_mesh::document::{Access, Audience, CloseCode, Content, Event, Reason};
use y_mesh::wire::{sync, vet};

use crate::support::client::Client;
use crate::support::frames::{closes, entries_in, kinds, sends, update_in};
use crate::support::world::{World, client};

#[test]
fn s1_who_joins_is_sent_sync_step_1_then_awareness_if_anyone_is_here() {
    let mut world = World::new();
    let first = world.join();
    assert_eq!(kinds(&world.pop_all(first)), ["step 1"]);
    let mut ada = Client::new(1);
    world.say(first, ada.open());
    let shows = ada.presence.set(Some("{}"));
    world.say(first, [shows]);
    let second = world.join();
    let messages = world.pop_all(second);
    assert_eq!(kinds(&messages), ["step 1", "awareness"]);
    assert_eq!(entries_in(&messages[1]), [(1, 1, Some("{}".to_owned()))]);
}

#[test]
fn s1_the_question_names_what_is_here() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    let second = world.join();
    assert_eq!(&world.pop_all(second)[0][..], [0, 0, 3, 1, 1, 3]);
}

#[test]
fn s2_sync_step_1_is_answered_with_what_it_lacks() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    world.say(session, ada.write("def"));
    world.turn();
    let other = world.join();
    world.say(other, [sync::sync_step_1(&[1, 1, 3])]);
    let effects = world.event(Event::TurnEnded);
    let sends = sends(&effects);
    assert_eq!((sends.len(), sends[0].0), (1, Audience::One(other)));
    let spans = vet::outline(update_in(&sends[0].1), &vet::Bounds::STORED).unwrap().spans;
    assert_eq!(spans, [vet::Span { client: ClientId(1), start: 3, end: 6 }]);
}

#[test]
fn s2_a_vector_that_names_what_nobody_has_is_answered_too() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("abc"));
    world.turn();
    let other = world.join();
    let ahead = [3, 1, 99, 2, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 1];
    world.say(other, [sync::sync_step_1(&ahead)]);
    world.turn();
    assert_eq!(world.closed(other), None);
    assert_eq!(kinds(&world.pop_all(other)), ["step 1", "step 2"]);
}

#[test]
fn s2_deletes_reach_who_has_all_structs() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let first = world.connect(&mut ada);
    world.say(first, ada.write("abc"));
    let second = world.connect(&mut ben);
    world.leave(second);
    world.say(first, ada.delete(0, 1));
    world.settle(&mut [(first, &mut ada)]);
    world.connect(&mut ben);
    assert_eq!(ben.text(), "bc");
}

#[test]
fn s2_many_questions_in_one_message_do_not_multiply_the_answer() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write(&"long ".repeat(2_000)));
    let shows = ada.presence.set(Some(&format!("\"{}\"", "x".repeat(1_000))));
    world.say(session, [shows]);
    world.turn();
    let other = world.join();
    let nearly_empty = sync::sync_step_1(&[1, 99, 1]);
    for question in [nearly_empty, sync::sync_step_1(&[0]), sync::query_awareness()] {
        world.say(other, [question.repeat(1_000).into()]);
        let effects = world.event(Event::TurnEnded);
        world.pop_all(other);
        world.drained(other);
        assert!(!sends(&effects).is_empty(), "it's answered");
        let bytes: usize = sends(&effects).iter().map(|(_, message)| message.len()).sum();
        assert!(bytes < 50_000, "{question:?} a thousand times is answered with {bytes} bytes");
    }
}

#[test]
fn s4_what_would_change_the_document_is_refused_and_answered_so() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let writer = world.connect(&mut ada);
    world.say(writer, ada.write("abc"));
    let mut ben = Client::new(2);
    let reader = world.join_reader();
    world.open(reader, &mut ben);
    assert_eq!(world.acknowledged(reader), (1, 0), "a SyncStep2 with nothing new is acknowledged");
    let before = world.content();
    for messages in [ben.write("x"), ben.delete(0, 1), ben.set("key", "value")] {
        world.say(reader, messages);
    }
    world.settle(&mut [(writer, &mut ada), (reader, &mut ben)]);
    assert_eq!(world.acknowledged(reader), (1, 3));
    assert_eq!((world.content(), world.closed(reader)), (before, None));
    assert_eq!(ben.denied.len(), 1, "it's told once");
    assert_eq!(ada.text(), "abc");
}

#[test]
fn s4_a_sync_step_2_that_brings_something_is_refused() {
    let mut world = World::new();
    let mut ben = Client::new(2);
    ben.write("offline");
    let reader = world.join_reader();
    world.open(reader, &mut ben);
    assert_eq!((world.acknowledged(reader), world.text()), ((0, 1), String::new()));
}

#[test]
fn s4_a_sync_step_2_that_only_deletes_is_refused_unless_it_is_deleted_here_too() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let writer = world.connect(&mut ada);
    world.say(writer, ada.write("abc"));
    world.say(writer, ada.delete(0, 1));
    world.settle(&mut [(writer, &mut ada)]);
    let reader = world.join_reader();
    world.open(reader, &mut ben);
    world.say(reader, [sync::sync_step_2(&ben.lacks(&[0]))]);
    assert_eq!(world.acknowledged(reader), (2, 0));
    ben.delete(0, 1);
    world.say(reader, [sync::sync_step_2(&ben.lacks(&[0]))]);
    assert_eq!(world.acknowledged(reader), (2, 1));
    assert_eq!(world.text(), "bc");
}

#[test]
fn s4_it_goes_on_receiving_and_its_presence_is_shown() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let writer = world.connect(&mut ada);
    let reader = world.join_reader();
    world.open(reader, &mut ben);
    world.say(reader, ben.write("x"));
    let shows = ben.presence.set(Some("{}"));
    world.say(reader, [shows]);
    world.say(writer, ada.write("abc"));
    world.settle(&mut [(writer, &mut ada), (reader, &mut ben)]);
    assert!(ada.presence.others().contains_key(&ClientId(2)));
    assert!(ben.text().contains("abc"));
}

#[test]
fn s5_who_leaves_takes_along_its_own_awareness_and_no_others() {
    let mut world = World::new();
    let (mut ada, mut ben, mut cleo) = (Client::new(1), Client::new(2), Client::new(3));
    let (first, second, third) = (world.connect(&mut ada), world.connect(&mut ben), world.connect(&mut cleo));
    let (shows, relays) = (ben.presence.set(Some("{}")), cleo.presence.set(Some("{}")));
    // Ben's tab relays for Cleo's, which has a session of its own too.
    world.say(second, [shows, relays.clone()]);
    world.say(third, [relays]);
    world.settle(&mut [(first, &mut ada), (second, &mut ben), (third, &mut cleo)]);
    assert_eq!(ada.presence.others().len(), 2);
    world.leave(second);
    world.settle(&mut [(first, &mut ada), (third, &mut cleo)]);
    assert_eq!(ada.presence.others().into_keys().collect::<Vec<_>>(), [ClientId(3)]);
}

#[test]
fn s5_who_is_closed_takes_its_awareness_along_too() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    let shows = ben.presence.set(Some("{}"));
    world.say(second, [shows]);
    world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
    world.say(second, [Bytes::from_static(&[0])]);
    assert_eq!(world.closed(second), Some(CloseCode::Malformed));
    world.settle(&mut [(first, &mut ada)]);
    assert!(ada.presence.others().is_empty());
}

#[test]
fn s5_messages_of_who_has_left_change_nothing() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.leave(session);
    let before = world.effects.len();
    for message in [ada.write("late"), vec![ada.presence.set(Some("{}"))], vec![sync::sync_step_1(&[0])]].concat() {
        world.event(Event::Received { session, message });
    }
    for event in
        [Event::Drained { session }, Event::Overflowed { session, content: Content::Update }, Event::Left { session }]
    {
        world.event(event);
    }
    world.event(Event::Reauthorized { session, right: Err(CloseCode::Forbidden) });
    world.event(Event::TurnEnded);
    assert_eq!((world.effects.len(), world.text()), (before, String::new()));
}

#[test]
fn s6_access_can_end_while_a_session_lives() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let (session, other) = (world.connect(&mut ada), world.join());
    let effects = world.event(Event::Reauthorized { session, right: Err(CloseCode::Forbidden) });
    assert_eq!(closes(&effects), [(session, CloseCode::Forbidden)]);
    assert_eq!(world.closed(other), None);
}

#[test]
fn s6_access_can_be_taken_and_given_while_a_session_lives() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.event(Event::Reauthorized { session, right: Ok(client(Access::Read)) });
    world.say(session, ada.write("kept by the client"));
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!((world.text(), world.acknowledged(session)), (String::new(), (1, 1)));
    world.event(Event::Reauthorized { session, right: Ok(client(Access::Write)) });
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(world.text(), "kept by the client", "it's asked for what was refused meanwhile");
    assert_eq!(world.acknowledged(session), (2, 1));
}

#[test]
fn s6_who_may_only_read_again_is_told_so_again() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.join_reader();
    world.open(session, &mut ada);
    for access in [Access::Read, Access::Write, Access::Read] {
        world.event(Event::Reauthorized { session, right: Ok(client(access)) });
        world.settle(&mut [(session, &mut ada)]);
        world.say(session, [ada.write("x"), ada.write("y")].concat());
        world.settle(&mut [(session, &mut ada)]);
    }
    assert_eq!(ada.denied.len(), 2);
    assert_eq!(world.refusals(), [&Reason::ReadOnly; 4]);
    assert_eq!(world.text(), "xyxy");
}

#[test]
fn s6_who_may_manage_may_write() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.join_reader();
    world.open(session, &mut ada);
    world.event(Event::Reauthorized { session, right: Ok(client(Access::Manage)) });
    world.settle(&mut [(session, &mut ada)]);
    world.say(session, ada.write("words"));
    assert_eq!((world.text(), world.refusals().len()), ("words".to_owned(), 0));
}

#[test]
fn s6_a_document_that_is_full_sends_who_comes_away() {
    let mut world = World::with(|config| config.limits.sessions_per_document_max = 1);
    let (first, second) = (world.join(), world.join());
    assert_eq!((world.closed(first), world.closed(second)), (None, Some(CloseCode::Later)));
}

#[test]
fn s4_what_is_deleted_is_known_however_it_was_deleted_and_what_isnt_is_refused() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (writer, reader) = (world.connect(&mut ada), world.join_reader());
    world.open(reader, &mut ben);
    world.say(writer, ada.write("abcdefghij"));
    for (round, at) in [3, 0, 5, 2, 0].into_iter().enumerate() {
        world.say(writer, ada.delete(at, 1));
        let known = sync::sync_step_2(&ada.lacks(&[0]));
        world.say(reader, [known]);
        world.turn();
        assert_eq!(world.acknowledged(reader), (2 + round as u64, round as u64), "round {round}");
        let mut ahead = Client::new(3);
        ahead.take(&ada.everything());
        ahead.delete(0, 1);
        world.say(reader, [sync::sync_step_2(&ahead.lacks(&[0]))]);
        world.turn();
        assert_eq!(world.acknowledged(reader), (2 + round as u64, 1 + round as u64), "round {round}");
    }
}
