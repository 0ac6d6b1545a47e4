//! The way in of one WebSocket: from bytes to messages, and how long silence may last.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, BufReader, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::life::Life;
use crate::node::unfinished::{Growing, STEP};

/// Bytes that are read from the socket at once. It's most of what an idle connection costs.
const READ_BYTES: usize = 4 << 10;
/// Bytes that tungstenite takes of these at once. It keeps what it has read in one piece of memory with the message
/// before, so this is how much may follow a large message before that one's memory is let go.
const CHUNK_BYTES: usize = 32;
/// The longest head of a frame.
const HEAD_BYTES_MAX: usize = 14;
/// The head of a masked frame has at least so many.
const HEAD_BYTES_MIN: usize = 6;
/// Messages up to this are copied out of tungstenite's memory, which then serves the next one.
const SMALL_BYTES: usize = 512;

/// Reads messages. tungstenite takes the frames apart; what it would write of itself goes nowhere, for all that is
/// written is written by the other half.
pub(super) struct Reader<R> {
    frames: WebSocketStream<BufReader<Listening<R>>>,
    held: Option<Held>,
}

/// A large message that was given away. As long as we hold it too, tungstenite can't use its memory for what it reads
/// next, and keep it for as long as the connection lives: when it has no room left there, it takes new memory.
struct Held {
    _message: Bytes,
    /// After so many bytes there's surely no room left.
    left: usize,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub async fn new(from: R, message_bytes_max: usize, step_max: Duration, life: Arc<Life>, growing: Growing) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(CHUNK_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let growth = Growth::new(growing, step_max);
        let listening = Listening { from, alarm: Box::pin(sleep_until(life.ends())), life, growth };
        let buffered = BufReader::with_capacity(READ_BYTES, listening);
        Self { frames: WebSocketStream::from_raw_socket(buffered, Role::Server, Some(config)).await, held: None }
    }

    /// The next message.
    ///
    /// # Errors
    /// If the bytes aren't frames, a message is too large, or the connection is gone; as I/O error of kind `TimedOut` if
    /// nothing was heard for too long, and of kind `QuotaExceeded` if a large message comes too slowly. Nothing can be read after
    /// an error.
    pub async fn next(&mut self) -> Result<Message, Error> {
        // Whoever asks for the next one has found room for the last.
        self.growth().finish_if_whole();
        let message = self.frames.next().await.unwrap_or(Err(Error::ConnectionClosed))?;
        let read = HEAD_BYTES_MIN + message.len();
        self.let_go(read);
        match message {
            // These come between the parts of a message too.
            Message::Ping(_) | Message::Pong(_) => self.growth().forget(read),
            _ => self.growth().end(),
        }
        match message {
            Message::Binary(message) => Ok(Message::Binary(self.own(message))),
            other => Ok(other),
        }
    }

    fn growth(&mut self) -> &mut Growth {
        &mut self.frames.get_mut().get_mut().growth
    }

    /// A message in memory of its own.
    fn own(&mut self, message: Bytes) -> Bytes {
        if message.len() <= SMALL_BYTES {
            return Bytes::copy_from_slice(&message);
        }
        self.held = Some(Held { _message: message.clone(), left: CHUNK_BYTES + HEAD_BYTES_MAX });
        message
    }

    fn let_go(&mut self, read: usize) {
        self.held.take_if(|held| {
            held.left = held.left.saturating_sub(read);
            held.left == 0
        });
    }

    /// Wakes who is to go, for others need the room that its message takes.
    pub fn shed(&mut self) -> Arc<Notify> {
        self.growth().growing.shed()
    }

    /// Reads until the peer says goodbye or is gone.
    pub async fn until_closed(&mut self) {
        while let Ok(message) = self.next().await {
            if message.is_close() {
                return;
            }
        }
    }

    /// Reads and forgets whatever comes, be it frames or not, until the peer is gone.
    pub async fn discard(&mut self) {
        let mut nowhere = vec![0; READ_BYTES];
        while let Ok(1..) = self.frames.get_mut().read(&mut nowhere).await {}
    }
}

/// A half of a socket that can only be read, and fails when nothing was heard for too long.
struct Listening<R> {
    from: R,
    life: Arc<Life>,
    alarm: Pin<Box<Sleep>>,
    growth: Growth,
}

/// How far the message is that is being read, and how far it may go.
struct Growth {
    growing: Growing,
    come: usize,
    granted: usize,
    is_whole: bool,
    /// Waits for room for more.
    grant: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// When what was granted last must have come.
    until: Instant,
    step_max: Duration,
}

