//! In which order a document's mail is handled, so that nobody's makes others wait for long.
//!
//! Mail is handled as it comes. What is large, and what is of a session that has used more than its share lately, comes after
//! what is neither, those first who have used least. While others have to wait, here or in other documents, all who use more
//! than their share have a small part of the node's time together; who goes on for too long is to be closed. Who has used much
//! and goes on with little doesn't go on. While nobody else waits, nobody is slowed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::budget::SessionBudget;
use super::mailbox::Mail;
use super::pressure::{Pressure, SHARE_MIN};
use crate::config::{Config, Timing};
use crate::id::SessionId;

/// What is longer comes after what is shorter.
const LIGHT_BYTES_MAX: usize = 64 << 10;
/// What was used counts half after so long, in seconds.
const HALF_LIFE: f64 = 10.0;
/// What a byte takes at most, as long as nothing else is known: a longer message is handled alone.
const BYTE_TIME: Duration = Duration::from_nanos(10);
/// Whether a session goes on is looked at so often in the time after which it's a flood.
const LOOKS: u32 = 10;
/// What a message costs besides its handling: its way in.
const MESSAGE_TIME: Duration = Duration::from_micros(20);

pub(crate) struct Queue {
    config: Arc<Config>,
    light: VecDeque<Mail>,
    lanes: BTreeMap<SessionId, Lane>,
    /// Mail in all lanes.
    in_lanes: usize,
    pressure: Arc<Pressure>,
}

/// One session's mail that comes after others'.
struct Lane {
    mail: VecDeque<Mail>,
    /// All of its mail, wherever it is.
    waiting: usize,
    budget: SessionBudget,
    /// Seconds that it has used lately, and when that was so.
    used: f64,
    at: Instant,
    /// What a message of it takes, as of late, unless it's large: of whoever brings much once, the next is as small as others'.
    cost: Duration,
    excess: Option<Excess>,
}

/// A session uses more than its share, and others wait.
struct Excess {
    since: Instant,
    /// What it has used since the last look.
    used: Duration,
    looked: Instant,
}

impl Excess {
    fn new(now: Instant) -> Self {
        Self { since: now, used: Duration::ZERO, looked: now }
    }
}

impl Lane {
    fn is_over(&mut self, now: Instant, share: f64, timing: &Timing) -> bool {
        let steady = timing.session_time.as_secs_f64() * HALF_LIFE / std::f64::consts::LN_2;
        self.budget.is_over() || share < 1.0 && self.used(now) > share * steady
    }

    /// What its next message may take.
    fn expected(&self, mail: &Mail) -> Duration {
        let bytes = if let Mail::Message { message, .. } = mail { message.len() } else { 0 };
        self.cost.max(BYTE_TIME * bytes as u32)
    }

    /// Forgets that it used too much if since the last look that, with what waits, was no more than the smallest share. What
    /// it used before makes it wait, and is no reason to close it.
    fn look(&mut self, now: Instant, timing: &Timing) {
        let Some(excess) = &self.excess else { return };
        let passed = now.duration_since(excess.looked);
        if passed < timing.flood_max / LOOKS {
            return;
        }
        let wanted = excess.used + self.mail.iter().map(|mail| self.expected(mail)).sum::<Duration>();
        let goes_on = wanted.as_secs_f64() > SHARE_MIN * timing.session_time.as_secs_f64() * passed.as_secs_f64();
        let since = excess.since;
        self.excess = goes_on.then(|| Excess { since, ..Excess::new(now) });
    }

    fn used(&self, now: Instant) -> f64 {
        self.used * 0.5_f64.powf(now.duration_since(self.at).as_secs_f64() / HALF_LIFE)
    }
}

impl Queue {
    pub fn new(config: Arc<Config>, pressure: Arc<Pressure>) -> Self {
        Self { config, light: VecDeque::new(), lanes: BTreeMap::new(), in_lanes: 0, pressure }
    }

    pub fn push(&mut self, mail: Mail) {
        if let Some(session) = sender(&mail) {
            let config = &self.config;
            let lane = self.lanes.entry(session).or_insert_with(|| Lane {
                mail: VecDeque::new(),
                waiting: 0,
                budget: SessionBudget::new(&config.limits, &config.timing),
                used: 0.0,
                at: Instant::now(),
                cost: MESSAGE_TIME,
                excess: None,
            });
            lane.waiting += 1;
        }
        self.light.push_back(mail);
    }

