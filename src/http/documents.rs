//! `/api/documents`: which documents there are, new ones, and those to be deleted. All under the access hook.

use bytes::Buf;
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use warp::http::header::{self, HeaderValue};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::head::Head;
use super::problem::Problem;
use super::shared::Shared;
use super::{credentials, names};
use crate::document::Access;
use crate::id::DocName;
use crate::node::{Denied, Durability, Listed, Node, Request};

/// Documents in an answer, if the client doesn't say how many.
const LIMIT: usize = 100;
/// Questions to the access hook at the same time.
const QUESTIONS: usize = 16;

#[derive(Serialize)]
struct Page {
    documents: Vec<Listed>,
    /// What to ask for next with `after`, if there's more.
    next: Option<DocName>,
}

#[derive(Deserialize)]
struct Wanted {
    name: Option<DocName>,
    /// What its acknowledgements mean, if not what the node's do.
    durability: Option<Durability>,
}

#[derive(Serialize)]
struct Created<'a> {
    name: &'a DocName,
    /// What its acknowledgements mean: no more than the store can give.
    durability: Durability,
}

pub(super) async fn answer<B: Buf>(
    shared: &Shared,
    head: &Head,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, Problem> {
    head.allow(&[Method::GET, Method::HEAD, Method::POST])?;
    shared.policy.admit_origin(head, shared.node.metrics())?;
    let request = credentials::request(head);
    if head.method != Method::POST {
        return list(&shared.node, head, &request).await;
    }
    let wanted = read(head, body, shared.node.config().limits.body_bytes_max).await?;
    create(&shared.node, head, &request, wanted).await
}

async fn list(node: &Node, head: &Head, request: &Request) -> Result<Response, Problem> {
    let after = head.query_value("after").map(|name| name.parse()).transpose();
    let after = after.map_err(|error| Problem::bad_request(format!("after: {error}")))?;
    let limit = head.query_value("limit").map_or(Ok(LIMIT), |limit| limit.parse());
    let limit = limit.map_err(|_| Problem::bad_request("limit: not a number"))?;
    let page = readable(node, request, after, limit.clamp(1, node.config().limits.list_max)).await?;
    Ok(json(StatusCode::OK, &page))
}

/// The next documents that may be read. Those that may not are passed over and never named, not even as `next`.
async fn readable(node: &Node, request: &Request, mut after: Option<DocName>, limit: usize) -> Result<Page, Problem> {
    let mut refusal = None;
    loop {
        let listed = node.documents(after.clone(), limit).await?;
        let is_last = listed.len() < limit;
        after = listed.last().map(|last| last.name.clone()).or(after);
        let answers = stream::iter(listed).map(|listed| async {
            let answer = node.authorize(request, &listed.name).await;
            (listed, answer)
        });
        let answers: Vec<_> = answers.buffered(QUESTIONS).collect().await;
        let mut documents = Vec::new();
        for (listed, answer) in answers {
            match answer {
                Ok(_) => documents.push(listed),
                Err(denied) => refusal = Some(denied),
            }
        }
        if documents.is_empty() && !is_last {
            continue;
        }
        if documents.is_empty() {
            known(node, request, refusal).await?;
        }
        let next = documents.last().filter(|_| !is_last).map(|last| last.name.clone());
        return Ok(Page { documents, next });
    }
}

/// Nothing may be read: is that because there's nothing, or because we don't know who asks?
async fn known(node: &Node, request: &Request, refusal: Option<Denied>) -> Result<(), Denied> {
    let refusal = match refusal {
        Some(refusal) => Some(refusal),
        None => node.authorize(request, &Node::drawn_name()).await.err(),
    };
    if refusal == Some(Denied::Unauthorized) { Err(Denied::Unauthorized) } else { Ok(()) }
}

async fn create(node: &Node, head: &Head, request: &Request, wanted: Wanted) -> Result<Response, Problem> {
    let name = wanted.name.unwrap_or_else(Node::drawn_name);
    let grant = node.authorize(request, &name).await?;
    if grant.access < Access::Write {
        return Err(Problem::forbidden("documents are created by those who may write them"));
    }
    let name = node.create_with(Some(name), wanted.durability).await?;
    let created = Created { name: &name, durability: node.given(wanted.durability) };
    let mut response = json(StatusCode::CREATED, &created);
    let place = format!("{}d/{}", head.base, names::to_path(&name));
    response.headers_mut().extend(HeaderValue::from_str(&place).ok().map(|place| (header::LOCATION, place)));
    Ok(response)
}

/// Deletes the document that the rest of the path names (I1).
pub(super) async fn delete(shared: &Shared, head: &Head, path: &str) -> Result<Response, Problem> {
    head.allow(&[Method::DELETE])?;
    shared.policy.admit_origin(head, shared.node.metrics())?;
    let name = names::from_path(path).map_err(|error| Problem::bad_request(error.to_string()))?;
    let grant = shared.node.authorize(&credentials::request(head), &name).await?;
    if grant.access < Access::Manage {
        return Err(Problem::forbidden("documents are deleted by those who may manage them"));
    }
    shared.node.delete(&name).await?;
    tracing::info!(document = %name, by = %grant.identity.0, "deleted");
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

async fn read<B: Buf>(
    head: &Head,
    body: impl Stream<Item = Result<B, warp::Error>>,
    bytes_max: usize,
) -> Result<Wanted, Problem> {
    let kind = head.header(header::CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"));
    }
    let body = whole(body, bytes_max).await?;
    serde_json::from_slice(&body).map_err(|error| Problem::bad_request(error.to_string()))
}

async fn whole<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut body = std::pin::pin!(body);
    let mut whole = Vec::new();
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|_| Problem::bad_request("the body ended early"))?;
        if whole.len() + part.remaining() > bytes_max {
            let detail = format!("the body may have {bytes_max} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        whole.extend_from_slice(&part.copy_to_bytes(part.remaining()));
    }
    Ok(whole)
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = Response::new(serde_json::to_vec(value).unwrap_or_default().into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
