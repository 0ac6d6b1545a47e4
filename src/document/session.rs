//! One session of a document: what it may do, what it was sent, and what of its own isn't settled yet.

use std::collections::VecDeque;

use super::event::{Access, Denied, Kind};
use super::pace::Pace;
use super::state_vector::StateVector;
use super::time::Millis;
use crate::id::{ClientId, Identity, Seq};
use crate::wire::vet::Span;

/// One party that has the document open.
#[derive(Debug)]
pub struct Session {
    /// What kind of party it is.
    pub kind: Kind,
    /// When it was last sent something of its own; what goes to all is noted once for all.
    pub last_sent: Millis,
    /// When it was last asked for what is missing.
    pub last_asked: Option<Millis>,
    /// How often in a row it was asked, and its answer brought nothing that was missing.
    pub asked_in_vain: u32,
    /// Whether something of its last answer stood on what neither it nor the document has.
    pub lacks: bool,
    /// Whether it's to be asked again, as soon as it may be.
    pub asks: bool,
    /// Set while its outbox is full (F5).
    pub behind: Option<Behind>,
    /// What it said it has, until it's known whether its outbox took the answer.
    pub basis: Option<StateVector>,
    /// What it said last that it has, until it's answered (S2).
    pub question: Option<StateVector>,
    /// Whether it has asked who is here, and wasn't answered yet.
    pub asks_everybody: bool,
    /// Whether an answer is in its outbox. There's never another one with it.
    pub has_answer: bool,
    /// Whether it was answered before.
    pub was_answered: bool,
    /// What it has had of answers lately.
    pub pace: Pace,
    /// Its own frames that aren't settled yet (D7).
    pub ledger: Ledger,
    /// Where it stands in its opening, which decides which awareness entry is its own (A2).
    pub opening: Opening,
    /// How many clients it has brought lately that nobody knew (A5).
    pub brought: Pace,
    /// Whether it was told that it can't write (S4).
    pub was_denied_write: bool,
    /// Whether it was told that nothing can be kept (D5), so that it's asked when something can be again.
    pub was_denied_space: bool,
    /// Whether it was told that its awareness was dropped (A5).
    pub was_denied_awareness: bool,
}

/// What a session that is behind has missed, so that it can be brought up to date.
#[derive(Debug)]
pub struct Behind {
    /// Since when it's behind.
    pub since: Millis,
    /// Its outbox is empty, and it waits for its turn.
    pub is_drained: bool,
    /// What it has of the document for sure, if it has missed something of that.
    pub basis: Option<StateVector>,
    /// Whether it has missed awareness of others.
    pub awareness: bool,
    /// Whether it has missed that it's to announce itself anew.
    pub goodbye: bool,
    /// Refusals in words that it has missed.
    pub denied: Vec<Denied>,
}

impl Behind {
    /// Nothing is missed yet.
    pub fn since(now: Millis) -> Self {
        Self { since: now, is_drained: false, basis: None, awareness: false, goodbye: false, denied: Vec::new() }
    }
}

/// How far a session's opening got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing came yet.
    Silent,
    /// Its first SyncStep1 came; an awareness frame with a single entry right after it is its own.
    Asked,
    /// It owns this awareness entry, or none that we know of.
    Done(Option<ClientId>),
}

impl Session {
    /// A session that has just come.
    pub fn new(kind: Kind, now: Millis) -> Self {
        Self {
            kind,
            last_sent: now,
            last_asked: None,
            asked_in_vain: 0,
            lacks: false,
            asks: false,
            behind: None,
            basis: None,
            question: None,
            asks_everybody: false,
            has_answer: false,
            was_answered: false,
            pace: Pace::default(),
            ledger: Ledger::default(),
            opening: Opening::Silent,
            brought: Pace::default(),
            was_denied_write: false,
            was_denied_space: false,
            was_denied_awareness: false,
        }
    }

    /// Whether it may change the document.
    pub fn may_write(&self) -> bool {
        match &self.kind {
            Kind::Client { access, .. } => *access >= Access::Write,
            Kind::Peer(_) => true,
        }
    }

    /// Whether it's behind, and its outbox isn't empty.
    pub fn is_stuck(&self) -> bool {
        self.behind.as_ref().is_some_and(|behind| !behind.is_drained)
    }

    /// The awareness entry that is its own, if we know of one.
    pub fn own(&self) -> Option<ClientId> {
        match self.opening {
            Opening::Done(own) => own,
            Opening::Silent | Opening::Asked => None,
        }
    }

    /// Whether it's another node.
    pub fn is_peer(&self) -> bool {
        matches!(self.kind, Kind::Peer(_))
    }

    /// Who it is.
    pub fn identity(&self) -> Identity {
        match &self.kind {
            Kind::Client { identity, .. } => identity.clone(),
            Kind::Peer(_) => Identity::anonymous(),
        }
    }
}

/// What became of a session's SyncStep2 and Update frames, in the order in which they came.
///
/// Counts are given out for the settled front alone, so that `durable + refused` says how many of the first frames
/// are settled. Frames that can only be settled together share an entry, so memory doesn't grow with a flood of them.
#[derive(Debug, Default)]
pub struct Ledger {
    open: VecDeque<Entry>,
    /// From the first frame on that stands on something missing: none of them is settled before all of that has come.
    blocked: Option<(Entry, Wants)>,
    durable: u64,
    refused: u64,
}

