//! A disk that is almost full, over sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Server, ms, until};
use crate::support::watched::Watched;

#[tokio::test]
async fn d5_a_disk_that_is_almost_full_is_shown_and_what_was_typed_meanwhile_is_saved_after() {
    let free = Arc::new(AtomicU64::new(500));
    let store = Watched::kept().with_space(&free);
    let configure = |config: &mut y_mesh::Config| {
        (config.limits.disk_reserve_bytes, config.timing.space_interval) = (1_000, ms(2));
    };
    let server = Server::with(configure, |node| node.store(store), |door| door).await;
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["low"], &ready.json()["ready"]), (200, &true.into(), &true.into()));
    let metrics = server.get("/metrics").await;
    for line in ["ymesh_store_low 1", "# TYPE ymesh_store_space_bytes gauge", "ymesh_store_space_bytes{} 500"] {
        assert!(metrics.text().lines().any(|its| its == line), "{line}: {}", metrics.text());
    }
    let created = super::api::post(&server, super::api::JSON, r#"{"name":"new"}"#).await;
    assert_eq!((created.status, created.problem().contains("almost full")), (507, true));

    let mut ada = server.visit("/ws/notes?acks=1", 1).await;
    ada.write("typed meanwhile").await;
    ada.until("a refusal", |ada| ada.settled == Some((1, 1)) && !ada.client.denied.is_empty()).await;
    assert_eq!(server.refusals("store_low"), 1);
    free.store(2_000, Ordering::Relaxed);
    ada.until("it to be saved", |ada| ada.settled == Some((2, 1))).await;
    server.visit("/ws/notes", 2).await.reads("typed meanwhile").await;
    until("it to be shown", || !server.node.is_store_low()).await;
    assert_eq!(super::api::post(&server, super::api::JSON, r#"{"name":"new"}"#).await.status, 201);
}
