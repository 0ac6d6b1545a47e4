//! A journal in memory: what the document asked to keep, in order, and how much of that is durable.

use bytes::Bytes;
use y_mesh::document::{Record, Stored, Tombstone};
use y_mesh::{ClientId, Seq};

#[derive(Clone)]
pub enum Write {
    Append(Seq, Record),
    Compact(Seq, Bytes),
    Delete(Seq, Vec<ClientId>),
}

#[derive(Default)]
pub struct Journal {
    writes: Vec<Write>,
    durable: usize,
    /// Before those that are among the writes.
    deletions: u32,
}

impl Journal {
    /// Continues with a document that was opened from `stored`.
    pub fn after(stored: &Stored) -> Self {
        let snapshot = stored.snapshot.iter().map(|(seq, bytes)| Write::Compact(*seq, bytes.clone()));
        let tail = stored.tail.iter().map(|(seq, record)| Write::Append(*seq, record.clone()));
        let tombstone = stored.tombstone.iter();
        let deleted = tombstone.map(|tombstone| Write::Delete(tombstone.through, tombstone.clients.clone()));
        let writes: Vec<_> = deleted.chain(snapshot).chain(tail).collect();
        let deletions = stored.tombstone.as_ref().map_or(0, |tombstone| tombstone.incarnation);
        Self { durable: writes.len(), writes, deletions: deletions.saturating_sub(1) }
    }

    pub fn append(&mut self, seq: Seq, record: Record) {
        assert_eq!(seq, self.last().next(), "records are numbered without a hole");
        self.writes.push(Write::Append(seq, record));
    }

    pub fn compact(&mut self, through: Seq, snapshot: Bytes) {
        assert_eq!(through, self.last(), "a snapshot holds what was appended, no more and no less");
        self.writes.push(Write::Compact(through, snapshot));
    }

    pub fn delete(&mut self, through: Seq, clients: Vec<ClientId>) {
        assert_eq!(through, self.last().next(), "a deletion takes a position as a record does");
        self.writes.push(Write::Delete(through, clients));
    }

    /// Makes the first `count` writes durable that aren't yet; gives the last durable record.
    pub fn sync(&mut self, count: usize) -> Seq {
        self.durable = (self.durable + count).min(self.writes.len());
        last_of(&self.writes[..self.durable])
    }

    pub fn sync_all(&mut self) -> Seq {
        self.sync(usize::MAX - self.writes.len())
    }

    /// How many writes aren't durable.
    pub fn waiting(&self) -> usize {
        self.writes.len() - self.durable
    }

    /// The last record.
    pub fn last(&self) -> Seq {
        last_of(&self.writes)
    }

    pub fn records(&self) -> Vec<Record> {
        let record = |write: &Write| if let Write::Append(_, record) = write { Some(record.clone()) } else { None };
        self.writes.iter().filter_map(record).collect()
    }

    pub fn compactions(&self) -> usize {
        self.writes.iter().filter(|write| matches!(write, Write::Compact(..))).count()
    }

    /// What a store gives after a kill: what was durable, and nothing else.
    pub fn durable(&self) -> Stored {
        stored(&self.writes[..self.durable], self.deletions)
    }

    /// What a store gives after an orderly end.
    pub fn everything(&self) -> Stored {
        stored(&self.writes, self.deletions)
    }
}

fn last_of(writes: &[Write]) -> Seq {
    match writes.last() {
        Some(Write::Append(seq, _) | Write::Compact(seq, _) | Write::Delete(seq, _)) => *seq,
        None => Seq(0),
    }
}

fn stored(writes: &[Write], mut deletions: u32) -> Stored {
    let mut stored = Stored { exists: !writes.is_empty(), ..Stored::default() };
    for write in writes {
        match write {
            Write::Append(seq, record) => {
                stored.exists = true;
                stored.tail.push((*seq, record.clone()));
            }
            Write::Delete(through, clients) => {
                deletions += 1;
                let tombstone = Tombstone { incarnation: deletions, through: *through, clients: clients.clone() };
                stored = Stored { tombstone: Some(tombstone), ..Stored::default() };
            }
            Write::Compact(through, snapshot) => {
                stored.snapshot = Some((*through, snapshot.clone()));
                stored.tail.retain(|(seq, _)| seq > through);
            }
        }
    }
    stored
}
