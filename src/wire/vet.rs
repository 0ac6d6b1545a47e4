//! A walk over a Yjs update (format v1) that builds nothing: it bounds what the update can cost, and tells what
//! it brings and what it stands on. It knows no document.
//!
//! The layout (Yjs 13.6, `encoding.js`, `Item.js`, `DeleteSet.js`):
//!
//! - varUint sections; a section is varUint structs, varUint client, varUint first clock, then the structs;
//! - a struct is an info byte; the low five bits are its kind. 0 is GC and 10 is Skip, both varUint length. All
//!   others are items: 0x80 says that an origin follows, 0x40 a right origin, both as client and clock; with neither,
//!   a parent: varUint 1 and a root's name, or 0 and an id, then with 0x20 the key in it. Then the content;
//! - the delete set: varUint clients; each varUint client, varUint ranges, then clock and length of each.
//!
//! Nothing recurses, and memory grows with the number of clients and holes, never with a declared count. The walk tells
//! what it meets to a [`Visit`], which keeps what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Malformed;
use super::lib0::Reader;
use crate::config::Limits;
use crate::id::{ClientId, Clock};

/// yrs adds clocks in 32 bits, and JavaScript shifts them in 31.
const CLOCK_END: u64 = 1 << 31;
/// Values may nest at most this deep whatever the limits say: the walk keeps one number a level.
const DEPTH_END: usize = 256;
/// Holes in one update: one with more is an attack.
const HOLES_MAX: usize = 65_536;
/// The kind of an item that is a shared type.
const TYPE: u8 = 7;

/// What one update may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Client ids. yrs recurses once for each.
    pub clients_max: u64,
    /// Structs.
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
    /// How many units the delete set names.
    pub deleted: u64,
    /// How many of the structs are shared types.
    pub types: u64,
    holes: usize,
}

/// Why an update isn't taken. The document is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It isn't an update.
    #[error("not a Yjs update: {0}")]
    Malformed(#[from] Malformed),
    /// It is one, but costs too much or can't be held safely.
    #[error("{what} (byte {at})")]
    Refused {
        /// What is wrong, in a client developer's terms.
        what: &'static str,
        /// Where in the update.
        at: usize,
    },
}

/// Told what the walk meets, in the order of the bytes.
pub trait Visit {
    /// A client's structs begin here.
    fn section(&mut self, _section: &Section) {}

    /// A run of a client's structs without a hole.
    ///
    /// # Errors
    /// Why there may not be one more.
    fn span(&mut self, _span: Span) -> Result<(), &'static str> {
        Ok(())
    }

    /// All clocks of `client` below `end` must be there or come along.
    fn need(&mut self, _client: ClientId, _end: Clock) {}

    /// A struct is a shared type.
    fn shared_type(&mut self) {}

    /// Units that are deleted.
    fn delete(&mut self, _span: Span) {}
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
    let mut outline = Outline::default();
    walk(update, bounds, &mut outline)?;
    Ok(outline)
}

/// Walks `update` from its first byte to its last.
///
/// # Errors
/// Like [`outline`]; what was visited before is of no use then.
pub fn walk(update: &[u8], bounds: &Bounds, visit: &mut impl Visit) -> Result<(), Refusal> {
    let mut walk = Walk { reader: Reader::new(update), visit, bounds, structs_left: bounds.structs_max };
    walk.sections()?;
    walk.deletes()?;
    if !walk.reader.is_empty() {
        return Err(walk.reader.fail("bytes follow the delete set").into());
    }
    Ok(())
}

impl Visit for Outline {
    fn span(&mut self, span: Span) -> Result<(), &'static str> {
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

    fn shared_type(&mut self) {
        self.types += 1;
    }

    fn delete(&mut self, span: Span) {
        self.need(span.client, span.end);
        self.deleted += u64::from(span.end - span.start);
    }
}

struct Walk<'a, V> {
    reader: Reader<'a>,
    visit: &'a mut V,
    bounds: &'a Bounds,
    structs_left: u64,
}

