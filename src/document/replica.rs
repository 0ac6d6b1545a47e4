//! The replica: the one file that names yrs types. It decides how far an update stands on what is here, so that yrs
//! never holds anything pending, and it turns what yrs does into return values.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::ManuallyDrop;

use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::{Doc, OffsetKind, Options, ReadTxn, Transact, Update, WriteTxn};

use super::causal::Unfit;
use super::journal::Stored;
use super::places::{Mark, Places};
use super::session::Wants;
use super::spans::Spans;
use super::standing::{Ground, Standing, standing};
use super::state_vector::StateVector;
use crate::config::Limits;
use crate::id::{ClientId, Clock, Seq};
use crate::wire::Refusal;
use crate::wire::lib0::Reader;
use crate::wire::part::readable;
use crate::wire::same::difference;
use crate::wire::structs::{DEPTH_END, Id, Structs};
use crate::wire::vet::{self, Bounds, Outline, Section, Span, units};

/// A transaction that may change the document. `y_mesh::yrs` is the yrs it comes from.
pub type WriteTransaction<'doc> = yrs::TransactionMut<'doc>;

/// A transaction that only reads.
pub type ReadTransaction<'doc> = yrs::Transaction<'doc>;

/// A document's content.
pub struct Replica {
    doc: Doc,
    /// What is here. yrs would count it anew, and in a changing order, each time it's asked.
    state: StateVector,
    client: ClientId,
    /// Where each struct stands.
    places: Places,
    /// What was taken lately, to know it again cheaply.
    recent: Recent,
    /// Whose work was deleted under this name (I1). Nothing of it comes back.
    deleted: BTreeSet<ClientId>,
    planted: Option<Planted>,
    /// What is deleted, once somebody has asked.
    known_deletes: Option<Spans>,
}

/// Called in the middle of each application of an update, and after each encoding of one, with its bytes: for tests of what comes
/// of a fault there.
#[doc(hidden)]
pub type Planted = fn(&[u8]);

/// What came of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// All of it was known (F2).
    Nothing,
    /// It changed the document.
    Fresh {
        /// What to keep and to relay: the bytes as they came, or only what was new of them (D8).
        update: Bytes,
        /// For each client that it brought work of, how much was here before.
        floor: BTreeMap<ClientId, Clock>,
    },
    /// Something of it stands on what isn't here.
    Missing {
        /// What would have to be here for it to stand, and for its content to be here.
        wants: Wants,
        /// What came of the rest: nothing, if it was to be taken as a whole.
        taken: Box<Applied>,
    },
}

/// Why an update isn't taken, ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It isn't one, or costs too much. The document is as it was.
    #[error(transparent)]
    Vet(#[from] Refusal),
    /// It brings work under the client id that this server edits with (H4). The document is as it was.
    #[error("client id {} is the server's own", .0.0)]
    ServersOwn(ClientId),
    /// It brings work of a client whose work was deleted under this name, or stands on it (I1). The document is as it was.
    #[error("work of client id {} was deleted", .0.0)]
    Deleted(ClientId),
    /// yrs can't read it. The document is as it was.
    #[error("yrs can't read it: {0}")]
    Undecodable(String),
    /// Its structs stand on each other in a circle, or where they can't (H1). The document is as it was.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// What it says of work that is here isn't what is here (H3). Whoever has it shows something else than all others, for ever:
    /// it should be dropped, and the document loaded anew. The document is as it was.
    #[error("clock {} of client {} isn't what is here under the same id", .0.clock, .0.client.0)]
    Differs(Id),
    /// The document has as many shared types as it may. It is as it was.
    #[error("the document has as many shared types as it may have")]
    TooManyTypes,
    /// yrs failed half-way: this replica isn't to be trusted any more, and is to be loaded anew.
    #[error("yrs failed while it applied the update: {0}")]
    Broken(String),
}

impl Refused {
    /// The number of the rule that it goes by.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Vet(Refusal::Malformed(_)) | Self::Undecodable(_) => "W4",
            Self::Vet(Refusal::Refused { .. }) | Self::TooManyTypes => "W5",
            Self::ServersOwn(_) => "H4",
            Self::Deleted(_) => "I1",
            Self::Differs(_) => "H3",
            Self::Unfit(_) | Self::Broken(_) => "H1",
        }
    }
}

