//! Records that leave the journal pass here: two snapshots hold them, so nobody needs them to rebuild the document any more.
//! Who wants to say who wrote what, and when, takes them over.

use super::journal;
use super::segment::{Kind, Placed, RecordHead};
use super::{DiskStore, StoreError};
use crate::document::Record;
use crate::id::{DocName, Seq};
use crate::wire::vet::{self, Bounds, Span};

/// Takes over what leaves the journal.
pub trait History: Send + Sync {
    /// Some records of a document are about to leave, in order. They leave once this has returned; should the process end
    /// between, they come again.
    ///
    /// # Errors
    /// The compaction fails with it, and the records stay.
    fn retire(&self, name: &DocName, records: &[Retired]) -> Result<(), StoreError>;
}

/// A record that leaves the journal: who made it and when is in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// Its position.
    pub seq: Seq,
    /// The record itself.
    pub record: Record,
    /// The structs that it brought, by client and clock; none if it isn't an update of Yjs.
    pub spans: Vec<Span>,
}

impl DiskStore {
    /// Hands to the history what leaves when the records through `floor` aren't needed any more.
    pub(super) fn retire(&self, doc: u64, floor: Seq) -> Result<(), StoreError> {
        let Some(history) = &self.history else { return Ok(()) };
        let (name, leaving) = {
            let catalog = self.catalog();
            let Some(known) = catalog.get(doc) else { return Ok(()) };
            let leaving = known.updates.range(..=floor.0).map(|(seq, place)| (*seq, *place));
            let with_file = leaving.filter_map(|(seq, place)| Some((seq, place, catalog.file(place.segment)?)));
            (known.entry.name.clone(), with_file.collect::<Vec<_>>())
        };
        let mut records = Vec::with_capacity(leaving.len());
        for (seq, place, file) in leaving {
            let head = RecordHead { kind: Kind::Update, doc, seq };
            match journal::read_update(&*file, &Placed { head, place }) {
                Ok(record) => records.push(Retired { seq: Seq(seq), spans: spans(&record), record }),
                // The snapshots hold what it did; only who did it is lost.
                Err(why) => tracing::error!(document = %name, %why, "a record can't be handed to the history"),
            }
        }
        if records.is_empty() { Ok(()) } else { history.retire(&name, &records) }
    }
}

fn spans(record: &Record) -> Vec<Span> {
    vet::outline(&record.update, &Bounds::STORED).map(|outline| outline.spans).unwrap_or_default()
}
