//! Which pages may come in. A browser says of which origin a page is; other programs say nothing, and aren't asked.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use warp::http::header;

use super::head::Head;
use super::problem::Problem;
use crate::node::Metrics;

/// Where a browser says whether a request was caused by a page of the same origin, of another, or by the user.
const FETCH_SITE: &str = "sec-fetch-site";
/// Refused origins that are remembered, so that each is logged once.
const LOGGED_MAX: usize = 100;

/// Where a page comes from: scheme, host and port, as a browser's `Origin` header has them.
///
/// ```
/// use y_mesh::http::Origin;
///
/// let origin: Origin = "https://app.example.org:443".parse()?;
/// assert_eq!(origin.to_string(), "https://app.example.org");
/// assert!("app.example.org".parse::<Origin>().is_err());
/// # Ok::<(), y_mesh::http::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    scheme: String,
    host: Host,
}

/// A host as a URL or a `Host` header names it. The port is left out where it's the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Host {
    /// In lower case; an IPv6 address in brackets.
    name: String,
    port: Option<u16>,
}

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no origin: {why}; write it like https://app.example.org or http://localhost:5173")]
pub struct InvalidOrigin {
    text: String,
    why: &'static str,
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let fail = |why| InvalidOrigin { text: text.to_owned(), why };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| fail("it has no scheme"))?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(is_scheme) {
            return Err(fail("its scheme isn't one"));
        }
        if rest.contains(['/', '?', '#', '@']) {
            return Err(fail("nothing may follow the host and its port, no path and no slash"));
        }
        let scheme = scheme.to_ascii_lowercase();
        let host = Host::parse(rest).map_err(fail)?.for_scheme(&scheme);
        Ok(Self { scheme, host })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host.name)?;
        self.host.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, &'static str> {
        // The last colon ends the host, unless it's within the brackets of an IPv6 address.
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
            _ => (text, None),
        };
        let port = port.map(|port| port.parse().map_err(|_| "its port is no number below 65536")).transpose()?;
        let name = name.to_ascii_lowercase();
        let is_address = name.starts_with('[') && name.ends_with(']') && address(&name).is_some();
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        match is_address || is_name {
            true => Ok(Self { name, port }),
            false => Err("its host isn't one (international names are written as xn--…)"),
        }
    }

    fn for_scheme(mut self, scheme: &str) -> Self {
        let own = match scheme {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        self.port = self.port.filter(|port| Some(*port) != own);
        self
    }

    fn is_loopback(&self) -> bool {
        let is_local_name = self.name == "localhost" || self.name.ends_with(".localhost");
        is_local_name || address(&self.name).is_some_and(|address| address.to_canonical().is_loopback())
    }
}

fn address(name: &str) -> Option<IpAddr> {
    name.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Who is let in.
#[derive(Clone, Default)]
pub(super) struct Policy {
    pub origins: Vec<Origin>,
    /// Only this machine reaches us.
    pub is_loopback: bool,
    /// Nobody has to show a token.
    pub is_open: bool,
    /// Origins that were refused and logged.
    logged: Arc<Mutex<BTreeSet<String>>>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origins, is_loopback, is_open, .. } = self;
        f.debug_struct("Policy")
            .field("origins", origins)
            .field("loopback", is_loopback)
            .field("open", is_open)
            .finish()
    }
}

impl Policy {
    /// Refuses a request under a name that isn't this machine's, where the name is all that protects us: a page may give
    /// its own name this machine's address, and would then be of our origin.
    pub fn admit_host(&self, head: &Head, metrics: &Metrics) -> Result<(), Problem> {
        let is_guard = self.is_loopback && self.is_open;
        if !is_guard || !head.headers.contains_key(header::HOST) {
            return Ok(());
        }
        let host = head.header(header::HOST).and_then(|text| Host::parse(text).ok());
        let is_ours = |host: &Host| host.is_loopback() || self.origins.iter().any(|o| o.host.name == host.name);
        if host.as_ref().is_some_and(is_ours) {
            return Ok(());
        }
        metrics.refused("host");
        Err(Problem::forbidden(
            "this server listens on loopback without tokens, so it's reached as localhost alone; \
             for another name, allow its origin with --origin or ask for tokens",
        ))
    }

