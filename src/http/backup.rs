//! `GET /api/backup`: everything that is kept, as one dump, while the node goes on.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use warp::Reply;
use warp::http::Method;
use warp::http::header::{self, HeaderValue};
use warp::reply::Response;

use super::connections::Connection;
use super::credentials;
use super::head::Head;
use super::problem::Problem;
use super::shared::Shared;
use crate::node::backup::NOT_ALL;
use crate::node::{Backup, Denied, Error};

/// Bytes that are handed to the connection at a time. Within the time of a write, so many must leave.
const PIECE: usize = 256 << 10;

pub(super) async fn answer(shared: &Shared, head: &Head) -> Result<Response, Problem> {
    head.allow(&[Method::GET])?;
    shared.policy.admit_own(head, shared.node.metrics())?;
    let backup = shared.node.backup(credentials::request(head)).await.map_err(|error| match error {
        Error::Denied(Denied::Forbidden) => Problem::forbidden(NOT_ALL),
        other => other.into(),
    })?;
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(send(backup, sender));
    let mut body = Body { pieces, connection: head.connection.clone() };
    let stream = stream::poll_fn(move |context| body.poll(context));
    let mut response = warp::reply::stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Reads on as the peer takes it, until it's complete or nobody takes it any more.
async fn send(mut backup: Backup, pieces: mpsc::Sender<Bytes>) {
    while let Some(parts) = backup.next().await {
        for mut part in parts {
            while !part.is_empty() {
                let piece = part.split_to(part.len().min(PIECE));
                if pieces.send(piece).await.is_err() {
                    return tracing::info!("a backup was broken off by who took it");
                }
            }
        }
    }
}

/// An answer's body. While the next piece is read, the connection's time stands still.
struct Body {
    pieces: mpsc::Receiver<Bytes>,
    connection: Option<Arc<Connection>>,
}

impl Body {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let piece = self.pieces.poll_recv(context);
        if let Some(connection) = &self.connection {
            match piece {
                Poll::Pending => connection.deadline.hold(),
                Poll::Ready(_) => connection.deadline.go_on(),
            }
        }
        piece.map(|piece| piece.map(Ok))
    }
}
