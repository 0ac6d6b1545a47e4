//! For whoever looks after the server.

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use super::{Server, close_code, until};

#[tokio::test]
async fn health_and_readiness_are_told() {
    let server = Server::start().await;
    let health = server.get("/healthz").await;
    assert_eq!((health.status, health.text()), (200, "ok"));
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200);
    let wanted = serde_json::json!({
        "ready": true, "draining": false, "low": false, "store": "memory", "durability": "memory"
    });
    assert_eq!(ready.json(), wanted);
    server.node.shutdown(super::PATIENCE).await;
    let stopping = server.get("/readyz").await;
    assert_eq!(stopping.status, 503);
    assert_eq!((&stopping.json()["ready"], &stopping.json()["draining"]), (&false.into(), &true.into()));
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!(server.handshake("/ws/notes", &[]).await.status, 503);
}

#[tokio::test]
async fn metrics_have_their_families_and_count() {
    let server = Server::start().await;
    let mut ada = server.visit("/ws/notes", 1).await;
    ada.write("counted").await;
    ada.until("its echo", |ada| !ada.client.updates.is_empty()).await;
    server.handshake("/ws/notes", &[("origin", "https://example.org")]).await;
    let mut texter = server.connect("/ws/notes").await;
    texter.send(Message::Text("hello".into())).await.unwrap();
    close_code(&mut texter).await;
    until("one to be left", || {
        server.node.metrics().sessions.get() == 1 && server.node.metrics().connections.get() == 1
    })
    .await;
    let answer = server.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.text();
    let families = [
        ("connections", "gauge"),
        ("documents_open", "gauge"),
        ("sessions", "gauge"),
        ("sessions_behind", "gauge"),
        ("messages_received", "counter"),
        ("received_bytes", "counter"),
        ("messages_sent", "counter"),
        ("sent_bytes", "counter"),
        ("document_faults", "counter"),
        ("store_low", "gauge"),
        ("refusals", "counter"),
        ("sessions_closed", "counter"),
        ("handle_seconds", "histogram"),
        ("load_seconds", "histogram"),
    ];
    for (family, kind) in families {
        assert!(text.contains(&format!("# TYPE ymesh_{family} {kind}\n")), "{family}: {text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("\nymesh_connections 1\n") && text.contains("\nymesh_sessions 1\n"), "{text}");
    assert!(text.contains("ymesh_refusals_total{reason=\"origin\"} 1\n"));
    assert!(text.contains("ymesh_sessions_closed_total{code=\"1003\"} 1\n"));
    let count = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().parse::<u64>().unwrap()
    };
    // SyncStep1, its answer and the echo, at the least.
    assert!(count("ymesh_messages_sent_total") >= 3);
    assert!(count("ymesh_sent_bytes_total") >= 3 * count("ymesh_messages_sent_total"));
}