impl Growth {
    fn new(growing: Growing, step_max: Duration) -> Self {
        Self { growing, come: 0, granted: STEP, is_whole: false, grant: None, until: Instant::now(), step_max }
    }

    /// Ready when so many bytes more may come.
    fn poll_grant(&mut self, cx: &mut Context<'_>, more: usize) -> Poll<io::Result<()>> {
        // Who waits for room isn't slow: we don't read.
        if self.grant.is_none() && self.come > STEP && Instant::now() > self.until {
            return Poll::Ready(Err(ErrorKind::QuotaExceeded.into()));
        }
        while self.come + more > self.granted {
            let growing = &mut self.growing;
            let grant = self.grant.get_or_insert_with(|| Box::pin(growing.grow()));
            ready!(grant.as_mut().poll(cx));
            self.grant = None;
            self.granted += STEP;
            self.until = Instant::now() + self.step_max;
        }
        Poll::Ready(Ok(()))
    }

    /// So much of what has come belongs to no message.
    fn forget(&mut self, bytes: usize) {
        self.come = self.come.saturating_sub(bytes);
    }

    fn end(&mut self) {
        self.is_whole = true;
        self.growing.is_whole();
    }

    fn finish_if_whole(&mut self) {
        if self.is_whole {
            (self.come, self.granted, self.is_whole, self.grant) = (0, STEP, false, None);
            self.growing.finish();
        }
    }
}

impl<R> Listening<R> {
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            // The alarm isn't moved at every byte, but looks back when it goes off.
            let ends = self.life.ends();
            if ends <= Instant::now() {
                return Poll::Ready(ErrorKind::TimedOut.into());
            }
            self.alarm.as_mut().reset(ends);
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Listening<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.growth.poll_grant(cx, into.remaining()))?;
        let before = into.filled().len();
        match Pin::new(&mut self.from).poll_read(cx, into) {
            Poll::Pending => self.poll_silence(cx).map(Err),
            polled => {
                self.growth.come += into.filled().len() - before;
                self.life.hear();
                polled
            }
        }
    }
}

