//! The page and what it loads, from inside the binary.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::{Embed, EmbeddedFile};
use warp::http::header::{self, HeaderMap, HeaderValue};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::head::Head;
use super::problem::Problem;

/// Below this, compression saves no packet.
const GZIP_BYTES_MIN: usize = 1_024;
/// A file's name changes with its content, so it may be kept for ever (a year, as caches understand it).
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// What the page has for the mount point's sake.
const BASE: &str = r#"<base href="/">"#;

#[derive(Embed)]
#[folder = "web/dist"]
struct Bundle;

/// All files, compressed once. What they hold was fixed when the binary was built.
static FILES: LazyLock<BTreeMap<String, File>> = LazyLock::new(|| {
    let named = Bundle::iter().filter_map(|path| Some((path.to_string(), File::new(&path, Bundle::get(&path)?))));
    named.collect()
});

struct File {
    content: Bytes,
    gzip: Option<Bytes>,
    kind: String,
    tag: String,
}

/// Compresses the files now, so that nobody waits for it later.
pub(super) fn prepare() {
    LazyLock::force(&FILES);
}

/// The page, at whatever place it's mounted.
pub(super) fn index(head: &Head) -> Result<Response, Problem> {
    head.allow(&[Method::GET, Method::HEAD])?;
    let file = FILES.get("index.html").ok_or_else(Problem::internal)?;
    let page =
        String::from_utf8_lossy(&file.content).replacen(BASE, &format!(r#"<base href="{}">"#, escaped(&head.base)), 1);
    let mut response = Response::new(page.into());
    put(response.headers_mut(), header::CONTENT_TYPE, "text/html; charset=utf-8");
    put(response.headers_mut(), header::CACHE_CONTROL, "no-cache");
    Ok(response)
}

/// A file that the page loads.
pub(super) fn asset(head: &Head, path: &str) -> Result<Response, Problem> {
    head.allow(&[Method::GET, Method::HEAD])?;
    let file = FILES.get(path).ok_or_else(|| Problem::not_found("the page has no such file"))?;
    let mut response = file.answer(head);
    let headers = response.headers_mut();
    put(headers, header::CACHE_CONTROL, IMMUTABLE);
    put(headers, header::ETAG, &file.tag);
    put(headers, header::VARY, "accept-encoding");
    Ok(response)
}

impl File {
    fn new(path: &str, file: EmbeddedFile) -> Self {
        let kind = file.metadata.mimetype().to_owned();
        let content = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        let is_text = kind.starts_with("text/") || ["svg", "json", "js", "wasm"].iter().any(|end| path.ends_with(end));
        let gzip = is_text.then(|| gzip(&content)).flatten();
        let tag = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { content, gzip, kind, tag: format!("\"{tag}\"") }
    }

    fn answer(&self, head: &Head) -> Response {
        if head.list(header::IF_NONE_MATCH).any(|tag| tag.trim_start_matches("W/") == self.tag) {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let compressed = self.gzip.as_ref().filter(|_| takes_gzip(head));
        let mut response = Response::new(compressed.unwrap_or(&self.content).clone().into());
        put(response.headers_mut(), header::CONTENT_TYPE, &self.kind);
        if compressed.is_some() {
            put(response.headers_mut(), header::CONTENT_ENCODING, "gzip");
        }
        response
    }
}

fn takes_gzip(head: &Head) -> bool {
    head.list(header::ACCEPT_ENCODING).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let is_refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
        coding.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

/// The content, compressed, if that makes it smaller.
fn gzip(content: &[u8]) -> Option<Bytes> {
    if content.len() < GZIP_BYTES_MIN {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).ok()?;
    encoder.finish().ok().filter(|compressed| compressed.len() < content.len()).map(Bytes::from)
}

/// A path may hold what ends an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
