//! Updates that follow each other, put together into one, without taking their structs apart: what they hold stays as it
//! is, to the last byte. (yrs' own merge decodes and encodes, which changes some values: it has no small BigInt.)

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::lib0::write_var_uint;
use super::vet::{self, Bounds, Section, Span, Visit};
use crate::id::{ClientId, Clock};

/// One update that says what `updates` say one after the other. `None` if one of them isn't an update, or doesn't begin
/// where the one before has ended; then they have to go one by one.
pub fn merge(updates: &[&[u8]]) -> Option<Vec<u8>> {
    let mut merged = Merged::default();
    for update in updates {
        // They were taken, so they cost no more than they may.
        let mut parts = Parts::default();
        vet::walk(update, &Bounds::STORED, &mut parts).ok()?;
        merged.add(update, parts)?;
    }
    Some(merged.encode())
}

#[derive(Default)]
struct Parts {
    sections: Vec<Section>,
    deletes: Vec<Span>,
}

impl Visit for Parts {
    fn section(&mut self, section: &Section) {
        self.sections.push(section.clone());
    }

    fn delete(&mut self, span: Span) {
        self.deletes.push(span);
    }
}

#[derive(Default)]
struct Merged<'a> {
    /// Yjs writes the greatest client first.
    runs: BTreeMap<Reverse<ClientId>, Run<'a>>,
    deletes: BTreeMap<Reverse<ClientId>, Vec<(Clock, Clock)>>,
}

/// All structs of one client.
struct Run<'a> {
    start: Clock,
    end: Clock,
    structs: u64,
    bytes: Vec<&'a [u8]>,
}

impl<'a> Merged<'a> {
    fn add(&mut self, update: &'a [u8], parts: Parts) -> Option<()> {
        for Section { span, structs, bytes } in parts.sections {
            let empty = Run { start: span.start, end: span.start, structs: 0, bytes: Vec::new() };
            let run = self.runs.entry(Reverse(span.client)).or_insert(empty);
            if run.end != span.start {
                return None;
            }
            run.end = span.end;
            run.structs += structs;
            run.bytes.push(&update[bytes]);
        }
        for span in parts.deletes {
            self.deletes.entry(Reverse(span.client)).or_default().push((span.start, span.end));
        }
        Some(())
    }

    fn encode(mut self) -> Vec<u8> {
        let bytes = self.runs.values().flat_map(|run| &run.bytes).map(|bytes| bytes.len()).sum::<usize>();
        let mut out = Vec::with_capacity(bytes + 16 * (1 + self.runs.len() + self.deletes.len()));
        write_var_uint(&mut out, self.runs.len() as u64);
        for (Reverse(client), run) in &self.runs {
            write_var_uint(&mut out, run.structs);
            write_var_uint(&mut out, client.0);
            write_var_uint(&mut out, u64::from(run.start));
            run.bytes.iter().for_each(|bytes| out.extend_from_slice(bytes));
        }
        write_var_uint(&mut out, self.deletes.len() as u64);
        for (Reverse(client), ranges) in &mut self.deletes {
            encode_ranges(&mut out, *client, ranges);
        }
        out
    }
}

/// Ranges are written in order, and those that touch as one.
fn encode_ranges(out: &mut Vec<u8>, client: ClientId, ranges: &mut Vec<(Clock, Clock)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|(start, end), (_, before)| {
        let touches = *start <= *before;
        if touches {
            *before = (*before).max(*end);
        }
        touches
    });
    write_var_uint(out, client.0);
    write_var_uint(out, ranges.len() as u64);
    for (start, end) in ranges {
        write_var_uint(out, u64::from(*start));
        write_var_uint(out, u64::from(*end - *start));
    }
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
