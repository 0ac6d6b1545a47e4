//! A walk over a Yjs update (format v1) that builds nothing: it bounds what the update can cost, and tells what
//! it brings and what it stands on. It knows no document.
//!
//! The layout (Yjs 13.6, `encoding.js`, `DeleteSet.js`):
//!
//! - varUint sections; a section is varUint structs, varUint client, varUint first clock, then the structs;
//! - the delete set: varUint clients; each varUint client, varUint ranges, then clock and length of each.
//!
//! Nothing recurses, and memory grows with the number of clients, holes and delete ranges, never with a declared count.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::json::whole_pairs;
use super::lib0::Reader;
use super::structs::{Body, Content, DEPTH_END, Id, Item, Parent, Struct, Structs};
use super::{CLOCK_END, Refusal};
use crate::config::Limits;
use crate::id::{ClientId, Clock};

/// Holes in one update: one with more is an attack.
const HOLES_MAX: usize = 65_536;

/// What one update may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Client ids. yrs recurses once for each.
    pub clients_max: u64,
    /// Structs, and ranges of the delete set.
    pub structs_max: u64,
    /// How deep a value may nest. yrs decodes values recursively.
    pub depth_max: usize,
}

impl Bounds {
    /// For what was taken before. It's bounded by what it took to take it, whatever the limits are today.
    pub const STORED: Self = Self { clients_max: u64::MAX, structs_max: u64::MAX, depth_max: DEPTH_END };

    /// For what comes in.
    pub fn of(limits: &Limits) -> Self {
        let depth_max = limits.value_depth_max.min(DEPTH_END);
        Self { clients_max: limits.update_clients_max, structs_max: limits.update_structs_max, depth_max }
    }
}

/// Consecutive clocks of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whose clocks they are.
    pub client: ClientId,
    /// The first.
    pub start: Clock,
    /// One more than the last.
    pub end: Clock,
}

/// What an update brings, and what must be there for it to stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The structs, as runs without a hole; of one client in order. A Skip is a hole.
    pub spans: Vec<Span>,
    /// For each client, one more than the greatest clock that a struct names as origin or parent, or that is deleted.
    pub needs: BTreeMap<ClientId, Clock>,
    /// For each client, its structs.
    pub sections: Vec<Section>,
    /// What the delete set names, as it's written.
    pub deletes: Vec<Span>,
    /// How many of the structs are shared types.
    pub types: u64,
    /// Whether structs hold JSON that yrs can't read as it is.
    pub has_odd_json: bool,
    holes: usize,
}

/// All structs of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The first clock and one more than the last.
    pub span: Span,
    /// How many structs.
    pub structs: u64,
    /// Where the structs' bytes are.
    pub bytes: Range<usize>,
}

/// Walks `update` from its first byte to its last; tells what it brings and needs.
///
/// # Errors
/// If it isn't an update, or not one that can be held safely.
pub fn outline(update: &[u8], bounds: &Bounds) -> Result<Outline, Refusal> {
    let mut walk = Walk { reader: Reader::new(update), outline: Outline::default(), bounds, left: bounds.structs_max };
    walk.sections()?;
    walk.deletes()?;
    if !walk.reader.is_empty() {
        return Err(walk.reader.fail("bytes follow the delete set").into());
    }
    Ok(walk.outline)
}

/// How many units these are.
pub fn units(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.end - span.start)).sum()
}

impl Outline {
    fn span(&mut self, span: Span) -> Result<(), &'static str> {
        if span.start == span.end {
            return Ok(());
        }
        if self.spans.last().is_some_and(|last| last.client == span.client) {
            self.holes += 1;
            if self.holes > HOLES_MAX {
                return Err("too many holes in one update");
            }
        }
        self.spans.push(span);
        Ok(())
    }

    fn need(&mut self, client: ClientId, end: Clock) {
        let need = self.needs.entry(client).or_default();
        *need = (*need).max(end);
    }

    fn add(&mut self, client: ClientId, read: &Struct<'_>) {
        let Body::Item(Item { origin, right_origin, parent, content, .. }) = &read.body else { return };
        let parent = if let Some(Parent::Type(id)) = parent { Some(id) } else { None };
        let is_before = |id: &&Id| id.client == client && id.clock < read.start;
        for id in [origin.as_ref(), right_origin.as_ref(), parent].into_iter().flatten().filter(|id| !is_before(id)) {
            self.need(id.client, id.clock + 1);
        }
        self.types += u64::from(matches!(content, Content::Type(_)));
        self.has_odd_json |= match content {
            Content::Json => true,
            Content::Embed(json) | Content::Format(_, json) => matches!(whole_pairs(json), Cow::Owned(_)),
            _ => false,
        };
    }
}

struct Walk<'a> {
    reader: Reader<'a>,
    outline: Outline,
    bounds: &'a Bounds,
    /// How many structs and delete ranges may still come.
    left: u64,
}

