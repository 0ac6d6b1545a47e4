//! A model of how lists come about (YATA): where each unit is, and whether an item could have been made where it says.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Known, Place};
use super::update::{Id, Parent, Struct};

#[derive(Clone, Copy)]
struct Unit {
    id: Id,
    left: Option<Id>,
    right: Option<Id>,
}

type Key = (Option<String>, Option<Id>, Option<String>);

#[derive(Default)]
pub struct Order {
    lists: BTreeMap<Key, Vec<Unit>>,
    places: BTreeMap<Id, Key>,
    /// Units that stand on what has no place any more.
    gone: BTreeSet<Id>,
    /// Whether every item lies where somebody could have put it.
    pub is_possible: bool,
}

fn key(place: &Place) -> Key {
    match &place.parent {
        Parent::Root(name) => (Some(name.clone()), None, place.key.clone()),
        Parent::Id(id) => (None, Some(*id), place.key.clone()),
    }
}

impl Order {
    pub fn of(known: &Known) -> Self {
        let mut order = Self { is_possible: true, ..Self::default() };
        let mut waiting: Vec<(Unit, Option<Key>)> = Vec::new();
        for (client, clock, one) in known.all() {
            for at in 0..one.len() {
                let id = (client, clock + at);
                let Struct::Item(item) = one else {
                    order.gone.insert(id);
                    continue;
                };
                let left = if at == 0 { item.left } else { Some((client, clock + at - 1)) };
                let unit = Unit { id, left, right: item.right };
                let place = (left.is_none() && item.right.is_none())
                    .then(|| key(&Place { parent: item.parent.clone(), key: item.key.clone() }));
                waiting.push((unit, place));
            }
        }
        loop {
            let before = waiting.len();
            waiting.retain(|(unit, place)| !order.take(*unit, place.clone()));
            if waiting.is_empty() {
                return order;
            }
            if waiting.len() == before {
                order.is_possible = false;
                return order;
            }
        }
    }

    fn take(&mut self, unit: Unit, place: Option<Key>) -> bool {
        let stands = [unit.left, unit.right].into_iter().flatten();
        let mut key = place;
        let mut is_gone = false;
        for id in stands {
            if self.gone.contains(&id) {
                is_gone = true;
            } else if let Some(its) = self.places.get(&id) {
                key = key.or(Some(its.clone()));
            } else {
                return false;
            }
        }
        if is_gone
            && unit.left.is_some_and(|id| self.places.contains_key(&id))
                | unit.right.is_some_and(|id| self.places.contains_key(&id))
        {
            self.is_possible = false;
        }
        match key {
            Some(key) if !is_gone => self.integrate(unit, key),
            _ => drop(self.gone.insert(unit.id)),
        }
        true
    }

    fn integrate(&mut self, unit: Unit, key: Key) {
        let list = self.lists.entry(key.clone()).or_default();
        let at = |id: Id| list.iter().position(|other| other.id == id).map(|at| at as isize);
        // What stands in another list is somebody else's finding.
        let left = unit.left.map_or(Some(-1), at);
        let right = unit.right.map_or(Some(list.len() as isize), at);
        let (Some(left), Some(right)) = (left, right) else {
            self.is_possible = false;
            self.gone.insert(unit.id);
            return;
        };
        let its_left = list.get(right as usize).and_then(|r| r.left).map_or(Some(-1), at);
        let its_right = list.get(left.max(0) as usize).filter(|_| left >= 0).and_then(|l| l.right);
        let its_right = its_right.map_or(Some(list.len() as isize), at);
        if left >= right || (unit.right.is_some() && its_left > Some(left)) || (its_right < Some(right)) {
            self.is_possible = false;
        }
        let (mut dest, mut before, mut conflicting) = (left, BTreeSet::new(), BTreeSet::new());
        for (o, other) in list.iter().enumerate().skip((left + 1) as usize) {
            if o as isize == right {
                break;
            }
            before.insert(other.id);
            conflicting.insert(other.id);
            if other.left == unit.left {
                if other.id.0 < unit.id.0 {
                    dest = o as isize;
                    conflicting.clear();
                } else if other.right == unit.right {
                    break;
                }
            } else if other.left.is_some_and(|left| before.contains(&left)) {
                if !other.left.is_some_and(|left| conflicting.contains(&left)) {
                    dest = o as isize;
                    conflicting.clear();
                }
            } else {
                break;
            }
        }
        list.insert((dest + 1) as usize, unit);
        self.places.insert(unit.id, key);
    }
}
