//! Updates that follow each other, put together into one, without taking their structs apart: what they hold stays as it
//! is, to the last byte. (yrs' own merge decodes and encodes, which changes some values: it has no small BigInt.)

use super::assemble::Assembly;
use super::vet::{self, Bounds, Section};

/// One update that says what `updates` say one after the other. `None` if one of them isn't an update, or doesn't begin
/// where the one before has ended; then they have to go one by one.
pub fn merge(updates: &[&[u8]]) -> Option<Vec<u8>> {
    let mut merged = Assembly::default();
    for update in updates {
        // They were taken, so they cost no more than they may.
        let outline = vet::outline(update, &Bounds::STORED).ok()?;
        for Section { span, structs, bytes } in outline.sections {
            merged.add(span, structs, &update[bytes])?;
        }
        outline.deletes.into_iter().for_each(|span| merged.delete(span));
    }
    Some(merged.encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Client 1 writes "a" into "t", then "b" after it; client 2 writes "c" after that.
    const A: &[u8] = &[1, 1, 1, 0, 4, 1, 1, b't', 1, b'a', 0];
    const B: &[u8] = &[1, 1, 1, 1, 0x84, 1, 0, 1, b'b', 0];
    const C: &[u8] = &[1, 1, 2, 0, 0x84, 1, 1, 1, b'c', 0];

    #[test]
    fn structs_of_one_client_follow_each_other_and_clients_come_greatest_first() {
        let wanted =
            [&[2][..], &[1, 2, 0, 0x84, 1, 1, 1, b'c'], &[2, 1, 0, 4, 1, 1, b't', 1, b'a', 0x84, 1, 0, 1, b'b'], &[0]];
        assert_eq!(merge(&[A, B, C]), Some(wanted.concat()));
    }

    #[test]
    fn deletes_are_sorted_and_those_that_touch_become_one() {
        let delete = |clock, length| vec![0, 1, 1, 1, clock, length];
        let (one, two, three) = (delete(4, 2), delete(0, 1), delete(1, 2));
        assert_eq!(merge(&[&one, &two, &three]), Some(vec![0, 1, 1, 2, 0, 3, 4, 2]));
    }

    #[test]
    fn what_does_not_follow_is_not_merged() {
        assert_eq!(merge(&[B, A]), None);
        assert_eq!(merge(&[A, A]), None);
        assert_eq!(merge(&[A, &[7]]), None);
    }
}
