//! Messages that haven't come whole yet. What is there of them takes memory already, so it's bounded for the whole node.
//!
//! Those that began first have room for a whole message kept for them, each, so that they come to an end however many others
//! begin; those share what is left, in order of their beginning, and wait when that is used up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// A message up to this isn't counted, and a longer one grows by so much.
pub(crate) const STEP: usize = 64 << 10;
/// When there's no room for so long, somebody has to go who has stalled.
const PATIENCE: Duration = Duration::from_secs(1);
/// Who hasn't sent in this what it was granted last has stalled: 32 KiB/s are few even for a phone.
const STALL: Duration = Duration::from_secs(2);

/// All large unfinished messages of a node.
pub(crate) struct Unfinished {
    bytes_max: usize,
    /// What a message may take with the heads of its frames.
    whole: usize,
    /// For so many a whole message's room is kept: about half of all.
    kept: usize,
    parts: Mutex<Parts>,
}

struct Parts {
    bytes: usize,
    next: u64,
    all: BTreeMap<u64, Part>,
    waiting: BTreeSet<u64>,
    freed_at: Instant,
}

struct Part {
    bytes: usize,
    granted_at: Instant,
    /// It has come, and waits for somebody else to account for it.
    is_whole: bool,
    turn: Arc<Notify>,
    shed: Arc<Notify>,
}

/// One connection's unfinished message.
pub(crate) struct Growing {
    unfinished: Arc<Unfinished>,
    id: Option<u64>,
    shed: Arc<Notify>,
}

impl Parts {
    fn new() -> Self {
        let (all, waiting) = (BTreeMap::new(), BTreeSet::new());
        Self { bytes: 0, next: 0, all, waiting, freed_at: Instant::now() }
    }

    fn begin(&mut self, shed: Arc<Notify>) -> u64 {
        let id = self.next;
        let part = Part { bytes: 0, granted_at: Instant::now(), is_whole: false, turn: Arc::default(), shed };
        self.next += 1;
        self.all.insert(id, part);
        id
    }

    fn grow(&mut self, id: u64) {
        self.waiting.remove(&id);
        if let Some(part) = self.all.get_mut(&id) {
            (part.bytes, part.granted_at) = (part.bytes + STEP, Instant::now());
            self.bytes += STEP;
        }
    }

    fn end(&mut self, id: u64) -> Option<Part> {
        self.waiting.remove(&id);
        let part = self.all.remove(&id)?;
        self.bytes -= part.bytes;
        self.freed_at = Instant::now();
        Some(part)
    }

    /// Who was granted something longest ago and hasn't sent it since.
    fn stalled(&self) -> Option<u64> {
        let is_stalled =
            |id: &u64, part: &Part| !part.is_whole && !self.waiting.contains(id) && part.granted_at.elapsed() >= STALL;
        let stalled = self.all.iter().filter(|(id, part)| is_stalled(id, part));
        stalled.min_by_key(|(_, part)| part.granted_at).map(|(id, _)| *id)
    }
}

impl Unfinished {
    /// Room for so many bytes, of messages of which each has up to `message_bytes_max`.
    pub fn new(bytes_max: usize, message_bytes_max: usize) -> Self {
        let whole = message_bytes_max.saturating_add(STEP);
        let kept = bytes_max.div_ceil(whole.saturating_mul(2));
        Self { bytes_max, whole, kept, parts: Mutex::new(Parts::new()) }
    }

    /// Of a connection that has sent nothing yet.
    pub fn growing(self: &Arc<Self>) -> Growing {
        Growing { unfinished: self.clone(), id: None, shed: Arc::default() }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, parts: &Parts, id: u64) -> bool {
        let (mut taken, mut is_kept) = (parts.bytes + STEP, false);
        for (first, part) in parts.all.iter().filter(|(_, part)| !part.is_whole).take(self.kept) {
            taken += self.whole.saturating_sub(part.bytes);
            is_kept |= *first == id && part.bytes + STEP <= self.whole;
        }
        taken <= self.bytes_max || is_kept && parts.bytes + STEP <= self.bytes_max
    }

    /// Grants a step, unless there's no room or others were first: then its turn comes.
    fn try_grow(&self, id: u64) -> bool {
        let mut parts = self.parts();
        let is_first = parts.waiting.first().is_none_or(|first| *first >= id);
        // Who has been shed gets nothing more, and is about to end.
        if !parts.all.contains_key(&id) {
            return false;
        }
        if !is_first || !self.has_room(&parts, id) {
            parts.waiting.insert(id);
            return false;
        }
        parts.grow(id);
        self.wake(&parts);
        true
    }

    /// Wakes who is first, if there's room for it.
    fn wake(&self, parts: &Parts) {
        let first = parts.waiting.first().filter(|id| self.has_room(parts, **id));
        if let Some(part) = first.and_then(|id| parts.all.get(id)) {
            part.turn.notify_one();
        }
    }

    /// Waits for room. If none comes, one goes that has stalled.
    async fn grow(&self, id: u64, turn: Arc<Notify>) {
        while !self.try_grow(id) {
            if timeout(PATIENCE, turn.notified()).await.is_err() {
                self.lose_patience(id);
            }
        }
    }

