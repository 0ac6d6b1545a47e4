//! A document that panics over a message is loaded anew, and whoever is seated stays so (architecture: when yrs fails).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use y_mesh::document::{CloseCode, WriteTransaction};
use y_mesh::wire::sync;
use y_mesh::yrs::{Any, Array, GetString, ReadTxn, WriteTxn};
use y_mesh::{ClientId, Config, Error, Identity, Node, NodeBuilder};

use super::{PATIENCE, Visitor, name};
use crate::store::Place;
use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::gate::Gate;
use crate::support::planted::{PANIC, planted};

fn node() -> NodeBuilder {
    Node::builder().planted(planted)
}

/// Sends an update that makes the document panic, and is sent away for it.
async fn strike(node: &Node, client: u64) {
    let mut hostile = Visitor::join(node, &name("a"), client).await;
    hostile.synced().await;
    hostile.write(PANIC).await;
    hostile.until(|visitor| visitor.closed.is_some()).await;
    assert_eq!(hostile.closed, Some(CloseCode::Refused));
    assert!(is_unsettled(&hostile), "what it sent isn't settled: {:?}", hostile.settled);
}

/// Whether nothing of it was settled but its answer to the first question, with which it had nothing to say.
fn is_unsettled(hostile: &Visitor) -> bool {
    hostile.settled.0 <= 1 && hostile.settled.1 == 0
}

