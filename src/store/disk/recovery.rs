//! What segments hold, at the start. One without an index was being written, or completed, when the process ended.

use super::files::Directory;
use super::index::Index;
use super::segment::{self, Batch, Kind, Mark, Placed, Scan, SegmentHead};
use crate::store::StoreError;
use crate::store::file_system::Access;

/// What a segment holds: from its index, or by walking over it. The newest one may be incomplete; it's completed.
pub fn read_segment(directory: &Directory, number: u32, may_be_incomplete: bool) -> Result<Index, StoreError> {
    let index = directory.read_index(number)?;
    let index = index.as_deref().and_then(Index::decode).filter(|index| index.segment == number);
    match index {
        Some(index) => Ok(index),
        None => walk(directory, number, may_be_incomplete),
    }
}

fn walk(directory: &Directory, number: u32, may_be_incomplete: bool) -> Result<Index, StoreError> {
    let path = directory.segment(number);
    let unreadable = |why: String| StoreError::Unreadable { path: path.clone(), why };
    let bytes = directory.read_segment(number)?;
    let head = SegmentHead::decode(&bytes).filter(|(head, _)| head.mark.number == number);
    let (head, start) = head.ok_or_else(|| unreadable("its head is damaged".into()))?;
    let scan = segment::scan(&bytes, head.mark, start);
    let (mark, is_complete, unsettled) = (head.mark, scan.is_complete, &bytes[scan.settled..scan.end]);
    check(&bytes, &head, &scan, may_be_incomplete).map_err(unreadable)?;
    let torn = bytes[scan.end..].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if !is_complete && torn > 0 {
        // It can't be told from a last batch that was damaged since, so it isn't passed over in silence.
        tracing::warn!(file = %path.display(), bytes = torn, "the last write can't be read, and is cut off: it was torn, or damaged since");
    }
    let mut index = index(&bytes, head, scan);
    complete(directory, &mut index, mark, is_complete, unsettled)?;
    Ok(index)
}

/// Whether all is there that was acknowledged.
fn check(bytes: &[u8], head: &SegmentHead, scan: &Scan, may_be_incomplete: bool) -> Result<(), String> {
    if scan.is_damaged || (!scan.is_complete && !may_be_incomplete) {
        return Err(format!("it's damaged at byte {}, and its index can't be read", scan.end));
    }
    if !scan.is_complete && (bytes.len() as u64) < head.allocated {
        return Err(format!("it was cut: {} bytes are left of {}", bytes.len(), head.allocated));
    }
    Ok(())
}

fn index(bytes: &[u8], head: SegmentHead, scan: Scan) -> Index {
    let bytes_of = |placed: &Placed| {
        let start = placed.place.offset as usize;
        bytes[start..start + placed.place.len as usize].to_vec()
    };
    let entries = scan.records.iter().filter(|placed| placed.head.kind == Kind::Entry).map(bytes_of).collect();
    let (format, segment, len) = (head.format, head.mark.number, scan.end as u64);
    let next = scan.next.unwrap_or(1);
    Index { format, segment, len, others: head.others, next, records: scan.records, entries }
}

/// Completes a segment that was being written when the process ended. What follows its last whole batch was never durable.
fn complete(
    directory: &Directory,
    index: &mut Index,
    mark: Mark,
    is_complete: bool,
    unsettled: &[u8],
) -> Result<(), StoreError> {
    let file = directory.open_segment(index.segment, Access::ReadWrite)?;
    // Whether the last sync succeeded isn't known, and a page that failed to be written may look clean: it's written again.
    file.write_at(unsettled, index.len - unsettled.len() as u64)?;
    if !is_complete {
        let mut end = Batch::default();
        end.end();
        let (bytes, placed) = end.encode(mark, index.next, index.len);
        file.write_at(&bytes, index.len)?;
        index.len += bytes.len() as u64;
        index.next += 1;
        index.records.extend(placed);
    }
    file.sync_all()?;
    directory.write_index(index.segment, &index.encode())?;
    file.set_len(index.len)?;
    Ok(())
}
