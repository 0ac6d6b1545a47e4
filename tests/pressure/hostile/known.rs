//! What a document holds, as far as it can be read off its snapshot: what an update can be made to stand on.

use std::collections::BTreeMap;

use super::support::random::Random;
use super::update::{Content, Id, Item, Parent, Section, Struct, Update};

/// Following neighbours to what says their parent takes no more steps than this.
const STEPS_MAX: usize = 1_000;

/// What is here, and maybe what an update brings.
#[derive(Clone, Default)]
pub struct Known {
    /// For each client, one more than the last clock.
    pub ends: BTreeMap<u64, u64>,
    pub deleted: BTreeMap<u64, Vec<(u64, u64)>>,
    /// Each client's structs in order, with their first clocks.
    structs: BTreeMap<u64, Vec<(u64, Struct)>>,
}

/// Where an item is: in the list of a type, or at a key of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub parent: Parent,
    pub key: Option<String>,
}

impl Known {
    pub fn of(snapshot: &[u8]) -> Self {
        let mut known = Self::default();
        known.add(&Update::parse(snapshot).expect("a snapshot can be taken apart"));
        known
    }

    /// Takes an update for known, whether it will be taken or not.
    pub fn add(&mut self, update: &Update) {
        for section in &update.sections {
            self.add_section(section);
        }
        for (client, ranges) in &update.deletes {
            self.deleted.entry(*client).or_default().extend(ranges);
        }
    }

    fn add_section(&mut self, section: &Section) {
        let mut clock = section.clock;
        let structs = self.structs.entry(section.client).or_default();
        for one in &section.structs {
            let known = self.ends.entry(section.client).or_default();
            if clock >= *known && !matches!(one, Struct::Skip(_)) {
                structs.push((clock, one.clone()));
                *known = clock.saturating_add(one.len());
            }
            clock = clock.saturating_add(one.len());
        }
    }

    pub fn end(&self, client: u64) -> u64 {
        self.ends.get(&client).copied().unwrap_or(0)
    }

    /// A client's struct that holds this clock, and its first clock.
    pub fn at(&self, (client, clock): Id) -> Option<(u64, &Struct)> {
        let structs = self.structs.get(&client)?;
        let after = structs.partition_point(|(first, _)| *first <= clock);
        let (first, one) = structs.get(after.checked_sub(1)?)?;
        (clock < first.saturating_add(one.len())).then_some((*first, one))
    }

    /// A client's structs from the one that holds this clock on, at most so many.
    pub fn run(&self, client: u64, clock: u64, count: usize) -> Option<Section> {
        let (first, _) = self.at((client, clock))?;
        let structs = self.structs[&client].iter().filter(|(at, _)| *at >= first).map(|(_, one)| one.clone());
        Some(Section { client, clock: first, structs: structs.take(count).collect() })
    }

    /// Any id that is here.
    pub fn any(&self, random: &mut Random) -> Option<Id> {
        let client = *self.ends.keys().nth(random.below(self.ends.len().max(1)))?;
        Some((client, random.below(self.end(client).max(1) as usize) as u64))
    }

    /// All shared types that aren't deleted.
    pub fn types(&self) -> Vec<Id> {
        let is_type = |one: &Struct| matches!(one, Struct::Item(Item { content: Content::Type(..), .. }));
        let all = self.structs.iter().flat_map(|(client, structs)| structs.iter().map(move |one| (*client, one)));
        all.filter(|(_, (_, one))| is_type(one)).map(|(client, (clock, _))| (client, *clock)).collect()
    }

    /// Where an item is that is here.
    pub fn place(&self, id: Id) -> Option<Place> {
        let mut at = id;
        for _ in 0..STEPS_MAX {
            let (_, Struct::Item(item)) = self.at(at)? else { return None };
            match item.left.or(item.right) {
                Some(next) => at = next,
                None => return Some(Place { parent: item.parent.clone(), key: item.key.clone() }),
            }
        }
        None
    }

    /// Whether yrs' lists can be read: it walks for ever over text whose characters don't all have 16 bits, and looks for each
    /// letter of a text from its beginning.
    pub fn has_readable_lists(&self) -> bool {
        let is_readable = |one: &Struct| match one {
            Struct::Item(Item { content: Content::Text(text), .. }) => {
                text.len() < 10_000 && text.chars().all(|c| c.len_utf16() == 1)
            }
            _ => true,
        };
        self.structs.values().flatten().all(|(_, one)| is_readable(one))
    }

    /// All structs, with their clients and first clocks.
    pub fn all(&self) -> impl Iterator<Item = (u64, u64, &Struct)> {
        self.structs.iter().flat_map(|(client, all)| all.iter().map(|(clock, one)| (*client, *clock, one)))
    }

    /// Some of the ids that are at a place.
    pub fn neighbours(&self, place: &Place, random: &mut Random) -> Vec<Id> {
        let some = (0..12).filter_map(|_| self.any(random)).collect::<Vec<_>>();
        some.into_iter().filter(|id| self.place(*id).as_ref() == Some(place)).collect()
    }
}
