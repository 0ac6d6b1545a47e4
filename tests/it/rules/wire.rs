//! W: bytes that come in.

use bytes::Bytes;
use y_mesh::document::{CloseCode, Reason, STACK_BYTES};
use y_mesh::wire::sync;
use y_mesh::yrs::types::Attrs;
use y_mesh::yrs::updates::decoder::Decode;
use y_mesh::yrs::{
    Any, Array, ArrayPrelim, Doc, Map, MapPrelim, Text, TextPrelim, Update, WriteTxn, XmlElementPrelim, XmlFragment,
    XmlTextPrelim, merge_updates_v1,
};

use crate::support::child::survives;
use crate::support::client::Client;
use crate::support::content::{LIST, MAP, TEXT, XML};
use crate::support::frames::awareness;
use crate::support::raw;
use crate::support::world::World;

/// A world in which one client wrote "hello" and shows itself, with its session.
fn hello() -> (World, y_mesh::SessionId, Client) {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("hello"));
    let shows = ada.presence.set(Some(r#"{"name":"Ada"}"#));
    world.say(session, [shows]);
    world.settle(&mut [(session, &mut ada)]);
    (world, session, ada)
}

#[test]
fn w1_many_frames_in_a_message_are_accepted() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.join();
    let mut frames = ada.open();
    frames.extend(ada.write("one "));
    frames.extend(ada.write("two"));
    frames.push(ada.presence.set(Some("{}")));
    world.say(session, [Bytes::from(frames.concat())]);
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(world.text(), "one two");
    assert_eq!((ada.answers, world.acknowledged(session).0), (1, 3));
}

#[test]
fn w1_a_message_without_a_frame_is_nothing() {
    let (mut world, session, _) = hello();
    let before = world.effects.len();
    world.say(session, [Bytes::new()]);
    assert_eq!(world.effects.len(), before);
}

#[test]
fn w2_a_state_vector_over_its_limit_closes_its_session() {
    let mut world = World::with(|config| config.limits.state_vector_bytes_max = 8);
    let (good, bad) = (world.join(), world.join());
    world.say(good, [sync::sync_step_1(&[1, 1, 1])]);
    world.say(bad, [sync::sync_step_1(&[4, 1, 1, 2, 1, 3, 1, 4, 1])]);
    assert_eq!((world.closed(good), world.closed(bad)), (None, Some(CloseCode::TooBig)));
}

#[test]
fn w3_a_frame_of_unknown_type_is_skipped_and_counted_with_the_rest_of_its_message() {
    let (mut world, session, mut ada) = hello();
    for strange in [&[77, 1, 2, 3][..], &[0, 9, 1], &[2, 5], &[103, 1, 1]] {
        let before = world.refusals().len();
        world.say(session, [Bytes::from([strange, &ada.insert(0, "lost ")[0]].concat())]);
        let refusals = world.refusals();
        assert!(matches!(refusals[before..], [Reason::UnknownType(_)]), "{strange:?}: {refusals:?}");
    }
    assert_eq!((world.text(), world.closed(session)), ("hello".to_owned(), None));
}

#[test]
fn w4_a_frame_cut_anywhere_closes_its_session_and_touches_nothing_else() {
    let mut eve = Client::new(9);
    let mut messages = eve.open();
    messages.extend(eve.write("evil"));
    messages.push(sync::denied("no"));
    for whole in messages {
        for length in 1..whole.len() {
            let (mut world, session, ada) = hello();
            let before = world.content();
            let bad = world.join();
            world.say(bad, [whole.slice(..length)]);
            world.turn();
            assert_eq!(world.closed(bad), Some(CloseCode::Malformed), "{whole:?} cut at {length}");
            assert_eq!((world.closed(session), world.content()), (None, before));
            assert_eq!(ada.text(), "hello");
        }
    }
}

