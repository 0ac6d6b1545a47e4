//! Who is let in: origins, host names, tokens.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::filter::LevelFilter;
use y_mesh::http::Door;
use y_mesh::wire::sync::{Frame, Frames};
use y_mesh::{Denied, Grant, NodeBuilder, Request};

use super::{Server, Visitor, goodbye};
use crate::support::client::Client;

const PATH: &str = "/ws/notes";
const TOKEN: &str = "a-good-token-0123456789";
const READER: &str = "a-reader-of-everything-01";
const ELSEWHERE: &str = "a-token-of-another-document";

fn tokens(builder: NodeBuilder) -> NodeBuilder {
    builder.authorize(|request: Request, _| async move {
        match request.token.as_ref().map(|token| token.secret()) {
            Some(TOKEN) => Ok(Grant::write("ada")),
            Some(READER) => Ok(Grant::read("bob")),
            Some(ELSEWHERE) => Err(Denied::Forbidden),
            _ => Err(Denied::Unauthorized),
        }
    })
}

async fn guarded() -> Server {
    Server::with(|_| {}, tokens, |door| door).await
}

async fn fitted(fit: impl FnOnce(Door) -> Door) -> Server {
    Server::with(|_| {}, |node| node, fit).await
}

async fn status(server: &Server, headers: &[(&str, &str)]) -> u16 {
    server.handshake(PATH, headers).await.status
}

#[tokio::test]
async fn pages_of_the_same_origin_and_programs_come_in_and_others_dont() {
    let server = fitted(|door| door.origins(vec!["https://app.example.org".parse().unwrap()])).await;
    let own = format!("http://{}", server.address);
    assert_eq!(status(&server, &[]).await, 101);
    for origin in [own.as_str(), "https://app.example.org"] {
        assert_eq!(status(&server, &[("origin", origin)]).await, 101, "{origin}");
    }
    // A proxy that speaks TLS for us.
    assert_eq!(status(&server, &[("origin", "https://docs.example.org"), ("host", "docs.example.org")]).await, 101);
    let others = [
        "https://example.org",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org.evil.example",
        "http://127.0.0.1:1",
        "http://localhost:5173",
        "null",
        "file://",
    ];
    for origin in others {
        let answer = server.handshake(PATH, &[("origin", origin)]).await;
        assert_eq!(answer.status, 403, "{origin}");
        answer.problem();
    }
    assert_eq!(server.refusals("origin"), others.len() as u64);
}

#[tokio::test]
async fn pages_of_this_machine_come_in_only_while_it_alone_is_listened_to() {
    let server = fitted(|door| door.loopback(true)).await;
    for origin in ["http://localhost:5173", "http://127.0.0.1:8080", "https://app.localhost", "http://[::1]:3000"] {
        assert_eq!(status(&server, &[("origin", origin)]).await, 101, "{origin}");
    }
    for origin in ["http://localhost.example.org", "https://example.org", "http://127.0.0.1.example.org"] {
        assert_eq!(status(&server, &[("origin", origin)]).await, 403, "{origin}");
    }
    let far = fitted(|door| door.loopback(false)).await;
    assert_eq!(status(&far, &[("origin", "http://localhost:5173")]).await, 403);
}

#[tokio::test]
async fn a_name_that_was_given_our_address_is_refused_where_names_are_all_that_protects() {
    let open =
        fitted(|door| door.loopback(true).open(true).origins(vec!["https://docs.example.org".parse().unwrap()])).await;
    let evil = [("host", "evil.example:1234"), ("origin", "http://evil.example:1234")];
    let answer = open.handshake(PATH, &evil).await;
    assert_eq!(answer.status, 403);
    assert!(answer.problem().contains("--origin"));
    for host in ["localhost:1234", "127.0.0.1", "[::1]:1234", "docs.example.org", "docs.example.org:8443"] {
        assert_eq!(status(&open, &[("host", host)]).await, 101, "{host}");
    }
    let page = "GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(open.ask(page).await.status, 403);
    let listing = "GET /api/documents HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(open.ask(listing).await.status, 403);
    assert_eq!(open.refusals("host"), 3);
    let with_tokens = fitted(|door| door.loopback(true)).await;
    assert_eq!(status(&with_tokens, &[("host", "docs.example.org")]).await, 101);
}

#[tokio::test]
async fn a_token_is_taken_from_three_places() {
    let server = guarded().await;
    let (bearer, protocol) = (format!("Bearer {TOKEN}"), format!("ymesh.v1, auth.{TOKEN}"));
    let query = format!("{PATH}?token={TOKEN}");
    let escaped = format!("{PATH}?acks=1&token={}&x=y", TOKEN.replace('-', "%2D"));
    let ways = [
        (PATH, vec![("authorization", bearer.as_str())]),
        (PATH, vec![("sec-websocket-protocol", protocol.as_str())]),
        (&query, vec![]),
        (&escaped, vec![]),
        // The header counts before the query.
        (&format!("{PATH}?token=nonsense"), vec![("authorization", bearer.as_str())]),
    ];
    for (path, headers) in ways {
        let (socket, _) = server.connect_with(path, &headers).await.unwrap();
        Visitor::new(socket, Client::new(1)).await.synced().await;
    }
}

