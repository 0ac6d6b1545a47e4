//! Connections that cost something and bring nothing: silent ones, slow ones, large ones.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::interval;

use super::{Answer, Server, ms, soon, until};

async fn strict() -> Server {
    Server::configured(|config| {
        config.timing.head_max = ms(150);
        config.timing.request_max = ms(400);
    })
    .await
}

/// Sends bytes one at a time until the server has had enough. Gives what it said.
async fn trickle(mut stream: TcpStream, bytes: impl Iterator<Item = u8>) -> Vec<u8> {
    let (mut from, mut to) = stream.split();
    let mut pace = interval(ms(10));
    let sending = async {
        for byte in bytes {
            pace.tick().await;
            if to.write_u8(byte).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    let reading = async {
        let mut part = [0; 1024];
        // A reset is an end as well.
        while let Ok(count @ 1..) = from.read(&mut part).await {
            said.extend_from_slice(&part[..count]);
        }
    };
    tokio::select! {
        () = sending => unreachable!(),
        () = soon("the end", reading) => said,
    }
}

#[tokio::test]
async fn a_silent_connection_is_shed() {
    let server = strict().await;
    assert_eq!(trickle(server.tcp().await, [].into_iter()).await, b"");
    until("it to be counted", || server.refusals("head") == 1).await;
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_shed() {
    let server = strict().await;
    let head = b"GET / HTTP/1.1\r\nhost: x\r\n".iter().copied().chain(std::iter::repeat_n(b'x', 100_000));
    trickle(server.tcp().await, head).await;
    until("it to be counted", || server.refusals("head") == 1).await;
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_answered_408_and_shed() {
    let server = strict().await;
    let mut stream = server.tcp().await;
    let head =
        "POST /api/documents HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = String::from_utf8(trickle(stream, std::iter::repeat_n(b' ', 9_000)).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("application/problem+json"));
}

#[tokio::test]
async fn a_connection_that_is_kept_alive_without_use_is_shed() {
    let server = strict().await;
    let mut stream = server.tcp().await;
    for _ in 0..2 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert_eq!(soon("an answer", Answer::read(&mut stream)).await.status, 200);
    }
    assert_eq!(trickle(stream, [].into_iter()).await, b"");
}

#[tokio::test]
async fn who_asks_and_doesnt_take_the_answers_is_shed() {
    let server = strict().await;
    let mut stream = server.tcp().await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let sending = async { while stream.write_all(&request).await.is_ok() {} };
    tokio::select! {
        () = sending => {}
        () = until("it to be counted", || server.refusals("request") == 1) => {}
    }
    until("it to be counted", || server.refusals("request") == 1).await;
}

#[tokio::test]
async fn a_websocket_outlives_the_time_of_a_request() {
    let server = strict().await;
    let mut ada = server.visit("/ws/notes", 1).await;
    assert_eq!(trickle(server.tcp().await, [].into_iter()).await, b"");
    let head =
        "POST /api/documents HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n";
    let mut slow = server.tcp().await;
    slow.write_all(head.as_bytes()).await.unwrap();
    trickle(slow, std::iter::repeat_n(b' ', 9_000)).await;
    ada.write("still here").await;
    server.visit("/ws/notes", 2).await.reads("still here").await;
}

#[tokio::test]
async fn heads_that_are_too_large_or_no_heads_are_refused() {
    let server = Server::start().await;
    let large = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(32 << 10));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert_eq!(server.ask(&large).await.status, 431);
    assert_eq!(server.ask(&many).await.status, 431);
    assert_eq!(server.ask("HELO example.org\r\n\r\n").await.status, 400);
    assert_eq!(server.refusals("head"), 3);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_request_without_a_path_is_answered_and_not_a_fault() {
    let server = Server::start().await;
    let mut stream = server.tcp().await;
    stream
        .write_all(b"CONNECT example.org:443 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    soon("an answer", stream.read_to_string(&mut said)).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
}
