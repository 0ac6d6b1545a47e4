//! When a peer was last heard of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The last sign of life on one connection. Reading notes any byte that comes; writing notes when the peer takes bytes
/// that had to wait: for one who only reads, slowly, that is the only sign.
#[derive(Debug)]
pub(super) struct Life {
    start: Instant,
    heard_ms: AtomicU64,
    silence_max: Duration,
}

impl Life {
    pub fn new(silence_max: Duration) -> Self {
        Self { start: Instant::now(), heard_ms: AtomicU64::new(0), silence_max }
    }

    /// The peer lives.
    pub fn hear(&self) {
        self.heard_ms.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// When it counts as dead unless it's heard of before.
    pub fn ends(&self) -> Instant {
        self.start + Duration::from_millis(self.heard_ms.load(Ordering::Relaxed)) + self.silence_max
    }
}