/// Frames that are settled when a record is durable.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    seq: Seq,
    kept: u64,
    refused: u64,
}

/// What becomes of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Settled when this record is durable.
    Kept(Seq),
    /// Refused.
    Refused,
    /// It stands on something missing. Its sender was asked for that, and the answer brings this frame's content too. It's
    /// settled when all of this is here.
    Missing(Wants),
}

/// What must be here for the content of something to be here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Work.
    pub work: StateVector,
    /// Work that must be deleted.
    pub deletes: Vec<Span>,
}

/// Client ids that a session's missing frames may want, and deletes. One that wants more isn't told any more what is
/// settled, until it connects anew.
const WANTS_MAX: usize = 10_000;

impl Wants {
    fn is_too_much(&self) -> bool {
        self.work.len() > WANTS_MAX || self.deletes.len() > WANTS_MAX
    }

    fn add(&mut self, more: Self) {
        if !self.is_too_much() {
            more.work.iter().for_each(|(client, clock)| self.work.raise(client, clock));
            self.deletes.extend(more.deletes.into_iter().take(WANTS_MAX + 1));
        }
    }
}

impl Entry {
    fn add(&mut self, fate: &Fate) {
        match fate {
            Fate::Refused => self.refused += 1,
            Fate::Missing(_) => self.kept += 1,
            Fate::Kept(seq) => {
                self.seq = self.seq.max(*seq);
                self.kept += 1;
            }
        }
    }
}

impl Ledger {
    /// Notes the next frame.
    pub fn push(&mut self, fate: Fate) {
        if let Fate::Missing(_) = fate {
            self.blocked.get_or_insert_default();
        }
        if let Some((blocked, wants)) = &mut self.blocked {
            blocked.add(&fate);
            if let Fate::Missing(more) = fate {
                wants.add(more);
            }
            return;
        }
        match self.open.back_mut() {
            // What is refused can't be settled before what came before it.
            Some(last) if fate == Fate::Refused || fate == Fate::Kept(last.seq) => last.add(&fate),
            _ => {
                let mut entry = Entry::default();
                entry.add(&fate);
                self.open.push_back(entry);
            }
        }
    }

    /// What frames of this session wait for, unless it's too much to keep.
    pub fn wants(&self) -> Option<&Wants> {
        self.blocked.as_ref().map(|(_, wants)| wants).filter(|wants| !wants.is_too_much())
    }

    /// All that frames were waiting for is in the records through `seq`: they're settled with it.
    pub fn arrived(&mut self, seq: Seq) {
        if let Some((mut entry, _)) = self.blocked.take() {
            entry.seq = entry.seq.max(seq);
            self.open.push_back(entry);
        }
    }

    /// Whether frames wait for something missing.
    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Settles what can be, and gives the new counts (durable, refused) if they have changed.
    pub fn settle(&mut self, durable: Seq) -> Option<(u64, u64)> {
        let before = (self.durable, self.refused);
        while let Some(entry) = self.open.front().copied().filter(|entry| entry.seq <= durable) {
            self.open.pop_front();
            self.durable += entry.kept;
            self.refused += entry.refused;
        }
        let after = (self.durable, self.refused);
        (after != before).then_some(after)
    }

    /// Whether frames aren't settled yet.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty() || self.is_blocked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(clock: u32) -> Wants {
        let mut work = StateVector::default();
        work.raise(ClientId(1), clock);
        Wants { work, deletes: Vec::new() }
    }

    #[test]
    fn d7_counts_cover_the_settled_front_alone() {
        let mut ledger = Ledger::default();
        ledger.push(Fate::Kept(Seq(1)));
        ledger.push(Fate::Kept(Seq(2)));
        ledger.push(Fate::Refused);
        assert_eq!(ledger.settle(Seq(1)), Some((1, 0)));
        assert_eq!(ledger.settle(Seq(1)), None);
        assert_eq!(ledger.settle(Seq(2)), Some((2, 1)));
        assert!(!ledger.is_open());
    }

    #[test]
    fn d7_a_missing_frame_is_settled_by_what_brings_it() {
        let mut ledger = Ledger::default();
        ledger.push(Fate::Missing(work(7)));
        ledger.push(Fate::Kept(Seq(1)));
        assert_eq!((ledger.settle(Seq(9)), ledger.wants()), (None, Some(&work(7))));
        ledger.push(Fate::Kept(Seq(10)));
        ledger.arrived(Seq(10));
        assert_eq!(ledger.settle(Seq(9)), None);
        assert_eq!(ledger.settle(Seq(10)), Some((3, 0)));
    }

    #[test]
    fn d7_a_flood_of_frames_shares_entries() {
        let mut ledger = Ledger::default();
        for _ in 0..100_000 {
            ledger.push(Fate::Kept(Seq(1)));
            ledger.push(Fate::Refused);
        }
        for _ in 0..100_000 {
            ledger.push(Fate::Missing(work(1)));
            ledger.push(Fate::Kept(Seq(2)));
            ledger.push(Fate::Refused);
        }
        assert_eq!(ledger.open.len(), 1);
        assert_eq!(ledger.settle(Seq(2)), Some((100_000, 100_000)));
        ledger.push(Fate::Kept(Seq(3)));
        ledger.arrived(Seq(3));
        assert_eq!(ledger.settle(Seq(3)), Some((300_001, 200_000)));
    }
}