    pub fn is_empty(&self) -> bool {
        self.light.is_empty() && self.in_lanes == 0
    }

    /// A session is gone. What it sent beyond its budget goes with it; gives whether other mail of it waits.
    pub fn has_last_words(&mut self, session: SessionId, now: Instant) -> bool {
        let (is_felt, share) = (self.pressure.is_felt_by_others(session, now), self.pressure.share(now));
        let Some(lane) = self.lanes.get_mut(&session) else { return false };
        if is_felt && lane.is_over(now, share, &self.config.timing) {
            self.in_lanes -= lane.mail.len();
            lane.waiting -= lane.mail.len();
            lane.mail.clear();
        }
        lane.waiting > 0
    }

    /// Nothing more comes of a session.
    pub fn forget(&mut self, session: SessionId) {
        if let Some(lane) = self.lanes.remove(&session) {
            self.in_lanes -= lane.mail.len();
        }
    }

    /// What is to be handled next, if anything is now, and how long that may take.
    pub fn pop(&mut self, now: Instant) -> Option<(Mail, Duration)> {
        let share = self.pressure.share(now);
        while let Some(mail) = self.light.pop_front() {
            let Mail::Message { session, message, sent, .. } = &mail else { return Some((mail, MESSAGE_TIME)) };
            let Some(lane) = self.lanes.get_mut(session) else { return Some((mail, MESSAGE_TIME)) };
            let is_light = lane.mail.is_empty() && message.len() <= LIGHT_BYTES_MAX;
            if is_light && !lane.is_over(now, share, &self.config.timing) {
                lane.waiting -= 1;
                lane.excess = None;
                self.pressure.waited(*session, now.duration_since(*sent), now);
                let expected = lane.expected(&mail);
                return Some((mail, expected));
            }
            lane.look(now, &self.config.timing);
            lane.mail.push_back(mail);
            self.in_lanes += 1;
        }
        let session = self.next_lane(now)?;
        let lane = self.lanes.get_mut(&session)?;
        lane.waiting -= 1;
        self.in_lanes -= 1;
        let mail = lane.mail.pop_front()?;
        let expected = lane.expected(&mail);
        Some((mail, expected))
    }

    /// Which of the sessions whose mail comes after others' is next: who has used least, of those who may go on.
    fn next_lane(&mut self, now: Instant) -> Option<SessionId> {
        if self.in_lanes == 0 {
            return None;
        }
        let (is_slow, share) = (self.pressure.slowed_until().is_some(), self.pressure.share(now));
        let waiting: Vec<_> = self.lanes.iter().filter(|(_, lane)| !lane.mail.is_empty()).map(|(id, _)| *id).collect();
        let mut next: Option<(f64, SessionId)> = None;
        for session in waiting {
            let is_felt = self.pressure.is_felt_by_others(session, now);
            let Some(lane) = self.lanes.get_mut(&session) else { continue };
            let is_slowed = is_felt && lane.is_over(now, share, &self.config.timing);
            lane.excess = is_slowed.then(|| lane.excess.take().unwrap_or_else(|| Excess::new(now)));
            let used = lane.used(now);
            if !(is_slowed && is_slow) && next.is_none_or(|(least, _)| used < least) {
                next = Some((used, session));
            }
        }
        next.map(|(_, session)| session)
    }