    fn lose_patience(&self, id: u64) {
        let parts = self.parts();
        let has_had_all = parts.all.get(&id).is_some_and(|part| part.bytes >= self.whole);
        let may_shed = parts.waiting.first() == Some(&id) && parts.freed_at.elapsed() >= PATIENCE;
        let goes = if has_had_all { Some(id) } else { parts.stalled().filter(|_| may_shed) };
        drop(parts);
        if let Some(part) = goes.and_then(|id| self.end(id)) {
            part.shed.notify_one();
        }
    }

    fn end(&self, id: u64) -> Option<Part> {
        let mut parts = self.parts();
        let part = parts.end(id);
        self.wake(&parts);
        part
    }
}

impl Growing {
    /// The message may have [`STEP`] more bytes when this is done.
    pub fn grow(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let shed = &self.shed;
        let mut parts = self.unfinished.parts();
        let id = *self.id.get_or_insert_with(|| parts.begin(shed.clone()));
        let turn = parts.all.get(&id).map(|part| part.turn.clone()).unwrap_or_default();
        drop(parts);
        let unfinished = self.unfinished.clone();
        async move { unfinished.grow(id, turn).await }
    }

    /// The message has come whole: it can't stall any more, and needs nothing more.
    pub fn is_whole(&mut self) {
        let mut parts = self.unfinished.parts();
        if let Some(part) = self.id.and_then(|id| parts.all.get_mut(&id)) {
            part.is_whole = true;
            self.unfinished.wake(&parts);
        }
    }

    /// Somebody else accounts for the message, or it's gone.
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
    async fn who_has_stalled_goes_when_there_is_no_room() {
        let unfinished = Arc::new(Unfinished::new(4 * STEP, 2 * STEP));
        let (mut stalls, mut goes_on, mut new) = (unfinished.growing(), unfinished.growing(), unfinished.growing());
        assert!(is_done(stalls.grow()).await && is_done(stalls.grow()).await);
        tokio::time::advance(STALL).await;
        assert!(is_done(goes_on.grow()).await);
        let start = Instant::now();
        let (_, shed) = tokio::join!(new.grow(), async {
            timeout(STALL, stalls.shed().notified()).await.is_ok() && !is_done(goes_on.shed().notified()).await
        });
        assert!(shed && start.elapsed() >= PATIENCE);
        assert_eq!(unfinished.parts().bytes, 2 * STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_or_has_come_whole_has_not_stalled() {
        let unfinished = Arc::new(Unfinished::new(3 * STEP, STEP));
        let (mut whole, mut waits) = (unfinished.growing(), unfinished.growing());
        assert!(is_done(whole.grow()).await && is_done(whole.grow()).await);
        whole.is_whole();
        assert!(is_done(waits.grow()).await);
        assert!(timeout(9 * STALL, waits.grow()).await.is_err());
        assert!(!is_done(whole.shed().notified()).await && !is_done(waits.shed().notified()).await);
        whole.finish();
        assert!(is_done(waits.grow()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_more_than_a_message_may_have_goes() {
        let unfinished = Arc::new(Unfinished::new(4 * STEP, STEP));
        let mut endless = unfinished.growing();
        let shed = endless.shed();
        let growing = async {
            loop {
                endless.grow().await;
            }
        };
        assert!(
            timeout(2 * PATIENCE, async {
                tokio::select! { () = growing => {}, () = shed.notified() => {} }
            })
            .await
            .is_ok()
        );
    }

    /// 5 MiB at so many steps a second; gives whether it comes to its end.
    async fn upload(unfinished: Arc<Unfinished>, steps_per_second: u32) -> bool {
        let mut growing = unfinished.growing();
        let shed = growing.shed();
        let sending = async {
            for _ in 0..80 {
                tokio::time::sleep(Duration::from_secs(1) / steps_per_second).await;
                growing.grow().await;
            }
        };
        tokio::select! { () = sending => true, () = shed.notified() => false }
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_begin_at_once_all_come_to_an_end() {
        let limits = crate::config::Limits::default();
        for steps_per_second in [30, 1] {
            let unfinished = Arc::new(Unfinished::new(limits.unfinished_bytes_max, limits.message_bytes_max));
            let uploads: Vec<_> =
                (0..100).map(|_| tokio::spawn(upload(unfinished.clone(), steps_per_second))).collect();
            let all = async {
                for upload in uploads {
                    assert!(upload.await.unwrap(), "it was sent away");
                }
            };
            // In turn they'd take a hundred times as long as one.
            let max = Duration::from_secs(80) * 30 / steps_per_second;
            assert!(timeout(max, all).await.is_ok(), "they come to no end");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_finished_makes_room_at_once() {
        let unfinished = Arc::new(Unfinished::new(STEP, STEP));
        let (mut first, mut second) = (unfinished.growing(), unfinished.growing());
        first.grow().await;
        let start = Instant::now();
        tokio::join!(second.grow(), async { first.finish() });
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(second);
        assert_eq!(unfinished.parts().bytes, 0);
    }
}
