//! For whoever looks after the server: does it live, may it be used, what does it count.

use serde::Serialize;
use warp::http::header::{self, HeaderValue};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::head::Head;
use super::problem::Problem;
use super::shared::Shared;
use crate::node::Durability;

const READ: &[Method] = &[Method::GET, Method::HEAD];
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    draining: bool,
    /// The store's disk is almost full: documents are read, and no changes are taken.
    low: bool,
    store: &'static str,
    durability: Durability,
}

/// The process answers.
pub(super) fn health(head: &Head) -> Result<Response, Problem> {
    head.allow(READ)?;
    Ok(text("ok".into(), "text/plain; charset=utf-8"))
}

/// Whether new clients should come here.
pub(super) fn readiness(shared: &Shared, head: &Head) -> Result<Response, Problem> {
    head.allow(READ)?;
    let draining = shared.draining.is_cancelled() || shared.node.is_stopping();
    let (store, durability) = shared.node.store();
    let (ready, low) = (shared.node.is_ready() && !draining, shared.node.is_store_low());
    let readiness = Readiness { ready, draining, low, store, durability };
    let mut response = text(serde_json::to_string(&readiness).unwrap_or_default(), "application/json");
    if !readiness.ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// What the node counts.
pub(super) fn metrics(shared: &Shared, head: &Head) -> Result<Response, Problem> {
    head.allow(READ)?;
    Ok(text(shared.node.metrics().render(), OPEN_METRICS))
}

fn text(text: String, kind: &'static str) -> Response {
    let mut response = Response::new(text.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
