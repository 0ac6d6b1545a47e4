//! The accept loop, and what one connection may cost before it's a WebSocket: a head that comes in time and isn't too
//! large, few headers, a request that ends in time, and not too many of them.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use warp::filters::BoxedFilter;
use warp::http::{Request, StatusCode, header};
use warp::reply::Response;

use super::connections::{Connection, Connections, Full};
use super::problem::Problem;
use super::shared::Shared;
use super::{drain, pages};
use crate::config::{Config, Limits};
use crate::node::Node;

/// Headers of a request. Browsers send about twenty.
const HEADERS_MAX: usize = 64;
/// hyper takes no smaller buffer.
const BUFFER_BYTES_MIN: usize = 8 << 10;
/// Pauses of the accept loop after an error that it has caused itself, such as too few file descriptors.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Connections that are told at the same time that there's no room. More are dropped without a word.
const TURNED_AWAY_MAX: usize = 64;
/// How long one of them has to take that in.
const TURNED_AWAY_FOR: Duration = Duration::from_secs(1);
const FEELS_EVERY: Duration = Duration::from_millis(50);
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Listens on an address. Must be called where tokio runs.
///
/// The address can be taken again at once after a restart, and the kernel holds `Limits::backlog` connections until
/// they're accepted.
///
/// # Errors
/// Those of the system: the address is in use, isn't ours, or isn't allowed.
pub fn listen(address: SocketAddr, limits: &Limits) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Elsewhere the option means that somebody else may take the address while we have it.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(limits.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

struct Server {
    shared: Arc<Shared>,
    routes: BoxedFilter<(Response,)>,
    http: http1::Builder,
    connections: Arc<Connections>,
    turned_away: Arc<Semaphore>,
}

/// Serves until `stop`, then drains.
pub(super) async fn serve(
    shared: Arc<Shared>,
    routes: BoxedFilter<(Response,)>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) {
    tokio::task::spawn_blocking(pages::prepare);
    let ended = CancellationToken::new();
    let _ended_with_us = ended.clone().drop_guard();
    let server = Arc::new(Server::new(shared, routes, ended));
    // A task like those of the sockets, so that it waits where they wait.
    let feeling = tokio::spawn(feel(server.shared.node.clone()));
    tokio::select! {
        biased;
        () = stop => {}
        () = server.accept(&listener) => {}
    }
    feeling.abort();
    server.shared.draining.cancel();
    drop(listener);
    drain::drain(&server.shared.node, &server.connections).await;
}

/// Feels how long who is next has to wait here, where those who send much are beside those who send little.
async fn feel(node: Node) {
    let mut looks = interval(FEELS_EVERY);
    loop {
        looks.tick().await;
        let start = Instant::now();
        yield_now().await;
        node.feel(start.elapsed());
    }
}

impl Server {
    fn new(shared: Arc<Shared>, routes: BoxedFilter<(Response,)>, ended: CancellationToken) -> Self {
        let Config { limits, timing, .. } = shared.node.config();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(timing.head_max)
            .max_buf_size(limits.head_bytes_max.max(BUFFER_BYTES_MIN))
            .max_header_size(limits.head_bytes_max)
            .max_headers(HEADERS_MAX)
            .half_close(false);
        let connections = Arc::new(Connections::new(shared.node.config(), ended));
        Self { shared, routes, http, connections, turned_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)) }
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut pause = PAUSE_MIN;
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    pause = PAUSE_MIN;
                    self.take(stream, address);
                }
                // The peer's doing; the next one may be fine.
                Err(error) if is_of_peer(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "connections can't be accepted; trying again in {pause:?}");
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    fn take(self: &Arc<Self>, stream: TcpStream, address: SocketAddr) {
        match self.connections.admit(address) {
            Ok(connection) => {
                // Small messages leave at once. Where that can't be set, they leave a little later.
                let _ = stream.set_nodelay(true);
                let server = self.clone();
                tokio::spawn(async move { connection.while_open(pin!(server.converse(stream, &connection))).await });
            }
            Err(full) => self.turn_away(stream, full),
        }
    }

    fn turn_away(&self, stream: TcpStream, full: Full) {
        self.shared.node.metrics().refused(full.label());
        if let Ok(permit) = self.turned_away.clone().try_acquire_owned() {
            tokio::spawn(async move {
                let _ = timeout(TURNED_AWAY_FOR, say_no_room(stream)).await;
                drop(permit);
            });
        }
    }

    /// Everything on one connection until it ends or becomes a WebSocket.
    async fn converse(&self, stream: TcpStream, connection: &Arc<Connection>) {
        let deadline = &connection.deadline;
        let routes = TowerToHyperService::new(warp::service(self.routes.clone()));
        let service = service_fn(|mut request: Request<Incoming>| {
            let time = deadline.restart(&request);
            request.extensions_mut().insert(connection.clone());
            let answer = match request.uri().path_and_query() {
                Some(_) => Either::Left(routes.call(request)),
                // CONNECT names none, and warp 0.4 panics without one.
                None => Either::Right(ready(Ok(Problem::bad_request("the request names no path").into_response()))),
            };
            in_time(time, answer)
        });
        let mut http = pin!(self.http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let mut is_draining = false;
        loop {
            tokio::select! {
                ended = http.as_mut() => return self.note(ended),
                () = self.shared.draining.cancelled(), if !is_draining => {
                    is_draining = true;
                    http.as_mut().graceful_shutdown();
                }
                () = deadline.passed() => return self.shared.node.metrics().refused("request"),
            }
        }
    }

    fn note(&self, ended: hyper::Result<()>) {
        match ended {
            Err(error) if error.is_timeout() || error.is_parse() => self.shared.node.metrics().refused("head"),
            Err(error) => tracing::debug!(%error, "a connection has ended"),
            Ok(()) => {}
        }
    }
}

async fn in_time(
    time: Option<Duration>,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Result<Response, Infallible> {
    let Some(time) = time else { return answer.await };
    match timeout(time, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long");
            Ok(problem.with(header::CONNECTION, "close").into_response())
        }
    }
}

/// Reads what was asked before closing: with that unread, the system would take the answer back.
async fn say_no_room(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(NO_ROOM).await?;
    stream.shutdown().await?;
    let mut nowhere = [0; 1024];
    while stream.read(&mut nowhere).await? > 0 {}
    Ok(())
}

fn is_of_peer(error: &io::Error) -> bool {
    let kinds = [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
    kinds.contains(&error.kind())
}
