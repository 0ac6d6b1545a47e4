//! How far an update stands on what is here (H1), found without yrs: its structs are gone through in an order in which each
//! comes after all that it names. What is left over stands on something that isn't here, or in a circle.

use std::collections::BTreeMap;

use super::parents::{Mark, Parents, Place};
use super::state_vector::StateVector;
use crate::id::{ClientId, Clock};
use crate::wire::assemble::Assembly;
use crate::wire::lib0::Reader;
use crate::wire::part::rest;
use crate::wire::structs::{Body, DEPTH_END, Id, Item, Parent, Struct, Structs};
use crate::wire::vet::{Outline, Section, Span};

/// What of an update stands, and what of it is new.
#[derive(Debug, Default)]
pub struct Standing<'a> {
    /// New work that stands.
    fresh: Vec<Fresh<'a>>,
    /// Work that is here already, as this update has it.
    pub known: Vec<Known<'a>>,
    /// Deletes of what is here or comes along.
    deletes: Vec<Span>,
    /// Whether something stands on what isn't here.
    pub is_missing: bool,
    /// Whether the update is just its new work and its deletes.
    is_as_it_came: bool,
}

/// New work of one client.
#[derive(Debug)]
struct Fresh<'a> {
    span: Span,
    structs: u64,
    /// The first struct, if only its end is new.
    first: Option<Vec<u8>>,
    bytes: &'a [u8],
}

/// Work of one client that is here already.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// All of it.
    pub span: Span,
    /// Its structs, and maybe more.
    pub structs: Structs<'a>,
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

/// What is here that an update may stand on.
pub struct Ground<'a> {
    /// How much.
    pub state: &'a StateVector,
    /// Where.
    pub parents: &'a mut Parents,
    /// Whether the type that this item holds, or held, is deleted.
    pub is_dead: &'a dyn Fn(Id) -> bool,
    /// How deep shared types may nest.
    pub depth_max: u32,
}

/// Goes through an update that was walked over before. The places of what stands are noted in the ground's parents: on an
/// error they're as they were, otherwise `mark` says how to go back.
pub fn standing<'a>(
    update: &'a [u8],
    outline: &Outline,
    ground: Ground<'_>,
    mark: &mut Mark,
) -> Result<Standing<'a>, Unfit> {
    let sections = outline.sections.iter().map(|section| Cursor::new(update, section, ground.state)).collect();
    let deletes = Deletes { unsorted: &outline.deletes, sorted: None, dead: BTreeMap::new() };
    let mut pass = Pass { ground, deletes, reached: BTreeMap::new(), sections, waiting: BTreeMap::new() };
    match pass.run(mark) {
        Ok(()) => Ok(pass.end(outline)),
        Err(unfit) => {
            pass.ground.parents.go_back(std::mem::take(mark));
            Err(unfit)
        }
    }
}

