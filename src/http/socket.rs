//! One WebSocket between its upgrade and its end: messages go into the seat of a document, and from there out.
//!
//! Reading and writing go on beside each other and wait for each other in no case: who doesn't read is still heard, and
//! whose messages have to wait is still told everything.

use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::connections::Connection;
use super::frame::{Farewell, Frame};
use super::life::Life;
use super::reader::Reader;
use super::writer::Writer;
use crate::document::CloseCode;
use crate::id::DocName;
use crate::node::{Denied, Grant, Metrics, Node, Outgoing, Request, Seat};
use crate::wire::sync;

/// How long a peer has to take our goodbye in and to answer it.
const FAREWELL_MAX: Duration = Duration::from_secs(3);

/// So many messages, or bytes of them, are taken from one socket before others have their turn.
const IN_A_ROW_MAX: usize = 16;
const IN_A_ROW_BYTES_MAX: usize = 64 << 10;

/// Who comes in, and what for.
pub(super) struct Visitor {
    pub node: Node,
    pub name: DocName,
    pub request: Request,
    pub grant: Result<Grant, Denied>,
    /// The round of questions about access in which that was asked.
    pub asked_in: u64,
    pub wants_acks: bool,
}

/// A visitor on the way in. It's counted as long as it's there.
pub(super) struct Visit {
    visitor: Visitor,
    connection: Option<Arc<Connection>>,
}

impl Visit {
    pub fn new(visitor: Visitor, connection: Option<Arc<Connection>>) -> Self {
        visitor.node.metrics().connections.inc();
        Self { visitor, connection }
    }

    /// Serves the socket until one side ends it.
    pub async fn run(self, upgraded: Upgraded) {
        let stop = self.connection.as_ref().map(|connection| &connection.stop);
        // Pinned here, so that it's passed on by reference: this is what an idle connection consists of.
        let visit = pin!(self.visitor.visit(upgraded, stop));
        match &self.connection {
            Some(connection) => connection.while_open(visit).await,
            None => visit.await,
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.visitor.node.metrics().connections.dec();
    }
}

/// How the time in the document has ended.
#[derive(Debug)]
enum End {
    /// We go, and say why. The peer answers.
    Close(Farewell),
    /// We go, and say why; but what the peer sends can't be read any more.
    Garbled(Farewell),
    /// The peer goes; we answer.
    Answer(Frame),
    /// The connection is of no use any more.
    Lost,
}

impl Visitor {
    async fn visit(&self, upgraded: Upgraded, stop: Option<&CancellationToken>) {
        let mut socket = Socket::new(upgraded, &self.node).await;
        let end = tokio::select! {
            end = self.attend(&mut socket) => end,
            () = stopped(stop) => closing(self.node.metrics(), CloseCode::Restarting, End::Close),
        };
        tracing::debug!(document = %self.name, ?end, "a WebSocket ends");
        socket.part(end).await;
    }

    /// Takes a seat and keeps it until one side has enough.
    async fn attend(&self, socket: &mut Socket) -> End {
        match self.seat().await {
            Ok(seat) => socket.pump(&seat, self).await,
            Err(Refusal { told, code }) => {
                told.into_iter().for_each(|message| socket.writer.push(Frame::binary(message)));
                closing(self.node.metrics(), code, End::Close)
            }
        }
    }

    async fn seat(&self) -> Result<Seat, Refusal> {
        let grant = self.grant.clone().map_err(|denied| self.denied(denied))?;
        let seat = self.node.document(&self.name).seat(grant, self.request.clone(), self.asked_in).await;
        seat.map_err(|error| {
            tracing::debug!(document = %self.name, %error, "no seat");
            Refusal { told: None, code: CloseCode::Later }
        })
    }

