//! Going down.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Answer, Server, close_code, ms, soon};
use crate::support::watched::Watched;

#[tokio::test]
async fn everybody_is_sent_away_to_come_back() {
    let server = Server::start().await;
    let mut all = Vec::new();
    for id in 0..5 {
        all.push(server.visit(&format!("/ws/{}", id % 2), id).await);
    }
    let (node, address) = (server.node.clone(), server.address);
    let stopping = server.stop();
    for visitor in &mut all {
        assert_eq!(close_code(&mut visitor.socket).await, 1012);
    }
    soon("the end", stopping).await.unwrap();
    assert!(node.is_stopping() && !node.is_ready());
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!((node.metrics().connections.get(), node.metrics().documents.get()), (0, 0));
}

#[tokio::test]
async fn what_was_written_last_is_saved() {
    let store = Watched::kept();
    let server = Server::with(|_| {}, |node| node.store(store.clone()), |door| door).await;
    let mut ada = server.visit("/ws/notes", 1).await;
    ada.write("the last words").await;
    // The echo says that they're in the document; nothing has said that they're saved.
    ada.until("its echo", |ada| !ada.client.updates.is_empty()).await;
    soon("the end", server.stop()).await.unwrap();
    let again = Server::with(|_| {}, |node| node.store(store), |door| door).await;
    again.visit("/ws/notes", 2).await.reads("the last words").await;
}

#[tokio::test]
async fn requests_are_finished_and_connections_not_kept() {
    let server = Server::start().await;
    let mut idle = server.tcp().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(soon("an answer", Answer::read(&mut idle)).await.status, 200);
    let mut busy = server.tcp().await;
    let head =
        "POST /api/documents HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    busy.write_all(format!("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n{head}").as_bytes()).await.unwrap();
    assert_eq!(soon("an answer", Answer::read(&mut busy)).await.json()["ready"], true);
    let stopping = server.stop();
    assert_eq!(soon("the end of the idle one", idle.read(&mut [0; 8])).await.unwrap(), 0);
    busy.write_all(b"}").await.unwrap();
    // The node doesn't take anything any more, and says so.
    let status = soon("an answer", Answer::read(&mut busy)).await.status;
    assert!([201, 503].contains(&status), "{status}");
    soon("the end", stopping).await.unwrap();
}

#[tokio::test]
async fn who_doesnt_go_is_cut_off_at_the_deadline() {
    let server = Server::configured(|config| {
        config.timing.drain_spread = ms(100);
        config.timing.drain_max = ms(300);
    })
    .await;
    // It will not answer the goodbye, for which it would have three seconds.
    let mut stays = server.connect("/ws/notes").await.into_inner();
    let start = Instant::now();
    soon("the end", server.stop()).await.unwrap();
    assert!(start.elapsed() < ms(2_000), "{:?}", start.elapsed());
    let mut rest = Vec::new();
    soon("its end", stays.read_to_end(&mut rest)).await.ok();
}

#[tokio::test]
async fn a_server_that_is_dropped_takes_its_connections_along() {
    let server = Server::start().await;
    let mut ada = server.visit("/ws/notes", 1).await;
    server.serving.abort();
    let end = soon("the end", futures_util::StreamExt::next(&mut ada.socket)).await;
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    assert!(server.node.is_ready());
}