/// Why what was stored is no document. It's left as it is; restore a backup, or look at the named record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The snapshot isn't a document.
    #[error("the snapshot can't be used: {0}")]
    Snapshot(String),
    /// A record isn't an update, or stands on something that isn't there.
    #[error("record {seq} can't be used: {why}", seq = .0.0, why = .1)]
    Record(Seq, String),
    /// The records have a hole.
    #[error("record {} is followed by record {}", .0.0, .1.0)]
    Hole(Seq, Seq),
}

impl Replica {
    /// Rebuilds the state from a snapshot and the records after it (D2). `client` is the id that the server's own
    /// edits get; it must be drawn afresh at every open (H4). If the document knows it, the next free one is taken.
    pub fn open(stored: &Stored, client: ClientId) -> Result<Self, OpenError> {
        let replica = Self::rebuild(stored, client)?;
        let is_taken = |client| replica.state.get(client) > 0 || replica.deleted.contains(&client);
        if !is_taken(client) {
            return Ok(replica);
        }
        let mut free = client;
        while is_taken(free) {
            free = ClientId((free.0 + 1) % ClientId::END);
        }
        Self::rebuild(stored, free)
    }

    fn rebuild(stored: &Stored, client: ClientId) -> Result<Self, OpenError> {
        let mut replica = Self::empty(client);
        replica.deleted.extend(stored.tombstone.iter().flat_map(|tombstone| &tombstone.clients));
        let mut last = stored.floor();
        if let Some((_, snapshot)) = &stored.snapshot {
            replica.restore(snapshot).map_err(OpenError::Snapshot)?;
        }
        for (seq, record) in &stored.tail {
            if *seq != last.next() {
                return Err(OpenError::Hole(last, *seq));
            }
            replica.restore(&record.update).map_err(|why| OpenError::Record(*seq, why))?;
            last = *seq;
        }
        Ok(replica)
    }

    fn empty(client: ClientId) -> Self {
        let mut options = Options::with_client_id(yrs::ClientID::new(client.0));
        options.offset_kind = OffsetKind::Utf16;
        options.skip_gc = false;
        options.cleanup_formatting = false;
        Self {
            doc: Doc::with_options(options),
            state: StateVector::default(),
            client,
            places: Places::default(),
            recent: Recent::default(),
            deleted: BTreeSet::new(),
            planted: None,
            known_deletes: None,
        }
    }

    /// Plants something that may fail where yrs could.
    pub fn plant(&mut self, planted: Option<Planted>) {
        self.planted = planted;
    }

    fn restore(&mut self, update: &Bytes) -> Result<(), String> {
        let outline = vet::outline(update, &Bounds::STORED).map_err(|refusal| refusal.to_string())?;
        match self.take(update, &outline, &Terms::STORED) {
            Ok(Applied::Missing { .. }) => Err("it stands on something that isn't there".into()),
            Ok(_) => Ok(()),
            Err(refused) => Err(refused.to_string()),
        }
    }

    /// What is here.
    pub fn state(&self) -> &StateVector {
        &self.state
    }

    /// Whose work was deleted under this name.
    pub fn deleted(&self) -> &BTreeSet<ClientId> {
        &self.deleted
    }

    /// Applies an update of format v1, if it stands on what is here (H1); what stands of it, if it may come in parts (H2).
    pub fn apply(&mut self, update: &Bytes, in_parts: bool, limits: &Limits) -> Result<Applied, Refused> {
        let bounds = Bounds::of(limits);
        let outline = vet::outline(update, &bounds)?;
        if self.brings_servers_own(&outline) {
            return Err(Refused::ServersOwn(self.client));
        }
        if let Some(client) = self.deleted_in(&outline) {
            return Err(Refused::Deleted(client));
        }
        let terms =
            Terms { in_parts, is_new: true, types_max: limits.document_types_max, depth_max: limits.type_depth_max };
        if outline.has_odd_json {
            let update = readable(update, &outline)?.into();
            return self.take(&update, &vet::outline(&update, &bounds)?, &terms);
        }
        self.take(update, &outline, &terms)
    }