    /// Refuses pages like [`admit_origin`](Self::admit_origin), and also what a page elsewhere only links to or embeds: for that
    /// a browser names no origin, and says of itself that it's from another site.
    pub fn admit_own(&self, head: &Head, metrics: &Metrics) -> Result<(), Problem> {
        self.admit_origin(head, metrics)?;
        let site = head.headers.get(FETCH_SITE).map(|site| site.as_bytes());
        if head.headers.contains_key(header::ORIGIN) || matches!(site, None | Some(b"same-origin" | b"none")) {
            return Ok(());
        }
        metrics.refused("origin");
        Err(Problem::forbidden("this isn't for pages of another site to ask for"))
    }

    /// Refuses pages of an origin that isn't allowed.
    pub fn admit_origin(&self, head: &Head, metrics: &Metrics) -> Result<(), Problem> {
        if !head.headers.contains_key(header::ORIGIN) {
            return Ok(());
        }
        let text = head.header(header::ORIGIN).unwrap_or("(unreadable)");
        let origin = text.parse::<Origin>().ok();
        if origin.as_ref().is_some_and(|origin| self.allows(origin, head)) {
            return Ok(());
        }
        metrics.refused("origin");
        self.log_once(text, origin.as_ref());
        Err(Problem::forbidden(match origin {
            Some(origin) => format!("pages of {origin} may not connect; --origin {origin} allows them"),
            None => "pages of an origin without a name may not connect".to_owned(),
        }))
    }

    fn allows(&self, origin: &Origin, head: &Head) -> bool {
        let is_local = || self.is_loopback && origin.host.is_loopback();
        self.origins.contains(origin) || is_local() || is_same(origin, head)
    }

    fn log_once(&self, text: &str, origin: Option<&Origin>) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() >= LOGGED_MAX || !logged.insert(text.chars().take(200).collect()) {
            return;
        }
        match origin {
            Some(origin) => {
                tracing::warn!("a page of {origin} was refused; to let it in, start with --origin {origin}")
            }
            None => tracing::warn!("a page was refused, for its origin has no name: {text:.200}"),
        }
    }
}

/// Whether the page comes from where the request goes. A proxy may speak TLS for us, so the scheme isn't compared, and
/// says only which port is meant when none is named.
fn is_same(origin: &Origin, head: &Head) -> bool {
    let host = head.header(header::HOST).and_then(|text| Host::parse(text).ok());
    host.is_some_and(|host| host.for_scheme(&origin.scheme) == origin.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        text.parse::<Origin>().map(|origin| origin.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn origins_are_compared_in_one_form() {
        assert_eq!(parse("HTTPS://App.Example.ORG:443").unwrap(), "https://app.example.org");
        assert_eq!(parse("http://[::1]:80").unwrap(), "http://[::1]");
        assert_eq!(parse("http://[::1]:5173").unwrap(), "http://[::1]:5173");
        assert_eq!(parse("http://example.org:443").unwrap(), "http://example.org:443");
        assert_eq!(parse("tauri://localhost").unwrap(), "tauri://localhost");
    }

    #[test]
    fn what_is_no_origin_is_told_why_and_how() {
        let cases = [
            ("app.example.org", "no scheme"),
            ("null", "no scheme"),
            ("*", "no scheme"),
            ("https://app.example.org/", "no slash"),
            ("https://user@example.org", "follow the host"),
            ("https://", "host"),
            ("https://ex ample.org", "host"),
            ("https://bücher.example", "xn--"),
            ("https://[::1", "host"),
            ("https://*.example.org", "host"),
            ("https://example.org:99999", "port"),
            ("https://example.org:", "port"),
        ];
        for (text, why) in cases {
            let told = parse(text).unwrap_err();
            assert!(told.contains(why) && told.contains("https://app.example.org"), "{told}");
        }
    }

    #[test]
    fn loopback_has_many_names_and_no_lookalikes() {
        let is_loopback = |text: &str| Host::parse(text).unwrap().is_loopback();
        for text in
            ["localhost", "LOCALHOST:80", "app.localhost", "127.0.0.1", "127.8.0.1:1", "[::1]:5", "[::ffff:127.0.0.1]"]
        {
            assert!(is_loopback(text), "{text}");
        }
        for text in ["localhost.example.org", "notlocalhost", "128.0.0.1", "[::2]", "127.0.0.1.example.org", "0.0.0.0"]
        {
            assert!(!is_loopback(text), "{text}");
        }
    }
}
