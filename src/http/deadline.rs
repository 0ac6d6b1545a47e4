//! When a request must be over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};
use warp::http::Request;

use super::headers::wants_socket;
use crate::config::Timing;

/// When the request that is being served on a connection must be over, its answer included; before the first, when that must
/// be.
pub(super) struct Deadline {
    at: Mutex<Instant>,
    is_first: AtomicBool,
    timing: Timing,
    /// It's us who take the time.
    is_held: AtomicBool,
}

impl Deadline {
    pub fn new(timing: &Timing) -> Self {
        let at = Mutex::new(Instant::now() + timing.request_max);
        Self { at, is_first: AtomicBool::new(true), timing: timing.clone(), is_held: AtomicBool::new(false) }
    }

    fn at(&self) -> MutexGuard<'_, Instant> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come. Gives how long its answer may take, unless it asks for an upgrade, which the access hook may
    /// take its own time for. The first has only what is left of its time: its head is part of that.
    pub fn restart(&self, request: &Request<Incoming>) -> Option<Duration> {
        let timing = &self.timing;
        let is_upgrade = wants_socket(request.headers());
        let was_first = self.is_first.swap(false, Ordering::Relaxed);
        let mut at = self.at();
        if is_upgrade {
            *at = Instant::now() + timing.authorize_max + timing.request_max;
        } else if !was_first {
            *at = Instant::now() + timing.request_max;
        }
        // A little less than all of it, so that there's time to say that it took too long.
        (!is_upgrade).then(|| at.duration_since(Instant::now()) * 9 / 10)
    }

    /// The peer waits for more of a long answer.
    pub fn hold(&self) {
        self.is_held.store(true, Ordering::Relaxed);
    }

    /// The peer has more of a long answer to take, and as long for it as for a write.
    pub fn go_on(&self) {
        *self.at() = Instant::now() + self.timing.write_max;
        self.is_held.store(false, Ordering::Relaxed);
    }

    /// Waits until the time is over.
    pub async fn passed(&self) {
        loop {
            let at = *self.at();
            if at > Instant::now() {
                sleep_until(at).await;
            } else if self.is_held.load(Ordering::Relaxed) {
                *self.at() = Instant::now() + self.timing.write_max;
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_us_has_time_and_who_lets_us_wait_has_not() {
        let timing = Timing::default();
        let deadline = Deadline::new(&timing);
        let start = Instant::now();
        deadline.hold();
        let hour = Duration::from_secs(3_600);
        assert!(tokio::time::timeout(hour, deadline.passed()).await.is_err());
        deadline.go_on();
        deadline.passed().await;
        assert_eq!(start.elapsed(), hour + timing.write_max);
    }
}