impl<V: Visit> Walk<'_, V> {
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
            let client = self.client()?;
            if !seen.insert(client) {
                return self.refuse("a client is listed twice");
            }
            let clock = self.reader.var_uint()?;
            self.section(client, clock, structs)?;
        }
        Ok(())
    }

    fn section(&mut self, client: ClientId, mut clock: u64, structs: u64) -> Result<(), Refusal> {
        if structs > self.structs_left {
            return self.refuse("too many structs in one update");
        }
        self.structs_left -= structs;
        let (first, mut start, from) = (clock, clock, self.reader.position());
        for _ in 0..structs {
            let (length, is_skip) = self.one_struct()?;
            if length == 0 {
                return self.refuse("a struct has no length");
            }
            if is_skip {
                self.span(client, start, clock)?;
            }
            clock = self.advance(clock, length)?;
            if is_skip {
                start = clock;
            }
        }
        self.span(client, start, clock)?;
        if first < clock {
            let bytes = from..self.reader.position();
            self.visit.section(&Section { span: span(client, first, clock), structs, bytes });
        }
        Ok(())
    }

    fn advance(&self, clock: u64, length: u64) -> Result<u64, Refusal> {
        match clock.checked_add(length) {
            Some(end) if end < CLOCK_END => Ok(end),
            _ => self.refuse("a clock is 2^31 or more"),
        }
    }

    fn span(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Refusal> {
        if start < end
            && let Err(what) = self.visit.span(span(client, start, end))
        {
            return self.refuse(what);
        }
        Ok(())
    }

    /// Steps over one struct; gives its length and whether it's a Skip.
    fn one_struct(&mut self) -> Result<(u64, bool), Refusal> {
        let info = self.reader.u8()?;
        match info & 0x1f {
            0 | 10 if info > 10 => self.refuse("a GC or Skip struct has flags"),
            0 => Ok((self.reader.var_uint()?, false)),
            10 => Ok((self.reader.var_uint()?, true)),
            kind => {
                self.item_head(info)?;
                Ok((self.content(kind)?, false))
            }
        }
    }

    fn item_head(&mut self, info: u8) -> Result<(), Refusal> {
        if info & 0x80 != 0 {
            self.need()?;
        }
        if info & 0x40 != 0 {
            self.need()?;
        }
        if info & 0xc0 == 0 {
            match self.reader.var_uint()? {
                1 => self.skip_text()?,
                0 => self.need()?,
                _ => return Err(self.reader.fail("a parent is neither a name nor an id").into()),
            }
            if info & 0x20 != 0 {
                self.reader.var_string()?;
            }
        }
        Ok(())
    }

    /// Steps over the id of something that must be there.
    fn need(&mut self) -> Result<(), Refusal> {
        let client = self.client()?;
        let clock = self.reader.var_uint()?;
        let end = self.advance(clock, 1)?;
        self.visit.need(client, end as Clock);
        Ok(())
    }

    fn client(&mut self) -> Result<ClientId, Refusal> {
        Ok(ClientId(self.reader.var_uint()?))
    }

    /// Steps over an item's content and gives its length in units.
    fn content(&mut self, kind: u8) -> Result<u64, Refusal> {
        match kind {
            1 => return Ok(self.reader.var_uint()?),
            2 => return self.refuse("ContentJSON, which only Yjs before 13.0 wrote, isn't supported"),
            3 => self.skip_bytes()?,
            4 => return Ok(self.reader.var_string()?.chars().map(|c| c.len_utf16() as u64).sum()),
            5 => self.json()?,
            6 => {
                self.reader.var_string()?;
                self.json()?;
            }
            TYPE => self.type_ref()?,
            8 => {
                let values = self.reader.count(1)?;
                for _ in 0..values {
                    self.value()?;
                }
                return Ok(values);
            }
            9 => {
                self.reader.var_string()?;
                self.value()?;
            }
            _ => return Err(self.reader.fail("a struct of unknown kind").into()),
        }
        Ok(1)
    }

    /// Steps over JSON text. yrs parses it recursively, so its depth is bounded like that of values.
    fn json(&mut self) -> Result<(), Refusal> {
        let text = self.reader.var_string()?;
        let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
        for byte in text.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'[' | b'{' if !in_string => depth += 1,
                b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > self.bounds.depth_max {
                return self.refuse("a value nests too deep");
            }
        }
        Ok(())
    }

    fn type_ref(&mut self) -> Result<(), Refusal> {
        self.visit.shared_type();
        match self.reader.var_uint()? {
            0..=2 | 4 | 6 => Ok(()),
            3 => self.skip_text(),
            5 => self.refuse("XmlHook isn't supported"),
            _ => self.refuse("a shared type of unknown kind"),
        }
    }

    /// Steps over one value of lib0's `any`, however it nests.
    fn value(&mut self) -> Result<(), Refusal> {
        let mut open = [(0u64, false); DEPTH_END];
        let mut depth = 0;
        loop {
            match self.reader.u8()? {
                127 | 126 | 121 | 120 => {}
                125 => self.reader.skip_var_int()?,
                124 => self.skip(4)?,
                123 | 122 => self.skip(8)?,
                119 => self.skip_text()?,
                116 => self.skip_bytes()?,
                tag @ (118 | 117) => {
                    if depth == self.bounds.depth_max {
                        return self.refuse("a value nests too deep");
                    }
                    let is_object = tag == 118;
                    open[depth] = (self.reader.count(if is_object { 2 } else { 1 })?, is_object);
                    depth += 1;
                }
                _ => return Err(self.reader.fail("a value of unknown kind").into()),
            }
            while depth > 0 && open[depth - 1].0 == 0 {
                depth -= 1;
            }
            let Some((left, is_object)) = open[..depth].last_mut() else { return Ok(()) };
            *left -= 1;
            if *is_object {
                self.reader.var_string()?;
            }
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.reader.take(bytes)?;
        Ok(())
    }

    fn skip_bytes(&mut self) -> Result<(), Refusal> {
        self.reader.var_bytes()?;
        Ok(())
    }

    fn skip_text(&mut self) -> Result<(), Refusal> {
        self.reader.var_string()?;
        Ok(())
    }

    fn deletes(&mut self) -> Result<(), Refusal> {
        let mut seen = BTreeSet::new();
        for _ in 0..self.reader.count(2)? {
            let client = self.client()?;
            if !seen.insert(client) {
                return self.refuse("a client is listed twice in the delete set");
            }
            for _ in 0..self.reader.count(2)? {
                let clock = self.reader.var_uint()?;
                let length = self.reader.var_uint()?;
                let end = self.advance(clock, length)?;
                self.visit.delete(span(client, clock, end));
            }
        }
        Ok(())
    }
}

/// Both clocks were checked to be below 2^31.
fn span(client: ClientId, start: u64, end: u64) -> Span {
    Span { client, start: start as Clock, end: end as Clock }
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
        assert_eq!(outline.deleted, 2);
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