    /// A message was handled.
    pub fn charge(&mut self, session: SessionId, took: Duration, bytes: usize, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&session) else { return };
        let took = took + MESSAGE_TIME;
        if let Some(excess) = &mut lane.excess {
            excess.used += took;
            self.pressure.spend(took);
        }
        if bytes <= LIGHT_BYTES_MAX {
            lane.cost = (lane.cost * 3 + took) / 4;
        }
        lane.budget.spend(took, bytes);
        (lane.used, lane.at) = (lane.used(now) + took.as_secs_f64(), now);
    }

    /// When there's something to be handled; `None` if no mail waits.
    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        if !self.light.is_empty() {
            return Some(now);
        }
        (self.in_lanes > 0).then(|| match self.next_lane(now) {
            Some(_) => now,
            None => self.pressure.slowed_until().unwrap_or(now),
        })
    }

    /// Who has used more than its share for too long while others wait, and goes on.
    pub fn floods(&mut self, now: Instant) -> Vec<SessionId> {
        let timing = &self.config.timing;
        self.lanes.values_mut().for_each(|lane| lane.look(now, timing));
        let is_flood = |excess: &Excess| now.duration_since(excess.since) >= timing.flood_max;
        self.lanes.iter().filter(|(_, lane)| lane.excess.as_ref().is_some_and(is_flood)).map(|(id, _)| *id).collect()
    }

    /// Takes everything out.
    pub fn drain(&mut self) -> impl Iterator<Item = Mail> {
        self.in_lanes = 0;
        let lanes = std::mem::take(&mut self.lanes).into_values().flat_map(|lane| lane.mail);
        std::mem::take(&mut self.light).into_iter().chain(lanes)
    }
}

