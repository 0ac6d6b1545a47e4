//! Errors as RFC 9457 tells them: `application/problem+json`.

use serde::Serialize;
use warp::http::StatusCode;
use warp::http::header::{self, HeaderName, HeaderValue};
use warp::reply::Response;

use crate::node::{Denied, Error};

/// How long somebody should wait who is told to come back, in seconds.
const RETRY_AFTER: &str = "5";

/// An answer that says what is wrong.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), headers: Vec::new() }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "this request can't be answered")
    }

    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// Adds a header. One that is no valid text is left out.
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    pub fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = Body { r#type: "about:blank", title, status: self.status.as_u16(), detail: &self.detail };
        let mut response = Response::new(serde_json::to_vec(&body).unwrap_or_default().into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorized => {
                Self::new(StatusCode::UNAUTHORIZED, denied.to_string()).with(header::WWW_AUTHENTICATE, "Bearer")
            }
            Denied::Forbidden => Self::forbidden(denied.to_string()),
            Denied::Unavailable => Self::unavailable(denied.to_string()),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(denied) => denied.into(),
            Error::NotFound(_) => Self::not_found(error.to_string()),
            Error::Exists(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            Error::Store(error) => {
                tracing::error!(%error, "the store failed");
                Self::unavailable("the store failed")
            }
            Error::StoreLow(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
            Error::TooManyDocuments | Error::TooManyBackups | Error::Unavailable(_) | Error::Stopping => {
                Self::unavailable(error.to_string())
            }
        }
    }
}