#[tokio::test]
async fn who_is_denied_is_told_why_and_nothing_else() {
    let server = guarded().await;
    server.visit(&format!("{PATH}?token={TOKEN}"), 1).await.write("secret").await;
    let cases = [
        (String::new(), 4401),
        ("?token=".into(), 4401),
        ("?token=nobody-knows-this-token".into(), 4401),
        (format!("?token={TOKEN}x"), 4401),
        (format!("?token={ELSEWHERE}"), 4403),
    ];
    for (query, code) in &cases {
        let (messages, closed) = goodbye(&mut server.connect(&format!("{PATH}{query}")).await).await;
        assert_eq!(closed, *code, "{query}");
        let [told] = &messages[..] else { panic!("{messages:?}") };
        assert!(matches!(Frames::of(told).next(), Some(Ok(Frame::Denied(reason))) if !reason.is_empty()));
    }
    assert_eq!((server.refusals("token"), server.refusals("forbidden")), (4, 1));
}

#[tokio::test]
async fn what_a_reader_writes_is_refused_and_the_reader_stays() {
    let server = guarded().await;
    let mut ada = server.visit(&format!("{PATH}?token={TOKEN}"), 1).await;
    let mut bob = server.visit(&format!("{PATH}?token={READER}&acks=1"), 2).await;
    bob.write("not mine to write").await;
    bob.until("a refusal", |bob| bob.settled.is_some_and(|(_, refused)| refused == 1)).await;
    ada.write("by ada").await;
    bob.until("ada's text", |bob| bob.client.text().contains("by ada")).await;
    assert_eq!(bob.client.denied.len(), 1);
    server.visit(&format!("{PATH}?token={TOKEN}"), 3).await.reads("by ada").await;
}

#[tokio::test]
async fn the_hook_is_shown_where_a_request_comes_from_and_its_headers_without_the_token() {
    let (seen, shown) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (seen_by_hook, shown_to_hook) = (seen.clone(), shown.clone());
    let hook = move |request: Request, _| {
        seen_by_hook.lock().unwrap().push(request.address);
        shown_to_hook.lock().unwrap().extend(request.headers);
        async { Ok(Grant::write("ada")) }
    };
    let server = Server::with(|_| {}, |node| node.authorize(hook), |door| door).await;
    let bearer = format!("Bearer {TOKEN}");
    let headers =
        [("authorization", bearer.as_str()), ("cookie", "session=1"), ("sec-websocket-protocol", "auth.other")];
    server.connect_with(PATH, &headers).await.unwrap();
    assert!(seen.lock().unwrap()[0].unwrap().ip().is_loopback());
    let shown = shown.lock().unwrap();
    assert!(shown.contains(&("cookie".into(), "session=1".into())));
    assert!(shown.iter().all(|(_, value)| !value.contains(TOKEN) && !value.contains("auth.")), "{shown:?}");
}

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn start(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let to_log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
        tracing::subscriber::set_default(to_log.with_writer(move || log.clone()).finish())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_refused_origin_is_logged_once_with_what_would_allow_it() {
    let log = Log::default();
    let _logging = log.start();
    let server = Server::start().await;
    for _ in 0..3 {
        assert_eq!(status(&server, &[("origin", "https://app.example.org:8443")]).await, 403);
    }
    assert_eq!(log.text().matches("--origin https://app.example.org:8443").count(), 1, "{}", log.text());
    assert!(log.text().contains("WARN"));
}

#[tokio::test]
async fn no_token_gets_into_the_log() {
    let log = Log::default();
    let _logging = log.start();
    let server = guarded().await;
    let (bearer, protocol) = (format!("Bearer {TOKEN}"), format!("auth.{TOKEN}"));
    server.connect_with(PATH, &[("authorization", &bearer)]).await.unwrap();
    server.connect_with(PATH, &[("sec-websocket-protocol", &protocol)]).await.unwrap();
    server.visit(&format!("{PATH}?token={TOKEN}"), 1).await;
    goodbye(&mut server.connect(&format!("{PATH}?token={ELSEWHERE}")).await).await;
    server.get(&format!("/nothing?token={TOKEN}")).await;
    server.get(&format!("/api/documents?limit=x&token={TOKEN}")).await;
    let text = log.text();
    assert!(text.contains("notes"), "the log is on: {text}");
    assert!(!text.contains(TOKEN) && !text.contains(ELSEWHERE), "{text}");
}
