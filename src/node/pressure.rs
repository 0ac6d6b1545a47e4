//! Whether anybody waits, anywhere in the node, and what those who use much may then go on using.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::budget::Budget;
use crate::config::Timing;
use crate::id::SessionId;

/// Somebody who waited counts for so long.
const FELT_FOR: Duration = Duration::from_secs(3);
/// While somebody waits, shares are halved so often.
const HALVED_EVERY: Duration = Duration::from_millis(10);
/// Then they double so often, in seconds: slowly, for whoever made others wait begins again as soon as it may, and each time others
/// wait anew.
const DOUBLED_EVERY: f64 = 2.0;
/// The smallest part of its budget that a session is left with: enough for whoever types.
pub(super) const SHARE_MIN: f64 = 1.0 / 32.0;

pub(crate) struct Pressure {
    start: Instant,
    wait_max: Duration,
    /// Milliseconds since the start until which somebody's wait counts.
    felt_until: AtomicU64,
    /// And until which shares are smaller than they could be.
    shrunk_until: AtomicU64,
    state: Mutex<State>,
}

struct State {
    /// Who has waited last, and the one before who is another.
    waited: [Option<(SessionId, Instant)>; 2],
    share: f64,
    changed: Instant,
    /// What those who use more than their share may use together while others wait.
    slowed: Budget,
}

impl Pressure {
    pub fn new(timing: &Timing) -> Self {
        let now = Instant::now();
        let slowed = Budget::of_time_evenly(timing.slowed_time);
        let state = State { waited: [None; 2], share: 1.0, changed: now, slowed };
        let [felt_until, shrunk_until] = [const { AtomicU64::new(0) }; 2];
        Self { start: now, wait_max: timing.wait_max, felt_until, shrunk_until, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_before(&self, end: &AtomicU64, now: Instant) -> bool {
        now.duration_since(self.start).as_millis() < u128::from(end.load(Ordering::Relaxed))
    }

    fn set(&self, end: &AtomicU64, at: Instant) {
        end.store((at - self.start).as_millis() as u64, Ordering::Relaxed);
    }

    /// A message of a session that uses no more than its share has waited so long.
    pub fn waited(&self, session: SessionId, wait: Duration, now: Instant) {
        if wait < self.wait_max {
            return;
        }
        self.set(&self.felt_until, now + FELT_FOR);
        let mut state = self.state();
        if state.waited[0].is_none_or(|(last, _)| last != session) {
            state.waited[1] = state.waited[0];
        }
        state.waited[0] = Some((session, now));
        if now.duration_since(state.changed) >= HALVED_EVERY {
            state.share = (state.share(now) / 2.0).max(SHARE_MIN);
            state.changed = now;
            let grows_for = Duration::from_secs_f64(DOUBLED_EVERY * -state.share.log2());
            self.set(&self.shrunk_until, now + grows_for);
        }
    }

    /// Which part of its budget a session may use before others go ahead.
    pub fn share(&self, now: Instant) -> f64 {
        if self.is_before(&self.shrunk_until, now) { self.state().share(now) } else { 1.0 }
    }

    /// Whether somebody else has just had to wait.
    pub fn is_felt_by_others(&self, session: SessionId, now: Instant) -> bool {
        let is_other = |(other, at): (SessionId, Instant)| other != session && now.duration_since(at) < FELT_FOR;
        self.is_before(&self.felt_until, now) && self.state().waited.into_iter().flatten().any(is_other)
    }

    /// Somebody who uses more than its share has used so much while others wait.
    pub fn spend(&self, took: Duration) {
        self.state().slowed.spend_time(took);
    }

    /// When those who use more than their share may go on, if not now.
    pub fn slowed_until(&self) -> Option<Instant> {
        self.state().slowed.over_until()
    }
}

impl State {
    fn share(&self, now: Instant) -> f64 {
        let calm = now.duration_since(self.changed).as_secs_f64();
        (self.share * (calm / DOUBLED_EVERY).exp2()).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_shrink_while_somebody_waits_and_grow_again() {
        let pressure = Pressure::new(&Timing::default());
        let (one, other) = (SessionId(1), SessionId(2));
        let mut now = Instant::now();
        pressure.waited(one, Duration::from_micros(100), now);
        assert!(!pressure.is_felt_by_others(other, now), "so long nobody minds");
        for _ in 0..100 {
            now += HALVED_EVERY;
            pressure.waited(one, Duration::from_secs(1), now);
        }
        assert!((SHARE_MIN..2.0 * SHARE_MIN).contains(&pressure.share(now)));
        assert!(pressure.is_felt_by_others(other, now) && !pressure.is_felt_by_others(one, now));
        now += FELT_FOR;
        assert!(pressure.share(now) < 4.0 * SHARE_MIN && !pressure.is_felt_by_others(other, now));
        now += Duration::from_secs_f64(DOUBLED_EVERY * 5.0) - FELT_FOR;
        assert_eq!(pressure.share(now), 1.0);
    }
}