    fn denied(&self, denied: Denied) -> Refusal {
        self.node.metrics().refused(match denied {
            Denied::Unauthorized => "token",
            Denied::Forbidden => "forbidden",
            Denied::Unavailable => "authorize",
        });
        Refusal { told: Some(sync::denied(&denied.to_string())), code: denied.close_code() }
    }
}

/// Why somebody gets no seat.
struct Refusal {
    told: Option<Bytes>,
    code: CloseCode,
}

struct Socket {
    reader: Reader<ReadHalf<TokioIo<Upgraded>>>,
    writer: Writer<WriteHalf<TokioIo<Upgraded>>>,
}

impl Socket {
    async fn new(upgraded: Upgraded, node: &Node) -> Self {
        let config = node.config();
        let life = Arc::new(Life::new(config.timing.silence_max));
        let (from, to) = split(TokioIo::new(upgraded));
        Self {
            reader: {
                let (message, step) = (config.limits.message_bytes_max, config.timing.step_max);
                Reader::new(from, message, step, life.clone(), node.growing()).await
            },
            writer: Writer::new(to, config.timing.write_max, life),
        }
    }

    /// Lets messages through, both ways, until one side has enough.
    async fn pump(&mut self, seat: &Seat, visitor: &Visitor) -> End {
        let metrics = visitor.node.metrics();
        let (pong, pongs) = watch::channel(Bytes::new());
        let pings = Pings::every(visitor.node.config().timing.ping_interval);
        let shed = self.reader.shed();
        let mut outward = Outward { writer: &mut self.writer, seat, metrics, wants_acks: visitor.wants_acks };
        tokio::select! {
            end = inward(&mut self.reader, seat, metrics, &pong) => end,
            end = outward.run(pongs, pings) => end,
            () = shed.notified() => unfinished(metrics),
        }
    }

    /// Says goodbye, in bounded time.
    async fn part(&mut self, end: End) {
        // Who is too slow even for this is simply gone; there's nobody to tell.
        let _ = timeout(FAREWELL_MAX, async {
            match end {
                End::Close(farewell) => {
                    self.say(Frame::close(&farewell)).await?;
                    self.reader.until_closed().await;
                }
                End::Garbled(farewell) => {
                    self.say(Frame::close(&farewell)).await?;
                    // With bytes unread, the system would take the goodbye back when the socket is closed.
                    self.writer.shutdown().await?;
                    self.reader.discard().await;
                }
                End::Answer(frame) => self.say(frame).await?,
                End::Lost => return Ok(()),
            }
            self.writer.shutdown().await
        })
        .await;
    }

    async fn say(&mut self, frame: Frame) -> io::Result<()> {
        self.writer.push(frame);
        self.writer.flush().await
    }
}

async fn stopped(stop: Option<&CancellationToken>) {
    match stop {
        Some(stop) => stop.cancelled().await,
        None => pending().await,
    }
}

/// From the socket into the document. Waits as long as the document has too much to do.
async fn inward(
    reader: &mut Reader<ReadHalf<TokioIo<Upgraded>>>,
    seat: &Seat,
    metrics: &Metrics,
    pong: &watch::Sender<Bytes>,
) -> End {
    let (mut messages, mut bytes) = (0, 0);
    loop {
        if messages >= IN_A_ROW_MAX || bytes >= IN_A_ROW_BYTES_MAX {
            (messages, bytes) = (0, 0);
            yield_now().await;
        }
        match reader.next().await {
            Ok(Message::Binary(message)) => {
                (messages, bytes) = (messages + 1, bytes + message.len());
                if seat.send(message).await.is_err() {
                    // The seat itself says why, on the way out. Should it have nothing to say, we do.
                    sleep(FAREWELL_MAX).await;
                    return closing(metrics, CloseCode::Broken, End::Close);
                }
            }
            Ok(Message::Ping(payload)) => drop(pong.send_replace(payload)),
            Ok(Message::Pong(_) | Message::Frame(_)) => {}
            Ok(Message::Text(_)) => {
                metrics.refused("text");
                return closing(metrics, CloseCode::Text, End::Close);
            }
            Ok(Message::Close(said)) => return End::Answer(answer_to(said)),
            Err(error) => return unreadable(metrics, error),
        }
    }
}

fn closing(metrics: &Metrics, code: CloseCode, end: impl FnOnce(Farewell) -> End) -> End {
    metrics.closed(code.number());
    end(code.into())
}

/// The same code back, without the words.
fn answer_to(said: Option<tokio_tungstenite::tungstenite::protocol::CloseFrame>) -> Frame {
    said.map_or_else(Frame::close_without_code, |said| Frame::close(&Farewell { code: said.code.into(), reason: "" }))
}

fn unreadable(metrics: &Metrics, error: Error) -> End {
    match error {
        Error::Capacity(_) => {
            metrics.refused("too_big");
            closing(metrics, CloseCode::TooBig, End::Garbled)
        }
        Error::Utf8(_) => {
            metrics.refused("text");
            End::Garbled(Farewell::NOT_UTF8)
        }
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Lost,
        Error::Protocol(_) => {
            metrics.refused("protocol");
            End::Garbled(Farewell::PROTOCOL)
        }
        Error::Io(error) if error.kind() == ErrorKind::QuotaExceeded => unfinished(metrics),
        Error::Io(error) if error.kind() == ErrorKind::TimedOut => {
            metrics.refused("silent");
            End::Lost
        }
        _ => End::Lost,
    }
}

/// A large message doesn't come whole, and others need the room.
fn unfinished(metrics: &Metrics) -> End {
    metrics.refused("unfinished");
    closing(metrics, CloseCode::Later, End::Garbled)
}

/// From the document into the socket.
struct Outward<'a> {
    writer: &'a mut Writer<WriteHalf<TokioIo<Upgraded>>>,
    seat: &'a Seat,
    metrics: &'a Metrics,
    wants_acks: bool,
}

