//! Goes through an update's structs in causal order: each comes after all that it names. What is left over names something
//! that isn't here, or stands in a circle.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

use super::state_vector::StateVector;
use crate::id::{ClientId, Clock};
use crate::wire::lib0::Reader;
use crate::wire::structs::{Body, DEPTH_END, Id, Item, Parent, Struct, Structs};
use crate::wire::vet::{Outline, Section, Span};

/// What an update brings, in causal order.
pub struct Walked<'a> {
    /// New work, client by client.
    pub fresh: Vec<Fresh<'a>>,
    /// Work that is here already, as this update has it.
    pub known: Vec<Known<'a>>,
    /// How far the work of each client has come, of those of whom some was brought.
    pub reached: Vec<(ClientId, Clock)>,
    /// Whether something names what isn't here.
    pub is_missing: bool,
    /// Whether all of it is new work, to be written as it came.
    pub is_as_it_came: bool,
}

/// New work of one client.
#[derive(Debug)]
pub struct Fresh<'a> {
    /// All of it.
    pub span: Span,
    /// How many structs.
    pub structs: u64,
    /// Their bytes but for the last ones, one part after the other.
    parts: Vec<Cow<'a, [u8]>>,
    /// The last of their bytes: all of them, where they're written as they came.
    last: &'a [u8],
}

impl Fresh<'_> {
    /// The bytes of the structs.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self.parts.is_empty() {
            true => self.last.into(),
            false => [&self.parts.concat(), self.last].concat().into(),
        }
    }
}

/// Work of one client that is here already.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// All of it.
    pub span: Span,
    /// Its structs, and maybe more.
    pub structs: Structs<'a>,
}

/// A struct of which all is here that it names. Of some, only the end is new.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Whose it is.
    pub client: ClientId,
    /// The first clock that is new.
    pub start: Clock,
    /// The whole struct.
    pub whole: Struct<'a>,
}

/// How a struct is to be written, if not as it came; or what is wrong with it.
pub type Visited = Result<Option<Vec<u8>>, &'static str>;

/// Why an update can't stand, whatever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clock {} of client {}: {what}", at.clock, at.client.0)]
pub struct Unfit {
    /// What is wrong, in a client developer's terms.
    pub what: &'static str,
    /// The struct with which it's wrong.
    pub at: Id,
}

/// Goes through an update that was vetted before, for somebody who has `state`. `visit` is told what arrives, and gives how it's
/// to be written, if not as it came.
///
/// # Errors
/// What `visit` says is wrong with a struct, or that there's a circle.
pub fn walk<'a>(
    update: &'a [u8],
    outline: &Outline,
    state: &StateVector,
    mut visit: impl FnMut(&Arrival<'_>) -> Visited,
) -> Result<Walked<'a>, Unfit> {
    let sections: Vec<_> = outline.sections.iter().map(|section| Cursor::new(update, section, state)).collect();
    let mut walk = Walk { state, numbers: Numbers::of(&sections), sections };
    walk.run(&mut visit)?;
    walk.find_circle()?;
    Ok(walk.end())
}

impl<'a> Arrival<'a> {
    /// Its first new unit.
    pub fn id(&self) -> Id {
        Id { client: self.client, clock: self.start }
    }

    /// Whether only its end is new.
    pub fn is_rest(&self) -> bool {
        self.start > self.whole.start
    }

    /// The item, as one that begins with what is new; its content is whole.
    pub fn item(&self) -> Option<Item<'a>> {
        let Body::Item(item) = self.whole.body else { return None };
        if !self.is_rest() {
            return Some(item);
        }
        let origin = Some(Id { client: self.client, clock: self.start - 1 });
        Some(Item { origin, parent: None, key: None, ..item })
    }
}