impl Standing<'_> {
    /// Whether nothing of the update is new, its deletes left aside.
    pub fn is_known(&self) -> bool {
        self.fresh.is_empty()
    }

    /// How many units are deleted.
    pub fn deleted(&self) -> u64 {
        self.deletes.iter().map(|span| u64::from(span.end - span.start)).sum()
    }

    /// The clients whose work is new, with the ends of it.
    pub fn ends(&self) -> impl Iterator<Item = (ClientId, Clock)> {
        self.fresh.iter().map(|fresh| (fresh.span.client, fresh.span.end))
    }

    /// What stands and is new, as an update. `None` if that's the whole of it as it came.
    pub fn part(&self) -> Option<Vec<u8>> {
        (!self.is_as_it_came).then(|| self.with_deletes(self.deletes.iter().copied()))
    }

    /// What stands and is new, as an update with another delete set.
    pub fn with_deletes(&self, deletes: impl Iterator<Item = Span>) -> Vec<u8> {
        let mut assembly = Assembly::default();
        for Fresh { span, structs, first, bytes } in &self.fresh {
            let bytes = match first {
                Some(first) => [first, *bytes].concat().into(),
                None => std::borrow::Cow::Borrowed(*bytes),
            };
            assembly.add(*span, *structs, bytes);
        }
        deletes.for_each(|span| assembly.delete(span));
        assembly.encode()
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
    /// Where the bytes of the new structs begin, and where the last of them ends.
    from: usize,
    to: usize,
    is_all_fresh: bool,
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
            from: 0,
            to: 0,
            is_all_fresh: true,
        }
    }

    /// The next struct that isn't a Skip and not known, and which is to come after `reached`.
    fn peek(&mut self) -> Option<Struct<'a>> {
        while self.next.is_none() {
            let structs = self.structs.clone();
            // It was read before.
            let Some(Ok(read)) = self.structs.next() else { return None };
            if read.body == Body::Skip {
                self.is_all_fresh = false;
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
        self.is_all_fresh = false;
        let end = read.end.min(self.floor);
        match self.known.last_mut() {
            Some(known) if known.span.end == read.start => known.span.end = end,
            _ => self.known.push(Known { span: Span { client: self.client, start: read.start, end }, structs }),
        }
    }

    fn take(&mut self, read: &Struct<'a>, start: Clock) {
        let client = self.client;
        let to = self.structs.reader().position();
        let fresh = self.fresh.get_or_insert_with(|| {
            let first = (start > read.start).then(|| rest(client, read, start));
            self.from = if first.is_some() { to } else { to - read.bytes.len() };
            Fresh { span: Span { client, start, end: start }, structs: 0, first, bytes: &[] }
        });
        fresh.span.end = read.end;
        fresh.structs += 1;
        self.to = to;
        self.next = None;
    }

    fn end(mut self) -> (Option<Fresh<'a>>, Vec<Known<'a>>, bool) {
        let is_whole = self.is_all_fresh && self.waits.is_none();
        if let Some(fresh) = &mut self.fresh {
            fresh.bytes = &self.bytes[self.from..self.to];
        }
        (self.fresh, self.known, is_whole)
    }
}

struct Pass<'a, 'g> {
    ground: Ground<'g>,
    deletes: Deletes<'g>,
    /// How far each client's work has come with what the update brings.
    reached: BTreeMap<ClientId, Clock>,
    sections: Vec<Cursor<'a>>,
    /// For each client, which sections wait for how much of its work.
    waiting: BTreeMap<ClientId, Vec<(Clock, usize)>>,
}

