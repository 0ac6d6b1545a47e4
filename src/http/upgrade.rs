//! From a request to a WebSocket (RFC 6455, section 4.2), and who gets one.
//!
//! A page of a foreign origin, a bad name or a bad handshake is refused as HTTP. Who lacks a right is let in and told
//! then: a browser doesn't show a page why an upgrade failed, but does show it a close code.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use warp::http::header::{self, HeaderValue};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::head::Head;
use super::problem::Problem;
use super::shared::Shared;
use super::socket::{Visit, Visitor};
use super::{credentials, names};

const VERSION: &str = "13";

/// Answers a request for a WebSocket on the document with this name, encoded as it came.
pub(super) async fn answer(shared: &Arc<Shared>, mut head: Head, name: &str) -> Result<Response, Problem> {
    let accept = accepted(&head)?;
    shared.policy.admit_origin(&head, shared.node.metrics())?;
    let name = names::from_path(name).map_err(|error| Problem::bad_request(error.to_string()))?;
    if shared.draining.is_cancelled() || shared.node.is_stopping() {
        return Err(Problem::unavailable("the server is restarting"));
    }
    let request = credentials::request(&head);
    let asked_in = shared.node.round();
    let grant = shared.node.authorize(&request, &name).await;
    let wants_acks = head.query_value("acks").as_deref() == Some("1");
    let response = switching(&accept, credentials::protocol(&head));
    let on_upgrade = head.on_upgrade.take().ok_or_else(|| Problem::bad_request("this connection can't be upgraded"))?;
    let visitor = Visitor { node: shared.node.clone(), name, request, grant, asked_in, wants_acks };
    start(on_upgrade, visitor, head);
    Ok(response)
}

/// The answer to who asks for a WebSocket's path as if it were a page.
pub(super) fn required() -> Problem {
    let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "this path is a WebSocket's");
    problem.with(header::UPGRADE, "websocket").with(header::CONNECTION, "upgrade")
}

/// Checks the handshake; gives the value that proves that we did.
fn accepted(head: &Head) -> Result<String, Problem> {
    head.allow(&[Method::GET])?;
    if !head.list(header::CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade")) {
        return Err(Problem::bad_request("the header Connection must say upgrade"));
    }
    if head.header(header::SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "the header Sec-WebSocket-Version must be 13");
        let problem = problem.with(header::SEC_WEBSOCKET_VERSION, VERSION);
        return Err(problem.with(header::UPGRADE, "websocket").with(header::CONNECTION, "upgrade"));
    }
    match head.header(header::SEC_WEBSOCKET_KEY) {
        Some(key) if is_key(key) => Ok(derive_accept_key(key.as_bytes())),
        _ => Err(Problem::bad_request("the header Sec-WebSocket-Key must be 16 bytes in base64")),
    }
}

/// 16 bytes in base64 are 22 letters and two equals signs; the last letter holds four bits alone.
fn is_key(key: &str) -> bool {
    let Some(letters) = key.strip_suffix("==") else { return false };
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    letters.len() == 22 && letters.bytes().all(is_letter) && letters.ends_with(['A', 'Q', 'g', 'w'])
}

fn switching(accept: &str, protocol: Option<&str>) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    // Both were valid header values, or are base64.
    let texts = [(header::SEC_WEBSOCKET_ACCEPT, Some(accept)), (header::SEC_WEBSOCKET_PROTOCOL, protocol)];
    headers.extend(texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::from_str(text?).ok()?))));
    response
}

fn start(on_upgrade: OnUpgrade, visitor: Visitor, head: Head) {
    let visit = Visit::new(visitor, head.connection);
    tokio::spawn(async move {
        // It fails if the connection ends before our answer is out.
        if let Ok(upgraded) = on_upgrade.await {
            visit.run(upgraded).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for key in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25j==",
            "dGhlIHNhbXBsZSBub25j ZQ==",
        ] {
            assert!(!is_key(key), "{key}");
        }
    }
}
