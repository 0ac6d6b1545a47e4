//! The bookkeeping of a document's journal: which records there are, which are durable, when to compact.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::time::WallTime;
use crate::config::Limits;
use crate::id::{ClientId, Identity, Seq};

/// One update as it's kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// A Yjs update, format v1, that stands on the records before it.
    pub update: Bytes,
    /// Who made it.
    pub author: Identity,
    /// When it came.
    pub at: WallTime,
}

/// What survives when something is acknowledged (D7). Whatever it is, everything is on its way to the store by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Durability {
    /// Nothing beyond the process.
    Memory = 0,
    /// A killed process and a power cut on this machine.
    Local = 1,
}

impl Durability {
    /// The word for it in answers and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Local => "local",
        }
    }

    /// The number for it in acknowledgements.
    pub fn number(self) -> u64 {
        self as u64
    }
}

/// What stays of a document that was deleted, so that those who still hold it don't bring it back (I1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// How many documents of this name were deleted.
    pub incarnation: u32,
    /// The position of the deletion. What was recorded before is gone, and what is recorded after has higher ones.
    pub through: Seq,
    /// Whose work they held, in order.
    pub clients: Vec<ClientId>,
}

/// What a store has of a document. Empty for one that was never written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Whether there's a document of this name: it was created or written, and not deleted since.
    pub exists: bool,
    /// What its acknowledgements mean, where it differs from what the node says.
    pub durability: Option<Durability>,
    /// What stays of the documents of this name that were deleted.
    pub tombstone: Option<Tombstone>,
    /// The last snapshot (a Yjs update of format v1), and the last record that it holds.
    pub snapshot: Option<(Seq, Bytes)>,
    /// The records after it, in order and without a hole.
    pub tail: Vec<(Seq, Record)>,
}

impl Stored {
    /// The position of the last record, in the snapshot or after it.
    pub fn last_seq(&self) -> Seq {
        self.tail.last().map_or(self.floor(), |(seq, _)| *seq)
    }

    /// The position that the first record after the snapshot follows.
    pub fn floor(&self) -> Seq {
        let deleted = self.tombstone.as_ref().map(|tombstone| tombstone.through);
        self.snapshot.as_ref().map(|(seq, _)| *seq).or(deleted).unwrap_or_default()
    }
}

/// Counts a document's records. The records themselves are the store's.
#[derive(Debug)]
pub struct Journal {
    appended: Seq,
    durable: Seq,
    compacted: Seq,
    snapshot_bytes: u64,
    tail_bytes: u64,
}

impl Journal {
    /// Continues where `stored` ends.
    pub fn after(stored: &Stored) -> Self {
        let compacted = stored.floor();
        let snapshot_bytes = stored.snapshot.as_ref().map_or(0, |(_, snapshot)| snapshot.len() as u64);
        let last = stored.last_seq();
        let tail_bytes = stored.tail.iter().map(|(_, record)| record.update.len() as u64).sum();
        Self { appended: last, durable: last, compacted, snapshot_bytes, tail_bytes }
    }

    /// Takes the next position for a record of so many bytes.
    pub fn append(&mut self, bytes: usize) -> Seq {
        self.appended = self.appended.next();
        self.tail_bytes += bytes as u64;
        self.appended
    }

    /// The last record's position.
    pub fn appended(&self) -> Seq {
        self.appended
    }

    /// The last durable record's position.
    pub fn durable(&self) -> Seq {
        self.durable
    }

    /// Everything through `through` is durable.
    pub fn set_durable(&mut self, through: Seq) {
        self.durable = self.durable.max(through).min(self.appended);
    }

    /// Whether nothing would be lost if the document were dropped (D6).
    pub fn is_durable(&self) -> bool {
        self.durable == self.appended
    }

    /// Whether the tail has grown so long that a snapshot is worth its cost. Both thresholds grow with the last
    /// snapshot, so that the cost of all snapshots stays proportional to what was written.
    pub fn wants_compaction(&self, limits: &Limits) -> bool {
        let records = self.appended.0 - self.compacted.0;
        self.tail_bytes >= limits.compact_after_bytes.max(self.snapshot_bytes)
            || records >= limits.compact_after_records.max(self.snapshot_bytes / 64)
    }

    /// A snapshot of so many bytes holds everything that was appended.
    pub fn compacted(&mut self, snapshot_bytes: usize) -> Seq {
        self.compacted = self.appended;
        self.snapshot_bytes = snapshot_bytes as u64;
        self.tail_bytes = 0;
        self.appended
    }
}
