//! `/api/backup`: who gets it, what comes, and how long it may take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use y_mesh::document::{Access, Stored};
use y_mesh::node::access::Open;
use y_mesh::store::Store;
use y_mesh::store::dump::{Decoder, Item};
use y_mesh::{Denied, DocName, Grant, NodeBuilder, Request, Seq, StoreError};

use super::{Answer, Server, ms, soon, until};
use crate::support::watched::{Call, Watched};

const MANAGER: &str = "who-may-manage-everything";
const WRITER: &str = "who-may-write-everything";
const PARTLY: &str = "who-may-manage-but-one";

fn name(name: &str) -> DocName {
    name.parse().unwrap()
}

fn guarded(builder: NodeBuilder) -> NodeBuilder {
    builder.authorize(|request: Request, document: DocName| async move {
        match request.token.as_ref().map(|token| token.secret()) {
            Some(MANAGER) => Ok(Grant::manage("ops")),
            Some(PARTLY) if document.as_str() != "secret" => Ok(Grant::manage("ops")),
            Some(PARTLY) => Err(Denied::Forbidden),
            Some(WRITER) => Ok(Grant::write("ada")),
            _ => Err(Denied::Unauthorized),
        }
    })
}

fn request(server: &Server, token: &str) -> String {
    let address = server.address;
    let head = format!("GET /api/backup HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    if token.is_empty() { format!("{head}\r\n") } else { format!("{head}authorization: Bearer {token}\r\n\r\n") }
}

async fn refused(server: &Server, token: &str) -> Answer {
    server.ask(&request(server, token)).await
}

/// A backup that is being taken.
async fn begin(server: &Server, token: &str) -> TcpStream {
    let mut stream = server.tcp().await;
    stream.write_all(request(server, token).as_bytes()).await.unwrap();
    stream
}

/// What comes until the connection ends, as far as it's whole, and whether it ends as it should.
async fn rest(mut stream: TcpStream) -> (Vec<Item>, bool) {
    let mut answer = Vec::new();
    soon("the whole answer", stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..answer.len().min(300)]));
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let (mut decoder, mut items) = (Decoder::default(), Vec::new());
    let is_whole = unchunked(&answer[body..], |piece| decoder.feed(piece));
    while let Some(item) = decoder.item().unwrap() {
        items.push(item);
    }
    (items, is_whole && decoder.finish().is_ok())
}

async fn taken(server: &Server, token: &str) -> Vec<Item> {
    let (items, is_whole) = rest(begin(server, token).await).await;
    assert!(is_whole, "{items:?}");
    items
}

/// Takes the pieces of a body; whether its last one came.
fn unchunked(mut body: &[u8], mut take: impl FnMut(&[u8])) -> bool {
    while let Some(end) = body.windows(2).position(|end| end == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        let Some(piece) = body.get(end + 2..end + 2 + length) else { return false };
        take(piece);
        if length == 0 {
            return true;
        }
        body = body.get(end + 4 + length..).unwrap_or_default();
    }
    false
}

fn names(items: &[Item]) -> Vec<&str> {
    items
        .iter()
        .filter_map(|item| if let Item::Document { name, .. } = item { Some(name.as_str()) } else { None })
        .collect()
}

/// A store in memory with documents of so many bytes.
fn filled(documents: &[&str], bytes: usize) -> Watched {
    let store = Watched::kept();
    fill(&store, documents, bytes);
    store
}

fn fill(store: &Watched, documents: &[&str], bytes: usize) {
    let stored = Stored { exists: true, snapshot: Some((Seq(1), vec![7; bytes].into())), ..Stored::default() };
    let documents: Vec<_> = documents.iter().map(|document| (name(document), stored.clone())).collect();
    store.inner.import(&documents).unwrap();
}

#[tokio::test]
async fn a_backup_is_for_who_may_manage_every_document() {
    let server = Server::with(|_| {}, |node| guarded(node.store(filled(&["notes", "secret"], 9))), |door| door).await;
    assert_eq!(refused(&server, "").await.status, 401);
    assert_eq!(refused(&server, "somebody-elses-token-123").await.status, 401);
    for token in [WRITER, PARTLY] {
        let answer = refused(&server, token).await;
        assert_eq!((answer.status, answer.problem().contains("secret")), (403, false), "{}", answer.problem());
    }
    assert_eq!(names(&taken(&server, MANAGER).await), ["notes", "secret"]);
    let posted = format!("POST /api/backup HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\n\r\n", server.address);
    assert_eq!(server.ask(&posted).await.status, 405);
}

#[tokio::test]
async fn a_page_elsewhere_cant_make_a_browser_take_a_backup() {
    let server = Server::with(|_| {}, guarded, |door| door).await;
    let asked = |site: &str| request(&server, MANAGER).replacen("\r\n", &format!("\r\nsec-fetch-site: {site}\r\n"), 1);
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        assert_eq!(server.ask(&asked(site)).await.status, status, "{site}");
    }
}

#[tokio::test]
async fn who_may_see_that_there_is_nothing_is_asked_as_well() {
    let server = Server::with(|_| {}, guarded, |door| door).await;
    assert_eq!((refused(&server, "").await.status, refused(&server, WRITER).await.status), (401, 403));
    assert_eq!(taken(&server, MANAGER).await, [Item::End { documents: 0, damaged: 0 }]);
}