impl<R: Unpin> AsyncWrite for Listening<R> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::node::unfinished::Unfinished;

    const STEP_MAX: Duration = Duration::from_secs(20);

    async fn pair(silence_max: Duration) -> (DuplexStream, Reader<DuplexStream>) {
        let (near, far) = duplex(64 << 10);
        let growing = Arc::new(Unfinished::new(32 << 20, 16 << 20)).growing();
        (near, Reader::new(far, 16 << 20, STEP_MAX, Arc::new(Life::new(silence_max)), growing).await)
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_message_that_trickles_ends_it_and_one_that_is_slow_does_not() {
        for (wait, ends) in [(STEP_MAX / 20, true), (STEP_MAX / 1_000, false)] {
            let (mut near, mut reader) = pair(Duration::from_secs(45)).await;
            let sent = frame(300_000);
            let trickling = async {
                near.write_all(&sent[..STEP + 5_000]).await.unwrap();
                for part in sent[STEP + 5_000..].chunks(1_000) {
                    tokio::time::sleep(wait).await;
                    if near.write_all(part).await.is_err() {
                        return;
                    }
                }
            };
            let reading = async {
                let read = reader.next().await;
                drop(reader);
                read
            };
            let (read, ()) = tokio::join!(reading, trickling);
            match read {
                Err(Error::Io(error)) => assert!(ends && error.kind() == ErrorKind::QuotaExceeded, "{error}"),
                read => assert!(!ends && read.unwrap().len() == 300_000),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unfinished_message_takes_only_what_it_was_granted() {
        let unfinished = Arc::new(Unfinished::new(2 * STEP, STEP));
        let (mut near, far) = duplex(16 << 20);
        let life = Arc::new(Life::new(Duration::from_secs(60)));
        let mut reader = Reader::new(far, 16 << 20, STEP_MAX, life, unfinished.growing()).await;
        near.write_all(&frame(1 << 20)).await.unwrap();
        let shed = reader.shed();
        tokio::select! {
            _ = reader.next() => panic!("there's no room for it"),
            () = shed.notified() => {}
        }
        assert!(reader.growth().come <= 3 * STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_room_is_not_slow() {
        let unfinished = Arc::new(Unfinished::new(4 * STEP, 2 * STEP));
        let (mut near, far) = duplex(16 << 20);
        let life = Arc::new(Life::new(Duration::from_secs(600)));
        let mut others = unfinished.growing();
        for _ in 0..3 {
            others.grow().await;
        }
        others.is_whole();
        let mut reader = Reader::new(far, 16 << 20, STEP_MAX, life, unfinished.growing()).await;
        near.write_all(&frame(3 * STEP)).await.unwrap();
        assert!(tokio::time::timeout(2 * STEP_MAX, reader.next()).await.is_err(), "there's no room for it");
        others.finish();
        assert_eq!(read(&mut reader).await.len(), 3 * STEP);
    }

    const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];

    #[tokio::test(start_paused = true)]
    async fn what_has_come_of_a_message_is_counted_though_pings_come_between() {
        let unfinished = Arc::new(Unfinished::new(2 * STEP, STEP));
        let (mut near, far) = duplex(16 << 20);
        let life = Arc::new(Life::new(Duration::from_secs(60)));
        let mut reader = Reader::new(far, 16 << 20, STEP_MAX, life, unfinished.growing()).await;
        for i in 0..10 {
            let mut part = frame(50_000);
            part[0] = if i == 0 { 0x02 } else { 0x00 };
            near.write_all(&[part, PING.to_vec()].concat()).await.unwrap();
        }
        let (shed, mut pings) = (reader.shed(), 0);
        loop {
            tokio::select! {
                message = reader.next() => pings += usize::from(message.unwrap().is_ping()),
                () = shed.notified() => break,
            }
            assert!(pings < 4, "more was taken than there's room for");
        }
    }

    #[tokio::test]
    async fn pings_alone_take_no_room() {
        let (mut near, mut reader) = pair(Duration::from_secs(60)).await;
        for _ in 0..3 * STEP / 1_000 / PING.len() {
            near.write_all(&PING.repeat(1_000)).await.unwrap();
            for _ in 0..1_000 {
                assert!(reader.next().await.unwrap().is_ping());
            }
        }
        assert_eq!((reader.growth().come, reader.growth().granted), (0, STEP));
    }

    /// A binary frame, masked with zeros.
    fn frame(length: usize) -> Vec<u8> {
        let mut bytes = match length {
            0..126 => vec![0x82, 0x80 | length as u8],
            126..0x1_0000 => [&[0x82, 0xfe], &(length as u16).to_be_bytes()[..]].concat(),
            _ => [&[0x82, 0xff], &(length as u64).to_be_bytes()[..]].concat(),
        };
        bytes.extend([0; 4]);
        bytes.resize(bytes.len() + length, 7);
        bytes
    }

    async fn read(reader: &mut Reader<DuplexStream>) -> Bytes {
        reader.next().await.unwrap().into_data()
    }

    #[tokio::test]
    async fn messages_of_all_sizes_arrive_whole() {
        let lengths = [3, 100, 5_000, 1, 600, 70_000, 90, 0, 1 << 20, 200, SMALL_BYTES, SMALL_BYTES + 1];
        let (mut near, mut reader) = pair(Duration::from_secs(60)).await;
        let sent: Vec<u8> = lengths.into_iter().flat_map(frame).collect();
        let sending = async { near.write_all(&sent).await.unwrap() };
        let reading = async {
            for length in lengths {
                assert_eq!(read(&mut reader).await, vec![7; length]);
            }
        };
        tokio::join!(sending, reading);
    }

    #[tokio::test]
    async fn the_memory_of_a_large_message_is_not_kept() {
        let (mut near, mut reader) = pair(Duration::from_secs(60)).await;
        let sent: Vec<u8> = [1 << 20, 40, 600].into_iter().flat_map(frame).collect();
        let sending = async { near.write_all(&sent).await.unwrap() };
        let reading = async {
            let large = read(&mut reader).await.as_ptr_range();
            read(&mut reader).await;
            let next = read(&mut reader).await;
            assert!(!large.contains(&next.as_ptr()), "what comes next is read into the memory of the large one");
            assert!(reader.held.is_none_or(|held| held._message == next));
        };
        tokio::join!(sending, reading);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_and_any_byte_puts_that_off() {
        let (mut near, mut reader) = pair(Duration::from_secs(45)).await;
        let start = Instant::now();
        let talking = async {
            for byte in frame(4) {
                tokio::time::sleep(Duration::from_secs(40)).await;
                near.write_u8(byte).await.unwrap();
            }
        };
        tokio::join!(talking, async { assert_eq!(read(&mut reader).await.len(), 4) });
        let talked = start.elapsed();
        assert!(talked >= Duration::from_secs(400));
        let Err(Error::Io(error)) = reader.next().await else { panic!("silence is an error") };
        assert_eq!((error.kind(), (start.elapsed() - talked).as_secs()), (ErrorKind::TimedOut, 45));
    }
}
