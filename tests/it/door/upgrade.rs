//! From a request to a WebSocket.

use super::{Server, close_code};

const PATH: &str = "/ws/notes";

#[tokio::test]
async fn a_right_handshake_is_answered_with_its_proof() {
    let server = Server::start().await;
    let answer = server.handshake(PATH, &[]).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(answer.header("upgrade"), "websocket");
    assert_eq!(answer.header("connection"), "upgrade");
    assert!(!answer.headers.contains_key("sec-websocket-protocol"));
}

#[tokio::test]
async fn upper_case_and_more_options_are_fine() {
    let server = Server::start().await;
    let answer = server.handshake(PATH, &[("connection", "keep-alive, UPGRADE"), ("upgrade", "WebSocket")]).await;
    assert_eq!(answer.status, 101);
}

#[tokio::test]
async fn a_wrong_handshake_is_told_what_is_wrong() {
    let server = Server::start().await;
    let cases = [
        (("sec-websocket-version", "8"), 426, "Version"),
        (("sec-websocket-version", ""), 426, "Version"),
        (("sec-websocket-key", ""), 400, "Key"),
        (("sec-websocket-key", "too short=="), 400, "Key"),
        (("connection", "keep-alive"), 400, "Connection"),
    ];
    for (header, status, detail) in cases {
        let answer = server.handshake(PATH, &[header]).await;
        assert_eq!(answer.status, status, "{header:?}");
        assert!(answer.problem().contains(detail), "{header:?}: {answer:?}");
    }
    let answer = server.handshake(PATH, &[("sec-websocket-version", "8")]).await;
    assert_eq!(answer.header("sec-websocket-version"), "13");
}

#[tokio::test]
async fn a_path_of_a_websocket_says_so_to_who_asks_without_one() {
    let server = Server::start().await;
    let answer = server.get(PATH).await;
    assert_eq!((answer.status, answer.header("upgrade")), (426, "websocket"));
    assert!(answer.problem().contains("WebSocket"));
}

#[tokio::test]
async fn only_get_becomes_a_websocket() {
    let server = Server::start().await;
    let request =
        "POST /ws/notes HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n";
    let answer = server.ask(request).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn the_first_protocol_that_is_no_token_is_chosen() {
    let server = Server::start().await;
    let cases = [
        ("my-app", "my-app"),
        ("b, a", "b"),
        ("ymesh.v1, auth.0123456789abcdef", "ymesh.v1"),
        ("auth.0123456789abcdef, ymesh.v1", "ymesh.v1"),
        ("auth.0123456789abcdef", "auth.0123456789abcdef"),
    ];
    for (offered, chosen) in cases {
        let answer = server.handshake(PATH, &[("sec-websocket-protocol", offered)]).await;
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, chosen));
    }
}

#[tokio::test]
async fn when_there_are_too_many_documents_the_next_is_sent_away_for_now() {
    let server = Server::configured(|config| config.limits.documents_open_max = 1).await;
    let _first = server.visit("/ws/first", 1).await;
    assert_eq!(close_code(&mut server.connect("/ws/second").await).await, 1013);
    server.visit("/ws/first", 2).await;
}