fn count(node: &Node, name: &str) -> u64 {
    let text = node.metrics().render();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("ymesh_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[tokio::test]
async fn w6_only_who_sent_what_a_document_panics_over_is_sent_away() {
    let node = node().start().unwrap();
    let mut writer = Visitor::join(&node, &name("a"), 1).await;
    let mut reader = Visitor::join(&node, &name("a"), 2).await;
    writer.write("before ").await;
    writer.saved().await;
    strike(&node, 3).await;
    writer.write("after").await;
    writer.saved().await;
    reader.until(|visitor| visitor.client.text() == "before after").await;
    let text = node.document(&name("a")).read(|txn| txn.get_text(TEXT).unwrap().get_string(txn)).await.unwrap();
    assert_eq!(text, "before after");
    assert!(writer.closed.is_none() && reader.closed.is_none());
    assert!(reader.client.questions > 1, "everybody is asked for what may be missing");
    let counts = ["document_faults_total", "documents_leaked_total", "messages_quarantined_total"];
    assert_eq!(counts.map(|name| count(&node, name)), [1, 1, 1]);
}

#[tokio::test]
async fn w6_the_same_bytes_again_are_refused_by_their_hash() {
    let node = node().start().unwrap();
    let mut client = Client::new(7);
    client.write(PANIC);
    let everything = client.everything();
    for _ in 0..3 {
        let mut hostile = Visitor::join_as(&node, &name("a"), Client::new(8)).await;
        hostile.synced().await;
        // The same, beside something else too.
        hostile.seat.send([&sync::keep_alive()[..], &everything].concat().into()).await.unwrap();
        hostile.until(|visitor| visitor.closed.is_some()).await;
        assert_eq!(hostile.closed, Some(CloseCode::Refused));
    }
    assert_eq!(count(&node, "document_faults_total"), 1, "it's tried once");
    assert!(node.metrics().render().contains("ymesh_refusals_by_rule_total{rule=\"W6\"} 2"));
}

#[tokio::test]
async fn w6_what_vet_refuses_is_refused_by_its_hash_the_next_time() {
    let node = node().start().unwrap();
    for _ in 0..2 {
        let mut hostile = Visitor::join(&node, &name("a"), 1).await;
        hostile.synced().await;
        // A client without structs.
        hostile.seat.send(sync::update(&[1, 0, 1, 0, 0])).await.unwrap();
        hostile.until(|visitor| visitor.closed == Some(CloseCode::Refused)).await;
    }
    let counts = node.metrics().render();
    assert!(counts.contains("ymesh_refusals_total{reason=\"update\"} 1"), "{counts}");
    assert!(counts.contains("ymesh_refusals_total{reason=\"known\"} 1"), "{counts}");
}

/// All in one turn: the document panics in the middle of it.
#[tokio::test]
async fn what_came_in_the_same_turn_before_and_after_is_kept_relayed_and_counted() {
    let gate = Gate::shut();
    let node = node().store(gate.store()).start().unwrap();
    let mut first = Visitor::join(&node, &name("a"), 1).await;
    let mut second = Visitor::join(&node, &name("a"), 2).await;
    let mut hostile = Visitor::join(&node, &name("a"), 3).await;
    let mut watcher = Visitor::join(&node, &name("a"), 4).await;
    for visitor in [&mut first, &mut second, &mut hostile, &mut watcher] {
        visitor.synced().await;
    }
    // While a closure holds the document up, mail piles up: it's one turn.
    let (entered, release) = (Arc::new(tokio::sync::Notify::new()), Arc::new(std::sync::Barrier::new(2)));
    let held = tokio::spawn({
        let (document, entered, release) = (node.document(&name("a")), entered.clone(), release.clone());
        async move {
            let wait = move |_: &y_mesh::document::ReadTransaction<'_>| {
                entered.notify_one();
                release.wait();
            };
            document.read(wait).await.unwrap();
        }
    });
    entered.notified().await;
    for turn in 0..3 {
        first.write(&format!("f{turn} ")).await;
    }
    hostile.write(PANIC).await;
    for turn in 0..3 {
        second.write(&format!("s{turn} ")).await;
    }
    release.wait();
    gate.open();
    held.await.unwrap();
    first.saved().await;
    second.saved().await;
    hostile.until(|visitor| visitor.closed.is_some()).await;
    let is_whole = |text: &str| ["f0", "f1", "f2", "s0", "s1", "s2"].iter().all(|word| text.contains(word));
    watcher.until(|visitor| is_whole(&visitor.client.text())).await;
    for visitor in [&first, &second, &watcher] {
        assert_eq!(visitor.closed, None);
    }
    assert!(hostile.closed == Some(CloseCode::Refused) && is_unsettled(&hostile));
    assert_eq!(count(&node, "document_faults_total"), 1);
}

#[tokio::test]
async fn f5_who_was_behind_gets_what_it_missed_before_and_after_a_panic() {
    let mut config = Config::default();
    config.limits.outbox_messages_max = 4;
    let node = node().config(config).start().unwrap();
    let mut writer = Visitor::join(&node, &name("a"), 1).await;
    let mut slow = Visitor::join(&node, &name("a"), 2).await;
    slow.synced().await;
    for word in 0..20 {
        writer.write(&format!("{word} ")).await;
        writer.saved().await;
    }
    assert_eq!(count(&node, "sessions_behind"), 1);
    strike(&node, 3).await;
    writer.write("end").await;
    writer.saved().await;
    let text = writer.client.text();
    slow.until(|visitor| visitor.client.text() == text).await;
    assert_eq!(slow.closed, None);
}

#[tokio::test]
async fn a1_who_comes_after_a_panic_sees_who_was_here_before() {
    let node = node().start().unwrap();
    let mut here = Visitor::join(&node, &name("a"), 1).await;
    here.synced().await;
    let entry = here.client.presence.set(Some("{\"name\":\"ada\"}"));
    here.seat.send(entry).await.unwrap();
    strike(&node, 3).await;
    let mut newcomer = Visitor::join(&node, &name("a"), 4).await;
    newcomer.until(|visitor| visitor.client.presence.others().contains_key(&ClientId(1))).await;
    drop(here);
    newcomer.until(|visitor| !visitor.client.presence.others().contains_key(&ClientId(1))).await;
}

#[tokio::test]
async fn d9_a_strict_node_shows_nothing_early_after_a_panic_either() {
    let gate = Gate::shut();
    let node = node().store(gate.store()).strict(true).start().unwrap();
    let mut writer = Visitor::join(&node, &name("a"), 1).await;
    let mut reader = Visitor::join(&node, &name("a"), 2).await;
    writer.synced().await;
    reader.synced().await;
    writer.write("kept").await;
    gate.holds().await;
    gate.open();
    writer.saved().await;
    strike(&node, 3).await;
    writer.write(" on").await;
    writer.saved().await;
    reader.until(|visitor| visitor.client.text() == "kept on").await;
}

#[tokio::test]
async fn a_document_with_too_many_faults_rests_and_others_are_served() {
    let mut config = Config::default();
    config.limits.document_faults_max = 2;
    config.timing.fault_rest = std::time::Duration::from_millis(300);
    let node = node().config(config).start().unwrap();
    let mut victim = Visitor::join(&node, &name("a"), 1).await;
    victim.write("kept").await;
    victim.saved().await;
    for client in 10..12 {
        strike(&node, client).await;
    }
    let mut last = Visitor::join(&node, &name("a"), 20).await;
    last.synced().await;
    last.write(PANIC).await;
    last.until(|visitor| visitor.closed.is_some()).await;
    victim.until(|visitor| visitor.closed == Some(CloseCode::Broken)).await;
    let mut early = Visitor::join(&node, &name("a"), 21).await;
    early.until(|visitor| visitor.closed == Some(CloseCode::Broken)).await;
    Visitor::join(&node, &name("b"), 22).await.synced().await;
    loop {
        let mut again = Visitor::join(&node, &name("a"), 23).await;
        again.until(|visitor| visitor.closed.is_some() || visitor.client.text() == "kept").await;
        if again.closed.is_none() {
            break;
        }
    }
}

#[tokio::test]
async fn a_deletion_amid_a_panic_is_told_and_stays() {
    let node = node().start().unwrap();
    let mut writer = Visitor::join(&node, &name("a"), 1).await;
    writer.write("kept").await;
    writer.saved().await;
    let document = node.document(&name("a"));
    let fault = document.edit(Identity::anonymous(), |_| panic!("on purpose: a bug in a closure"));
    let (fault, deleted) = tokio::join!(fault, node.delete(document.name()));
    assert!(fault.is_err());
    deleted.unwrap();
    writer.until(|visitor| visitor.closed == Some(CloseCode::Deleted)).await;
    assert!(node.documents(None, 9).await.unwrap().is_empty());
}

/// While the document was panicking, somebody else had asked what it lacks.
#[tokio::test]
async fn s2_who_asked_in_a_turn_that_ended_in_a_panic_is_answered() {
    let mut config = Config::default();
    config.limits.document_faults_max = 20;
    let node = node().config(config).start().unwrap();
    let mut writer = Visitor::join(&node, &name("a"), 1).await;
    writer.write("kept").await;
    writer.saved().await;
    for client in 0..20 {
        let mut hostile = Visitor::join(&node, &name("a"), 100 + client).await;
        let bytes = hostile.client.write(&format!("{client}{PANIC}"));
        let mut newcomer = Visitor::join(&node, &name("a"), 200 + client).await;
        for message in bytes {
            let _ = hostile.seat.send(message).await;
        }
        let mut second = Visitor::join(&node, &name("a"), 300 + client).await;
        for visitor in [&mut newcomer, &mut second] {
            visitor.until(|visitor| visitor.client.text() == "kept").await;
        }
        hostile.until(|visitor| visitor.closed.is_some()).await;
    }
}

#[tokio::test]
async fn d2_what_a_closure_makes_that_could_not_be_read_again_leaves_everybody_seated() {
    let node = node().start().unwrap();
    let mut writer = Visitor::join(&node, &name("a"), 1).await;
    writer.write("kept").await;
    writer.saved().await;
    let deep = |txn: &mut WriteTransaction<'_>| {
        let deep = (0..300).fold(Any::Null, |inner, _| Any::Array(vec![inner].into()));
        txn.get_or_insert_array("list").insert(txn, 0, deep);
    };
    let made = node.document(&name("a")).edit(Identity::anonymous(), deep).await;
    assert!(matches!(made, Err(Error::Unavailable(_))), "{made:?}");
    writer.write(" on").await;
    writer.saved().await;
    assert_eq!(writer.closed, None);
    let text = node.document(&name("a")).read(|txn| txn.get_text(TEXT).unwrap().get_string(txn)).await.unwrap();
    assert_eq!((text.as_str(), count(&node, "document_faults_total")), ("kept on", 1));
}