impl Walk<'_> {
    fn refuse<T>(&self, what: &'static str) -> Result<T, Refusal> {
        Err(Refusal::Refused { what, at: self.reader.position() })
    }

    fn sections(&mut self) -> Result<(), Refusal> {
        let mut seen = BTreeSet::new();
        let clients = self.reader.count(3)?;
        if clients > self.bounds.clients_max {
            return self.refuse("too many clients in one update");
        }
        for _ in 0..clients {
            let structs = self.reader.count(1)?;
            if structs == 0 {
                return self.refuse("a client is listed without structs");
            }
            let client = ClientId(self.reader.var_uint()?);
            if clients > 1 && !seen.insert(client) {
                return self.refuse("a client is listed twice");
            }
            let clock = self.reader.var_uint()?;
            self.section(client, clock, structs)?;
        }
        Ok(())
    }

    fn section(&mut self, client: ClientId, clock: u64, structs: u64) -> Result<(), Refusal> {
        self.count(structs, "too many structs in one update")?;
        if clock >= CLOCK_END {
            return self.refuse("a clock is 2^31 or more");
        }
        let (first, from) = (clock as Clock, self.reader.position());
        let mut run = Span { client, start: first, end: first };
        let mut left = Structs::new(self.reader, structs, first, self.bounds.depth_max);
        while let Some(read) = left.next() {
            let read = read?;
            self.reader = left.reader();
            self.outline.add(client, &read);
            if read.body == Body::Skip {
                self.span(run)?;
                run.start = read.end;
            }
            run.end = read.end;
        }
        self.span(run)?;
        let bytes = from..self.reader.position();
        self.outline.sections.push(Section { span: Span { start: first, ..run }, structs, bytes });
        Ok(())
    }

    fn span(&mut self, span: Span) -> Result<(), Refusal> {
        self.outline.span(span).or_else(|what| self.refuse(what))
    }

    fn count(&mut self, more: u64, what: &'static str) -> Result<(), Refusal> {
        match self.left.checked_sub(more) {
            Some(left) => self.left = left,
            None => return self.refuse(what),
        }
        Ok(())
    }

    fn deletes(&mut self) -> Result<(), Refusal> {
        let mut seen = BTreeSet::new();
        let clients = self.reader.count(2)?;
        for _ in 0..clients {
            let client = ClientId(self.reader.var_uint()?);
            if clients > 1 && !seen.insert(client) {
                return self.refuse("a client is listed twice in the delete set");
            }
            let ranges = self.reader.count(2)?;
            self.count(ranges, "too many ranges in the delete set of one update")?;
            for _ in 0..ranges {
                let clock = self.reader.var_uint()?;
                let length = self.reader.var_uint()?;
                if clock.saturating_add(length) >= CLOCK_END {
                    return self.refuse("a clock is 2^31 or more");
                }
                let span = Span { client, start: clock as Clock, end: (clock + length) as Clock };
                self.outline.need(client, span.end);
                self.outline.deletes.push(span);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlined(update: &[u8]) -> Result<Outline, Refusal> {
        outline(update, &Bounds::of(&Limits::default()))
    }

    fn refused(update: &[u8]) -> &'static str {
        match outlined(update) {
            Err(Refusal::Refused { what, .. }) => what,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Client 1 inserts "ab" into the root "t".
    const INSERT: [u8; 11] = [1, 1, 1, 0, 4, 1, 1, b't', 2, b'a', b'b'];

    #[test]
    fn an_empty_update_brings_nothing() {
        assert_eq!(outlined(&[0, 0]), Ok(Outline::default()));
    }

    #[test]
    fn an_insert_brings_its_clocks() {
        let update = [&INSERT[..], &[0]].concat();
        let span = Span { client: ClientId(1), start: 0, end: 2 };
        assert_eq!(outlined(&update).unwrap().spans, [span]);
    }

    #[test]
    fn text_counts_in_utf_16() {
        let update = [&[1, 1, 1, 0, 4, 1, 1, b't', 4], "😀".as_bytes(), &[0]].concat();
        assert_eq!(outlined(&update).unwrap().spans[0].end, 2);
    }

    #[test]
    fn origins_and_deletes_are_what_an_update_stands_on() {
        let update = [1, 1, 1, 5, 0x84, 2, 7, 1, b'x', 1, 3, 1, 4, 2];
        let outline = outlined(&update).unwrap();
        assert_eq!(outline.needs, BTreeMap::from([(ClientId(2), 8), (ClientId(3), 6)]));
        assert_eq!(units(&outline.deletes), 2);
    }

    #[test]
    fn a_skip_is_a_hole() {
        let update = [1, 3, 1, 0, 0, 2, 10, 3, 0, 1, 0];
        let spans = outlined(&update).unwrap().spans;
        assert_eq!(spans.iter().map(|s| (s.start, s.end)).collect::<Vec<_>>(), [(0, 2), (5, 6)]);
    }

    #[test]
    fn w5_a_client_listed_twice_is_refused() {
        assert_eq!(refused(&[2, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0]), "a client is listed twice");
    }

    #[test]
    fn w5_values_that_nest_too_deep_are_refused_without_recursion() {
        let nested = [&[1, 1, 1, 0, 8, 1, 1, b'a', 1][..], &[117, 1].repeat(100_000), &[126, 0]].concat();
        assert_eq!(refused(&nested), "a value nests too deep");
    }

    #[test]
    fn w5_json_that_nests_too_deep_is_refused() {
        let mut update = vec![1, 1, 1, 0, 5, 1, 1, b'a'];
        super::super::lib0::write_var_string(&mut update, &"[".repeat(1_000));
        update.push(0);
        assert_eq!(refused(&update), "a value nests too deep");
    }

    #[test]
    fn w5_a_clock_that_wraps_is_refused() {
        assert_eq!(refused(&[1, 1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]), "a clock is 2^31 or more");
    }

    #[test]
    fn w5_a_count_that_promises_more_than_there_is_is_malformed() {
        assert!(matches!(outlined(&[0xff, 0xff, 0xff, 0x7a]), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn w4_every_truncation_and_every_changed_byte_ends_without_a_panic() {
        let update = [&INSERT[..], &[1, 1, 1, 0, 1]].concat();
        for at in 0..update.len() {
            assert!(outlined(&update[..at]).is_err(), "cut at {at}");
            for byte in 0..=255 {
                let mut changed = update.clone();
                changed[at] = byte;
                let _ = outlined(&changed);
            }
        }
    }
}
