//! Everything that may happen to documents, all at once: they're written, created, deleted, compacted, backed up, retired and
//! loaded, the disk runs low and has space again, and rights are asked for anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use y_mesh::document::{Document, Now, WriteTransaction};
use y_mesh::store::Store;
use y_mesh::yrs::{GetString, ReadTxn, Text, WriteTxn};
use y_mesh::{ClientId, Config, Denied, DocName, Durability, Error, Grant, Node, Request};

use super::{PATIENCE, Visitor, name};
use crate::store::Place;
use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::random::Random;
use crate::support::watched::Watched;

const DOCUMENTS: u64 = 3;
/// How often each writer comes.
const ROUNDS: u64 = 40;
const SEEDS: u64 = 8;

/// Compactions and retirements happen all the time.
fn config() -> Config {
    let mut config = Config::default();
    (config.limits.compact_after_records, config.limits.compact_after_bytes) = (4, 64);
    config.limits.disk_reserve_bytes = 100;
    (config.timing.idle_max, config.timing.space_interval) = (Duration::from_millis(3), Duration::from_millis(2));
    config
}

fn document(number: u64) -> DocName {
    name(&format!("doc {number}"))
}

fn drawn(random: &mut Random) -> DocName {
    document(random.below(DOCUMENTS as usize) as u64)
}

/// Comes to one document again and again, with what it had before or with nothing; writes, mostly waits until it's known what
/// becomes of that, and goes.
async fn write(node: Node, seed: u64) {
    let mut random = Random::new(seed);
    let (doc, mut client) = (document(seed % DOCUMENTS), Client::new(seed * 1_000));
    for round in 1..=ROUNDS {
        if random.percent(40) {
            client = Client::new(seed * 1_000 + round);
        }
        let seat = node.document(&doc).join(Request::default()).await.unwrap();
        let mut said = client.open();
        for _ in 0..random.below(5) {
            said.extend(client.write("word "));
        }
        let mut visitor = Visitor::new(client, seat);
        for message in said {
            // If it's sent away, what comes next says so.
            let _ = visitor.seat.send(message).await;
        }
        if random.percent(80) {
            visitor.until(|it| it.closed.is_some() || it.settled.0 + it.settled.1 >= it.client.sent.max(1)).await;
        }
        client = visitor.client;
    }
}

/// Deletes until it's stopped.
async fn delete(node: Node, count: Arc<AtomicU64>, seed: u64) {
    let mut random = Random::new(seed);
    loop {
        match node.delete(&drawn(&mut random)).await {
            Ok(()) => drop(count.fetch_add(1, Ordering::Relaxed)),
            Err(Error::NotFound(_) | Error::Unavailable(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Creates and edits until it's stopped.
async fn create_and_edit(node: Node, seed: u64) {
    let mut random = Random::new(seed);
    let edit = |txn: &mut WriteTransaction<'_>| {
        let text = txn.get_or_insert_text(TEXT);
        text.push(txn, "ours ");
    };
    loop {
        let durability = [None, Some(Durability::Memory), Some(Durability::Local)][random.below(3)];
        match node.create_with(Some(drawn(&mut random)), durability).await {
            Ok(_) | Err(Error::Exists(_) | Error::StoreLow(_)) => {}
            Err(other) => panic!("{other}"),
        }
        match node.document(&drawn(&mut random)).edit("program".into(), edit).await {
            Ok(()) | Err(Error::Unavailable(_) | Error::StoreLow(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Takes backups, asks for rights anew and lets the disk run low, until it's stopped.
async fn look_after(node: Node, free: Arc<AtomicU64>) {
    loop {
        for bytes in [50, 1_000, 1_000] {
            free.store(bytes, Ordering::Relaxed);
            node.reauthorize().await;
            let mut backup = node.backup(Request::default()).await.unwrap();
            while backup.next().await.is_some() {}
        }
    }
}

fn start(store: impl Store, seed: u64) -> Node {
    let hook = |_: Request, _: DocName| async { Ok::<_, Denied>(Grant::manage("ops")) };
    let durability = if seed.is_multiple_of(2) { Durability::Memory } else { Durability::Local };
    let builder = Node::builder().config(config()).store(store).authorize(hook);
    builder.durability(durability).strict(seed.is_multiple_of(3)).start().unwrap()
}

/// All of it at once; then somebody writes a last word into each document, which must be there, and no work that was deleted.
async fn upheaval<S: Store>(open: impl Fn() -> S, free: Arc<AtomicU64>, seed: u64) {
    let (node, deleted) = (start(open(), seed), Arc::new(AtomicU64::new(0)));
    let mut others = JoinSet::new();
    (5..7).for_each(|n| drop(others.spawn(delete(node.clone(), deleted.clone(), 10 * seed + n))));
    others.spawn(create_and_edit(node.clone(), 10 * seed + 7));
    others.spawn(look_after(node.clone(), free.clone()));
    let writers: JoinSet<()> = (1..5).map(|n| write(node.clone(), 10 * seed + n)).collect();
    tokio::select! {
        written = timeout(PATIENCE, writers.join_all()) => drop(written.expect("a writer waits for ever")),
        ended = others.join_next() => panic!("{ended:?}"),
    }
    others.shutdown().await;
    assert!(deleted.load(Ordering::Relaxed) > 5, "hardly anything was deleted");
    free.store(1_000, Ordering::Relaxed);
    timeout(PATIENCE, calm(&node)).await.expect("it never calms down");
    for number in 0..DOCUMENTS {
        let mut visitor = Visitor::join(&node, &document(number), 900_000 + number).await;
        visitor.write("last").await;
        visitor.saved().await;
    }
    assert!(!node.has_store_failed() && node.metrics().render().contains("ymesh_document_faults_total 0"));
    assert!(node.shutdown(PATIENCE).await.is_empty());
    drop(node);
    let store = open();
    (0..DOCUMENTS).for_each(|number| check(&store, number));
}

/// Waits until there's space, and nobody's deletion is under way any more.
async fn calm(node: &Node) {
    while node.is_store_low() {
        tokio::task::yield_now().await;
    }
    for number in 0..DOCUMENTS {
        while node.document(&document(number)).read(|_| ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}

fn check(store: &impl Store, number: u64) {
    let stored = store.load(&document(number)).unwrap();
    let document = Document::open(&stored, ClientId(7), Arc::default(), Now::default()).unwrap();
    let text = document.read(|txn| txn.get_text(TEXT).map(|text| text.get_string(txn)));
    assert!(text.as_ref().is_some_and(|text| text.contains("last")), "{text:?}");
    let deleted = stored.tombstone.map_or(Vec::new(), |tombstone| tombstone.clients);
    assert!(deleted.iter().all(|client| document.state_vector().get(*client) == 0), "what was deleted is back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_amid_everything_else_what_is_deleted_stays_so_and_what_is_kept_stays_too() {
    for seed in 1..=SEEDS {
        let free = Arc::new(AtomicU64::new(1_000));
        let store = Watched::kept().with_space(&free).with_durability(Durability::Local);
        upheaval(|| store.clone(), free, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_amid_everything_else_on_a_disk_what_is_deleted_stays_so_and_what_is_kept_stays_too() {
    for seed in 1..=SEEDS {
        let place = Place::in_memory("upheaval");
        let open = || loop {
            match place.open(4_096) {
                // The one before is let go of by threads that are about to end.
                Err(y_mesh::StoreError::Locked(_)) => std::thread::yield_now(),
                opened => return opened.unwrap(),
            }
        };
        upheaval(open, Arc::default(), seed).await;
    }
}