/// Writes words one after the other, not waiting for each; comes back if it's sent away. Gives what all others must have in the end.
async fn type_on(node: Node, client: u64, words: u64) -> Vec<String> {
    let mut visitor = Visitor::join(&node, &name("a"), client).await;
    let written: Vec<_> = (0..words).map(|word| format!("[{client}.{word}]")).collect();
    for word in &written {
        visitor.write(word).await;
        let sent = visitor.client.sent;
        visitor.until(|visitor| visitor.settled.0 + 4 >= sent).await;
    }
    visitor.saved().await;
    assert_eq!(visitor.settled, (visitor.client.sent, 0), "counted one by one, over all panics");
    written
}

async fn storm(builder: NodeBuilder) {
    const STRIKES: u64 = 15;
    let mut config = Config::default();
    config.limits.document_faults_max = STRIKES as usize;
    let node = builder.config(config).planted(planted).start().unwrap();
    let writers: Vec<_> = (1..5).map(|client| tokio::spawn(type_on(node.clone(), client, 100))).collect();
    for client in 0..STRIKES {
        let mut hostile = Visitor::join(&node, &name("a"), 100 + client).await;
        hostile.synced().await;
        hostile.write(&format!("{client}{PANIC}")).await;
        hostile.until(|visitor| visitor.closed == Some(CloseCode::Refused)).await;
    }
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    assert_eq!(count(&node, "document_faults_total"), STRIKES);
    let mut reader = Visitor::join(&node, &name("a"), 50).await;
    reader.until(|visitor| written.iter().all(|word| visitor.client.text().contains(word))).await;
    assert!(!reader.client.text().contains(PANIC));
    assert!(node.shutdown(PATIENCE).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d7_amid_a_storm_of_panics_everything_is_kept_and_counted_one_by_one() {
    storm(Node::builder()).await;
    storm(Node::builder().strict(true)).await;
    let place = Place::in_memory("storm");
    storm(Node::builder().store(place.open(64 << 10).unwrap())).await;
}

static FAILS: AtomicBool = AtomicBool::new(false);

fn fail_once(_: &[u8]) {
    assert!(!FAILS.swap(false, Ordering::SeqCst), "on purpose: nothing can be encoded");
}

/// Nobody is to blame for what comes at a turn's end.
#[tokio::test]
async fn s2_a_panic_over_somebodys_answer_sends_nobody_away_and_the_answer_comes() {
    let node = Node::builder().planted(fail_once).start().unwrap();
    let mut writer = Visitor::join(&node, &name("a"), 1).await;
    writer.write("kept").await;
    writer.saved().await;
    let mut before = Visitor::join(&node, &name("a"), 2).await;
    before.until(|visitor| visitor.client.text() == "kept").await;
    let Visitor { client, seat, .. } = before;
    drop(seat);
    writer.write(" more").await;
    writer.saved().await;
    FAILS.store(true, Ordering::SeqCst);
    // It has something, so its answer is made for it alone.
    let mut newcomer = Visitor::join_as(&node, &name("a"), client).await;
    newcomer.until(|visitor| visitor.client.answers > 0).await;
    assert_eq!((newcomer.client.text().as_str(), newcomer.closed, writer.closed), ("kept more", None, None));
    let counts = ["document_faults_total", "messages_quarantined_total"];
    assert_eq!(counts.map(|name| count(&node, name)), [1, 0]);
    writer.write(" on").await;
    newcomer.until(|visitor| visitor.client.text() == "kept more on").await;
}
