//! The order of what is in a shared type's sequence, as YATA makes it (Yjs 13.6, `Item.integrate`). It's made anew for the
//! rare item of which nothing else tells whether its neighbours ever were next to each other: one between what several put
//! into the same spot at once.

use std::collections::{BTreeMap, BTreeSet};

use super::causal::{Arrival, Visit};
use super::places::{Neighbours, Place, Places};
use crate::id::Clock;
use crate::wire::structs::Id;

/// What may be looked at while an order is made, in items.
const STEPS_MAX: u64 = 5_000_000;
const NONE: usize = usize::MAX;

/// The order in some places.
pub struct Order<'p> {
    places: &'p Places,
    lists: BTreeMap<Place, usize>,
    unsure: BTreeSet<Id>,
    items: Vec<Item>,
    starts: BTreeMap<Id, usize>,
    steps: u64,
}

/// Some units of one client that follow each other.
struct Item {
    id: Id,
    length: Clock,
    origin: Option<Id>,
    right_origin: Option<Id>,
    previous: usize,
    next: usize,
}

impl<'p> Order<'p> {
    /// Nothing is there yet, in the places of `unsure`.
    pub fn new(places: &'p Places, unsure: &[Id]) -> Self {
        let lists = unsure.iter().map(|id| (places.of(*id), NONE)).collect();
        let unsure = unsure.iter().copied().collect();
        Self { places, lists, unsure, items: Vec::new(), starts: BTreeMap::new(), steps: 0 }
    }
}

impl Visit for Order<'_> {
    fn visit(&mut self, arrival: &Arrival<'_>) -> Result<Option<Vec<u8>>, &'static str> {
        let place = self.places.of(arrival.id());
        if let (Some(item), Some(first)) = (arrival.item(), self.lists.get(&place).copied()) {
            // In this order: the left one may be in the same item as the right one, behind it.
            let right = self.starting_with(item.right_origin);
            let left = self.ending_with(item.origin);
            let is_found = (item.origin.is_none() || left != NONE) && (item.right_origin.is_none() || right != NONE);
            if is_found {
                if self.unsure.contains(&arrival.id()) {
                    self.check(left, right)?;
                }
                let (origin, right_origin, id) = (item.origin, item.right_origin, arrival.id());
                let item = Item { id, length: arrival.length(), origin, right_origin, previous: NONE, next: NONE };
                self.integrate(place, first, item, left, right)?;
            }
        }
        Ok(None)
    }
}

impl Order<'_> {
    /// The item that this unit is in.
    fn find(&self, id: Id) -> Option<usize> {
        let (_, at) = self.starts.range(..=id).next_back()?;
        let item = &self.items[*at];
        (item.id.client == id.client && id.clock < item.id.clock + item.length).then_some(*at)
    }

    fn starting_with(&mut self, id: Option<Id>) -> usize {
        let Some((id, at)) = id.and_then(|id| Some((id, self.find(id)?))) else { return NONE };
        if self.items[at].id == id { at } else { self.split(at, id.clock) }
    }

    fn ending_with(&mut self, id: Option<Id>) -> usize {
        let Some((id, at)) = id.and_then(|id| Some((id, self.find(id)?))) else { return NONE };
        let end = self.items[at].id.clock + self.items[at].length;
        if id.clock + 1 < end {
            self.split(at, id.clock + 1);
        }
        at
    }

    /// Splits an item before this clock; gives its end.
    fn split(&mut self, at: usize, clock: Clock) -> usize {
        let new = self.items.len();
        let item = &mut self.items[at];
        let (client, right_origin, next) = (item.id.client, item.right_origin, item.next);
        let (kept, length) = (clock - item.id.clock, item.id.clock + item.length - clock);
        (item.length, item.next) = (kept, new);
        let (id, origin) = (Id { client, clock }, Some(Id { client, clock: clock - 1 }));
        self.items.push(Item { id, length, origin, right_origin, previous: at, next });
        if next != NONE {
            self.items[next].previous = new;
        }
        self.starts.insert(id, new);
        new
    }

    /// Whether somebody can have seen these two next to each other: nothing lies between them that one of them was put
    /// next to.
    fn check(&mut self, left: usize, right: usize) -> Result<(), &'static str> {
        let (left_item, right_item) = (&self.items[left], &self.items[right]);
        let last = Id { clock: left_item.id.clock + left_item.length - 1, ..left_item.id };
        let Neighbours { right: before, .. } = self.places.neighbours(last);
        let Neighbours { left: after, .. } = self.places.neighbours(right_item.id);
        let (before, after) = (before.and_then(|id| self.find(id)), after.and_then(|id| self.find(id)));
        let mut at = self.items[left].next;
        while at != right {
            self.step()?;
            if at == NONE || Some(at) == before || Some(at) == after {
                return Err("its origin and its right origin never were next to each other");
            }
            at = self.items[at].next;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), &'static str> {
        self.steps += 1;
        if self.steps > STEPS_MAX { Err("it lies among too much that was put into the same spot") } else { Ok(()) }
    }

    fn integrate(
        &mut self,
        place: Place,
        first: usize,
        item: Item,
        mut left: usize,
        right: usize,
    ) -> Result<(), &'static str> {
        let mut at = if left == NONE { first } else { self.items[left].next };
        let (mut before, mut conflicting) = (BTreeSet::new(), BTreeSet::new());
        while at != NONE && at != right {
            self.step()?;
            before.insert(at);
            conflicting.insert(at);
            let other = &self.items[at];
            if other.origin == item.origin {
                if other.id.client < item.id.client {
                    left = at;
                    conflicting.clear();
                } else if other.right_origin == item.right_origin {
                    break;
                }
            } else {
                let origin = other.origin.and_then(|id| self.find(id)).filter(|origin| before.contains(origin));
                let Some(origin) = origin else { break };
                if !conflicting.contains(&origin) {
                    left = at;
                    conflicting.clear();
                }
            }
            at = self.items[at].next;
        }
        self.insert(place, first, item, left);
        Ok(())
    }

    fn insert(&mut self, place: Place, first: usize, item: Item, left: usize) {
        let new = self.items.len();
        let next = if left == NONE { first } else { self.items[left].next };
        self.starts.insert(item.id, new);
        self.items.push(Item { previous: left, next, ..item });
        match left {
            NONE => drop(self.lists.insert(place, new)),
            left => self.items[left].next = new,
        }
        if next != NONE {
            self.items[next].previous = new;
        }
    }
}
