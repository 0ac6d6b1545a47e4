//! How far an update stands on what is here (H1), and what of it stands and is new, found without yrs.

use std::collections::BTreeMap;

use super::causal::{self, Arrival, Fresh, Known, Unfit, Visited, Walked};
use super::places::{Mark, Place, Places};
use super::spans::Spans;
use super::state_vector::StateVector;
use crate::id::{ClientId, Clock};
use crate::wire::assemble::Assembly;
use crate::wire::part::{deleted_rest, rest};
use crate::wire::structs::{Content, Id};
use crate::wire::vet::{Outline, Span, units};

/// So many ranges are taken in two steps.
const DELETES_MANY: usize = 1_024;

/// What of an update stands, and what of it is new.
pub struct Standing<'a> {
    /// New work that stands.
    fresh: Vec<Fresh<'a>>,
    /// Work that is here already, as this update has it.
    pub known: Vec<Known<'a>>,
    /// Deletes of what is here or comes along.
    deletes: Vec<Span>,
    /// Deletes of which a part or all isn't here.
    pub cut: Vec<Span>,
    /// Whether something stands on what isn't here.
    pub is_missing: bool,
    /// Whether the update is just its new work and its deletes.
    is_as_it_came: bool,
}

/// What is here that an update may stand on.
pub struct Ground<'a> {
    /// How much.
    pub state: &'a StateVector,
    /// Where.
    pub places: &'a mut Places,
    /// Whether the type that this item holds, or held, is deleted.
    pub is_dead: &'a dyn Fn(Id) -> bool,
    /// How deep shared types may nest.
    pub depth_max: u32,
}

/// Goes through an update that was vetted before. The places of what stands are noted in the ground's: on an error they're
/// as they were, otherwise `mark` says how to go back.
pub fn standing<'a>(
    update: &'a [u8],
    outline: &Outline,
    ground: Ground<'_>,
    mark: &mut Mark,
) -> Result<Standing<'a>, Unfit> {
    let state = ground.state;
    let deletes = Deletes { listed: &outline.deletes, spans: None, dead: BTreeMap::new() };
    let mut putting = Putting { ground, deletes, mark };
    match causal::walk(update, outline, state, |arrival| putting.put(arrival)) {
        Ok(walked) => Ok(Standing::new(walked, &outline.deletes, state)),
        Err(unfit) => {
            putting.ground.places.go_back(std::mem::take(putting.mark));
            Err(unfit)
        }
    }
}

impl<'a> Standing<'a> {
    fn new(walked: Walked<'a>, deletes: &[Span], state: &StateVector) -> Self {
        let (mut here, mut cut) = (Vec::new(), Vec::new());
        if !deletes.is_empty() {
            let brought: BTreeMap<ClientId, Clock> = walked.reached.into_iter().collect();
            let reached = |client| brought.get(&client).copied().unwrap_or_else(|| state.get(client));
            let until = |span: &Span| Span { end: span.end.min(reached(span.client)), ..*span };
            here = deletes.iter().map(until).filter(|span| span.start < span.end).collect();
            cut = deletes.iter().filter(|span| span.end > reached(span.client)).copied().collect();
        }
        let is_missing = walked.is_missing || !cut.is_empty();
        Self {
            cut,
            is_as_it_came: walked.is_as_it_came && !is_missing && is_in_order(deletes),
            is_missing,
            fresh: walked.fresh,
            known: walked.known,
            deletes: here,
        }
    }

    /// Whether nothing of the update is new, its deletes left aside.
    pub fn is_known(&self) -> bool {
        self.fresh.is_empty()
    }

    /// How many units are deleted.
    pub fn deleted(&self) -> u64 {
        units(&self.deletes)
    }

    /// The clients whose work is new, with the ends of it.
    pub fn ends(&self) -> impl Iterator<Item = (ClientId, Clock)> {
        self.fresh.iter().map(|fresh| (fresh.span.client, fresh.span.end))
    }

