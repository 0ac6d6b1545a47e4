//! Where each struct of a document stands: in which shared type, and under which key. yrs takes a struct's word for it that its
//! neighbours are in the same place as itself, and that its parent is a type; where they aren't, it uses memory that it has
//! freed. So that is checked here, before it sees the struct.
//!
//! Nothing is ever taken away: what was deleted goes when the document is read anew from its snapshot. Work that follows in
//! one place, like typing, takes no memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::causal::Arrival;
use crate::id::{ClientId, Clock};
use crate::wire::structs::{Content, Id, Item, Parent, Type};

/// In which shared type something stands, and whether under a key or in the type's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    branch: u32,
    key: u32,
}

impl Place {
    /// What stood there is gone with the type that it was in, and nobody knows any more which that was.
    pub const GONE: Self = Self { branch: 0, key: 0 };

    /// Whether it's under a key.
    pub fn is_keyed(self) -> bool {
        self.key != SEQUENCE
    }
}

/// The key of what stands in a type's sequence.
const SEQUENCE: u32 = 0;

/// The places of all structs.
#[derive(Debug)]
pub struct Places {
    runs: BTreeMap<ClientId, Vec<Run>>,
    branches: Vec<Branch>,
    roots: BTreeMap<Arc<str>, u32>,
    types: BTreeMap<Id, u32>,
    keys: BTreeMap<Arc<str>, u32>,
}

/// Consecutive units of a client in one place, until the next run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    start: Clock,
    place: Place,
    /// Whether they're deleted: then they may have been types.
    is_deleted: bool,
}

/// A shared type.
#[derive(Clone, Copy, Debug)]
struct Branch {
    /// The item that holds it; none for one at the top.
    id: Option<Id>,
    /// The type that it's in.
    parent: u32,
    depth: u32,
    is_array: bool,
}

/// How much there was, to go back to.
#[derive(Debug, Default)]
pub struct Mark {
    /// How many runs each client had that has more now; of one that's named again, only the first counts.
    runs: Vec<(ClientId, usize)>,
    roots: Vec<Arc<str>>,
    types: Vec<Id>,
    keys: Vec<Arc<str>>,
}

impl Default for Places {
    fn default() -> Self {
        let gone = Branch { id: None, parent: 0, depth: 0, is_array: false };
        Self {
            runs: BTreeMap::new(),
            branches: vec![gone],
            roots: BTreeMap::new(),
            types: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }
}

impl Places {
    /// How many shared types there are or were.
    pub fn types(&self) -> u64 {
        self.branches.len() as u64 - 1
    }

    fn run(&self, id: Id) -> Option<&Run> {
        let runs = self.runs.get(&id.client)?;
        let after = runs.partition_point(|run| run.start <= id.clock);
        runs.get(after.checked_sub(1)?)
    }

    /// Where a unit stands that is here.
    fn of(&self, id: Id) -> Place {
        self.run(id).map_or(Place::GONE, |run| run.place)
    }