/// Where reading a client's structs got.
struct Cursor<'a> {
    client: ClientId,
    bytes: &'a [u8],
    structs: Structs<'a>,
    /// The struct that comes next, if it was looked at.
    next: Option<Struct<'a>>,
    /// What it waits for.
    waits: Option<Id>,
    /// Which other sections wait for how much of its work; the first is the one that waits for least.
    waiting: BinaryHeap<Reverse<(Clock, usize)>>,
    known: Vec<Known<'a>>,
    /// How much was here before.
    floor: Clock,
    /// How much is here with what was taken.
    reached: Clock,
    fresh: Option<Fresh<'a>>,
    /// The bytes of the last new structs that are as they came.
    last: Range<usize>,
    is_as_it_came: bool,
}

impl<'a> Cursor<'a> {
    fn new(update: &'a [u8], section: &Section, state: &StateVector) -> Self {
        let bytes = &update[section.bytes.clone()];
        Self {
            client: section.span.client,
            bytes,
            structs: Structs::new(Reader::new(bytes), section.structs, section.span.start, DEPTH_END),
            next: None,
            waits: None,
            waiting: BinaryHeap::new(),
            known: Vec::new(),
            floor: state.get(section.span.client),
            reached: state.get(section.span.client),
            fresh: None,
            last: 0..0,
            is_as_it_came: true,
        }
    }

    /// The next struct of which something is new.
    fn peek(&mut self) -> Option<Struct<'a>> {
        while self.next.is_none() {
            let structs = self.structs.clone();
            // It was read before.
            let Some(Ok(read)) = self.structs.next() else { return None };
            if read.body == Body::Skip {
                self.is_as_it_came = false;
                continue;
            }
            if read.start < self.floor {
                self.note_known(structs, &read);
            }
            if read.end > self.floor {
                self.next = Some(read);
            }
        }
        self.next
    }

    fn note_known(&mut self, structs: Structs<'a>, read: &Struct<'a>) {
        self.is_as_it_came = false;
        let end = read.end.min(self.floor);
        match self.known.last_mut() {
            Some(known) if known.span.end == read.start => known.span.end = end,
            _ => self.known.push(Known { span: Span { client: self.client, start: read.start, end }, structs }),
        }
    }

    /// Takes the struct; as it came, unless it's to be written otherwise.
    fn take(&mut self, arrival: &Arrival<'a>, otherwise: Option<Vec<u8>>) {
        let to = self.structs.reader().position();
        let Arrival { client, start, whole } = *arrival;
        let empty = || Fresh { span: Span { client, start, end: start }, structs: 0, parts: Vec::new(), last: &[] };
        let fresh = self.fresh.get_or_insert_with(empty);
        fresh.span.end = whole.end;
        fresh.structs += 1;
        self.reached = whole.end;
        match otherwise {
            Some(written) => {
                self.is_as_it_came = false;
                fresh.parts.push(self.bytes[std::mem::take(&mut self.last)].into());
                fresh.parts.push(written.into());
            }
            None if self.last.is_empty() => self.last = to - whole.bytes.len()..to,
            None => self.last.end = to,
        }
        self.next = None;
    }

    fn end(&mut self) {
        if let Some(fresh) = &mut self.fresh {
            fresh.last = &self.bytes[std::mem::take(&mut self.last)];
        }
    }
}

/// Which section is whose. Of a few, that's found sooner by looking at each.
enum Numbers {
    Few,
    /// In the order of the clients' ids.
    Many(Vec<(ClientId, usize)>),
}

impl Numbers {
    const FEW: usize = 8;