#[test]
fn w4_a_malformed_state_vector_closes_its_session() {
    for vector in [&[][..], &[1], &[2, 1, 1], &[0, 0], &[1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
        let (mut world, session, _) = hello();
        let bad = world.join();
        world.say(bad, [sync::sync_step_1(vector)]);
        assert_eq!((world.closed(bad), world.closed(session)), (Some(CloseCode::Malformed), None), "{vector:?}");
    }
}

#[test]
fn w4_an_awareness_frame_that_is_cut_changes_nobody() {
    let (mut world, session, ada) = hello();
    let mut ben = Client::new(2);
    let other = world.connect(&mut ben);
    assert_eq!(ben.presence.others().len(), 1);
    let whole = awareness(&[(1, ada.clock() + 1, None), (50, 1, Some("{}"))]);
    // The frame's length fits; its second entry doesn't.
    let mut cut = whole.slice(..whole.len() - 1).to_vec();
    cut[1] -= 1;
    let bad = world.join();
    world.say(bad, [Bytes::from(cut)]);
    assert_eq!(world.closed(bad), Some(CloseCode::Malformed));
    world.turn();
    assert_eq!((world.pop(session), world.pop(other)), (None, None), "nothing in a malformed frame counts");
}

fn refused(configure: impl FnOnce(&mut y_mesh::Config), update: &[u8]) {
    let mut world = World::with(configure);
    let mut ada = Client::new(1);
    let session = world.connect(&mut ada);
    world.say(session, ada.write("hello"));
    let before = world.content();
    let bad = world.join();
    world.say(bad, [sync::update(update)]);
    world.turn();
    assert_eq!(world.closed(bad), Some(CloseCode::Refused), "{:?}", &update[..update.len().min(40)]);
    assert!(matches!(world.refusals().last(), Some(Reason::Update(_))));
    assert_eq!((world.closed(session), world.content()), (None, before));
}

#[test]
fn w5_an_update_with_too_many_structs_is_refused() {
    let structs = |count: u64| (0..count).map(|_| raw::text("t", "a"));
    let limit = |config: &mut y_mesh::Config| config.limits.update_structs_max = 10;
    refused(limit, &raw::alone(7, 0, structs(11)));
    let mut world = World::with(limit);
    let session = world.join();
    world.say(session, [sync::update(&raw::alone(7, 0, structs(10)))]);
    assert_eq!((world.closed(session), world.text().len()), (None, 0));
    assert_eq!(world.journal.records().len(), 1);
}

#[test]
fn w5_values_that_nest_too_deep_are_refused() {
    let nested = |depth: usize| [[117, 1].repeat(depth), vec![126]].concat();
    refused(|_| {}, &raw::alone(7, 0, [raw::values("t", 1, &nested(65))]));
    let mut world = World::new();
    let session = world.join();
    world.say(session, [sync::update(&raw::alone(7, 0, [raw::values("t", 1, &nested(64))]))]);
    assert_eq!(world.closed(session), None);
}

#[test]
fn w5_what_cannot_be_held_safely_is_refused() {
    refused(|_| {}, &raw::alone(7, (1 << 31) - 1, [raw::gc(1)]));
    refused(|_| {}, &raw::alone(7, 0, [raw::gc(0)]));
    refused(|_| {}, &raw::alone(7, 0, [raw::text("t", "")]));
    refused(|_| {}, &raw::update(&[raw::section(7, 0, [raw::gc(1)]), raw::section(7, 1, [raw::gc(1)])], &[]));
    refused(|_| {}, &raw::update(&[], &[(1, 0, 1), (1, 2, 1)]));
    refused(|_| {}, &raw::update(&[], &[(1, 0, 1 << 31)]));
    refused(|_| {}, &[raw::update(&[], &[]), vec![0]].concat());
}

/// yrs walks over clients that have nothing left with one stack frame each.
fn an_update_that_lists_clients_without_structs() {
    let empty = (0..200_000).map(|client| raw::section(1_000 + client, 0, []));
    let sections: Vec<_> = [raw::section(7, 0, [raw::text("t", "a")])].into_iter().chain(empty).collect();
    let mut world = World::new();
    let session = world.join();
    world.say(session, [sync::update(&raw::update(&sections, &[]))]);
}

#[test]
fn w5_clients_listed_without_structs_cannot_exhaust_the_stack() {
    let name = "rules::wire::w5_clients_listed_without_structs_cannot_exhaust_the_stack";
    assert!(survives(name, STACK_BYTES, an_update_that_lists_clients_without_structs));
}

/// Each client's text stands on the one before, as when many have written one after the other.
fn a_chain(clients: u64) -> Vec<u8> {
    let struct_of = |client| match client {
        0 => raw::text(TEXT, "a"),
        _ => raw::text_after((client - 1, 0), "a"),
    };
    let sections: Vec<_> = (0..clients).map(|client| raw::section(client, 0, [struct_of(client)])).collect();
    raw::update(&sections, &[])
}

fn a_long_chain_of_clients() {
    let mut world = World::new();
    let session = world.join();
    let clients_max = world.config.limits.update_clients_max;
    world.say(session, [sync::sync_step_2(&a_chain(clients_max))]);
    assert_eq!((world.closed(session), world.journal.records().len()), (None, 1));
    world.say(session, [sync::sync_step_2(&a_chain(clients_max + 1))]);
    assert_eq!(world.closed(session), Some(CloseCode::Refused));
}

#[test]
fn w5_a_long_chain_of_clients_cannot_exhaust_the_stack() {
    let name = "rules::wire::w5_a_long_chain_of_clients_cannot_exhaust_the_stack";
    assert!(survives(name, STACK_BYTES, a_long_chain_of_clients));
}

/// yrs deletes what is nested with one stack frame a level.
fn types_that_nest_deep_are_deleted() {
    let mut world = World::new();
    let session = world.join();
    let depth_max = u64::from(world.config.limits.type_depth_max);
    let level = |clock| if clock == 0 { raw::array(LIST) } else { raw::array_in((7, clock - 1)) };
    world.say(session, [sync::update(&raw::alone(7, 0, (0..depth_max).map(level)))]);
    assert_eq!((world.closed(session), world.refusals().len()), (None, 0));
    world.say(session, [sync::update(&raw::alone(7, depth_max, [level(depth_max)]))]);
    assert_eq!(world.closed(session), Some(CloseCode::Refused), "one level too deep");
    let other = world.join();
    world.say(other, [sync::update(&raw::update(&[], &[(7, 0, 1)]))]);
    world.turn();
    assert_eq!(world.closed(other), None);
}

#[test]
fn w5_shared_types_are_limited() {
    let mut world = World::with(|config| config.limits.document_types_max = 10);
    let session = world.join();
    let lists = |from: u64, to: u64| raw::alone(7, from, (from..to).map(|_| raw::array(LIST)));
    world.say(session, [sync::update(&lists(0, 9))]);
    world.say(session, [sync::update(&raw::update(&[], &[(7, 0, 8)]))]);
    world.say(session, [sync::update(&lists(9, 17))]);
    assert_eq!((world.closed(session), world.refusals().len()), (None, 0), "what was deleted doesn't count");
    world.say(session, [sync::update(&lists(17, 18))]);
    assert_eq!(world.closed(session), Some(CloseCode::Refused), "one type too many");
}

#[test]
fn w5_types_that_nest_deep_cannot_exhaust_the_stack() {
    let name = "rules::wire::w5_types_that_nest_deep_cannot_exhaust_the_stack";
    assert!(survives(name, STACK_BYTES, types_that_nest_deep_are_deleted));
}

#[test]
fn w5_a_document_of_very_many_clients_passes() {
    // Every visit of a page draws a new client id, so old documents have many. None stands on another here.
    let sections: Vec<_> = (0..70_000).map(|client| raw::section(client, 0, [raw::gc(1)])).collect();
    let mut world = World::new();
    let session = world.join();
    world.say(session, [sync::sync_step_2(&raw::update(&sections, &[]))]);
    assert_eq!((world.closed(session), world.journal.records().len()), (None, 1));
}

#[test]
fn w5_what_honest_clients_send_passes() {
    let mut world = World::new();
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let (first, second) = (world.connect(&mut ada), world.connect(&mut ben));
    world.say(first, ada.edit(write_one_of_everything));
    world.say(first, ada.edit(|txn| txn.get_or_insert_text(TEXT).remove_range(txn, 1, 2)));
    world.settle(&mut [(first, &mut ada), (second, &mut ben)]);
    assert_eq!(world.refusals(), Vec::<&Reason>::new());
    assert_eq!(world.content(), ada.content());
    assert_eq!(ben.content(), ada.content());
}

fn write_one_of_everything(txn: &mut y_mesh::yrs::TransactionMut<'_>) {
    let text = txn.get_or_insert_text(TEXT);
    let bold: Attrs = [("bold".into(), Any::Bool(true)), ("link".into(), Any::Null)].into_iter().collect();
    text.push(txn, "plain 😀 ");
    text.insert_with_attributes(txn, 0, "bold", bold);
    text.insert_embed(txn, 2, Any::from(std::collections::HashMap::from([("src".to_owned(), Any::from("image"))])));
    let map = txn.get_or_insert_map(MAP);
    map.insert(txn, "null", Any::Null);
    map.insert(txn, "number", 1.5);
    map.insert(txn, "bytes", Any::from(vec![0u8, 255]));
    map.insert(txn, "nested", MapPrelim::from([("deep", MapPrelim::from([("deeper", 1)]))]));
    map.insert(txn, "nested", ArrayPrelim::from(["replaced"]));
    map.insert(txn, "doc", Doc::new());
    let list = txn.get_or_insert_array(LIST);
    list.push_back(txn, TextPrelim::new("inside"));
    list.insert_range(txn, 0, [true, false]);
    let xml = txn.get_or_insert_xml_fragment(XML);
    let paragraph = xml.push_back(txn, XmlElementPrelim::empty("paragraph"));
    paragraph.push_back(txn, XmlTextPrelim::new("words"));
}

#[test]
fn w5_every_kind_of_value_that_lib0_knows_passes() {
    let values = [127, 126, 121, 120, 125, 0xc1, 0x01, 119, 1, b'a', 116, 1, 0];
    let numbers = [&[124, 0, 0, 0, 0][..], &[123; 9], &[122; 9]].concat();
    let nested = [118, 1, 1, b'k', 117, 1, 126];
    let any = [&values[..], &numbers, &nested].concat();
    let mut world = World::new();
    let session = world.join();
    world.say(session, [sync::update(&raw::alone(7, 0, [raw::values(LIST, 11, &any)]))]);
    assert_eq!(world.refusals(), Vec::<&Reason>::new());
    assert_eq!(world.document.state_vector().get(y_mesh::ClientId(7)), 11);
}

#[test]
fn w5_updates_that_a_client_merged_with_a_hole_pass_once_the_hole_is_filled() {
    let mut world = World::new();
    let mut ada = Client::new(1);
    let session = world.join();
    let updates: Vec<_> = ["a", "b", "c"].map(|text| ada.edit_raw(|txn| push(txn, text)).unwrap()).into();
    let merged = merge_updates_v1([&updates[0], &updates[2]]).unwrap();
    assert!(Update::decode_v1(&merged).is_ok());
    world.say(session, [sync::update(&merged)]);
    assert!(matches!(world.refusals()[..], [Reason::Missing]));
    for update in [&updates[0], &updates[1]] {
        world.say(session, [sync::update(update)]);
    }
    world.say(session, [sync::update(&merged)]);
    assert_eq!((world.text(), world.closed(session)), ("abc".to_owned(), None));
}

fn push(txn: &mut y_mesh::yrs::TransactionMut<'_>, text: &str) {
    txn.get_or_insert_text(TEXT).push(txn, text);
}

/// What is refused for what it says of the document, and not for how it's written.
fn ends_its_sender_alone(update: &[u8]) {
    let (mut world, session, mut ada) = hello();
    let before = world.content();
    let bad = world.join();
    world.say(bad, [sync::update(update)]);
    assert_eq!(world.closed(bad), Some(CloseCode::Refused));
    assert_eq!(world.closed(session), None, "the others stay");
    assert_eq!(world.content(), before, "nothing of it is taken");
    world.say(session, ada.write("!"));
    world.settle(&mut [(session, &mut ada)]);
    assert_eq!(world.text(), "hello!", "work goes on");
}

#[test]
fn w6_a_text_as_a_parent_ends_its_sender_alone() {
    ends_its_sender_alone(&raw::alone(7, 0, [raw::text_in((1, 0), "x")]));
}

#[test]
fn w6_a_circle_ends_its_sender_alone() {
    let (one, other) = (raw::text_after((8, 0), "x"), raw::text_after((7, 0), "y"));
    ends_its_sender_alone(&raw::update(&[raw::section(7, 0, [one]), raw::section(8, 0, [other])], &[]));
}

#[test]
fn w6_what_stands_on_its_own_future_ends_its_sender_alone() {
    ends_its_sender_alone(&raw::alone(7, 0, [raw::text_after((7, 1), "x"), raw::text_after((7, 0), "y")]));
}

#[test]
fn w6_what_yrs_cannot_read_ends_its_sender_alone() {
    ends_its_sender_alone(&raw::alone(7, 0, [raw::embed(TEXT, "not JSON")]));
}
