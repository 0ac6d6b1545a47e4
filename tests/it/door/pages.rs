//! The page, its files, and the mount point.

use std::io::Read;

use flate2::read::GzDecoder;
use tokio::net::TcpListener;
use warp::Filter;
use y_mesh::Node;

use super::{Server, Visitor, ask, close_code, connect};
use crate::support::client::Client;

async fn get(server: &Server, path: &str, headers: &str) -> super::Answer {
    server.ask(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")).await
}

/// The files that the page names.
fn assets(page: &str) -> Vec<String> {
    let quoted = page.split('"').filter_map(|text| text.strip_prefix("./"));
    quoted.filter(|path| path.starts_with("assets/")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_is_at_the_root_and_at_every_document() {
    let server = Server::start().await;
    for path in ["/", "/d/notes", "/d/team/%C3%BCber%20uns", "/d/"] {
        let page = get(&server, path, "").await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert_eq!(page.header("cache-control"), "no-cache");
        assert!(page.text().contains(r#"<base href="/">"#), "{path}");
        assert!(page.header("content-security-policy").starts_with("default-src 'self'; connect-src 'self' ws: wss:;"));
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn what_the_page_names_is_there_for_ever_and_compressed_for_who_can_take_it() {
    let server = Server::start().await;
    let page = get(&server, "/", "").await;
    let script = assets(page.text()).into_iter().find(|path| path.ends_with(".js")).expect("the page has a script");
    let plain = get(&server, &format!("/{script}"), "").await;
    assert_eq!((plain.status, plain.header("content-encoding")), (200, ""));
    assert!(plain.header("content-type").contains("javascript"));
    assert!(plain.header("cache-control").contains("immutable"));
    assert_eq!(plain.header("vary"), "accept-encoding");
    let gzip = get(&server, &format!("/{script}"), "accept-encoding: br, gzip;q=0.8\r\n").await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    assert!(gzip.body.len() < plain.body.len());
    let mut unpacked = Vec::new();
    GzDecoder::new(&gzip.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let refused = get(&server, &format!("/{script}"), "accept-encoding: gzip;q=0\r\n").await;
    assert_eq!(refused.header("content-encoding"), "");
    for file in assets(page.text()) {
        assert_eq!(get(&server, &format!("/{file}"), "").await.status, 200, "{file}");
    }
}

#[tokio::test]
async fn a_file_that_is_known_isnt_sent_again() {
    let server = Server::start().await;
    let file = assets(get(&server, "/", "").await.text())[0].clone();
    let tag = get(&server, &format!("/{file}"), "").await.header("etag").to_owned();
    assert!(tag.len() > 2);
    for known in [tag.clone(), format!("\"other\", W/{tag}")] {
        let again = get(&server, &format!("/{file}"), &format!("if-none-match: {known}\r\n")).await;
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    assert_eq!(get(&server, &format!("/{file}"), "if-none-match: \"other\"\r\n").await.status, 200);
}

#[tokio::test]
async fn nothing_else_is_served_from_the_bundle() {
    let server = Server::start().await;
    for path in ["/assets/nothing.js", "/assets/../index.html", "/assets/%2e%2e/index.html", "/index.html", "/assets/"]
    {
        let answer = get(&server, path, "").await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, "no-store"), "{path}");
    }
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let server = Server::start().await;
    for path in ["/", "/healthz", "/api/documents"] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = server.tcp().await;
        stream
            .write_all(format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn the_routes_can_be_mounted_in_any_warp_server() {
    let node = Node::builder().start().unwrap();
    let ours = warp::path("docs").and(node.routes());
    let theirs =
        warp::path!("docs" / "mine").and(warp::body::bytes()).map(|_| "mine").or(warp::path("other").map(|| "other"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(ours.or(theirs)).incoming(listener).run());
    let get =
        async |path: &str| ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
    for path in ["/docs", "/docs/", "/docs/d/a/b"] {
        let page = get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text().contains(r#"<base href="/docs/">"#), "{path}: {}", page.text());
    }
    assert_eq!(get("/docs/healthz").await.text(), "ok");
    // What isn't ours is left to others, with its body.
    assert_eq!((get("/docs/mine").await.text(), get("/other").await.text()), ("mine", "other"));
    let body = r#"{"name":"a b"}"#;
    let head =
        "POST /docs/api/documents HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let created = ask(address, &format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
    assert_eq!((created.status, created.header("location")), (201, "/docs/d/a%20b"));
    let visit = async |path: &str, id| {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (socket, _) = connect(stream, &format!("ws://{address}{path}"), &[]).await.unwrap();
        let mut visitor = Visitor::new(socket, Client::new(id)).await;
        visitor.synced().await;
        visitor
    };
    visit("/docs/ws/notes", 1).await.write("mounted").await;
    visit("/docs/notes", 2).await.reads("mounted").await;
    // The node ends its sessions itself when somebody else's server carries them.
    let mut last = visit("/docs/ws/notes", 3).await;
    node.shutdown(super::PATIENCE).await;
    assert_eq!(close_code(&mut last.socket).await, 1012);
}
