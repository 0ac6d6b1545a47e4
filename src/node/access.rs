//! Who may do what: the hook through which everything that reaches a document goes.

use std::fmt;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::document::{Access, CloseCode, Kind};
use crate::id::{DocName, Identity};

/// What somebody shows who wants to reach a document. Kept as long as the session lives, to be asked again.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The token, wherever it came in.
    pub token: Option<Token>,
    /// Where the request comes from. `None` inside the embedding program.
    pub address: Option<SocketAddr>,
    /// The HTTP headers, names in lower case, without the one that carried the token.
    pub headers: Vec<(String, String)>,
}

/// A secret that a client shows. It's never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token over.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The secret itself. Compare it in constant time, and don't log it.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What somebody may do with a document, and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What is allowed.
    pub access: Access,
    /// Who it is; noted with each change.
    pub identity: Identity,
}

impl Grant {
    /// May receive and change, as somebody.
    pub fn write(identity: impl Into<Identity>) -> Self {
        Self { access: Access::Write, identity: identity.into() }
    }

    /// May receive, change and manage, as somebody.
    pub fn manage(identity: impl Into<Identity>) -> Self {
        Self { access: Access::Manage, identity: identity.into() }
    }

    /// What a session is that has this right.
    pub fn kind(self) -> Kind {
        Kind::Client { access: self.access, identity: self.identity }
    }

    /// May receive, as somebody.
    pub fn read(identity: impl Into<Identity>) -> Self {
        Self { access: Access::Read, identity: identity.into() }
    }
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// We don't know who it is: close code 4401, HTTP 401.
    #[error("a token is missing or unknown")]
    Unauthorized,
    /// We do, and it has no right to this document: close code 4403, HTTP 403.
    #[error("no access to this document")]
    Forbidden,
    /// It can't be said now: close code 1013, HTTP 503. Who asked may ask again later.
    #[error("access can't be checked now")]
    Unavailable,
}

impl Denied {
    /// How a session ends for this.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::Unauthorized => CloseCode::Unauthorized,
            Self::Forbidden => CloseCode::Forbidden,
            Self::Unavailable => CloseCode::Later,
        }
    }
}

/// The answer to a question about access, some time.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Grant, Denied>> + Send + 'a>>;

/// Decides who may do what. It's asked when somebody comes, and again when [`Node::reauthorize`](crate::Node::reauthorize) is called.
///
/// A closure will do:
///
/// ```
/// use y_mesh::{Denied, Grant, Node};
///
/// let node = Node::builder()
///     .authorize(|request: y_mesh::Request, _document| async move {
///         match request.token.as_ref().map(|token| token.secret()) {
///             Some("open sesame") => Ok(Grant::write("ali")),
///             _ => Err(Denied::Unauthorized),
///         }
///     })
///     .start()?;
/// # Ok::<(), y_mesh::StartError>(())
/// ```
pub trait Authorize: Send + Sync + 'static {
    /// What `request` may do with `document`. An answer that takes longer than `Timing::authorize_max` counts as [`Denied::Unavailable`].
    fn authorize<'a>(&'a self, request: &'a Request, document: &'a DocName) -> Answer<'a>;
}

impl<F, A> Authorize for F
where
    F: Fn(Request, DocName) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Grant, Denied>> + Send + 'static,
{
    fn authorize<'a>(&'a self, request: &'a Request, document: &'a DocName) -> Answer<'a> {
        Box::pin(self(request.clone(), document.clone()))
    }
}

/// Everybody has the same right to everything.
#[derive(Clone, Copy, Debug)]
pub struct Open(pub Access);

impl Authorize for Open {
    fn authorize<'a>(&'a self, _: &'a Request, _: &'a DocName) -> Answer<'a> {
        Box::pin(ready(Ok(Grant { access: self.0, identity: Identity::anonymous() })))
    }
}

/// The hook, shared.
pub(crate) type Hook = Arc<dyn Authorize>;
