//! Whoever makes others wait is slowed, and then sent away; whoever doesn't is never slowed.

use std::time::Duration;

use bytes::Bytes;
use y_mesh::document::CloseCode;
use y_mesh::wire::sync;
use y_mesh::{Config, Node, Outgoing};

use super::{PATIENCE, Visitor, name};

fn node(configure: impl FnOnce(&mut Config)) -> Node {
    let mut config = Config::default();
    configure(&mut config);
    Node::builder().config(config).start().unwrap()
}

/// A message that takes a moment: it's many frames, and changes nothing.
fn dear() -> Bytes {
    sync::update(&[0, 0]).repeat(900).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_floods_while_others_wait_is_sent_away_and_the_others_stay() {
    let node = node(|config| {
        config.timing.wait_max = Duration::from_nanos(1);
        config.timing.session_time_burst = Duration::from_millis(1);
        config.timing.session_time = Duration::from_millis(10);
        config.timing.slowed_time = Duration::from_millis(10);
        config.timing.flood_max = Duration::from_millis(200);
    });
    let document = name("flooded");
    let mut honest = Visitor::join(&node, &document, 1).await;
    honest.synced().await;
    let flood = Visitor::join(&node, &document, 2).await;
    let flooding = async {
        while flood.seat.send(dear()).await.is_ok() {}
        loop {
            if let Outgoing::Closed(code) = flood.seat.next().await {
                return code;
            }
        }
    };
    let typing = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            honest.write("x").await;
            honest.saved().await;
        }
    };
    tokio::select! {
        code = tokio::time::timeout(PATIENCE, flooding) => assert_eq!(code.unwrap(), CloseCode::Later),
        () = typing => {}
    }
    let metrics = node.metrics().render();
    assert!(metrics.contains("ymesh_refusals_total{reason=\"flood\"} 1"), "{metrics}");
    honest.write("still here").await;
    honest.saved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_alone_and_fast_is_never_slowed() {
    let node = node(|config| {
        config.timing.session_time_burst = Duration::from_millis(1);
        config.timing.session_time = Duration::from_micros(1);
        config.limits.session_bytes_burst = 1;
        config.limits.session_bytes_per_second = 1;
        // If it were slowed, it would be for years.
        config.timing.slowed_time = Duration::from_micros(1);
        config.timing.flood_max = Duration::ZERO;
    });
    let mut fast = Visitor::join(&node, &name("fast"), 1).await;
    fast.synced().await;
    for _ in 0..2_000 {
        fast.write("x").await;
    }
    fast.saved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_that_waits_for_its_turn_is_not_lost_when_its_session_leaves() {
    let node = node(|config| config.timing.turn_max = Duration::ZERO);
    let document = name("last words, one a turn");
    let mut visitor = Visitor::join(&node, &document, 1).await;
    visitor.synced().await;
    for _ in 0..100 {
        visitor.write("x").await;
    }
    drop(visitor);
    let mut reader = Visitor::join(&node, &document, 2).await;
    reader.until(|reader| reader.client.text().len() == 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_busy_documents_leave_room_for_a_quiet_one() {
    let node = node(|config| config.timing.document_time = Duration::from_micros(1));
    let mut busy = tokio::task::JoinSet::new();
    for number in 0..20 {
        let flood = Visitor::join(&node, &name(&format!("busy/{number}")), 1).await;
        busy.spawn(async move { while flood.seat.send(dear()).await.is_ok() {} });
    }
    let mut quiet = Visitor::join(&node, &name("quiet"), 1).await;
    for _ in 0..20 {
        quiet.write("x").await;
        quiet.saved().await;
    }
    busy.shutdown().await;
}
