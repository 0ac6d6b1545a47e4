//! Messages that haven't come whole yet. What is there of them takes memory already, so it's bounded for the whole node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// A message up to this isn't counted, and a longer one grows by so much.
pub(crate) const STEP: usize = 64 << 10;
/// When there's no room for so long, somebody has to go.
const PATIENCE: Duration = Duration::from_secs(1);

/// All large unfinished messages of a node.
pub(crate) struct Unfinished {
    bytes_max: usize,
    parts: Mutex<Parts>,
    freed: Notify,
}

#[derive(Default)]
struct Parts {
    bytes: usize,
    next: u64,
    all: BTreeMap<u64, Part>,
}

struct Part {
    bytes: usize,
    since: Instant,
    shed: Arc<Notify>,
}

/// One connection's unfinished message.
pub(crate) struct Growing {
    unfinished: Arc<Unfinished>,
    id: Option<u64>,
    shed: Arc<Notify>,
}

impl Unfinished {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, parts: Mutex::default(), freed: Notify::new() }
    }

    /// Of a connection that has sent nothing yet.
    pub fn growing(self: &Arc<Self>) -> Growing {
        Growing { unfinished: self.clone(), id: None, shed: Arc::default() }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_grow(&self, id: u64) -> bool {
        let mut parts = self.parts();
        let has_room = parts.bytes + STEP <= self.bytes_max;
        // Who has been shed gets nothing more, and is about to end.
        let Some(part) = parts.all.get_mut(&id).filter(|_| has_room) else { return false };
        part.bytes += STEP;
        parts.bytes += STEP;
        true
    }

    /// Waits for room. If none comes, the one goes that has held most for the longest.
    async fn grow(&self, id: u64) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.try_grow(id) {
                return;
            }
            if timeout(PATIENCE, freed).await.is_err() && self.is_full() {
                self.shed();
            }
        }
    }

    fn is_full(&self) -> bool {
        self.parts().bytes + STEP > self.bytes_max
    }

    fn shed(&self) {
        let mut parts = self.parts();
        let cost = |part: &Part| part.bytes as f64 * part.since.elapsed().as_secs_f64();
        let worst = parts.all.iter().max_by(|(_, a), (_, b)| cost(a).total_cmp(&cost(b))).map(|(id, _)| *id);
        if let Some(part) = worst.and_then(|id| parts.all.remove(&id)) {
            parts.bytes -= part.bytes;
            part.shed.notify_one();
        }
        drop(parts);
        self.freed.notify_waiters();
    }

    fn end(&self, id: u64) {
        let mut parts = self.parts();
        if let Some(part) = parts.all.remove(&id) {
            parts.bytes -= part.bytes;
        }
        drop(parts);
        self.freed.notify_waiters();
    }
}

impl Growing {
    /// The message may have [`STEP`] more bytes when this is done.
    pub fn grow(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let id = *self.id.get_or_insert_with(|| {
            let mut parts = self.unfinished.parts();
            let (id, part) = (parts.next, Part { bytes: 0, since: Instant::now(), shed: self.shed.clone() });
            parts.next += 1;
            parts.all.insert(id, part);
            id
        });
        let unfinished = self.unfinished.clone();
        async move { unfinished.grow(id).await }
    }

    /// The message has come whole, and somebody else accounts for it.
    pub fn finish(&mut self) {
        if let Some(id) = self.id.take() {
            self.unfinished.end(id);
        }
    }

    /// Wakes who is to go, for others need the room.
    pub fn shed(&self) -> Arc<Notify> {
        self.shed.clone()
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_done(work: impl Future<Output = ()>) -> bool {
        timeout(Duration::from_millis(1), work).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_held_most_for_the_longest_goes_when_there_is_no_room() {
        let unfinished = Arc::new(Unfinished::new(4 * STEP));
        let (mut hog, mut late, mut new) = (unfinished.growing(), unfinished.growing(), unfinished.growing());
        for _ in 0..3 {
            assert!(is_done(hog.grow()).await);
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(is_done(late.grow()).await);
        let start = Instant::now();
        new.grow().await;
        assert!(start.elapsed() >= PATIENCE);
        assert!(is_done(async { hog.shed().notified().await }).await);
        assert!(!is_done(async { late.shed().notified().await }).await);
        assert_eq!(unfinished.parts().bytes, 2 * STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_finished_makes_room_at_once() {
        let unfinished = Arc::new(Unfinished::new(STEP));
        let (mut first, mut second) = (unfinished.growing(), unfinished.growing());
        first.grow().await;
        let start = Instant::now();
        tokio::join!(second.grow(), async { first.finish() });
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(second);
        assert_eq!(unfinished.parts().bytes, 0);
    }
}