    fn of(sections: &[Cursor<'_>]) -> Self {
        if sections.len() <= Self::FEW {
            return Self::Few;
        }
        let numbered = sections.iter().enumerate().map(|(number, section)| (section.client, number));
        let mut numbers: Vec<_> = numbered.collect();
        numbers.sort_unstable();
        Self::Many(numbers)
    }
}

struct Walk<'a, 's> {
    state: &'s StateVector,
    numbers: Numbers,
    sections: Vec<Cursor<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn run(&mut self, visit: &mut impl FnMut(&Arrival<'_>) -> Visited) -> Result<(), Unfit> {
        let mut ready = Vec::new();
        for first in 0..self.sections.len() {
            ready.push(first);
            while let Some(number) = ready.pop() {
                self.advance(number, visit)?;
                let Cursor { reached, waiting, .. } = &mut self.sections[number];
                while let Some(first) = waiting.peek_mut().filter(|first| first.0.0 < *reached) {
                    ready.push(PeekMut::pop(first).0.1);
                }
            }
        }
        Ok(())
    }

    /// Takes structs of one section until one names something that isn't here yet.
    fn advance(&mut self, number: usize, visit: &mut impl FnMut(&Arrival<'_>) -> Visited) -> Result<(), Unfit> {
        let client = self.sections[number].client;
        while let Some(whole) = self.sections[number].peek() {
            let start = self.sections[number].reached;
            let hole = (whole.start > start).then(|| Id { client, clock: whole.start - 1 });
            let waits = hole.or_else(|| self.missing(&whole));
            self.sections[number].waits = waits;
            if let Some(id) = waits {
                if let Some(other) = self.number(id.client) {
                    self.sections[other].waiting.push(Reverse((id.clock, number)));
                }
                return Ok(());
            }
            let arrival = Arrival { client, start, whole };
            let otherwise = visit(&arrival).map_err(|what| Unfit { what, at: arrival.id() })?;
            self.sections[number].take(&arrival, otherwise);
        }
        Ok(())
    }

    fn number(&self, client: ClientId) -> Option<usize> {
        match &self.numbers {
            Numbers::Few => self.sections.iter().position(|section| section.client == client),
            Numbers::Many(numbers) => {
                let found = numbers.binary_search_by_key(&client, |(client, _)| *client);
                found.ok().map(|at| numbers[at].1)
            }
        }
    }

    fn reached(&self, client: ClientId) -> Clock {
        self.number(client).map_or_else(|| self.state.get(client), |number| self.sections[number].reached)
    }

    /// Something that a struct names and that isn't here yet.
    fn missing(&self, read: &Struct<'_>) -> Option<Id> {
        let Body::Item(item) = &read.body else { return None };
        let parent = if let Some(Parent::Type(id)) = item.parent { Some(id) } else { None };
        let mut named = [item.origin, item.right_origin, parent].into_iter().flatten();
        named.find(|id| id.clock >= self.reached(id.client))
    }

    /// Follows who waits for whom. Who waits for work that the update itself brings, and that waits for it in turn, waits
    /// for ever.
    fn find_circle(&self) -> Result<(), Unfit> {
        if self.sections.iter().all(|section| section.waits.is_none()) {
            return Ok(());
        }
        let mut seen = vec![0; self.sections.len()];
        for first in 1..=self.sections.len() {
            let mut number = first - 1;
            while seen[number] == 0 {
                seen[number] = first;
                let Some(next) = self.follow(number) else { break };
                if seen[next] == first {
                    let Cursor { client, next, .. } = self.sections[next];
                    let at = Id { client, clock: next.map_or(0, |read| read.start) };
                    return Err(Unfit { what: "structs stand on each other in a circle", at });
                }
                number = next;
            }
        }
        Ok(())
    }

    /// The section that brings what this one waits for.
    fn follow(&self, number: usize) -> Option<usize> {
        let id = self.sections[number].waits?;
        let next = self.number(id.client)?;
        let other = self.sections[next].next?;
        // A Skip before its next struct isn't work that it brings.
        (id.clock >= other.start).then_some(next)
    }

    fn end(self) -> Walked<'a> {
        let is_missing = self.sections.iter().any(|section| section.waits.is_some());
        let is_as_it_came = !is_missing && self.sections.iter().all(|section| section.is_as_it_came);
        let reached = self.sections.iter().map(|section| (section.client, section.reached)).collect();
        let (mut fresh, mut known) = (Vec::with_capacity(self.sections.len()), Vec::new());
        for mut section in self.sections {
            section.end();
            fresh.extend(section.fresh);
            known.append(&mut section.known);
        }
        Walked { fresh, known, reached, is_missing, is_as_it_came }
    }
}
