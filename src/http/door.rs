//! The door itself: who may come in, and the filter through which everybody comes.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{self, HeaderValue};
use warp::reject::Rejection;
use warp::reply::Response;

use super::head::{Head, head};
use super::origin::{Origin, Policy};
use super::problem::Problem;
use super::route::Route;
use super::shared::Shared;
use super::{accept, backup, documents, pages, status, upgrade};
use crate::Node;

/// What the page and everything else may load and do in a browser. Editors set styles of elements, hence the one exception.
const CONTENT_SECURITY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' https: data:; \
     style-src 'self' 'unsafe-inline'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

/// The way to a node over HTTP, and who may use it.
///
/// ```no_run
/// use y_mesh::Node;
/// use y_mesh::http::{Door, listen};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::builder().start()?;
/// let listener = listen(([127, 0, 0, 1], 1234).into(), &node.config().limits)?;
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// Door::new(node).origins(vec!["https://app.example.org".parse()?]).serve(listener, stop).await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Door {
    node: Node,
    policy: Policy,
}

impl Node {
    /// The node's HTTP and WebSocket routes, to be mounted anywhere in a warp server. Pages of the same origin may use
    /// them; [`Door::origins`] allows more.
    ///
    /// ```
    /// use warp::Filter;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = y_mesh::Node::builder().start()?;
    /// let routes = warp::path("docs").and(node.routes()).or(warp::path("hello").map(|| "hello"));
    /// let server = warp::serve(routes).bind(([127, 0, 0, 1], 0)).await;
    /// # drop(server);
    /// # Ok(()) }
    /// ```
    ///
    /// A path that is none of ours is rejected with warp's "not found", so that other routes can follow.
    pub fn routes(&self) -> BoxedFilter<(Response,)> {
        Door::new(self.clone()).routes()
    }
}

impl Door {
    /// A door that lets in pages of its own origin, and programs that aren't browsers.
    pub fn new(node: Node) -> Self {
        Self { node, policy: Policy::default() }
    }

    /// Lets in pages of these origins as well. They're compared exactly: scheme, host and port.
    #[must_use]
    pub fn origins(mut self, origins: Vec<Origin>) -> Self {
        self.policy.origins = origins;
        self
    }

    /// Says that it's reached from this machine alone: then every page that comes from this machine is let in.
    #[must_use]
    pub fn loopback(mut self, loopback: bool) -> Self {
        self.policy.is_loopback = loopback;
        self
    }

    /// Says that nobody has to show a token. On loopback a page from elsewhere could then come in under a name of its own
    /// that leads to this machine, so only requests to this machine's own names are answered.
    #[must_use]
    pub fn open(mut self, open: bool) -> Self {
        self.policy.is_open = open;
        self
    }

    /// The routes as a filter, to be mounted anywhere in a warp server; see [`Node::routes`].
    pub fn routes(&self) -> BoxedFilter<(Response,)> {
        routes(Arc::new(self.shared()))
    }

    /// Serves until `stop` resolves. Then no more connections are taken, those that are there are closed over
    /// `Timing::drain_spread` (1012, upon which clients come back elsewhere), the node is shut down, and this returns:
    /// when everything is durable, or `Timing::drain_max` after the stop at the latest.
    ///
    /// Dropping the future ends all connections at once, and leaves the node as it is.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let shared = Arc::new(self.shared());
        let routes = routes(shared.clone()).recover(not_found).unify().boxed();
        accept::serve(shared, routes, listener, stop).await;
    }

    fn shared(&self) -> Shared {
        Shared { node: self.node.clone(), policy: self.policy.clone(), draining: CancellationToken::new() }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("node", &self.node).field("policy", &self.policy).finish()
    }
}

fn routes(shared: Arc<Shared>) -> BoxedFilter<(Response,)> {
    let ours = head().and_then(|head: Head| async move {
        let route = Route::of(&head).ok_or_else(warp::reject::not_found)?;
        Ok::<_, Rejection>((head, route))
    });
    // The body is taken last, when it's sure that the request is ours: others could not read it any more.
    let answered =
        ours.and(warp::body::stream()).then(move |(head, route), body| answer(shared.clone(), head, route, body));
    answered.boxed()
}

async fn answer<B: Buf>(
    shared: Arc<Shared>,
    head: Head,
    route: Route,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response {
    let answer = match shared.policy.admit_host(&head, shared.node.metrics()) {
        Ok(()) => dispatch(&shared, head, route, body).await,
        Err(problem) => Err(problem),
    };
    secured(answer.unwrap_or_else(Problem::into_response))
}

async fn dispatch<B: Buf>(
    shared: &Arc<Shared>,
    head: Head,
    route: Route,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, Problem> {
    match route {
        Route::Socket(path) => upgrade::answer(shared, head, &path).await,
        Route::NoSocket => Err(upgrade::required()),
        Route::Documents => documents::answer(shared, &head, body).await,
        Route::Document(path) => documents::delete(shared, &head, &path).await,
        Route::Backup => backup::answer(shared, &head).await,
        Route::Page => pages::index(&head),
        Route::Asset(path) => pages::asset(&head, &path),
        Route::Health => status::health(&head),
        Route::Readiness => status::readiness(shared, &head),
        Route::Metrics => status::metrics(shared, &head),
    }
}

fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY));
    response
}

async fn not_found(rejection: Rejection) -> Result<Response, Infallible> {
    let problem = match rejection.is_not_found() {
        true => Problem::not_found("nothing is served at this path"),
        false => Problem::internal(),
    };
    Ok(secured(problem.into_response()))
}