    /// What stands and is new, as an update. `None` if that's the whole of it as it came.
    pub fn part(&self) -> Option<Vec<u8>> {
        (!self.is_as_it_came).then(|| self.with_deletes(self.deletes.iter().copied()))
    }

    /// Where very much is deleted, what is to be taken before the rest: the new work, and a few of the deletes, evenly spread.
    /// yrs copies all of a text that is left each time it splits it at its front. So that's done to short texts only.
    pub fn first_deletes(&self) -> Option<Vec<u8>> {
        if self.deletes.len() < DELETES_MANY {
            return None;
        }
        let mut deletes = self.deletes.clone();
        deletes.sort_unstable_by_key(|span| (span.client, span.start));
        let step = deletes.len().isqrt();
        Some(self.with_deletes(deletes.into_iter().step_by(step)))
    }

    /// What stands and is new, as an update with another delete set.
    pub fn with_deletes(&self, deletes: impl Iterator<Item = Span>) -> Vec<u8> {
        let mut assembly = Assembly::default();
        for fresh in &self.fresh {
            assembly.add(fresh.span, fresh.structs, fresh.bytes());
        }
        deletes.for_each(|span| assembly.delete(span));
        assembly.encode()
    }
}

/// Puts structs in their places.
struct Putting<'g> {
    ground: Ground<'g>,
    deletes: Deletes<'g>,
    mark: &'g mut Mark,
}

impl Putting<'_> {
    fn put(&mut self, arrival: &Arrival<'_>) -> Visited {
        let place = self.place(arrival)?;
        let depth = self.ground.places.note(arrival, place, self.mark);
        if depth > self.ground.depth_max {
            return Err("shared types nest too deep");
        }
        self.otherwise(arrival, place)
    }

    fn place(&mut self, arrival: &Arrival<'_>) -> Result<Place, &'static str> {
        let Some(item) = arrival.item() else { return Ok(Place::GONE) };
        let Self { ground: Ground { places, is_dead, .. }, deletes, mark, .. } = self;
        places.place(&item, |places, place| deletes.is_dead(places, place, is_dead), mark)
    }

    /// How a struct is to be written, if not as it came.
    fn otherwise(&mut self, arrival: &Arrival<'_>, place: Place) -> Visited {
        let Arrival { client, start, whole } = arrival;
        let is_deleted = arrival.item().is_none_or(|item| item.content == Content::Deleted);
        if !place.is_keyed() || is_deleted || whole.end - whole.start == 1 {
            return Ok(arrival.is_rest().then(|| rest(*client, whole, *start)));
        }
        // What a client without collection keeps of values that were written over. It's deleted here.
        match self.deletes.covers(Span { client: *client, start: *start, end: whole.end }) {
            true => Ok(Some(deleted_rest(*client, whole, *start))),
            false => Err("one key has more than one value"),
        }
    }
}

/// What an update deletes, for the question whether something is dead with it. It's seldom asked.
struct Deletes<'g> {
    listed: &'g [Span],
    spans: Option<Spans>,
    dead: BTreeMap<Place, bool>,
}

impl Deletes<'_> {
    fn is_dead(&mut self, places: &Places, place: Place, is_dead: &dyn Fn(Id) -> bool) -> bool {
        if let Some(dead) = self.dead.get(&place) {
            return *dead;
        }
        let is_deleted =
            |id: Id| is_dead(id) || self.covers(Span { client: id.client, start: id.clock, end: id.clock + 1 });
        let dead = places.holders(place).any(is_deleted);
        self.dead.insert(place, dead);
        dead
    }

    /// Whether all of this is deleted.
    fn covers(&mut self, span: Span) -> bool {
        self.spans.get_or_insert_with(|| self.listed.iter().copied().collect()).contains(span)
    }
}

/// Whether a delete set is as Yjs writes it. yrs takes its time with any other.
fn is_in_order(deletes: &[Span]) -> bool {
    let follows = |pair: &[Span]| pair[0].client != pair[1].client || pair[0].end < pair[1].start;
    deletes.windows(2).all(follows) && deletes.iter().all(|span| span.start < span.end)
}
