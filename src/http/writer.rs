//! The way out of one WebSocket: frames that wait, and how they get into the socket.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::frame::Frame;
use super::life::Life;

/// Frames in one batch. The socket takes each as two slices.
const FRAMES_MAX: usize = 16;
/// Bytes after which a batch takes no more frames: about what a socket takes at once.
const BYTES_MAX: usize = 64 << 10;

/// Writes frames, a batch at a time. What was written so far isn't forgotten when a future is dropped.
pub(super) struct Writer<W> {
    to: W,
    frames: VecDeque<Frame>,
    /// Bytes of all frames that wait.
    bytes: usize,
    /// Bytes of the first frame that were written.
    written: usize,
    write_max: Duration,
    life: Arc<Life>,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// A write without progress for `write_max` fails.
    pub fn new(to: W, write_max: Duration, life: Arc<Life>) -> Self {
        Self { to, frames: VecDeque::new(), bytes: 0, written: 0, write_max, life }
    }

    pub fn push(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Whether the batch is large enough.
    pub fn is_full(&self) -> bool {
        self.frames.len() >= FRAMES_MAX || self.bytes >= BYTES_MAX
    }

    /// Writes everything that waits.
    ///
    /// # Errors
    /// Of kind `TimedOut` if the peer takes nothing for too long.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.frames.is_empty() {
            match timeout(self.write_max, self.write()).await?? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => self.advance(count),
            }
        }
        timeout(self.write_max, self.to.flush()).await?
    }

    /// Says that nothing more comes.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.to.shutdown().await
    }

    async fn write(&mut self) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); 2 * FRAMES_MAX];
        let rests =
            self.frames.iter().enumerate().map(|(at, frame)| frame.after(if at == 0 { self.written } else { 0 }));
        for (slice, rest) in slices.iter_mut().zip(rests.flatten()) {
            *slice = IoSlice::new(rest);
        }
        let mut had_to_wait = false;
        let count = poll_fn(|cx| {
            let polled = Pin::new(&mut self.to).poll_write_vectored(cx, &slices);
            had_to_wait |= polled.is_pending();
            polled
        });
        let count = count.await?;
        if had_to_wait {
            self.life.hear();
        }
        Ok(count)
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        while let Some(first) = self.frames.front().filter(|first| first.len() <= self.written) {
            let length = first.len();
            self.written -= length;
            self.bytes -= length;
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use super::*;

    /// Takes a few bytes at a time, from the first slice that has any.
    struct Narrow(Vec<u8>, usize);

    impl AsyncWrite for Narrow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
            let count = from.len().min(self.1);
            self.0.extend_from_slice(&from[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn frames_arrive_whole_however_few_bytes_go_at_once() {
        for at_once in 1..20 {
            let second = Duration::from_secs(1);
            let mut writer = Writer::new(Narrow(Vec::new(), at_once), second, Arc::new(Life::new(second)));
            for body in [&b"one"[..], b"", b"a longer one", b"x"] {
                writer.push(Frame::binary(body.into()));
            }
            writer.flush().await.unwrap();
            assert_eq!(writer.to.0, b"\x82\x03one\x82\x00\x82\x0ca longer one\x82\x01x");
            assert_eq!((writer.bytes, writer.written), (0, 0));
        }
    }
}