    fn take(&mut self, update: &Bytes, outline: &Outline, terms: &Terms) -> Result<Applied, Refused> {
        if outline.types > 0 && self.places.types() + outline.types > terms.types_max {
            self.forget_dead_types()?;
        }
        let mut mark = Mark::default();
        let standing = self.standing(update, outline, terms.depth_max, &mut mark)?;
        let taken = match self.check(update, &standing, terms) {
            Ok(()) if standing.is_missing && !terms.in_parts => {
                self.places.go_back(mark);
                Ok(Applied::Nothing)
            }
            Ok(()) if standing.is_known() && standing.deleted() == 0 => Ok(Applied::Nothing),
            Ok(()) => self.take_standing(update, &standing, mark),
            Err(refused) => {
                self.places.go_back(mark);
                Err(refused)
            }
        }?;
        Ok(match standing.is_missing {
            true => Applied::Missing { wants: wants(outline, standing.cut), taken: taken.into() },
            false => taken,
        })
    }

    fn standing<'a>(
        &mut self,
        update: &'a [u8],
        outline: &Outline,
        depth_max: u32,
        mark: &mut Mark,
    ) -> Result<Standing<'a>, Unfit> {
        let Self { doc, state, places, .. } = self;
        let is_dead = |id: Id| {
            let id = yrs::BranchID::Nested(yrs::ID::new(yrs::ClientID::new(id.client.0), id.clock));
            id.get_branch(&doc.transact()).is_none_or(|branch| branch.is_deleted())
        };
        standing(update, outline, Ground { state, places, is_dead: &is_dead, depth_max }, mark)
    }

    fn check(&self, update: &Bytes, standing: &Standing<'_>, terms: &Terms) -> Result<(), Refused> {
        if !terms.is_new {
            return Ok(());
        }
        if self.places.types() > terms.types_max {
            return Err(Refused::TooManyTypes);
        }
        match standing.known.is_empty() || self.recent.contains(update) {
            true => Ok(()),
            false => self.compare(standing),
        }
    }

    /// Whether what an update says of work that is here is what is here (H3).
    fn compare(&self, standing: &Standing<'_>) -> Result<(), Refused> {
        let mut vector = self.state.clone();
        standing.known.iter().for_each(|known| vector.lower(known.span.client, known.span.start));
        let ours = self.diff(&vector);
        let outline = vet::outline(&ours, &Bounds::STORED).map_err(|refusal| Refused::Broken(refusal.to_string()))?;
        let sections: BTreeMap<ClientId, &Section> =
            outline.sections.iter().map(|section| (section.span.client, section)).collect();
        for known in &standing.known {
            let Some(section) = sections.get(&known.span.client) else { continue };
            let reader = Reader::new(&ours[section.bytes.clone()]);
            let structs = Structs::new(reader, section.structs, section.span.start, DEPTH_END);
            if let Some(clock) = difference(known.span, structs, known.structs.clone()) {
                return Err(Refused::Differs(Id { client: known.span.client, clock }));
            }
        }
        Ok(())
    }

    /// Counts the shared types anew: those that were deleted are gone from the snapshot.
    fn forget_dead_types(&mut self) -> Result<(), Refused> {
        let snapshot = self.snapshot();
        let outline =
            vet::outline(&snapshot, &Bounds::STORED).map_err(|refusal| Refused::Broken(refusal.to_string()))?;
        let mut places = Places::default();
        let ground =
            Ground { state: &StateVector::default(), places: &mut places, is_dead: &|_| true, depth_max: u32::MAX };
        standing(&snapshot, &outline, ground, &mut Mark::default())
            .map_err(|unfit| Refused::Broken(unfit.to_string()))?;
        self.places = places;
        Ok(())
    }

    fn has_structs(&self, outline: &Outline) -> bool {
        outline.spans.iter().all(|span| span.end <= self.state.get(span.client))
    }

    /// Under the server's own id only what the server itself has made may come back.
    fn brings_servers_own(&self, outline: &Outline) -> bool {
        let own = self.state.get(self.client);
        outline.spans.iter().any(|span| span.client == self.client && span.end > own)
    }

    /// Somebody whose work was deleted, and who brings some, or on whose work something stands: that never comes.
    fn deleted_in(&self, outline: &Outline) -> Option<ClientId> {
        let mut named = outline.spans.iter().map(|span| span.client).chain(outline.needs.keys().copied());
        named.find(|client| self.deleted.contains(client))
    }

    /// Whether an update would change nothing. What isn't an update isn't known. Whether all that it deletes is deleted
    /// takes a walk over the whole document, and is looked into only if `deletes_too`; else a delete isn't known.
    pub fn knows(&mut self, update: &Bytes, deletes_too: bool, limits: &Limits) -> bool {
        let Ok(outline) = vet::outline(update, &Bounds::of(limits)) else { return false };
        self.has_structs(&outline) && (outline.deletes.is_empty() || deletes_too && self.has_deleted(&outline.deletes))
    }

    /// Whether all of this is deleted. The first time, that takes a walk over the whole document.
    pub fn has_deleted(&mut self, deletes: &[Span]) -> bool {
        let all = || spans_of(&self.doc.transact().snapshot().delete_set).into_iter().collect();
        let known = self.known_deletes.get_or_insert_with(all);
        deletes.iter().all(|span| known.contains(*span))
    }

    /// What is deleted is looked up in the whole document once, and then noted as it comes.
    fn note_deleted(&mut self, deleted: &[Span]) {
        if let Some(known) = &mut self.known_deletes {
            deleted.iter().for_each(|span| known.insert(*span));
        }
    }

    /// Gives yrs what stands and is new. What overlaps what is here was cut off, so what is kept is what was applied (D8).
    fn take_standing(&mut self, update: &Bytes, standing: &Standing<'_>, mark: Mark) -> Result<Applied, Refused> {
        let update = standing.part().map_or_else(|| update.clone(), Bytes::from);
        let steps = standing.first_deletes().into_iter().map(Bytes::from).chain([update.clone()]);
        match steps.map(|step| Update::decode_v1(&step)).collect::<Result<Vec<_>, _>>() {
            Ok(steps) => self.integrate(update, standing, steps),
            Err(error) => {
                self.places.go_back(mark);
                Err(Refused::Undecodable(error.to_string()))
            }
        }
    }

    fn integrate(&mut self, update: Bytes, standing: &Standing<'_>, steps: Vec<Update>) -> Result<Applied, Refused> {
        // If yrs panics, the transaction must leak: dropping it would commit what was half done.
        let mut transaction = ManuallyDrop::new(self.doc.transact_mut());
        for step in steps {
            transaction.apply_update(step).map_err(|error| Refused::Broken(error.to_string()))?;
        }
        if let Some(planted) = self.planted {
            planted(&update);
        }
        if transaction.has_missing_updates() {
            return Err(Refused::Broken("it holds back what stands".into()));
        }
        let deleted = deleted(&transaction);
        commit(transaction);
        self.note_deleted(&deleted);
        if standing.is_known() && deleted.is_empty() {
            return Ok(Applied::Nothing);
        }
        let is_all_new = units(&deleted) >= standing.deleted();
        let update = if is_all_new { update } else { standing.with_deletes(deleted.into_iter()).into() };
        self.recent.push(update.clone());
        Ok(Applied::Fresh { update, floor: self.raise(standing) })
    }

    /// Notes what has come, and gives what was here of it before.
    fn raise(&mut self, standing: &Standing<'_>) -> BTreeMap<ClientId, Clock> {
        let mut floor = BTreeMap::new();
        for (client, end) in standing.ends() {
            floor.insert(client, self.state.get(client));
            self.state.raise(client, end);
        }
        floor
    }

    /// What somebody lacks who has `known`, as an update of format v1. It holds the whole delete set.
    pub fn diff(&self, known: &StateVector) -> Bytes {
        let mut vector = yrs::StateVector::default();
        for (client, clock) in known.iter() {
            // yrs' ids have 53 bits; what is larger is nobody's here.
            if client.0 < ClientId::END {
                vector.set_max(yrs::ClientID::new(client.0), clock);
            }
        }
        let diff = self.doc.transact().encode_diff_v1(&vector);
        if let Some(planted) = self.planted {
            planted(&diff);
        }
        diff.into()
    }

    /// The whole state, as an update of format v1.
    pub fn snapshot(&self) -> Bytes {
        self.diff(&StateVector::default())
    }

    /// Reads the document.
    pub fn read<R>(&self, read: impl FnOnce(&ReadTransaction<'_>) -> R) -> R {
        read(&self.doc.transact())
    }

    /// Edits the document as the server itself. What was changed comes back as the transaction's own update (H4).
    ///
    /// # Errors
    /// If what was changed could not be read again; then this replica isn't to be used any more.
    pub fn edit<R>(&mut self, edit: impl FnOnce(&mut WriteTransaction<'_>) -> R) -> (R, Result<Applied, Refused>) {
        let mut transaction = ManuallyDrop::new(self.doc.transact_mut());
        let result = edit(&mut transaction);
        // An update that the closure has applied may stand on something missing; of that nothing is kept (H2).
        transaction.prune_pending();
        let update = transaction.has_changes().then(|| Bytes::from(transaction.encode_update_v1()));
        let after = transaction.state_vector();
        let deleted = deleted(&transaction);
        commit(transaction);
        self.note_deleted(&deleted);
        (result, self.edited(update, &after))
    }

    fn edited(&mut self, update: Option<Bytes>, after: &yrs::StateVector) -> Result<Applied, Refused> {
        let Some(update) = update else { return Ok(Applied::Nothing) };
        let outline = vet::outline(&update, &Bounds::STORED).map_err(|refusal| Refused::Broken(refusal.to_string()))?;
        let noted =
            self.standing(&update, &outline, u32::MAX, &mut Mark::default()).map(|standing| standing.is_missing);
        match noted {
            Ok(false) => {}
            Ok(true) => return Err(Refused::Broken("the edit stands on something that isn't there".into())),
            Err(unfit) => return Err(Refused::Broken(unfit.to_string())),
        }
        let mut floor = BTreeMap::new();
        for (client, clock) in after.iter() {
            let client = ClientId(client.get());
            let before = self.state.get(client);
            if *clock > before {
                floor.insert(client, before);
                self.state.raise(client, *clock);
            }
        }
        Ok(Applied::Fresh { update, floor })
    }
}

/// Commits what a transaction has done.
fn commit(mut transaction: ManuallyDrop<WriteTransaction<'_>>) {
    // yrs 0.28.1 tells sub-documents that they're gone after it has freed what they point to. Nobody here listens, so
    // it's given nobody to tell.
    drop(std::mem::take(transaction.subdocs_mut()));
    transaction.commit();
    drop(ManuallyDrop::into_inner(transaction));
}

fn wants(outline: &Outline, deletes: Vec<Span>) -> Wants {
    let mut work = StateVector::default();
    outline.needs.iter().for_each(|(client, end)| work.raise(*client, *end));
    outline.spans.iter().for_each(|span| work.raise(span.client, span.end));
    Wants { work, deletes }
}

/// What the transaction has deleted.
fn deleted(transaction: &WriteTransaction<'_>) -> Vec<Span> {
    spans_of(transaction.delete_set())
}

fn spans_of(set: &yrs::IdSet) -> Vec<Span> {
    let set = set.iter();
    let span = |client: &yrs::ClientID, range: &std::ops::Range<u32>| Span {
        client: ClientId(client.get()),
        start: range.start,
        end: range.end,
    };
    set.flat_map(|(client, ranges)| ranges.iter().map(move |range| span(client, range))).collect()
}

/// On which terms an update is taken.
struct Terms {
    in_parts: bool,
    is_new: bool,
    types_max: u64,
    depth_max: u32,
}

impl Terms {
    /// For what was taken before.
    const STORED: Self = Self { in_parts: false, is_new: false, types_max: u64::MAX, depth_max: u32::MAX };
}

/// What was taken lately. The same comes again, from tabs and other providers that relay each other.
#[derive(Default)]
struct Recent(VecDeque<Bytes>);

impl Recent {
    const UPDATES_MAX: usize = 32;
    const BYTES_MAX: usize = 4_096;

    fn push(&mut self, update: Bytes) {
        if update.len() <= Self::BYTES_MAX {
            self.0.truncate(Self::UPDATES_MAX - 1);
            self.0.push_front(update);
        }
    }

    fn contains(&self, update: &Bytes) -> bool {
        self.0.contains(update)
    }
}
