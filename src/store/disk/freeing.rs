//! Space is won back from the journal: a segment that nobody needs goes, and what is needed of another is copied forward.

use std::sync::PoisonError;

use super::journal::{self, Journal};
use super::segment::{self, Batch, Kind};
use super::{DiskStore, StoreError};

/// Bytes that are copied forward in one batch.
const COPY_BYTES: usize = 1 << 20;
/// Segments beside those that their bytes ask for: each start begins one, and each is an open file.
const SEGMENTS_SPARE: u64 = 32;

impl DiskStore {
    /// Frees segments that nobody needs; and if the journal is over its budget, the one that is needed least.
    pub(super) fn clean(&self, journal: &mut Journal) -> Result<(), StoreError> {
        let pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let complete: Vec<(u32, u64, u64)> = {
            let catalog = self.catalog();
            journal.complete().map(|(number, bytes)| (number, bytes, catalog.live(number))).collect()
        };
        let unneeded: Vec<u32> = complete.iter().filter(|(.., live)| *live == 0).map(|(number, ..)| *number).collect();
        if !unneeded.is_empty() {
            self.free(journal, &unneeded)?;
        }
        let needed: Vec<_> = complete.into_iter().filter(|(.., live)| *live > 0).collect();
        let (bytes, live) = needed.iter().fold((0, 0), |sum, (_, bytes, live)| (sum.0 + bytes, sum.1 + live));
        let is_crowded = needed.len() as u64 > SEGMENTS_SPARE + 2 * bytes / self.options.segment_bytes;
        if !is_crowded && bytes <= self.options.journal_bytes.max(2 * live) {
            return Ok(());
        }
        let movable = needed.iter().filter(|(number, ..)| !pinned.contains(number));
        let least = match is_crowded {
            true => movable.min_by_key(|(_, _, live)| *live),
            false => movable.min_by_key(|(_, bytes, live)| live * 1_000 / (*bytes).max(1)),
        };
        match least {
            Some((number, ..)) => self.copy_forward(journal, *number),
            None => Ok(()),
        }
    }

    fn free(&self, journal: &mut Journal, segments: &[u32]) -> Result<(), StoreError> {
        journal.free(segments)?;
        let mut catalog = self.catalog();
        segments.iter().for_each(|segment| catalog.forget(*segment));
        Ok(())
    }

    /// Copies what is needed of a segment to the journal's end, then frees it.
    fn copy_forward(&self, journal: &mut Journal, segment: u32) -> Result<(), StoreError> {
        let index = journal.index(segment)?;
        let Some(file) = self.catalog().file(segment) else { return Ok(()) };
        let mut batch = Batch::default();
        for placed in index.records.iter().filter(|placed| placed.head.kind != Kind::End) {
            if !self.catalog().needs(placed) {
                continue;
            }
            let bytes = match journal::read_record(&*file, placed) {
                Ok(bytes) => bytes,
                Err(why) => {
                    tracing::error!(segment, %why, "a segment is damaged; it's left as it is");
                    self.pinned.lock().unwrap_or_else(PoisonError::into_inner).insert(segment);
                    continue;
                }
            };
            let decode = |(_, payload)| segment::decode_entry(index.format, payload);
            match placed.head.kind {
                Kind::Entry => match segment::record(&bytes).and_then(decode) {
                    Some(entry) => batch.copy(placed.head, &bytes, Some(entry)),
                    None => drop(self.pinned.lock().unwrap_or_else(PoisonError::into_inner).insert(segment)),
                },
                _ => batch.copy(placed.head, &bytes, None),
            }
            if batch.bytes() >= COPY_BYTES {
                self.write(journal, &std::mem::take(&mut batch))?;
            }
        }
        if !batch.is_empty() {
            self.write(journal, &batch)?;
        }
        let is_needed = self.catalog().live(segment) > 0;
        if is_needed { Ok(()) } else { self.free(journal, &[segment]) }
    }
}