    /// The place that a struct says it has. All that it names is here.
    ///
    /// `is_dead` says whether what stands in a place is deleted with the type that it's in.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn place(
        &mut self,
        item: &Item<'_>,
        is_dead: impl FnOnce(&Self, Place) -> bool,
        mark: &mut Mark,
    ) -> Result<Place, &'static str> {
        let place = match (item.origin.map(|id| self.of(id)), item.right_origin.map(|id| self.of(id))) {
            (Some(left), Some(right)) if left == right => left,
            (Some(left), Some(right)) if Self::one_is_gone(left, right).is_some_and(|place| is_dead(self, place)) => {
                Place::GONE
            }
            (Some(_), Some(_)) => return Err("its origin and its right origin aren't in the same place"),
            (Some(place), None) | (None, Some(place)) => place,
            (None, None) => self.told(item, mark)?,
        };
        if place.is_keyed() && item.right_origin.is_some() {
            return Err("what stands under a key has no right origin");
        }
        let is_text = matches!(item.content, Content::Text(_));
        if is_text && !place.is_keyed() && self.branches[place.branch as usize].is_array {
            return Err("text can't stand in a Y.Array");
        }
        Ok(place)
    }

    /// The other, where one of two is gone.
    fn one_is_gone(left: Place, right: Place) -> Option<Place> {
        match (left, right) {
            (Place::GONE, place) | (place, Place::GONE) => Some(place),
            _ => None,
        }
    }

    /// The items that hold the type of a place, and the types that it's in, from the inside out.
    pub fn holders(&self, place: Place) -> impl Iterator<Item = Id> {
        let branch = |number: u32| &self.branches[number as usize];
        let inner = Some(branch(place.branch)).filter(|branch| branch.id.is_some());
        let outwards = move |inner: &&Branch| Some(branch(inner.parent)).filter(|branch| branch.id.is_some());
        std::iter::successors(inner, outwards).filter_map(|branch| branch.id)
    }

    fn told(&mut self, item: &Item<'_>, mark: &mut Mark) -> Result<Place, &'static str> {
        let branch = match item.parent {
            Some(Parent::Root(name)) => self.root(name, mark),
            Some(Parent::Type(id)) => match (self.types.get(&id), self.run(id)) {
                (Some(branch), _) => *branch,
                (None, Some(run)) if run.is_deleted || run.place == Place::GONE => return Ok(Place::GONE),
                _ => return Err("its parent isn't a shared type"),
            },
            None => return Err("it has no parent"),
        };
        Ok(Place { branch, key: item.key.map_or(SEQUENCE, |key| self.key(key, mark)) })
    }

    fn root(&mut self, name: &str, mark: &mut Mark) -> u32 {
        if let Some(branch) = self.roots.get(name) {
            return *branch;
        }
        let branch = self.branch(Branch { id: None, parent: 0, depth: 0, is_array: false });
        let name: Arc<str> = name.into();
        mark.roots.push(name.clone());
        self.roots.insert(name, branch);
        branch
    }

    fn branch(&mut self, branch: Branch) -> u32 {
        self.branches.push(branch);
        (self.branches.len() - 1) as u32
    }

    fn key(&mut self, key: &str, mark: &mut Mark) -> u32 {
        if let Some(number) = self.keys.get(key) {
            return *number;
        }
        let (number, key): (u32, Arc<str>) = (self.keys.len() as u32 + 1, key.into());
        mark.keys.push(key.clone());
        self.keys.insert(key, number);
        number
    }

    /// Notes where a struct stands. Gives how deep the shared type nests that it holds, if it holds one.
    pub fn note(&mut self, arrival: &Arrival<'_>, place: Place, mark: &mut Mark) -> u32 {
        let id = arrival.id();
        let content = arrival.item().filter(|_| place != Place::GONE).map(|item| item.content);
        let is_deleted = content == Some(Content::Deleted);
        let runs = self.runs.entry(id.client).or_default();
        if runs.last().is_none_or(|last| (last.place, last.is_deleted) != (place, is_deleted)) {
            if mark.runs.last().is_none_or(|(last, _)| *last != id.client) {
                mark.runs.push((id.client, runs.len()));
            }
            runs.push(Run { start: id.clock, place, is_deleted });
        }
        match content {
            Some(Content::Type(kind)) => self.note_type(id, kind, place, mark),
            _ => 0,
        }
    }

    fn note_type(&mut self, id: Id, kind: Type<'_>, place: Place, mark: &mut Mark) -> u32 {
        let depth = self.branches[place.branch as usize].depth + 1;
        let branch = Branch { id: Some(id), parent: place.branch, depth, is_array: kind == Type::Array };
        let number = self.branch(branch);
        self.types.insert(id, number);
        mark.types.push(id);
        depth
    }

    /// Forgets all that was noted since.
    pub fn go_back(&mut self, mark: Mark) {
        for (client, length) in mark.runs.into_iter().rev() {
            match self.runs.get_mut(&client) {
                Some(runs) if length > 0 => runs.truncate(length),
                _ => drop(self.runs.remove(&client)),
            }
        }
        let branches = self.branches.len() - mark.roots.len() - mark.types.len();
        self.branches.truncate(branches);
        for name in &mark.roots {
            self.roots.remove(name);
        }
        for id in &mark.types {
            self.types.remove(id);
        }
        for key in &mark.keys {
            self.keys.remove(key);
        }
    }
}
