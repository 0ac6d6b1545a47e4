//! What a session or a document may use, in bytes and in time. Who uses more isn't stopped: it's known, and others go ahead.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock, MonotonicClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::{Limits, Timing};

/// How long this thread has worked: on a busy machine it's less than how long that took, and nobody's fault is more.
#[cfg(unix)]
pub(crate) fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// How long this thread may have worked.
#[cfg(not(unix))]
pub(crate) fn worked() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock>;

/// So much at once, and so much in a second from then on. What was used is known only afterwards, so it may be owed.
pub(crate) struct Budget {
    limiter: Limiter,
    burst: u32,
    owed: u64,
}

impl Budget {
    fn new(per_second: u64, burst: u64) -> Self {
        let at_least_one =
            |amount: u64| NonZeroU32::new(amount.try_into().unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let (per_second, burst) = (at_least_one(per_second), at_least_one(burst));
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self { limiter: RateLimiter::direct_with_clock(quota, MonotonicClock), burst: burst.get(), owed: 0 }
    }

    /// Of handle time.
    pub fn of_time(per_second: Duration, burst: Duration) -> Self {
        Self::new(per_second.as_micros() as u64, burst.as_micros() as u64)
    }

    /// Of handle time, with no more at once than a tenth of what there's in a second.
    pub fn of_time_evenly(per_second: Duration) -> Self {
        Self::of_time(per_second, per_second / 10)
    }

    pub fn spend(&mut self, amount: u64) {
        self.owed = self.owed.saturating_add(amount);
    }

    pub fn spend_time(&mut self, took: Duration) {
        self.spend(took.as_micros() as u64);
    }

    /// Pays what is owed. When it can be, if it can't be now.
    pub fn over_until(&mut self) -> Option<Instant> {
        while let Some(part) = NonZeroU32::new(self.owed.min(u64::from(self.burst)) as u32) {
            match self.limiter.check_n(part) {
                Ok(Ok(())) => self.owed -= u64::from(part.get()),
                Ok(Err(not_until)) => {
                    let now = MonotonicClock.now();
                    return Some(now + not_until.wait_time_from(now));
                }
                // No part is larger than what there is at once.
                Err(_) => self.owed = 0,
            }
        }
        None
    }
}

/// What one session may use of a document.
pub(crate) struct SessionBudget {
    time: Budget,
    bytes: Budget,
}

impl SessionBudget {
    pub fn new(limits: &Limits, timing: &Timing) -> Self {
        Self {
            time: Budget::of_time(timing.session_time, timing.session_time_burst),
            bytes: Budget::new(limits.session_bytes_per_second, limits.session_bytes_burst),
        }
    }

    pub fn spend(&mut self, took: Duration, bytes: usize) {
        self.time.spend_time(took);
        self.bytes.spend(bytes as u64);
    }

    pub fn is_over(&mut self) -> bool {
        // Both, so that both are paid.
        let (time, bytes) = (self.time.over_until(), self.bytes.over_until());
        time.is_some() || bytes.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_beyond_is_owed_and_paid_in_time() {
        let mut budget = Budget::new(1_000, 100);
        budget.spend(100);
        assert_eq!(budget.over_until(), None);
        budget.spend(350);
        let until = budget.over_until().expect("it's over");
        assert!(until > Instant::now());
        while budget.over_until().is_some() {
            std::thread::yield_now();
        }
        assert!(Instant::now() >= until);
        assert_eq!(budget.owed, 0);
    }
}
