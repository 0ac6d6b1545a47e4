//! The documents of a running server, as they come.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;
use warp::http::header::{self, HeaderValue};
use warp::http::{Request, Response, StatusCode};
use y_mesh::Token;
use y_mesh::store::dump::{Decoder, Item};

use super::Failure;
use super::address::Address;
use super::copying::Found;
use super::progress::counted;

/// A server that is there takes a connection by then.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A server that lives sends something by then, even if it has to read a large document first.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Bytes of an answer that is no backup.
const PROBLEM_BYTES_MAX: usize = 64 << 10;
/// Documents that are read ahead, in bytes.
const AHEAD_BYTES: usize = 1 << 20;

type Batch = Result<Vec<Found>, Failure>;

/// What a server sends. It's read ahead while what came is written.
pub struct Download {
    batches: mpsc::Receiver<Batch>,
    ready: std::vec::IntoIter<Found>,
    has_ended: bool,
    _runtime: Runtime,
}

impl Download {
    /// Asks a server for all documents.
    ///
    /// # Errors
    /// If it isn't there, or doesn't give them.
    pub fn start(address: Address, token: Option<Token>) -> Result<Self, Failure> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Failure(format!("no threads: {error}")))?;
        let (sender, batches) = mpsc::channel(1);
        let answer = runtime.block_on(ask(&address, token))?;
        runtime.spawn(Reading { address, sender, decoder: Decoder::default(), count: 0 }.run(answer.into_body()));
        Ok(Self { batches, ready: Vec::new().into_iter(), has_ended: false, _runtime: runtime })
    }
}

impl Iterator for Download {
    type Item = Result<Found, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.ready.next() {
                return Some(Ok(found));
            }
            if self.has_ended {
                return None;
            }
            match self.batches.blocking_recv() {
                Some(Ok(batch)) => self.ready = batch.into_iter(),
                Some(Err(failure)) => {
                    self.has_ended = true;
                    return Some(Err(failure));
                }
                None => self.has_ended = true,
            }
        }
    }
}

async fn ask(address: &Address, token: Option<Token>) -> Result<Response<Incoming>, Failure> {
    let Address { text, host, port, authority, base } = address;
    let connecting = timeout(CONNECT_MAX, TcpStream::connect((host.as_str(), *port))).await;
    let stream = match connecting {
        Ok(connected) => connected.map_err(|error| Failure(format!("{text} can't be reached: {error}")))?,
        Err(_) => return Err(Failure(format!("{text} can't be reached: it doesn't answer"))),
    };
    let broken = |error: hyper::Error| Failure(format!("{text} doesn't answer as a y-mesh server does: {error}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(connection);
    let mut request = Request::get(format!("{base}/api/backup")).header(header::HOST, authority);
    if let Some(token) = token {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.secret()));
        let mut value = value.map_err(|_| Failure("the token holds what can't be sent".into()))?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request.body(String::new()).map_err(|error| Failure(format!("{text}: {error}")))?;
    match timeout(SILENCE_MAX, sender.send_request(request)).await {
        Ok(answer) => given(answer.map_err(broken)?, text).await,
        Err(_) => Err(Failure(format!("{text} doesn't answer"))),
    }
}

/// The answer, if it's a backup.
async fn given(answer: Response<Incoming>, text: &str) -> Result<Response<Incoming>, Failure> {
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer);
    }
    let said = timeout(CONNECT_MAX, detail(answer.into_body())).await.ok().flatten();
    let said = said.unwrap_or_else(|| status.to_string());
    Err(Failure(match status {
        StatusCode::UNAUTHORIZED => {
            format!("{text}: {said}. Give one that may manage: --token-file FILE, or YMESH_TOKEN in the environment")
        }
        StatusCode::FORBIDDEN => format!("{text}: {said}. It takes a token that the server's file calls `manage`"),
        StatusCode::NOT_FOUND => format!("{text} gives no backups: {said}. Is it y-mesh, and not an older one?"),
        _ => format!("{text}: {said}"),
    }))
}

/// What an answer says that is a problem.
async fn detail(mut body: Incoming) -> Option<String> {
    let mut text = Vec::new();
    while text.len() < PROBLEM_BYTES_MAX
        && let Some(Ok(piece)) = next(&mut body).await
    {
        text.extend_from_slice(&piece);
    }
    let problem: serde_json::Value = serde_json::from_slice(&text).ok()?;
    problem["detail"].as_str().map(shown)
}

/// What a server says, without what a terminal would take for orders.
fn shown(said: &str) -> String {
    said.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The next piece of a body.
async fn next(body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
    loop {
        match std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Ok(frame) => match frame.into_data() {
                Ok(data) => return Some(Ok(data)),
                Err(_) => continue,
            },
            Err(error) => return Some(Err(error)),
        }
    }
}

/// A dump while it comes.
struct Reading {
    address: Address,
    sender: mpsc::Sender<Batch>,
    decoder: Decoder,
    count: u64,
}

impl Reading {
    async fn run(mut self, body: Incoming) {
        if let Err(failure) = self.read(body).await {
            // If nobody waits for it, the copy has failed on its own.
            let _ = self.sender.send(Err(failure)).await;
        }
    }

    async fn read(&mut self, mut body: Incoming) -> Result<(), Failure> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        loop {
            let piece =
                timeout(SILENCE_MAX, next(&mut body)).await.map_err(|_| self.broken("nothing comes any more"))?;
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|error| self.broken(&error.to_string()))?;
            bytes += piece.len();
            self.decoder.feed(&piece);
            while let Some(item) = self.decoder.item().map_err(|error| self.broken(&error.to_string()))? {
                batch.extend(self.found(item)?);
            }
            if bytes >= AHEAD_BYTES && !batch.is_empty() {
                let ready = std::mem::take(&mut batch);
                self.sender.send(Ok(ready)).await.map_err(|_| self.broken("nobody takes it any more"))?;
                bytes = 0;
            }
        }
        self.decoder.finish().map_err(|error| self.broken(&error.to_string()))?;
        let _ = self.sender.send(Ok(batch)).await;
        Ok(())
    }

    fn found(&mut self, item: Item) -> Result<Option<Found>, Failure> {
        self.count += 1;
        match item {
            Item::Document { name, stored, fingerprint, bytes } => {
                Ok(Some(Found::Document { name, stored, fingerprint, bytes }))
            }
            Item::Damaged { name, why } => Ok(Some(Found::Damaged { name, why: shown(&why) })),
            Item::End { .. } => Ok(None),
            Item::Stopped { why } => {
                let why = shown(&why);
                let text = &self.address.text;
                Err(Failure(format!("{text} gave up after {}: {why}", counted(self.count - 1, "document"))))
            }
        }
    }

    fn broken(&self, why: &str) -> Failure {
        let (text, came) = (&self.address.text, counted(self.count, "document"));
        Failure(format!("the backup from {text} broke off after {came}: {why}"))
    }
}
