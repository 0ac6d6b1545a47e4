//! What several headers, or several items in one, say together.

use warp::http::header::{self, HeaderMap, HeaderName};

/// The items of all headers of this name; those that are no text are left out.
pub(super) fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

/// Whether a request with these headers asks for a WebSocket.
pub(super) fn wants_socket(headers: &HeaderMap) -> bool {
    list(headers, header::UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}
