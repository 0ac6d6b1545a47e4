//! What was in flight when the process ended is applied while nobody else uses yrs; and what never ends is told.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use y_mesh::MessageHash;
use y_mesh::document::CloseCode;
use y_mesh::store::faults::marks::{InFlight, Marks};
use y_mesh::store::{DiskStore, Store};
use y_mesh::wire::sync;
use y_mesh::yrs::{GetString, ReadTxn};
use y_mesh::{Config, Node, Request};

use super::{PATIENCE, Visitor, name};
use crate::store::Place;
use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::raw;

fn update(text: &str) -> Vec<u8> {
    raw::alone(666, 0, [raw::text(TEXT, text)])
}

fn has(update: &[u8], text: &str) -> bool {
    update.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Leaves a directory as a process does that ended while this was in flight.
fn end_amid(place: &Place, update: &[u8]) {
    let store = DiskStore::open(place.path()).unwrap();
    let folder = store.folder().unwrap();
    let hash = MessageHash(blake3::hash(update).as_bytes()[..16].try_into().unwrap());
    let mark = Marks::create(&folder).unwrap().set(&InFlight::Messages { document: name("hit"), hashes: vec![hash] });
    std::mem::forget(mark.unwrap());
}

/// For how long others may have more to do while the suspect is applied.
const OTHERS_MAX: Duration = Duration::from_secs(1);

static SENT: AtomicU64 = AtomicU64::new(0);
static WRITING: AtomicU64 = AtomicU64::new(0);
static APPLYING: AtomicU64 = AtomicU64::new(0);
static IS_ALONE: AtomicBool = AtomicBool::new(false);
static WAS_DISTURBED: AtomicBool = AtomicBool::new(false);

/// While the suspect is applied, nobody else may be; it waits until others have much to do.
fn watch_for_others(update: &[u8]) {
    if has(update, "suspect") {
        IS_ALONE.store(true, Ordering::SeqCst);
        WAS_DISTURBED.fetch_or(APPLYING.load(Ordering::SeqCst) > 0, Ordering::SeqCst);
        let (before, until) = (SENT.load(Ordering::SeqCst), Instant::now() + OTHERS_MAX);
        // How much may wait is bounded, so this needn't come.
        while SENT.load(Ordering::SeqCst) < before + 100 && Instant::now() < until {
            spin_loop();
        }
        IS_ALONE.store(false, Ordering::SeqCst);
        return;
    }
    APPLYING.fetch_add(1, Ordering::SeqCst);
    for _ in 0..100 {
        WAS_DISTURBED.fetch_or(IS_ALONE.load(Ordering::SeqCst), Ordering::SeqCst);
    }
    APPLYING.fetch_sub(1, Ordering::SeqCst);
}

/// Writes into a document until it's stopped; what waits for it is bounded by what it may send.
async fn busy(node: Node, number: u64) {
    let document = name(&format!("busy {number}"));
    let mut visitor = Visitor::join(&node, &document, 10 + number).await;
    visitor.synced().await;
    WRITING.fetch_add(1, Ordering::SeqCst);
    loop {
        visitor.write("x").await;
        SENT.fetch_add(1, Ordering::SeqCst);
        while visitor.seat.try_next().is_some() {}
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w6_a_suspect_is_applied_while_nobody_else_is_and_is_innocent_then() {
    let (place, suspect) = (Place::new("alone"), update("suspect"));
    end_amid(&place, &suspect);
    let node = Node::builder().store(DiskStore::open(place.path()).unwrap()).planted(watch_for_others).start().unwrap();
    let suspects = |count: u64| node.metrics().render().contains(&format!("ymesh_suspects {count}\n"));
    assert!(suspects(1));
    let others: Vec<_> = (0..3).map(|number| tokio::spawn(busy(node.clone(), number))).collect();
    let mut honest = Visitor::join(&node, &name("hit"), 1).await;
    honest.synced().await;
    // Nobody can be loaded while it's applied, so all are to be busy before.
    while WRITING.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    honest.write("before ").await;
    honest.seat.send(sync::update(&suspect)).await.unwrap();
    honest.write("after ").await;
    let sent = honest.client.sent + 1;
    honest.until(|visitor| visitor.settled == (sent, 0)).await;
    assert!(!WAS_DISTURBED.load(Ordering::SeqCst), "others used yrs while the suspect was applied");
    assert!(suspects(0));
    others.iter().for_each(|other| other.abort());
    let text = node.document(&name("hit")).read(|txn| txn.get_text(TEXT).unwrap().get_string(txn)).await.unwrap();
    assert!(["suspect", "before ", "after "].iter().all(|word| text.contains(word)), "{text}");
}

static LET_GO: AtomicBool = AtomicBool::new(false);

fn wait(update: &[u8]) {
    while has(update, "endless") && !LET_GO.load(Ordering::SeqCst) {
        spin_loop();
    }
}

#[tokio::test]
async fn a_document_that_never_comes_to_an_end_is_told_and_makes_the_node_unready() {
    let mut config = Config::default();
    config.timing.watchdog_interval = Duration::from_millis(10);
    config.timing.handle_max = Duration::from_millis(200);
    let node = Node::builder().config(config).planted(wait).start().unwrap();
    let mut hostile = Visitor::join(&node, &name("hit"), 1).await;
    hostile.synced().await;
    assert!(node.is_ready() && node.stuck_document().is_none());
    let message = sync::update(&update("endless"));
    hostile.seat.send(message.clone()).await.unwrap();
    let stuck = tokio::time::timeout(PATIENCE, node.stuck()).await.unwrap();
    assert_eq!((stuck, node.stuck_document()), (name("hit"), Some(name("hit"))));
    assert!(!node.is_ready());
    assert!(node.metrics().render().contains("ymesh_stuck 1\n"));
    LET_GO.store(true, Ordering::SeqCst);
    // What it never got over isn't taken any more, by any document.
    let mut again = Visitor::join(&node, &name("other"), 2).await;
    again.seat.send(message).await.unwrap();
    again.until(|visitor| visitor.closed == Some(CloseCode::Refused)).await;
}

/// What is kept in the quarantine is bounded, and what is refused goes by that at the next start.
#[tokio::test]
async fn w6_what_is_in_the_quarantine_is_refused_by_the_next_node_as_long_as_it_lies_there() {
    let place = Place::new("bounded");
    let mut config = Config::default();
    config.limits.quarantine_files_max = 2;
    config.limits.document_faults_max = 100;
    let start = || {
        let store = loop {
            match DiskStore::open(place.path()) {
                // The one before is let go of by threads that are about to end.
                Err(y_mesh::StoreError::Locked(_)) => std::thread::yield_now(),
                opened => break opened.unwrap(),
            }
        };
        Node::builder().config(config.clone()).store(store).planted(crate::support::planted::planted).start().unwrap()
    };
    let poisons: Vec<_> = (0..3).map(|n| sync::update(&update(&format!("{n} <panic>")))).collect();
    let node = start();
    for poison in &poisons {
        assert_eq!(strike(&node, poison).await, CloseCode::Refused);
    }
    let faults = |node: &Node| {
        let text = node.metrics().render();
        let line = text.lines().find_map(|line| line.strip_prefix("ymesh_document_faults_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(faults(&node), 3);
    assert!(node.shutdown(PATIENCE).await.is_empty());
    drop(node);
    assert_eq!(std::fs::read_dir(place.path().join("quarantine")).unwrap().count(), 2);
    let node = start();
    for poison in &poisons[1..] {
        assert_eq!(strike(&node, poison).await, CloseCode::Refused);
    }
    assert_eq!(faults(&node), 0, "both that are kept are refused by their hash");
    assert_eq!(strike(&node, &poisons[0]).await, CloseCode::Refused);
    assert_eq!(faults(&node), 1, "the oldest was forgotten");
}

async fn strike(node: &Node, message: &Bytes) -> CloseCode {
    let seat = node.document(&name("hit")).join(Request::default()).await.unwrap();
    let mut hostile = Visitor::new(Client::new(5), seat);
    hostile.seat.send(message.clone()).await.unwrap();
    hostile.until(|visitor| visitor.closed.is_some()).await;
    hostile.closed.unwrap()
}