/// Whose message it is.
fn sender(mail: &Mail) -> Option<SessionId> {
    match mail {
        Mail::Message { session, .. } => Some(*session),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn queue() -> Queue {
        queue_of(Arc::default())
    }

    fn queue_of(config: Arc<Config>) -> Queue {
        let pressure = Arc::new(Pressure::new(&config.timing));
        Queue::new(config, pressure)
    }

    fn message_at(session: u64, bytes: usize, sent: Instant) -> Mail {
        Mail::Message {
            session: SessionId(session),
            message: vec![0; bytes].into(),
            sent,
            _permits: [None, None, None],
        }
    }

    fn message(session: u64, bytes: usize) -> Mail {
        message_at(session, bytes, Instant::now())
    }

    /// Handles everything that may be handled now, each message in a millisecond. Gives whose it was.
    fn handled(queue: &mut Queue, now: Instant) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some((Mail::Message { session, message, .. }, _)) = queue.pop(now) {
            queue.charge(session, MS, Bytes::len(&message), now);
            order.push(session.0);
        }
        order
    }

    #[test]
    fn mail_is_handled_as_it_comes() {
        let (mut queue, now) = (queue(), Instant::now());
        [1, 2, 1, 3, 2].into_iter().for_each(|session| queue.push(message(session, 10)));
        assert_eq!(queue.next(now), Some(now));
        assert_eq!(handled(&mut queue, now), [1, 2, 1, 3, 2]);
        assert_eq!((queue.is_empty(), queue.next(now)), (true, None));
    }

    #[test]
    fn what_is_large_comes_after_what_is_not_and_in_its_sessions_order() {
        let (mut queue, now) = (queue(), Instant::now());
        for (session, bytes) in [(1, 100_000), (1, 1), (2, 1), (3, 70_000), (2, 1)] {
            queue.push(message(session, bytes));
        }
        assert_eq!(handled(&mut queue, now), [2, 2, 1, 3, 1]);
    }

    #[test]
    fn who_uses_much_comes_after_others_and_has_a_small_part_while_they_wait() {
        let (mut queue, now) = (queue(), Instant::now());
        let burst = queue.config.timing.session_time_burst.as_millis() as usize;
        (0..3 * burst).for_each(|_| queue.push(message_at(1, 1, now)));
        assert!(handled(&mut queue, now).len() == 3 * burst, "nobody waits");
        (0..500).for_each(|_| queue.push(message_at(1, 1, now)));
        queue.push(message_at(2, 1, now - MS));
        queue.push(message_at(3, 1, now - 100 * MS));
        let order = handled(&mut queue, now);
        assert_eq!(order[..2], [2, 3]);
        let part = queue.config.timing.slowed_time.as_millis() as usize;
        assert!(order.len() < 2 + part, "of the rest it has a small part: {}", order.len());
        assert!(queue.next(now).is_some_and(|next| next > now));
        assert_eq!(queue.floods(now), []);
        for second in 1..=31 {
            let later = now + Duration::from_secs(second);
            queue.push(message_at(2, 1, later - 100 * MS));
            assert_eq!(handled(&mut queue, later)[0], 2);
        }
        assert_eq!(queue.floods(now + Duration::from_secs(31)), [SessionId(1)]);
    }

    #[test]
    fn who_makes_nobody_wait_never_waits() {
        let (mut queue, now) = (queue(), Instant::now());
        (0..5_000).for_each(|_| queue.push(message_at(1, 50_000, now)));
        queue.push(message_at(2, 100_000, now));
        queue.push(message_at(3, 1, now));
        assert_eq!(handled(&mut queue, now + MS).len(), 5_002);
        assert_eq!(queue.floods(now + Duration::from_secs(60)), []);
    }

    #[test]
    fn last_words_are_kept_unless_they_are_too_many() {
        let (mut queue, now) = (queue(), Instant::now());
        let burst = queue.config.timing.session_time_burst.as_millis() as usize;
        (0..3 * burst).for_each(|_| queue.push(message_at(1, 1, now)));
        assert!(queue.has_last_words(SessionId(1), now));
        queue.push(message_at(2, 1, now - 100 * MS));
        handled(&mut queue, now);
        assert!(!queue.has_last_words(SessionId(1), now), "what is beyond its share goes with it");
        queue.forget(SessionId(1));
        assert!(queue.is_empty());
    }

    /// Handles what may be handled now, with others who have to wait.
    fn handled_while_others_wait(queue: &mut Queue, now: Instant) -> Vec<u64> {
        [2, 3].into_iter().for_each(|session| queue.push(message_at(session, 1, now - 100 * MS)));
        handled(queue, now)
    }

    #[test]
    fn who_was_slowed_once_and_is_silent_is_no_flood() {
        let (mut queue, now) = (queue(), Instant::now());
        let burst = queue.config.timing.session_time_burst.as_millis() as usize;
        (0..3 * burst).for_each(|_| queue.push(message_at(1, 1, now)));
        handled(&mut queue, now);
        queue.push(message_at(1, 1, now));
        assert_eq!(handled_while_others_wait(&mut queue, now), [2, 3, 1]);
        assert!(queue.is_empty() && queue.lanes[&SessionId(1)].excess.is_some(), "it was slowed");
        let later = now + queue.config.timing.flood_max;
        (0..100).for_each(|_| queue.push(message_at(1, 1, later)));
        handled_while_others_wait(&mut queue, later);
        assert_eq!(queue.floods(later), []);
    }

    /// Brings a large message, and then what is given every tenth of a second while others wait. When it's a flood, if it ever is.
    fn flood_of(each: usize) -> Option<u32> {
        let (mut config, start) = (Config::default(), Instant::now());
        // The instants are the test's own, and what's left to those who are slowed comes back with the clock's.
        config.timing.slowed_time = Duration::from_secs(100);
        let mut queue = queue_of(config.into());
        queue.push(message_at(1, 16 << 20, start));
        queue.pop(start).expect("it's handled");
        queue.charge(SessionId(1), 800 * MS, 16 << 20, start);
        (1..=600).find(|tenth| {
            let now = start + 100 * MS * *tenth;
            (0..each).for_each(|_| queue.push(message_at(1, 30, now)));
            [2, 3].into_iter().for_each(|session| queue.push(message_at(session, 1, now - 100 * MS)));
            while let Some((Mail::Message { session, .. }, _)) = queue.pop(now) {
                queue.charge(session, MS / 10, 30, now);
            }
            !queue.floods(now).is_empty()
        })
    }

    #[test]
    fn who_brought_much_once_and_types_is_no_flood() {
        assert_eq!(flood_of(1), None);
    }

    #[test]
    fn who_brought_much_and_goes_on_is_a_flood() {
        let tenth = flood_of(20).expect("it's a flood");
        assert!((300..=310).contains(&tenth), "{tenth}");
    }

    #[test]
    fn who_types_and_gets_no_turn_is_no_flood() {
        let (mut queue, now) = (queue(), Instant::now());
        queue.charge(SessionId(1), MS, 1, now);
        queue.push(message_at(1, 16 << 20, now));
        queue.pop(now).expect("it's handled");
        queue.charge(SessionId(1), 800 * MS, 16 << 20, now);
        queue.pressure.spend(Duration::from_secs(10));
        for second in 1..=31 {
            let later = now + Duration::from_secs(second);
            queue.push(message_at(1, 30, later));
            assert_eq!(handled_while_others_wait(&mut queue, later), [2, 3]);
            assert_eq!(queue.floods(later), [], "after {second} s");
        }
    }
}
