//! Which path means what.

use super::head::Head;

/// First segments that have a use here or will have, so that no drop-in document may begin with one.
const RESERVED: [&str; 12] =
    ["ws", "hocuspocus", "d", "doc", "api", "inspect", "demo", "mesh", "metrics", "healthz", "readyz", "assets"];

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A WebSocket of the document with this name, encoded as it came.
    Socket(String),
    /// A WebSocket's path, asked for without an upgrade.
    NoSocket,
    Documents,
    /// The document with this name, encoded as it came.
    Document(String),
    Backup,
    Page,
    /// A file of the page, by its path in the bundle.
    Asset(String),
    Health,
    Readiness,
    Metrics,
}

impl Route {
    /// The route of a request, if it's one of ours.
    pub fn of(head: &Head) -> Option<Self> {
        if head.wants_socket() { Self::of_socket(&head.tail) } else { Self::of_request(&head.tail) }
    }

    fn of_socket(tail: &str) -> Option<Self> {
        match tail.split_once('/') {
            Some(("ws", name)) => Some(Self::Socket(name.to_owned())),
            _ if is_reserved(tail) => None,
            _ => Some(Self::Socket(tail.to_owned())),
        }
    }

    fn of_request(tail: &str) -> Option<Self> {
        Some(match tail {
            "" => Self::Page,
            "api/documents" => Self::Documents,
            "api/backup" => Self::Backup,
            "healthz" => Self::Health,
            "readyz" => Self::Readiness,
            "metrics" => Self::Metrics,
            _ if tail.starts_with("api/documents/") => Self::Document(tail["api/documents/".len()..].to_owned()),
            _ => match tail.split_once('/')? {
                ("d", _) => Self::Page,
                ("ws", _) => Self::NoSocket,
                ("assets", _) => Self::Asset(tail.to_owned()),
                _ => return None,
            },
        })
    }
}

/// Whether the first segment of a name is reserved, however it's encoded.
fn is_reserved(tail: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(tail).decode_utf8_lossy();
    let first = decoded.split('/').next().unwrap_or_default();
    RESERVED.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(name: &str) -> Option<Route> {
        Some(Route::Socket(name.to_owned()))
    }

    #[test]
    fn a_name_under_ws_is_free_and_a_drop_in_must_not_be_reserved() {
        assert_eq!(Route::of_socket("ws/api/documents"), socket("api/documents"));
        assert_eq!(Route::of_socket("notes/today"), socket("notes/today"));
        assert_eq!(Route::of_socket("apiary"), socket("apiary"));
        for reserved in RESERVED {
            assert_eq!(Route::of_socket(reserved), None);
            assert_eq!(Route::of_socket(&format!("{reserved}%2Fx")), None);
        }
        assert_eq!(Route::of_socket("%61pi/documents"), None);
    }

    #[test]
    fn the_page_is_at_the_root_and_at_every_document() {
        assert_eq!(Route::of_request(""), Some(Route::Page));
        assert_eq!(Route::of_request("d/a/b"), Some(Route::Page));
        assert_eq!(Route::of_request("notes"), None);
        assert_eq!(Route::of_request("ws/notes"), Some(Route::NoSocket));
        assert_eq!(Route::of_request("api/documents/a/b%2F"), Some(Route::Document("a/b%2F".into())));
    }
}