#[tokio::test]
async fn without_a_hook_everybody_may_write_and_nobody_takes_a_backup() {
    assert_eq!(refused(&Server::start().await, "").await.status, 403);
    let open = Server::with(|_| {}, |node| node.authorize(Open(Access::Manage)), |door| door).await;
    open.node.create(Some(name("notes"))).await.unwrap();
    assert_eq!(names(&taken(&open, "").await), ["notes"]);
}

#[tokio::test]
async fn many_documents_come_once_each_and_as_they_are_kept() {
    let all: Vec<_> = (0..1_234).map(|number| format!("doc {number:04}")).collect();
    let store = filled(&all.iter().map(String::as_str).collect::<Vec<_>>(), 300);
    fill(&store, &["large", "larger"], 3_000_000);
    store.inner.delete(&name("doc 0007"), Seq(2), &[]).unwrap();
    let kept = store.clone();
    let server = Server::with(|_| {}, |node| guarded(node.store(store)), |door| door).await;
    let items = taken(&server, MANAGER).await;
    assert_eq!(items.len(), 1_237);
    for item in &items[..1_236] {
        let Item::Document { name, stored, .. } = item else { panic!("{item:?} is no document") };
        assert_eq!(*stored, kept.inner.load(name).unwrap());
    }
    assert_eq!(names(&items)[..2], ["doc 0000", "doc 0001"]);
    assert_eq!(names(&items)[1_234..], ["large", "larger"]);
}

#[tokio::test]
async fn a_document_that_cant_be_read_is_named_and_the_others_come() {
    let store = Watched::new(|call| match call {
        Call::Load(document) if document.as_str() == "broken" => {
            Err(StoreError::Damaged { name: document.clone(), why: "record 5 can't be read".into() })
        }
        _ => Ok(()),
    });
    fill(&store, &["apart", "broken", "whole"], 9);
    let server = Server::with(|_| {}, |node| guarded(node.store(store)), |door| door).await;
    let items = taken(&server, MANAGER).await;
    assert_eq!(names(&items), ["apart", "whole"]);
    assert!(items.contains(&Item::Damaged { name: name("broken"), why: "record 5 can't be read".into() }));
    assert_eq!(items.last(), Some(&Item::End { documents: 2, damaged: 1 }));
}

#[tokio::test]
async fn few_backups_are_taken_at_a_time() {
    let store = filled(&["a", "b", "c", "d", "e", "f", "g", "h"], 4 << 20);
    let server =
        Server::with(|config| config.limits.backups_max = 1, |node| guarded(node.store(store)), |door| door).await;
    let first = begin(&server, MANAGER).await;
    first.readable().await.unwrap();
    assert_eq!(refused(&server, MANAGER).await.status, 503);
    for (token, status) in [(WRITER, 403), ("", 401)] {
        assert_eq!(refused(&server, token).await.status, status, "who may not has no part in how many there are");
    }
    drop(first);
    soon("the end of the first", async { while begin_status(&server).await == 503 {} }).await;
}

/// How a backup begins.
async fn begin_status(server: &Server) -> u16 {
    let mut stream = begin(server, MANAGER).await;
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_load_that_takes_longer_than_a_request_may_ends_no_backup() {
    let begun = Instant::now();
    let slow = Arc::new(std::sync::Barrier::new(2));
    let its = slow.clone();
    let store = Watched::new(move |call| {
        if let Call::Load(document) = call
            && document.as_str() == "slow"
        {
            its.wait();
        }
        Ok(())
    });
    fill(&store, &["fast", "slow"], 9);
    let limits = |config: &mut y_mesh::Config| {
        (config.timing.request_max, config.timing.write_max) = (ms(300), ms(300));
    };
    let server = Server::with(limits, |node| guarded(node.store(store)), |door| door).await;
    let stream = begin(&server, MANAGER).await;
    until("more time than a request has", || begun.elapsed() > ms(1_500)).await;
    tokio::task::spawn_blocking(move || slow.wait()).await.unwrap();
    let (items, is_whole) = rest(stream).await;
    assert!(is_whole);
    assert_eq!(names(&items), ["fast", "slow"]);
}

#[tokio::test]
async fn who_doesnt_take_a_backup_any_more_is_cut_off() {
    let store = filled(&["a", "b", "c", "d", "e", "f", "g", "h"], 4 << 20);
    let limits = |config: &mut y_mesh::Config| config.timing.write_max = Duration::from_millis(200);
    let server = Server::with(limits, |node| guarded(node.store(store)), |door| door).await;
    let stalled = begin(&server, MANAGER).await;
    until("the end of its patience", || server.refusals("request") == 1).await;
    let (_, is_whole) = rest(stalled).await;
    assert!(!is_whole);
}

#[tokio::test]
async fn a_server_that_stops_says_so_to_who_takes_a_backup() {
    let gate = Arc::new(std::sync::Barrier::new(2));
    let its = gate.clone();
    let store = Watched::new(move |call| {
        if let Call::Load(document) = call
            && document.as_str() == "slow"
        {
            its.wait();
        }
        Ok(())
    });
    fill(&store, &["slow"], 300_000);
    fill(&store, &["then"], 9);
    let server = Server::with(|_| {}, |node| guarded(node.store(store)), |door| door).await;
    let (stream, node) = (begin(&server, MANAGER).await, server.node.clone());
    // Its head says that it has begun.
    stream.readable().await.unwrap();
    let stopping = server.stop();
    until("the stop", || node.is_stopping()).await;
    tokio::task::spawn_blocking(move || gate.wait()).await.unwrap();
    let (items, _) = rest(stream).await;
    assert_eq!(items.last(), Some(&Item::Stopped { why: "the node is stopping".into() }));
    soon("the end", stopping).await.unwrap();
}
