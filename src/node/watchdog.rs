//! One thread that looks whether documents get on. What never ends can't be stopped within a process, only named.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use crate::id::{DocName, Identity};

/// What one document, or one load, is doing.
#[derive(Debug)]
pub(crate) struct Beat {
    /// Odd while it does something; another number for each thing.
    count: AtomicU64,
    document: DocName,
    message: Mutex<Option<InHand>>,
}

/// A message that a document has in hand.
#[derive(Clone, Debug)]
pub(crate) struct InHand {
    pub message: Bytes,
    /// Who sent it.
    pub identity: Identity,
}

/// A document, or a load, that does one thing for too long.
#[derive(Clone, Debug)]
pub(crate) struct Stuck {
    pub document: DocName,
    pub message: Option<InHand>,
}

/// Says that something is being done, until it's dropped.
pub(crate) struct Busy<'a>(&'a Beat);

impl Beat {
    pub fn of(document: DocName) -> Arc<Self> {
        Arc::new(Self { count: AtomicU64::new(0), document, message: Mutex::default() })
    }

    fn message(&self) -> MutexGuard<'_, Option<InHand>> {
        self.message.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is begun: with a message, or without.
    pub fn begin(&self, message: Option<InHand>) -> Busy<'_> {
        *self.message() = message;
        self.count.fetch_add(1, Ordering::Release);
        Busy(self)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_add(1, Ordering::Release);
        *self.0.message() = None;
    }
}

/// All that is looked at.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    beats: Mutex<Vec<Weak<Beat>>>,
}

impl Watched {
    /// Looks at it too, as long as it's there.
    pub fn add(&self, beat: &Arc<Beat>) {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(beat));
    }

    fn all(&self) -> Vec<Arc<Beat>> {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.retain(|beat| beat.strong_count() > 0);
        beats.iter().filter_map(Weak::upgrade).collect()
    }
}

/// How many looks in a row have found each document doing the same thing.
#[derive(Debug, Default)]
struct Looks(BTreeMap<usize, (u64, u32)>);

impl Looks {
    /// Looks once more; gives what was found doing the same for `max` looks.
    fn look(&mut self, beats: &[Arc<Beat>], max: u32) -> Option<Stuck> {
        let mut looks = BTreeMap::new();
        let mut stuck = None;
        for beat in beats {
            let count = beat.count.load(Ordering::Acquire);
            if count % 2 == 0 {
                continue;
            }
            let key = Arc::as_ptr(beat) as usize;
            let before = self.0.get(&key).filter(|(seen, _)| *seen == count).map_or(0, |(_, looks)| *looks);
            looks.insert(key, (count, before + 1));
            if before + 1 == max {
                let message = beat.message().clone();
                // It may have come to its end at this very moment.
                let is_still = beat.count.load(Ordering::Acquire) == count;
                stuck = stuck.or(is_still.then(|| Stuck { document: beat.document.clone(), message }));
            }
        }
        self.0 = looks;
        stuck
    }
}

/// Starts the thread. It looks every `interval` and tells what it found doing the same for `max` looks, until the other end of
/// `stop` is gone.
pub(crate) fn start(
    watched: Weak<Watched>,
    interval: Duration,
    max: u32,
    stop: Receiver<()>,
    tell: impl Fn(Stuck) + Send + 'static,
) -> io::Result<()> {
    let look = move || {
        let mut looks = Looks::default();
        // A look late is one look: while the process is frozen, nothing is counted.
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(interval) {
            let Some(watched) = watched.upgrade() else { return };
            if let Some(stuck) = looks.look(&watched.all(), max) {
                tell(stuck);
            }
        }
    };
    thread::Builder::new().name("y-mesh-watchdog".into()).spawn(look).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_thing_over_all_looks_is_stuck() {
        let beat = Beat::of("a".parse().unwrap());
        let (beats, mut looks) = ([beat.clone()], Looks::default());
        for _ in 0..9 {
            let _busy = beat.begin(None);
            assert!(looks.look(&beats, 3).is_none() && looks.look(&beats, 3).is_none(), "it gets on");
        }
        assert!((0..9).all(|_| looks.look(&beats, 3).is_none()), "it does nothing");
        let message = Bytes::from_static(b"endless");
        let _busy = beat.begin(Some(InHand { message: message.clone(), identity: Identity::anonymous() }));
        assert!(looks.look(&beats, 3).is_none() && looks.look(&beats, 3).is_none());
        let stuck = looks.look(&beats, 3).unwrap();
        assert_eq!((stuck.document.as_str(), stuck.message.unwrap().message), ("a", message));
        assert!(looks.look(&beats, 3).is_none(), "it's told once");
    }
}
