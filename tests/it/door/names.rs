//! From paths to documents.

use super::Server;

#[tokio::test]
async fn a_name_may_be_written_in_several_ways() {
    let server = Server::start().await;
    let mut first = server.visit("/ws/a/b%20c/%C3%BC%3F?acks=1", 1).await;
    first.write("here").await;
    first.saved(2).await;
    for path in
        ["/a/b%20c/%c3%bc%3f", "/ws/a%2Fb%20c%2F%C3%BC%3F", "/a%2Fb%20c/%C3%BC%3F?v=2", "/ws/a/b%20c/%C3%BC%3F?"]
    {
        server.visit(path, 2).await.reads("here").await;
    }
    let names: Vec<_> = server.node.documents(None, 10).await.unwrap();
    let names: Vec<_> = names.iter().map(|listed| listed.name.as_str()).collect();
    assert_eq!(names, ["a/b c/ü?"]);
}

#[tokio::test]
async fn names_are_decoded_once_and_compared_byte_by_byte() {
    let server = Server::start().await;
    let paths =
        ["once%20x", "once%2520x", "1+1", "1%201", "Case", "case", "caf%C3%A9", "cafe%CC%81", "a", "a/", "a//", "ws/a"];
    for (at, path) in paths.iter().enumerate() {
        server.visit(&format!("/ws/{path}"), at as u64 + 1).await.write(path).await;
    }
    for (at, path) in paths.iter().enumerate() {
        server.visit(&format!("/ws/{path}"), at as u64 + 100).await.reads(path).await;
    }
}

#[tokio::test]
async fn the_longest_name_is_256_bytes() {
    let server = Server::start().await;
    server.visit(&format!("/ws/{}", "%C3%A9".repeat(128)), 1).await;
    server.visit(&format!("/{}", "x".repeat(256)), 1).await;
    for name in ["x".repeat(257), "%C3%A9".repeat(129)] {
        for prefix in ["/ws/", "/"] {
            let answer = server.handshake(&format!("{prefix}{name}"), &[]).await;
            assert_eq!(answer.status, 400);
            assert!(answer.problem().contains("256"));
        }
    }
}

#[tokio::test]
async fn what_is_no_name_is_refused_before_the_upgrade() {
    let server = Server::start().await;
    for name in ["", "a%00b", "a%0Ab", "%1B%5B31m", "a%7F", "a%C2%85b", "a%FF", "a%2", "%zz"] {
        for prefix in ["/ws/", "/"] {
            let answer = server.handshake(&format!("{prefix}{name}"), &[]).await;
            assert_eq!(answer.status, 400, "{prefix}{name}");
            assert!(!answer.problem().is_empty());
        }
    }
    assert!(server.node.documents(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn reserved_words_are_names_under_ws_alone() {
    let server = Server::start().await;
    let reserved = [
        "hocuspocus",
        "d/x",
        "doc",
        "api/documents",
        "inspect",
        "demo",
        "mesh",
        "metrics",
        "healthz",
        "readyz",
        "assets/a.js",
    ];
    for (at, word) in reserved.iter().enumerate() {
        let answer = server.handshake(&format!("/{word}"), &[]).await;
        assert_eq!(answer.status, 404, "{word}");
        answer.problem();
        server.visit(&format!("/ws/{word}"), at as u64).await;
    }
    assert_eq!(server.handshake("/%61pi/documents", &[]).await.status, 404);
    assert_eq!(server.handshake("/apiary", &[]).await.status, 101);
}
