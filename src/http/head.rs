//! A request without its body, taken apart once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode_str;
use warp::Filter;
use warp::http::header::{self, HeaderMap, HeaderName};
use warp::http::{Method, StatusCode};
use warp::path::{FullPath, Peek};

use super::connections::Connection;
use super::headers;
use super::problem::Problem;

/// A request's head. It can't be printed: it may hold tokens.
pub(super) struct Head {
    pub method: Method,
    /// The path after the mount point, as it came.
    pub tail: String,
    /// What stands before that, with a slash at its end.
    pub base: String,
    /// As it came, without the question mark.
    pub query: String,
    pub headers: HeaderMap,
    /// Where it comes from, if the server says so.
    pub address: Option<SocketAddr>,
    /// The connection, if it's one of our own accept loop.
    pub connection: Option<Arc<Connection>>,
    /// What becomes the raw connection when it's upgraded.
    pub on_upgrade: Option<OnUpgrade>,
}

/// The filter that takes a request's head, and matches nothing of its path.
pub(super) fn head() -> impl Filter<Extract = (Head,), Error = Infallible> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(warp::path::peek())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::addr::remote())
        .and(warp::ext::optional::<Arc<Connection>>())
        .and(warp::ext::optional::<OnUpgrade>())
        .map(Head::new)
}

impl Head {
    #[expect(clippy::too_many_arguments, reason = "one for each filter above")]
    fn new(
        method: Method,
        path: FullPath,
        tail: Peek,
        query: String,
        headers: HeaderMap,
        remote: Option<SocketAddr>,
        connection: Option<Arc<Connection>>,
        on_upgrade: Option<OnUpgrade>,
    ) -> Self {
        let base = base(path.as_str(), tail.as_str());
        let address = connection.as_ref().map(|connection| connection.address()).or(remote);
        Self { method, tail: tail.as_str().to_owned(), base, query, headers, address, connection, on_upgrade }
    }

    /// A header's text, if it's there once and is printable ASCII.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        if values.next().is_some() { None } else { value.to_str().ok() }
    }

    /// The items of a header that holds a list.
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        headers::list(&self.headers, name)
    }

    /// Whether it asks for a WebSocket.
    pub fn wants_socket(&self) -> bool {
        headers::wants_socket(&self.headers)
    }

    /// The first value of that name in the query, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
        let spaced = value.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().ok().map(|decoded| decoded.into_owned())
    }

    /// Refuses every method but these.
    pub fn allow(&self, methods: &'static [Method]) -> Result<(), Problem> {
        if methods.contains(&self.method) {
            return Ok(());
        }
        let allowed = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path takes {allowed}"));
        Err(problem.with(header::ALLOW, &allowed))
    }
}

/// What stands before `tail` in `path`, with a slash at its end.
fn base(path: &str, tail: &str) -> String {
    let mut base = path.strip_suffix(tail).unwrap_or(path).to_owned();
    if !base.ends_with('/') {
        base.push('/');
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_what_stands_before_the_tail() {
        assert_eq!(base("/", ""), "/");
        assert_eq!(base("/d/notes", "d/notes"), "/");
        assert_eq!(base("/docs", ""), "/docs/");
        assert_eq!(base("/docs/", ""), "/docs/");
        assert_eq!(base("/a/b/d/a/b", "d/a/b"), "/a/b/");
    }
}
