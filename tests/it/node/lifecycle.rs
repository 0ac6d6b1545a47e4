//! There's never a second copy of a document, and none is lost on its way out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use y_mesh::document::Stored;
use y_mesh::store::Store;
use y_mesh::yrs::{GetString, ReadTxn, Text, WriteTxn};
use y_mesh::{Config, DocName, Error, Identity, Node};

use super::{PATIENCE, Visitor, name};
use crate::support::content::TEXT;
use crate::support::watched::{Call, Watched};

/// How often each document was loaded.
#[derive(Clone, Default)]
struct Loads(Arc<Mutex<BTreeMap<DocName, u64>>>);

impl Loads {
    fn of(&self, document: &DocName) -> u64 {
        self.0.lock().unwrap().get(document).copied().unwrap_or(0)
    }

    /// A store in memory whose loads are counted here.
    fn store(&self) -> Watched {
        let loads = self.clone();
        Watched::new(move |call| {
            if let Call::Load(name) = call {
                *loads.0.lock().unwrap().entry(name.clone()).or_default() += 1;
            }
            Ok(())
        })
    }
}

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// How often each race is run. `tests/run --campaign` sets more.
fn rounds() -> u64 {
    std::env::var("YMESH_TEST_ROUNDS").map_or(10_000, |rounds| rounds.parse().expect("YMESH_TEST_ROUNDS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_visitors_never_make_two_copies() {
    let loads = Loads::default();
    let store = loads.store();
    let node = Node::builder().store(store.clone()).start().unwrap();
    for round in 0..rounds() {
        let document = name(&format!("fresh/{round}"));
        let (mut a, mut b) = tokio::join!(
            tokio::spawn({
                let (node, document) = (node.clone(), document.clone());
                async move { Visitor::join(&node, &document, 1).await }
            }),
            tokio::spawn({
                let (node, document) = (node.clone(), document.clone());
                async move { Visitor::join(&node, &document, 2).await }
            }),
        );
        let (a, b) = (a.as_mut().unwrap(), b.as_mut().unwrap());
        a.write("a").await;
        b.write("b").await;
        a.until(|visitor| visitor.client.text().len() == 2).await;
        b.until(|visitor| visitor.client.text().len() == 2).await;
        assert_eq!(a.client.text(), b.client.text());
        assert_eq!(loads.of(&document), 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d6_joining_while_it_retires_never_loses_or_doubles_anything() {
    let loads = Loads::default();
    let store = loads.store();
    let config = config(|config| config.timing.idle_max = Duration::ZERO);
    let node = Node::builder().config(config).store(store.clone()).start().unwrap();
    let documents: Vec<_> = (0..rounds() / 100).map(|index| name(&format!("busy/{index}"))).collect();
    let mut leaving: Option<Visitor> = None;
    for round in 0..rounds() {
        let document = &documents[(round / 100) as usize];
        // The last one leaves while the next one comes: its document is about to retire, or has, or not yet.
        let (left, came) = (leaving.take(), Visitor::join(&node, document, 1_000 + round));
        let (_, mut visitor) = tokio::join!(async move { drop(left) }, came);
        visitor.write("x").await;
        visitor.saved().await;
        visitor.synced().await;
        let wanted = round as usize % 100 + 1;
        visitor.until(|visitor| visitor.client.text().len() >= wanted).await;
        assert_eq!(visitor.client.text(), "x".repeat(wanted), "round {round}");
        leaving = Some(visitor);
    }
    drop(leaving);
    let loads: u64 = documents.iter().map(|document| loads.of(document)).sum();
    assert!(loads > documents.len() as u64, "no document ever retired between two visitors");
    let late = node.shutdown(PATIENCE).await;
    assert!(late.is_empty(), "{late:?} never went");
    for document in &documents {
        assert_eq!(text_of(&store.inner.load(document).unwrap()), "x".repeat(100));
    }
}

fn text_of(stored: &Stored) -> String {
    use y_mesh::document::{Document, Now};
    let document = Document::open(stored, y_mesh::ClientId(7), Config::default().into(), Now::default()).unwrap();
    document.read(|txn| txn.get_text(TEXT).map(|text| text.get_string(txn)).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_sent_just_before_it_hung_up_is_kept() {
    let node = Node::builder().start().unwrap();
    let document = name("last words");
    for round in 0..500 {
        let mut visitor = Visitor::join(&node, &document, 10 + round).await;
        visitor.synced().await;
        visitor.write("x").await;
        drop(visitor);
    }
    let mut reader = Visitor::join(&node, &document, 9_999).await;
    reader.until(|visitor| visitor.client.text().len() == 500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_document_is_retired_and_comes_back_whole() {
    let loads = Loads::default();
    let store = loads.store();
    let config = config(|config| config.timing.idle_max = Duration::from_millis(1));
    let node = Node::builder().config(config).store(store.clone()).start().unwrap();
    let document = name("idle");
    node.create(Some(document.clone())).await.unwrap();
    let handle = node.document(&document);
    handle.edit(Identity::anonymous(), |txn| txn.get_or_insert_text(TEXT).push(txn, "kept")).await.unwrap();
    let retired = async {
        while node.documents(None, 10).await.unwrap().iter().any(|listed| listed.open) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, retired).await.expect("it never retires, though a handle is held and no seat");
    let text = handle.read(|txn| txn.get_text(TEXT).map(|text| text.get_string(txn))).await.unwrap();
    assert_eq!(text.as_deref(), Some("kept"));
    assert_eq!(loads.of(&document), 2);
}

#[tokio::test]
async fn as_many_documents_are_open_as_the_limit_says() {
    let node = Node::builder().config(config(|config| config.limits.documents_open_max = 2)).start().unwrap();
    let _one = Visitor::join(&node, &name("one"), 1).await;
    let _two = Visitor::join(&node, &name("two"), 2).await;
    let refused = node.document(&name("three")).join(Default::default()).await;
    assert!(matches!(refused, Err(Error::TooManyDocuments)), "{refused:?}");
    let _also_one = Visitor::join(&node, &name("one"), 3).await;
}
