//! The way in of one WebSocket: from bytes to messages, and how long silence may last.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::life::Life;

/// Bytes that are read at once. It's what an idle connection costs.
const BUFFER_BYTES: usize = 4 << 10;

/// Reads messages. tungstenite takes the frames apart; what it would write of itself goes nowhere, for all that is
/// written is written by the other half.
pub(super) struct Reader<R> {
    frames: WebSocketStream<Listening<R>>,
    /// A large message that was just given away. As long as we hold it too, tungstenite can't take its memory back as
    /// a read buffer, and keep it for as long as the connection lives.
    held: Option<Bytes>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub async fn new(from: R, message_bytes_max: usize, life: Arc<Life>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let listening = Listening { from, alarm: Box::pin(sleep_until(life.ends())), life };
        let frames = WebSocketStream::from_raw_socket(listening, Role::Server, Some(config)).await;
        Self { frames, held: None }
    }

    /// The next message.
    ///
    /// # Errors
    /// If the bytes aren't frames, a message is too large, or the connection is gone; as I/O error of kind `TimedOut` if
    /// nothing was heard for too long. Nothing can be read after an error.
    pub async fn next(&mut self) -> Result<Message, Error> {
        let mut held = self.held.take();
        let next = poll_fn(|cx| {
            let polled = Pin::new(&mut self.frames).poll_next(cx);
            held = None;
            polled
        });
        match next.await.unwrap_or(Err(Error::ConnectionClosed))? {
            Message::Binary(message) => Ok(Message::Binary(self.own(message))),
            other => Ok(other),
        }
    }

    /// A message apart from the read buffer: what is kept of a small one must not keep all of that.
    fn own(&mut self, message: Bytes) -> Bytes {
        if message.len() <= BUFFER_BYTES {
            return Bytes::copy_from_slice(&message);
        }
        self.held = Some(message.clone());
        message
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
        let mut nowhere = vec![0; BUFFER_BYTES];
        while let Ok(1..) = self.frames.get_mut().read(&mut nowhere).await {}
    }
}

/// A half of a socket that can only be read, and fails when nothing was heard for too long.
struct Listening<R> {
    from: R,
    life: Arc<Life>,
    alarm: Pin<Box<Sleep>>,
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
        match Pin::new(&mut self.from).poll_read(cx, into) {
            Poll::Pending => self.poll_silence(cx).map(Err),
            polled => {
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
