//! What time it is for a node.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::document::{Millis, Now, WallTime};

/// The node's clock. tokio's, so that tests can pause it.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// It begins now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(&self) -> Now {
        let monotonic = Millis(self.start.elapsed().as_millis() as u64);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic, wall: WallTime(wall.as_millis() as u64) }
    }

    pub fn instant(&self, at: Millis) -> Instant {
        // The core counts whole milliseconds; one more, so that the moment has surely come.
        self.start + Duration::from_millis(at.0 + 1)
    }
}
