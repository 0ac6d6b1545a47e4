//! D7: what acknowledgements mean, by node and by document.

use y_mesh::document::CloseCode;
use y_mesh::{Durability, Node, Outgoing, Request};

use super::{Visitor, name};
use crate::support::client::Client;
use crate::support::gate::Gate;
use crate::support::watched::Watched;

#[tokio::test]
async fn d7_at_memory_edits_are_acknowledged_though_the_store_hangs_and_at_local_they_are_not() {
    let gate = Gate::shut();
    let store = gate.store();
    let node = Node::builder().store(store.clone()).start().unwrap();
    let (fast, safe) = (name("fast"), name("safe"));
    node.create_with(Some(fast.clone()), Some(Durability::Memory)).await.unwrap();
    let mut careful = Visitor::join(&node, &safe, 1).await;
    careful.write("safe").await;
    gate.holds().await;
    let mut hasty = Visitor::join(&node, &fast, 2).await;
    for word in ["a", "b", "c"] {
        hasty.write(word).await;
        hasty.saved().await;
    }
    assert_eq!(hasty.durability, Some(Durability::Memory));
    while let Some(outgoing) = careful.seat.try_next() {
        assert!(!matches!(outgoing, Outgoing::Acknowledged { .. }), "{outgoing:?}");
    }
    assert_eq!(store.inner_records(&fast), 0, "it isn't even there");
    gate.open();
    careful.saved().await;
    assert_eq!(careful.durability, Some(Durability::Local));
    assert!(node.shutdown(super::PATIENCE).await.is_empty());
    assert_eq!(store.inner_records(&fast), 3, "it's written all the same");
}

#[tokio::test]
async fn d7_a_node_at_memory_acknowledges_at_once_but_for_documents_that_were_created_at_local() {
    let gate = Gate::shut();
    let node = Node::builder().store(gate.store()).durability(Durability::Memory).start().unwrap();
    assert_eq!(node.store().1, Durability::Memory);
    let safe = name("safe");
    node.create_with(Some(safe.clone()), Some(Durability::Local)).await.unwrap();
    let mut careful = Visitor::join(&node, &safe, 1).await;
    careful.write("safe").await;
    gate.holds().await;
    let mut hasty = Visitor::join(&node, &name("fast"), 2).await;
    hasty.write("fast").await;
    hasty.saved().await;
    while let Some(outgoing) = careful.seat.try_next() {
        assert!(!matches!(outgoing, Outgoing::Acknowledged { .. }), "{outgoing:?}");
    }
    gate.open();
    careful.saved().await;
    assert_eq!((hasty.durability, careful.durability), (Some(Durability::Memory), Some(Durability::Local)));
}

#[tokio::test]
async fn d7_a_document_that_is_open_when_it_is_created_learns_of_it() {
    let gate = Gate::shut();
    let node = Node::builder().store(gate.store()).start().unwrap();
    let document = name("open");
    let mut visitor = Visitor::join(&node, &document, 1).await;
    visitor.synced().await;
    node.create_with(Some(document), Some(Durability::Memory)).await.unwrap();
    visitor.write("a").await;
    visitor.saved().await;
    gate.open();
}

#[tokio::test]
async fn d7_no_store_gives_more_than_its_own() {
    let node = Node::builder().store(Watched::kept()).durability(Durability::Local).start().unwrap();
    assert_eq!(node.store(), ("watched", Durability::Memory));
    let document = name("a");
    node.create_with(Some(document.clone()), Some(Durability::Local)).await.unwrap();
    let mut visitor = Visitor::join(&node, &document, 1).await;
    visitor.write("x").await;
    visitor.saved().await;
    assert_eq!(visitor.durability, Some(Durability::Memory));
}

#[tokio::test]
async fn d5_at_memory_too_a_store_that_fails_closes_sessions_and_ends_acknowledgements() {
    let gate = Gate::shut();
    let node = Node::builder().store(gate.store()).durability(Durability::Memory).start().unwrap();
    let mut visitor = Visitor::join(&node, &name("a"), 1).await;
    visitor.write("believed").await;
    visitor.saved().await;
    gate.holds().await;
    gate.fail();
    visitor.until(|visitor| visitor.closed == Some(CloseCode::Later)).await;
    // Who is let in at all is sent away, and nothing of it acknowledged.
    let Ok(seat) = node.document(&name("b")).join(Request::default()).await else { return };
    for message in Client::new(2).write("too late") {
        let _ = seat.send(message).await;
    }
    loop {
        match seat.next().await {
            Outgoing::Closed(code) => break assert_eq!(code, CloseCode::Later),
            outgoing => assert!(!matches!(outgoing, Outgoing::Acknowledged { .. }), "{outgoing:?}"),
        }
    }
}
