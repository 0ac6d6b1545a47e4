//! Deleting documents of a node that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use y_mesh::document::CloseCode;
use y_mesh::store::Store;
use y_mesh::yrs::{GetString, ReadTxn};
use y_mesh::{Error, Node, Request};

use super::{PATIENCE, Visitor, name};
use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::watched::{Call, Watched};

#[tokio::test]
async fn i1_a_deleted_document_is_gone_and_its_name_may_be_used_anew() {
    let (store, doc) = (Watched::kept(), name("notes"));
    let node = Node::builder().store(store.clone()).start().unwrap();
    let mut ada = Visitor::join(&node, &doc, 1).await;
    ada.write("secret").await;
    ada.saved().await;
    node.delete(&doc).await.unwrap();
    ada.until(|ada| ada.closed == Some(CloseCode::Deleted)).await;
    assert!(node.documents(None, 9).await.unwrap().is_empty());
    assert_eq!(store.load(&doc).unwrap().tail, []);
    assert!(matches!(node.delete(&doc).await, Err(Error::NotFound(_))));

    let mut grace = Visitor::join(&node, &doc, 2).await;
    grace.write("anew").await;
    grace.saved().await;
    assert_eq!(grace.client.text(), "anew");
    assert_eq!(node.documents(None, 9).await.unwrap().len(), 1);
    assert!(node.metrics().render().contains("ymesh_document_faults_total 0"));
}

#[tokio::test]
async fn i1_what_nobody_knows_cant_be_deleted() {
    let node = Node::builder().start().unwrap();
    assert!(matches!(node.delete(&name("nobody's")).await, Err(Error::NotFound(_))));
    node.create(Some(name("empty"))).await.unwrap();
    node.delete(&name("empty")).await.unwrap();
    assert!(node.documents(None, 9).await.unwrap().is_empty());
    node.create(Some(name("empty"))).await.unwrap();
}

#[tokio::test]
async fn i1_a_deletion_that_isnt_durable_isnt_said_to_be() {
    let fails = Arc::new(AtomicBool::default());
    let its = fails.clone();
    let store = Watched::new(move |call| match call {
        Call::Delete if its.load(Ordering::Relaxed) => Err(std::io::Error::other("the disk is gone").into()),
        _ => Ok(()),
    });
    let node = Node::builder().store(store.clone()).start().unwrap();
    let (doc, mut ada) = (name("notes"), Visitor::join(&node, &name("notes"), 1).await);
    ada.write("kept").await;
    ada.saved().await;
    fails.store(true, Ordering::Relaxed);
    assert!(matches!(node.delete(&doc).await, Err(Error::Unavailable(_))));
    assert!(node.has_store_failed());
    assert_eq!(store.inner.load(&doc).unwrap().tail.len(), 1);
}

#[tokio::test]
async fn i1_many_who_delete_and_write_at_once_leave_a_document_or_none() {
    let store = Watched::kept();
    let node = Node::builder().store(store.clone()).start().unwrap();
    for round in 0..30 {
        let doc = name(&format!("doc {round}"));
        let mut ada = Visitor::join(&node, &doc, 1).await;
        ada.write("secret").await;
        let deletions = (0..3).map(|_| node.delete(&doc));
        let (outcomes, ()) = tokio::join!(futures_util::future::join_all(deletions), async {
            let seat = node.document(&doc).join(Request::default()).await.unwrap();
            let mut grace = Visitor::new(Client::new(2), seat);
            let opening = grace.client.open();
            for message in opening.into_iter().chain(grace.client.write("anew")) {
                // If it's sent away meanwhile, the next thing that comes says so.
                let _ = grace.seat.send(message).await;
            }
            grace.until(|grace| grace.closed.is_some() || !grace.client.updates.is_empty()).await;
        });
        assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
        assert!(
            outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(Error::NotFound(_) | Error::Unavailable(_))))
        );
        ada.until(|ada| ada.closed == Some(CloseCode::Deleted)).await;
        let text = node
            .document(&doc)
            .read(|txn| txn.get_text(TEXT).map_or(String::new(), |text| text.get_string(txn)))
            .await
            .unwrap();
        assert!(["", "anew"].contains(&&*text), "{text:?}");
    }
    assert!(node.shutdown(PATIENCE).await.is_empty());
}
