//! Goes through an update's structs in causal order: each comes after all that it names. What is left over names something
//! that isn't here, or stands in a circle.

use std::borrow::Cow;
use std::collections::BTreeMap;
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
    /// How far each client's work has come, of those who brought some.
    pub reached: BTreeMap<ClientId, Clock>,
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
    /// Their bytes, one part after the other.
    pub bytes: Vec<Cow<'a, [u8]>>,
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

/// Why an update can't stand, whatever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clock {} of client {}: {what}", at.clock, at.client.0)]
pub struct Unfit {
    /// What is wrong, in a client developer's terms.
    pub what: &'static str,
    /// The struct with which it's wrong.
    pub at: Id,
}

/// Told what arrives.
pub trait Visit {
    /// One more struct. Gives how it's to be written, if not as it came.
    ///
    /// # Errors
    /// What is wrong with it.
    fn visit(&mut self, arrival: &Arrival<'_>) -> Result<Option<Vec<u8>>, &'static str>;
}

/// Goes through an update that was vetted before, for somebody who has `state`.
///
/// # Errors
/// What the visit says, or that there's a circle.
pub fn walk<'a>(
    update: &'a [u8],
    outline: &Outline,
    state: &StateVector,
    visit: &mut impl Visit,
) -> Result<Walked<'a>, Unfit> {
    let sections = outline.sections.iter().map(|section| Cursor::new(update, section, state)).collect();
    let mut walk = Walk { state, reached: BTreeMap::new(), sections, waiting: BTreeMap::new() };
    walk.run(visit)?;
    walk.find_circle()?;
    Ok(walk.end())
}

impl<'a> Arrival<'a> {
    /// Its first new unit.
    pub fn id(&self) -> Id {
        Id { client: self.client, clock: self.start }
    }

    /// How many units are new.
    pub fn length(&self) -> Clock {
        self.whole.end - self.start
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
    known: Vec<Known<'a>>,
    /// How much was here before.
    floor: Clock,
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
            known: Vec::new(),
            floor: state.get(section.span.client),
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
        let empty = || Fresh { span: Span { client, start, end: start }, structs: 0, bytes: Vec::new() };
        let fresh = self.fresh.get_or_insert_with(empty);
        fresh.span.end = whole.end;
        fresh.structs += 1;
        match otherwise {
            Some(written) => {
                self.is_as_it_came = false;
                fresh.bytes.extend(part(self.bytes, &mut self.last));
                fresh.bytes.push(written.into());
            }
            None if self.last.is_empty() => self.last = to - whole.bytes.len()..to,
            None => self.last.end = to,
        }
        self.next = None;
    }

    fn end(&mut self) {
        if let Some(fresh) = &mut self.fresh {
            fresh.bytes.extend(part(self.bytes, &mut self.last));
        }
    }
}

fn part<'a>(bytes: &'a [u8], range: &mut Range<usize>) -> Option<Cow<'a, [u8]>> {
    let range = std::mem::take(range);
    (!range.is_empty()).then(|| bytes[range].into())
}

struct Walk<'a, 's> {
    state: &'s StateVector,
    reached: BTreeMap<ClientId, Clock>,
    sections: Vec<Cursor<'a>>,
    /// For each client, which sections wait for how much of its work.
    waiting: BTreeMap<ClientId, Vec<(Clock, usize)>>,
}

impl<'a> Walk<'a, '_> {
    fn run(&mut self, visit: &mut impl Visit) -> Result<(), Unfit> {
        let mut ready: Vec<usize> = (0..self.sections.len()).rev().collect();
        while let Some(number) = ready.pop() {
            self.advance(number, visit)?;
            let client = self.sections[number].client;
            let reached = self.reached(client);
            if let Some(waiting) = self.waiting.get_mut(&client) {
                ready.extend(waiting.extract_if(.., |(clock, _)| *clock < reached).map(|(_, number)| number));
            }
        }
        Ok(())
    }

    /// Takes structs of one section until one names something that isn't here yet.
    fn advance(&mut self, number: usize, visit: &mut impl Visit) -> Result<(), Unfit> {
        let client = self.sections[number].client;
        while let Some(whole) = self.sections[number].peek() {
            let start = self.reached(client);
            let hole = (whole.start > start).then(|| Id { client, clock: whole.start - 1 });
            let waits = hole.or_else(|| self.missing(&whole));
            self.sections[number].waits = waits;
            if let Some(id) = waits {
                self.waiting.entry(id.client).or_default().push((id.clock, number));
                return Ok(());
            }
            let arrival = Arrival { client, start, whole };
            let otherwise = visit.visit(&arrival).map_err(|what| Unfit { what, at: arrival.id() })?;
            self.reached.insert(client, whole.end);
            self.sections[number].take(&arrival, otherwise);
        }
        Ok(())
    }

    fn reached(&self, client: ClientId) -> Clock {
        self.reached.get(&client).copied().unwrap_or_else(|| self.state.get(client))
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
        let numbers: BTreeMap<ClientId, usize> = self.sections.iter().enumerate().map(|(n, s)| (s.client, n)).collect();
        let mut seen = vec![0; self.sections.len()];
        for first in 1..=self.sections.len() {
            let mut number = first - 1;
            while seen[number] == 0 {
                seen[number] = first;
                let Some(next) = self.follow(number, &numbers) else { break };
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
    fn follow(&self, number: usize, numbers: &BTreeMap<ClientId, usize>) -> Option<usize> {
        let id = self.sections[number].waits?;
        let next = *numbers.get(&id.client)?;
        let other = self.sections[next].next?;
        // A Skip before its next struct isn't work that it brings.
        (id.clock >= other.start).then_some(next)
    }

    fn end(mut self) -> Walked<'a> {
        self.sections.iter_mut().for_each(Cursor::end);
        let is_missing = self.sections.iter().any(|section| section.waits.is_some());
        let is_as_it_came = !is_missing && self.sections.iter().all(|section| section.is_as_it_came);
        let (mut fresh, mut known) = (Vec::new(), Vec::new());
        for section in self.sections {
            fresh.extend(section.fresh);
            known.extend(section.known);
        }
        Walked { fresh, known, reached: self.reached, is_missing, is_as_it_came }
    }
}
