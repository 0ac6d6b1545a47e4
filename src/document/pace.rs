//! How quickly somebody may have more of what is made for them alone.

use std::time::Duration;

use super::time::Millis;

/// So much at once, and so much a second from then on. What goes beyond is owed, and nothing is given until it's made up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What may be had at once.
    pub burst: u64,
    /// What comes back in a second.
    pub per_second: u64,
}

/// What somebody has had lately.
#[derive(Debug, Default)]
pub struct Pace {
    had: u64,
    at: Millis,
}

impl Pace {
    fn had(&self, now: Millis, of: Allowance) -> u64 {
        let back = now.since(self.at).as_millis() as u64;
        self.had.saturating_sub(back.saturating_mul(of.per_second) / 1_000)
    }

    /// Whether there's something left.
    pub fn allows(&self, now: Millis, of: Allowance) -> bool {
        self.had(now, of) < of.burst
    }

    /// Takes so much, be it more than is left.
    pub fn take(&mut self, now: Millis, of: Allowance, amount: u64) {
        *self = Self { had: self.had(now, of).saturating_add(amount), at: now };
    }

    /// From when on there's something left.
    pub fn next(&self, of: Allowance) -> Millis {
        let owed = (self.had + 1).saturating_sub(of.burst);
        self.at + Duration::from_millis(owed.saturating_mul(1_000).div_ceil(of.per_second.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Allowance = Allowance { burst: 10, per_second: 2 };

    #[test]
    fn what_was_had_beyond_is_made_up_for_in_time() {
        let mut pace = Pace::default();
        let now = Millis(5_000);
        pace.take(now, OF, 9);
        assert!(pace.allows(now, OF));
        pace.take(now, OF, 5);
        assert!(!pace.allows(now, OF));
        let next = pace.next(OF);
        assert_eq!(next, now + Duration::from_millis(2_500));
        assert!(pace.allows(next, OF) && !pace.allows(now + Duration::from_millis(2_000), OF));
    }
}
