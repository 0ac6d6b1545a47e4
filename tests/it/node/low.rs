//! D5: a disk that fills up, as the whole node sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use y_mesh::document::CloseCode;
use y_mesh::yrs::{GetString, ReadTxn, Text, WriteTxn};
use y_mesh::{Config, Error, Identity, Node};

use super::{PATIENCE, Visitor, name};
use crate::support::content::TEXT;
use crate::support::watched::{Call, Watched};

const RESERVE: u64 = 1_000;

/// A node that looks at its space often.
fn node(store: Watched) -> Node {
    let mut config = Config::default();
    config.limits.disk_reserve_bytes = RESERVE;
    config.timing.space_interval = Duration::from_millis(2);
    Node::builder().config(config).store(store).start().unwrap()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        while !is_so() {
            looks.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain for {what}");
}

#[tokio::test]
async fn d5_what_is_typed_on_a_disk_that_is_almost_full_is_kept_by_the_client_and_saved_when_there_is_space() {
    let free = Arc::new(AtomicU64::new(RESERVE));
    let store = Watched::kept().with_space(&free);
    let node = node(store.clone());
    let document = name("typed");
    let mut ada = Visitor::join(&node, &document, 1).await;
    let mut ben = Visitor::join(&node, &document, 2).await;
    ada.synced().await;
    ada.write("before ").await;
    ada.saved().await;
    assert!(!node.is_store_low());

    free.store(RESERVE - 1, Ordering::Relaxed);
    until("the node to notice", || node.is_store_low()).await;
    assert!(node.metrics().render().contains("\nymesh_store_low 1\n"), "{}", node.metrics().render());
    assert!(node.is_ready(), "reading works");
    let mut late = Visitor::join(&node, &document, 3).await;
    late.until(|late| late.client.text() == "before ").await;
    ada.write("meanwhile").await;
    ada.until(|ada| ada.settled.1 == 1 && ada.client.denied.len() == 1).await;
    assert!(matches!(node.create(Some(name("new"))).await, Err(Error::StoreLow(_))));
    let refused = node.document(&document).edit(Identity::anonymous(), |_| panic!("it's called")).await;
    assert!(matches!(refused, Err(Error::StoreLow(_))), "{refused:?}");

    free.store(RESERVE + RESERVE / 10, Ordering::Relaxed);
    ada.until(|ada| ada.settled.0 == 3).await;
    ben.until(|ben| ben.client.text() == "before meanwhile").await;
    assert!(!node.is_store_low());
    node.create(Some(name("new"))).await.unwrap();
    let handle = node.document(&document);
    handle.edit(Identity::anonymous(), |txn| txn.get_or_insert_text(TEXT).push(txn, "!")).await.unwrap();
    let text = handle.read(|txn| txn.get_text(TEXT).unwrap().get_string(txn)).await.unwrap();
    assert_eq!(text, "before meanwhile!");
}

#[tokio::test]
async fn d5_a_node_that_starts_on_a_disk_that_is_almost_full_takes_nothing_from_the_first_session_on() {
    let free = Arc::new(AtomicU64::new(0));
    let store = Watched::kept().with_space(&free);
    let node = node(store.clone());
    assert!(node.is_store_low());
    let mut ada = crate::support::client::Client::new(1);
    ada.write("offline");
    let mut ada = Visitor::join_as(&node, &name("a"), ada).await;
    ada.until(|ada| ada.settled == (0, 1)).await;
    assert!(!y_mesh::Store::contains(&store, &name("a")).unwrap(), "something was kept");
    free.store(RESERVE * 2, Ordering::Relaxed);
    ada.until(|ada| ada.settled == (1, 1)).await;
}

#[tokio::test]
async fn d5_space_that_cannot_be_found_out_counts_as_enough() {
    let (free, panics) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::default()));
    let asked = Arc::new(AtomicU64::new(0));
    let (count, must_panic) = (asked.clone(), panics.clone());
    let store = Watched::new(move |call| match call {
        Call::Space => {
            count.fetch_add(1, Ordering::Relaxed);
            assert!(!must_panic.load(Ordering::Relaxed), "on purpose: a bug in a store");
            Err(std::io::Error::other("no such file system").into())
        }
        _ => Ok(()),
    });
    let node = node(store.with_space(&free));
    let mut ada = Visitor::join(&node, &name("a"), 1).await;
    ada.write("x").await;
    ada.saved().await;
    panics.store(true, Ordering::Relaxed);
    let before = asked.load(Ordering::Relaxed);
    until("two more looks", || asked.load(Ordering::Relaxed) > before + 1).await;
    ada.write("y").await;
    ada.saved().await;
    assert_eq!((ada.closed, node.is_store_low(), node.is_ready()), (None, false, true));
}

#[tokio::test]
async fn d5_a_node_on_a_disk_that_is_almost_full_stops_like_any_other() {
    let free = Arc::new(AtomicU64::new(0));
    let node = node(Watched::kept().with_space(&free));
    let mut ada = Visitor::join(&node, &name("a"), 1).await;
    ada.synced().await;
    ada.write("x").await;
    ada.until(|ada| ada.settled.1 == 1).await;
    let (late, ()) = tokio::join!(node.shutdown(PATIENCE), ada.until(|ada| ada.closed == Some(CloseCode::Restarting)));
    assert!(late.is_empty());
}
