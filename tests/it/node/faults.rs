//! What fails in one document, or in the store, ends there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use y_mesh::document::CloseCode;
use y_mesh::{Error, Identity, Node};

use super::{PATIENCE, Visitor, name};
use crate::support::watched::Watched;

#[tokio::test]
async fn a_panic_in_a_closure_leaves_everybody_seated_and_loses_nothing() {
    let node = Node::builder().start().unwrap();
    let (calm, hit) = (name("calm"), name("hit"));
    let mut bystander = Visitor::join(&node, &calm, 1).await;
    let mut victim = Visitor::join(&node, &hit, 2).await;
    victim.write("kept").await;
    victim.saved().await;

    let fault = node.document(&hit).edit(Identity::anonymous(), |_| panic!("on purpose: a bug in a closure")).await;
    assert!(matches!(fault, Err(Error::Unavailable(_))), "{fault:?}");
    victim.write(" on").await;
    victim.saved().await;
    let mut again = Visitor::join(&node, &hit, 3).await;
    again.until(|visitor| visitor.client.text() == "kept on").await;
    bystander.write("calm").await;
    bystander.saved().await;
    let counts = node.metrics().render();
    for count in ["document_faults_total 1", "documents_leaked_total 1", "messages_quarantined_total 0"] {
        assert!(counts.contains(&format!("ymesh_{count}")), "{count} in {counts}");
    }
    assert_eq!(victim.closed, None);
}

/// Lets a store work until it's told not to.
#[derive(Clone, Default)]
struct Failing {
    fails: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
}

impl Failing {
    fn store(&self) -> Watched {
        let failing = self.clone();
        Watched::new(move |_| {
            assert!(!failing.panics.load(Ordering::Relaxed), "on purpose: a bug in a store");
            match failing.fails.load(Ordering::Relaxed) {
                true => Err(std::io::Error::other("the disk is gone").into()),
                false => Ok(()),
            }
        })
    }
}

#[tokio::test]
async fn d5_a_store_that_fails_closes_sessions_and_makes_the_node_unready() {
    let failing = Failing::default();
    let (store, fails) = (failing.store(), failing.fails.clone());
    let node = Node::builder().store(store).start().unwrap();
    let mut visitor = Visitor::join(&node, &name("a"), 1).await;
    visitor.write("kept").await;
    visitor.saved().await;
    assert!(node.is_ready());

    fails.store(true, Ordering::Relaxed);
    let settled = visitor.settled;
    visitor.write("lost").await;
    visitor.until(|visitor| visitor.closed == Some(CloseCode::Later)).await;
    assert_eq!(visitor.settled, settled, "what isn't kept isn't acknowledged");
    assert!(!node.is_ready());
}

#[tokio::test]
async fn d5_a_store_that_panics_has_failed_like_any_other() {
    let failing = Failing::default();
    let store = failing.store();
    let panics = failing.panics.clone();
    let node = Node::builder().store(store).start().unwrap();
    let mut visitor = Visitor::join(&node, &name("a"), 1).await;
    visitor.write("kept").await;
    visitor.saved().await;
    panics.store(true, Ordering::Relaxed);
    visitor.write("lost").await;
    visitor.until(|visitor| visitor.closed == Some(CloseCode::Later)).await;
    assert!(!node.is_ready());
}

#[tokio::test]
async fn d5_a_store_that_fails_closes_those_too_who_wait_for_nothing() {
    let failing = Failing::default();
    let (store, fails) = (failing.store(), failing.fails.clone());
    let node = Node::builder().store(store).start().unwrap();
    let mut writer = Visitor::join(&node, &name("a"), 1).await;
    let mut reader = Visitor::join(&node, &name("b"), 2).await;
    reader.synced().await;
    fails.store(true, Ordering::Relaxed);
    writer.write("lost").await;
    writer.until(|visitor| visitor.closed == Some(CloseCode::Later)).await;
    reader.until(|visitor| visitor.closed == Some(CloseCode::Later)).await;
    assert!(node.shutdown(PATIENCE).await.is_empty(), "nothing becomes durable any more, so nothing is waited for");
}

#[tokio::test]
async fn i2_a_load_that_fails_is_an_error_and_no_empty_document() {
    let failing = Failing::default();
    let (store, fails) = (failing.store(), failing.fails.clone());
    let node = Node::builder().store(store).start().unwrap();
    fails.store(true, Ordering::Relaxed);
    let mut visitor = Visitor::join(&node, &name("a"), 1).await;
    visitor.until(|visitor| visitor.closed == Some(CloseCode::Broken)).await;
    assert_eq!(visitor.client.answers, 0, "an empty document was served");

    fails.store(false, Ordering::Relaxed);
    let mut again = Visitor::join(&node, &name("a"), 2).await;
    again.synced().await;
}