impl<'a> Pass<'a, '_> {
    fn run(&mut self, mark: &mut Mark) -> Result<(), Unfit> {
        let mut ready: Vec<usize> = (0..self.sections.len()).rev().collect();
        while let Some(number) = ready.pop() {
            self.advance(number, mark)?;
            let client = self.sections[number].client;
            let reached = self.reached(client);
            if let Some(waiting) = self.waiting.get_mut(&client) {
                ready.extend(waiting.extract_if(.., |(clock, _)| *clock < reached).map(|(_, number)| number));
            }
        }
        self.find_circle()
    }

    /// Takes structs of one section until one names something that isn't here yet.
    fn advance(&mut self, number: usize, mark: &mut Mark) -> Result<(), Unfit> {
        let client = self.sections[number].client;
        while let Some(read) = self.sections[number].peek() {
            let start = self.reached(client);
            let waits =
                if read.start > start { Some(Id { client, clock: read.start - 1 }) } else { self.missing(&read) };
            self.sections[number].waits = waits;
            if let Some(id) = waits {
                self.waiting.entry(id.client).or_default().push((id.clock, number));
                return Ok(());
            }
            let unfit = |what| Unfit { what, at: Id { client, clock: start } };
            let place = self.place(client, &read, start, mark).map_err(unfit)?;
            let depth = self.ground.parents.note(client, start, &read, place, mark);
            if depth > self.ground.depth_max {
                return Err(unfit("shared types nest too deep"));
            }
            self.reached.insert(client, read.end);
            self.sections[number].take(&read, start);
        }
        Ok(())
    }

    fn reached(&self, client: ClientId) -> Clock {
        self.reached.get(&client).copied().unwrap_or_else(|| self.ground.state.get(client))
    }

    /// Something that a struct names and that isn't here yet.
    fn missing(&self, read: &Struct<'_>) -> Option<Id> {
        let Body::Item(item) = &read.body else { return None };
        named(item).find(|id| id.clock >= self.reached(id.client))
    }

    fn place(
        &mut self,
        client: ClientId,
        read: &Struct<'_>,
        start: Clock,
        mark: &mut Mark,
    ) -> Result<Place, &'static str> {
        let Body::Item(item) = &read.body else { return Ok(Place::GONE) };
        let Self { ground: Ground { parents, is_dead, .. }, deletes, .. } = self;
        let is_dead = |parents: &Parents, place| deletes.is_dead(parents, place, is_dead);
        if start > read.start {
            let origin = Some(Id { client, clock: start - 1 });
            return parents.place(&Item { origin, parent: None, key: None, ..*item }, is_dead, mark);
        }
        parents.place(item, is_dead, mark)
    }

    /// Follows who waits for whom. Who waits for work that the update itself brings, and that waits for it in turn, waits
    /// for ever.
    fn find_circle(&self) -> Result<(), Unfit> {
        let numbers: BTreeMap<ClientId, usize> = self.sections.iter().enumerate().map(|(n, s)| (s.client, n)).collect();
        let mut seen = vec![0; self.sections.len()];
        for first in 0..self.sections.len() {
            let mut number = first;
            while seen[number] == 0 {
                seen[number] = first + 1;
                let Some(next) = self.follow(number, &numbers) else { break };
                if seen[next] == first + 1 {
                    let section = &self.sections[next];
                    let clock = section.next.map_or(0, |read| read.start);
                    let at = Id { client: section.client, clock };
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

    fn end(self, outline: &Outline) -> Standing<'a> {
        let mut standing = Standing { is_as_it_came: is_in_order(&outline.deletes), ..Standing::default() };
        for span in &outline.deletes {
            let reached = self.reached(span.client);
            if span.end > reached {
                standing.is_missing = true;
            }
            let end = span.end.min(reached);
            if span.start < end {
                standing.deletes.push(Span { end, ..*span });
            }
        }
        for section in self.sections {
            standing.is_missing |= section.waits.is_some();
            let (fresh, known, is_whole) = section.end();
            standing.is_as_it_came &= is_whole;
            standing.fresh.extend(fresh);
            standing.known.extend(known);
        }
        standing.is_as_it_came &= !standing.is_missing;
        standing
    }
}

/// What an update deletes, for the question whether something is dead with it. It's seldom asked.
struct Deletes<'g> {
    unsorted: &'g [Span],
    sorted: Option<Vec<Span>>,
    dead: BTreeMap<Place, bool>,
}

impl Deletes<'_> {
    fn is_dead(&mut self, parents: &Parents, place: Place, is_dead: &dyn Fn(Id) -> bool) -> bool {
        if let Some(dead) = self.dead.get(&place) {
            return *dead;
        }
        let dead = parents.holders(place).any(|id| is_dead(id) || self.contains(id));
        self.dead.insert(place, dead);
        dead
    }

    fn contains(&mut self, id: Id) -> bool {
        let sorted = self.sorted.get_or_insert_with(|| {
            let mut sorted = self.unsorted.to_vec();
            sorted.sort_unstable_by_key(|span| (span.client, span.start));
            sorted
        });
        let after = sorted.partition_point(|span| (span.client, span.start) <= (id.client, id.clock));
        let before = after.checked_sub(1).and_then(|at| sorted.get(at));
        before.is_some_and(|span| span.client == id.client && id.clock < span.end)
    }
}

/// Whether a delete set is as Yjs writes it. yrs takes its time with any other.
fn is_in_order(deletes: &[Span]) -> bool {
    let follows = |pair: &[Span]| pair[0].client != pair[1].client || pair[0].end < pair[1].start;
    deletes.windows(2).all(follows) && deletes.iter().all(|span| span.start < span.end)
}

/// What an item names.
fn named<'a>(item: &'a Item<'_>) -> impl Iterator<Item = Id> + 'a {
    let parent = if let Some(Parent::Type(id)) = item.parent { Some(id) } else { None };
    [item.origin, item.right_origin, parent].into_iter().flatten()
}
