//! What a client shows: its token, from one of three places, and its headers.

use warp::http::header;

use super::head::Head;
use crate::node::{Request, Token};

/// What a WebSocket sub-protocol begins with that is a token and no protocol.
const TOKEN_PROTOCOL: &str = "auth.";

/// What the access hook is asked with.
pub(super) fn request(head: &Head) -> Request {
    Request { token: token(head), address: head.address, headers: headers(head) }
}

/// The sub-protocol to answer with: the first that is no token; the token if there's nothing else, for a browser
/// gives up when none of those that it offered is chosen.
pub(super) fn protocol(head: &Head) -> Option<&str> {
    let mut offered = head.list(header::SEC_WEBSOCKET_PROTOCOL);
    let first = offered.next()?;
    [first].into_iter().chain(offered).find(|protocol| !protocol.starts_with(TOKEN_PROTOCOL)).or(Some(first))
}

fn token(head: &Head) -> Option<Token> {
    let found = bearer(head).or_else(|| offered(head)).map(str::to_owned).or_else(|| head.query_value("token"));
    found.filter(|token| !token.is_empty()).map(Token::new)
}

fn bearer(head: &Head) -> Option<&str> {
    let (scheme, token) = head.header(header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn offered(head: &Head) -> Option<&str> {
    head.list(header::SEC_WEBSOCKET_PROTOCOL).find_map(|protocol| protocol.strip_prefix(TOKEN_PROTOCOL))
}

/// The headers without those that hold a token.
fn headers(head: &Head) -> Vec<(String, String)> {
    let has_token = offered(head).is_some();
    let is_kept = |name: &&header::HeaderName| {
        **name != header::AUTHORIZATION && !(has_token && **name == header::SEC_WEBSOCKET_PROTOCOL)
    };
    let kept = head.headers.iter().filter(|(name, _)| is_kept(name));
    kept.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect()
}