impl Outward<'_> {
    async fn run(&mut self, pongs: watch::Receiver<Bytes>, pings: Pings) -> End {
        match self.pass_on(pongs, pings).await {
            Ok(end) => end,
            Err(error) => {
                if error.kind() == ErrorKind::TimedOut {
                    self.metrics.refused("slow");
                }
                End::Lost
            }
        }
    }

    /// Takes the next message only when all before is in the socket: that it asks is how the document knows.
    async fn pass_on(&mut self, mut pongs: watch::Receiver<Bytes>, mut pings: Pings) -> io::Result<End> {
        loop {
            let end = tokio::select! {
                outgoing = self.seat.next() => self.gather(outgoing),
                Ok(()) = pongs.changed() => {
                    self.writer.push(Frame::pong(pongs.borrow_and_update().clone()));
                    None
                }
                () = pings.due() => {
                    self.writer.push(Frame::ping());
                    None
                }
            };
            self.writer.flush().await?;
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// Puts together what goes into the socket at once.
    fn gather(&mut self, first: Outgoing) -> Option<End> {
        let mut outgoing = Some(first);
        while let Some(next) = outgoing {
            match next {
                Outgoing::Message(message) => self.put(message),
                Outgoing::Acknowledged { durable, refused, durability } if self.wants_acks => {
                    self.put(sync::acknowledged(durable, refused, durability.number()));
                }
                Outgoing::Acknowledged { .. } => {}
                Outgoing::Closed(code) => return Some(End::Close(code.into())),
            }
            outgoing = if self.writer.is_full() { None } else { self.seat.try_more() };
        }
        None
    }

    fn put(&mut self, message: Bytes) {
        self.metrics.messages_out.inc();
        self.metrics.bytes_out.inc_by(message.len() as u64);
        self.writer.push(Frame::binary(message));
    }
}

/// When the next ping is due: every so often, give or take a fifth, so that many connections don't ping as one.
struct Pings {
    interval: Duration,
    next: Instant,
}

impl Pings {
    fn every(interval: Duration) -> Self {
        let mut pings = Self { interval, next: Instant::now() };
        pings.plan();
        pings
    }

    fn plan(&mut self) {
        let random = RandomState::new().hash_one(()) as u32;
        let factor = 0.8 + 0.4 * f64::from(random) / f64::from(u32::MAX);
        self.next = Instant::now() + self.interval.mul_f64(factor);
    }

    async fn due(&mut self) {
        sleep_until(self.next).await;
        self.plan();
    }
}
