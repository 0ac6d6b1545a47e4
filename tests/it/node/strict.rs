//! D9: with `strict`, what isn't durable isn't shown to anybody.

use y_mesh::document::CloseCode;
use y_mesh::{DocName, Durability, Node, Outgoing};

use super::{PATIENCE, Visitor, name};
use crate::support::client::Client;
use crate::support::gate::Gate;

/// Whole conversations in other documents: meanwhile everything happens that isn't held back.
async fn talk(node: &Node) {
    for number in 0..30 {
        let mut visitor = Visitor::join(node, &name(&format!("other/{number}")), 1_000 + number).await;
        visitor.synced().await;
    }
}

/// Takes all that has come until now.
fn take(visitor: &mut Visitor) {
    while let Some(outgoing) = visitor.seat.try_next() {
        match outgoing {
            Outgoing::Message(message) => drop(visitor.client.take(&message)),
            Outgoing::Acknowledged { durable, refused, .. } => visitor.settled = (durable, refused),
            Outgoing::Closed(code) => panic!("closed: {code:?}"),
        }
    }
}

/// Somebody who has written to a document whose records are held back, and somebody who looks on.
async fn written(node: &Node, gate: &Gate, document: &DocName) -> (Visitor, Visitor) {
    let mut ada = Visitor::join(node, document, 1).await;
    let mut ben = Visitor::join(node, document, 2).await;
    ada.synced().await;
    ben.synced().await;
    ada.write("held back").await;
    gate.holds().await;
    (ada, ben)
}

#[tokio::test]
async fn d9_nobody_sees_what_the_store_does_not_have_and_everybody_sees_it_then() {
    let gate = Gate::shut();
    let node = Node::builder().store(gate.store()).strict(true).start().unwrap();
    let document = name("strict");
    let (mut ada, mut ben) = written(&node, &gate, &document).await;
    let mut late = Visitor::join(&node, &document, 3).await;
    talk(&node).await;
    for visitor in [&mut ada, &mut ben, &mut late] {
        take(visitor);
    }
    assert_eq!((ben.client.text().as_str(), late.client.text().as_str()), ("", ""), "it's shown before it's durable");
    assert!(ada.settled.0 < ada.client.sent, "it's acknowledged before it's durable");
    gate.open();
    ben.until(|ben| ben.client.text() == "held back").await;
    late.until(|late| late.client.text() == "held back").await;
    ada.saved().await;
}

#[tokio::test]
async fn d9_without_strict_others_see_it_at_once() {
    let gate = Gate::shut();
    let node = Node::builder().store(gate.store()).start().unwrap();
    let (_ada, mut ben) = written(&node, &gate, &name("quick")).await;
    ben.until(|ben| ben.client.text() == "held back").await;
    gate.open();
}

#[tokio::test]
async fn d9_what_the_store_never_takes_is_never_shown() {
    let gate = Gate::shut();
    let node = Node::builder().store(gate.store()).strict(true).start().unwrap();
    let document = name("lost");
    let (mut ada, mut ben) = written(&node, &gate, &document).await;
    let mut late = Visitor::join(&node, &document, 3).await;
    gate.fail();
    for visitor in [&mut ada, &mut ben, &mut late] {
        visitor.until(|visitor| visitor.closed == Some(CloseCode::Later)).await;
    }
    assert_eq!((ben.client.text(), late.client.text()), (String::new(), String::new()));
    assert!(node.shutdown(PATIENCE).await.is_empty(), "nothing is waited for that never comes");
}

#[tokio::test]
async fn d9_a_document_at_memory_is_acknowledged_at_once_and_shown_when_the_store_has_it() {
    let gate = Gate::shut();
    let node = Node::builder().store(gate.store()).strict(true).start().unwrap();
    let document = name("both");
    node.create_with(Some(document.clone()), Some(Durability::Memory)).await.unwrap();
    let (mut ada, mut ben) = written(&node, &gate, &document).await;
    ada.saved().await;
    talk(&node).await;
    take(&mut ben);
    assert_eq!(ben.client.text(), "");
    gate.open();
    ben.until(|ben| ben.client.text() == "held back").await;
}

#[tokio::test]
async fn d9_a_strict_node_stops_once_it_has_written_what_was_held_back() {
    let gate = Gate::shut();
    let store = gate.store();
    let node = Node::builder().store(store.clone()).strict(true).start().unwrap();
    let document = name("stopping");
    let (mut ada, _ben) = written(&node, &gate, &document).await;
    let stopping = tokio::spawn({
        let node = node.clone();
        async move { node.shutdown(PATIENCE).await }
    });
    talk_is_over(&node).await;
    gate.open();
    assert!(stopping.await.unwrap().is_empty());
    ada.until(|ada| ada.closed == Some(CloseCode::Restarting)).await;
    assert_eq!(store.inner_records(&document), 1);
}

/// Until nobody comes in any more.
async fn talk_is_over(node: &Node) {
    let stops = async {
        while !node.is_stopping() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, stops).await.expect("it stops");
}

#[tokio::test]
async fn d9_many_who_write_at_once_see_the_same_in_the_end() {
    let gate = Gate::shut();
    gate.open();
    let node = Node::builder().store(gate.store()).strict(true).start().unwrap();
    let document = name("busy");
    let writers = (1..=8).map(|number| {
        let (node, document) = (node.clone(), document.clone());
        tokio::spawn(async move {
            let mut visitor = Visitor::join_as(&node, &document, Client::new(number)).await;
            visitor.synced().await;
            for _ in 0..20 {
                visitor.write("x").await;
            }
            visitor.saved().await;
            visitor.until(|visitor| visitor.client.text().len() == 160).await;
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}
