//! An update, written from structs that are encoded already: what they hold stays as it is, to the last byte.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::lib0::write_var_uint;
use super::vet::Span;
use crate::id::{ClientId, Clock};

/// An update in the making.
#[derive(Default)]
pub struct Assembly<'a> {
    /// Yjs writes the greatest client first.
    runs: BTreeMap<Reverse<ClientId>, Run<'a>>,
    deletes: BTreeMap<Reverse<ClientId>, Vec<(Clock, Clock)>>,
}

/// Structs of one client that follow each other.
struct Run<'a> {
    start: Clock,
    end: Clock,
    structs: u64,
    bytes: Vec<Cow<'a, [u8]>>,
}

impl<'a> Assembly<'a> {
    /// Adds structs that follow each other. `None` if they don't begin where those of this client have ended.
    pub fn add(&mut self, span: Span, structs: u64, bytes: impl Into<Cow<'a, [u8]>>) -> Option<()> {
        let empty = Run { start: span.start, end: span.start, structs: 0, bytes: Vec::new() };
        let run = self.runs.entry(Reverse(span.client)).or_insert(empty);
        if run.end != span.start {
            return None;
        }
        run.end = span.end;
        run.structs += structs;
        run.bytes.push(bytes.into());
        Some(())
    }

    /// Adds units that are deleted.
    pub fn delete(&mut self, span: Span) {
        if span.start < span.end {
            self.deletes.entry(Reverse(span.client)).or_default().push((span.start, span.end));
        }
    }

    /// The update.
    pub fn encode(mut self) -> Vec<u8> {
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
