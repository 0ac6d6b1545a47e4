//! The replica: the one file that names yrs types. It decides how far an update stands on what is here, so that yrs
//! never holds anything pending, and it turns what yrs does into return values.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;

use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::{Doc, OffsetKind, Options, ReadTxn, Transact, Update, WriteTxn};

use super::journal::Stored;
use super::state_vector::StateVector;
use crate::config::Limits;
use crate::id::{ClientId, Clock, Seq};
use crate::wire::vet::{self, Bounds, Outline, Refusal};

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
    /// At most so many shared types are here; those that are gone may be among them.
    types: u64,
    /// Whose work was deleted under this name (I1). Nothing of it comes back.
    deleted: BTreeSet<ClientId>,
    planted: Option<Planted>,
}

/// Called in the middle of each application of an update, with its bytes: for tests of what comes of a fault there.
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
    /// It stands on something that isn't here. Nothing was changed.
    Missing {
        /// What would have to be here for it to stand, and for its content to be here.
        wants: StateVector,
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
    /// Its structs stand on each other in a circle, or on something that can't hold them. What stood was taken, the rest
    /// was dropped.
    #[error("{why}")]
    Partly {
        /// What is wrong.
        why: String,
        /// What was taken.
        taken: Box<Applied>,
    },
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
            Self::Partly { .. } | Self::Broken(_) => "H1",
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
            types: 0,
            deleted: BTreeSet::new(),
            planted: None,
        }
    }

    /// Plants something that may fail where yrs could.
    pub fn plant(&mut self, planted: Option<Planted>) {
        self.planted = planted;
    }

    fn restore(&mut self, update: &Bytes) -> Result<(), String> {
        let outline = vet::outline(update, &Bounds::STORED).map_err(|refusal| refusal.to_string())?;
        match self.take(update, &outline) {
            Ok(Applied::Missing { .. }) => Err("it stands on something that isn't there".into()),
            // What stood of it when it came stands now too; the rest was dropped then as well.
            Ok(_) | Err(Refused::Partly { .. }) => Ok(()),
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

    /// Applies an update of format v1, if it stands on what is here (H1, H2).
    pub fn apply(&mut self, update: &Bytes, limits: &Limits) -> Result<Applied, Refused> {
        let outline = vet::outline(update, &Bounds::of(limits))?;
        if self.brings_servers_own(&outline) {
            return Err(Refused::ServersOwn(self.client));
        }
        if let Some(client) = self.deleted_in(&outline) {
            return Err(Refused::Deleted(client));
        }
        if outline.types > 0 && self.types + outline.types > limits.document_types_max {
            self.count_types();
            if self.types + outline.types > limits.document_types_max {
                return Err(Refused::TooManyTypes);
            }
        }
        self.take(update, &outline)
    }

    fn take(&mut self, update: &Bytes, outline: &Outline) -> Result<Applied, Refused> {
        if !self.stands(outline) {
            return Ok(Applied::Missing { wants: wants(outline) });
        }
        if outline.deleted == 0 && self.has_structs(outline) {
            return Ok(Applied::Nothing);
        }
        self.types += outline.types;
        // What overlaps is cut off here and not by yrs while it's applied: then what is kept is what was applied (D8).
        let overlaps = outline.spans.iter().any(|span| span.start < self.state.get(span.client));
        let cut = overlaps.then(|| yrs::diff_updates_v1(update, &self.state.encode())).transpose();
        let update = cut.map_err(undecodable)?.map_or_else(|| update.clone(), Bytes::from);
        let decoded = Update::decode_v1(&update).map_err(undecodable)?;
        self.integrate(&update, outline, decoded)
    }

    /// Counts the shared types anew: those that were deleted are gone from the snapshot.
    fn count_types(&mut self) {
        // The snapshot is yrs' own; should we not understand it, the count stays what it was.
        if let Ok(outline) = vet::outline(&self.snapshot(), &Bounds::STORED) {
            self.types = outline.types;
        }
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

    /// Whether nothing that the update needs is missing: no hole before its structs, and everything that they and
    /// the delete set name is here or in the update itself.
    fn stands(&self, outline: &Outline) -> bool {
        let mut brought: BTreeMap<ClientId, Clock> = BTreeMap::new();
        for span in &outline.spans {
            let known = brought.entry(span.client).or_insert_with(|| self.state.get(span.client));
            if span.start > *known {
                return false;
            }
            *known = span.end.max(*known);
        }
        outline.needs.iter().all(|(client, end)| {
            let known = brought.get(client).copied().unwrap_or_else(|| self.state.get(*client));
            *end <= known
        })
    }

    /// Whether an update would change nothing. What isn't an update isn't known. Whether all that it deletes is deleted
    /// takes a walk over the whole document, and is looked into only if `deletes_too`; else a delete isn't known.
    pub fn knows(&self, update: &Bytes, deletes_too: bool, limits: &Limits) -> bool {
        let Ok(outline) = vet::outline(update, &Bounds::of(limits)) else { return false };
        self.has_structs(&outline) && (outline.deleted == 0 || deletes_too && self.has_deleted(update))
    }

    fn has_deleted(&self, update: &Bytes) -> bool {
        let Ok(update) = Update::decode_v1(update) else { return false };
        let deleted = self.doc.transact().snapshot().delete_set;
        update.delete_set().diff(&deleted).is_empty()
    }

    fn integrate(&mut self, raw: &Bytes, outline: &Outline, decoded: Update) -> Result<Applied, Refused> {
        // If yrs panics, the transaction must leak: dropping it would commit what was half done.
        let mut transaction = ManuallyDrop::new(self.doc.transact_mut());
        let failed = transaction.apply_update(decoded).err().map(|error| error.to_string());
        if let Some(planted) = self.planted {
            planted(raw);
        }
        let is_pending = transaction.has_missing_updates();
        if is_pending {
            transaction.prune_pending();
        }
        let is_whole = failed.is_none() && !is_pending;
        let update = transaction.has_changes().then(|| {
            let is_all_new = is_whole && deleted_units(&transaction) >= outline.deleted;
            if is_all_new { raw.clone() } else { transaction.encode_update_v1().into() }
        });
        let after = (!is_whole).then(|| transaction.state_vector());
        commit(transaction);

        let floor = self.raise(outline, after);
        let applied = update.map_or(Applied::Nothing, |update| Applied::Fresh { update, floor });
        if is_whole {
            return Ok(applied);
        }
        self.renew()?;
        let why = failed.unwrap_or_else(|| "its structs stand on each other in a circle".into());
        Err(Refused::Partly { why, taken: Box::new(applied) })
    }

    /// After yrs gave up half-way: takes what it has into a new document, which shows that it can be read again.
    fn renew(&mut self) -> Result<(), Refused> {
        let stored = Stored { snapshot: Some((Seq(0), self.snapshot())), ..Stored::default() };
        let renewed = Self::rebuild(&stored, self.client).map_err(|error| Refused::Broken(error.to_string()))?;
        if renewed.state != self.state {
            return Err(Refused::Broken("what was taken can't be read again".into()));
        }
        *self = Self { deleted: std::mem::take(&mut self.deleted), planted: self.planted, ..renewed };
        Ok(())
    }

    /// Notes what the update has brought, and gives what was here of it before.
    fn raise(&mut self, outline: &Outline, counted: Option<yrs::StateVector>) -> BTreeMap<ClientId, Clock> {
        let mut floor = BTreeMap::new();
        for span in &outline.spans {
            let before = self.state.get(span.client);
            let end = match &counted {
                Some(counted) => counted.get(&yrs::ClientID::new(span.client.0)),
                None => span.end,
            };
            if end > before {
                floor.entry(span.client).or_insert(before);
                self.state.raise(span.client, end);
            }
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
        self.doc.transact().encode_diff_v1(&vector).into()
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
        commit(transaction);
        (result, self.edited(update, &after))
    }

    fn edited(&mut self, update: Option<Bytes>, after: &yrs::StateVector) -> Result<Applied, Refused> {
        let Some(update) = update else { return Ok(Applied::Nothing) };
        let outline = vet::outline(&update, &Bounds::STORED).map_err(|refusal| Refused::Broken(refusal.to_string()))?;
        self.types += outline.types;
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

fn wants(outline: &Outline) -> StateVector {
    let mut wants = StateVector::default();
    outline.needs.iter().for_each(|(client, end)| wants.raise(*client, *end));
    outline.spans.iter().for_each(|span| wants.raise(span.client, span.end));
    wants
}

fn undecodable(error: impl std::fmt::Display) -> Refused {
    Refused::Undecodable(error.to_string())
}

fn deleted_units(transaction: &WriteTransaction<'_>) -> u64 {
    let set = transaction.delete_set();
    set.iter().flat_map(|(_, ranges)| ranges.iter()).map(|range| u64::from(range.end - range.start)).sum()
}
