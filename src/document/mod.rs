//! The core: one document as a state machine. It has no socket, clock, task, file or random number inside.
//!
//! [`Document::handle`] takes one [`Event`] at a moment and appends the [`Effect`]s that it asks for, in the order in
//! which they're to be done. It can't fail: what a client does wrong ends that client's session and changes nothing else.
//!
//! What a session sends is in `frames`, what goes out in `fanout`, who is here in `presence`, what comes of a deletion
//! in `deletion`, and what outlives a fault in `renewal`; here is the rest: who comes and goes, what is kept, and time. Parts that know nothing of sessions and
//! turns: `replica` (yrs), `awareness`, `journal`.
//!
//! # The rules
//!
//! Each is held by at least one test whose name begins with its number.
//!
//! **Wire**
//! - W1 Many frames in a message are accepted; one frame a message is sent, for stock clients read only the first.
//! - W2 A message over the limit, in bytes or in frames, closes its session (1009).
//! - W3 A frame of unknown type is skipped and counted, with the rest of its message.
//! - W4 A malformed or truncated frame closes its session (1007) and touches nothing else.
//! - W5 An update that costs too much or can't be held safely is refused before yrs sees it. ([`crate::wire::vet`]) What honest
//!   clients send passes, those of Yjs before 13.0 included: what yrs can't read back is written otherwise, in as many units.
//! - W6 What is refused is refused for good: the session is closed with 4400, and others don't notice. So is what yrs fails over:
//!   the node loads the document anew, under those who are seated, and knows the same bytes again by their hash.
//!
//! **Session**
//! - S1 Who joins is sent SyncStep1, then awareness if anyone is here.
//! - S2 SyncStep1 is answered, to that session alone, with what it lacks: once a turn, when that ends, and with what it said
//!   last. There's one answer in an outbox at most, each session has them at a bounded rate, and what is encoded for them all is
//!   bounded too. Sessions that have the same share an answer; a large one that somebody is still taking is given to others as it
//!   is, and then what has changed since.
//! - S3 Mail that arrives while a document loads waits; none is lost; a load that takes too long closes 1013.
//! - S4 From a session that may only read, what would change the document is refused and answered so; a SyncStep2 with
//!   nothing new is acknowledged; it goes on receiving, and its presence is shown.
//! - S5 Who leaves takes along the awareness that it still owns, and no other's. Nobody else says goodbye for an entry whose
//!   owner is here.
//! - S6 Access can change, and end, while a session lives.
//!
//! **Standing**
//! - H1 Before anything is applied, it's found how far it stands on what is here, in an order in which each struct comes after all
//!   that it names: clocks without a hole; origins, parents and deletes that are here or come along. What stands in no
//!   place is refused with all of its update: a circle, neighbours in two places, a parent that isn't a shared type, a key with
//!   several values, types that nest too deep.
//! - H2 What stands of an update is taken. What depends on something missing isn't applied, kept, relayed or
//!   acknowledged; its sender is asked for that with SyncStep1, ever more rarely if the answers don't bring it. An answer
//!   is acknowledged when what stands of it is durable: the rest is what its sender lacks the ground for as well, and
//!   so can't show. So yrs never holds anything pending.
//! - H3 What an update says of work that is here must be what is here, unit by unit, however it's split or written; of what is
//!   deleted on either side, only the ids count. A difference is refused: Yjs would never notice it, and never heal.
//! - H4 Edits of the server itself use a client id drawn afresh at every open. From outside, nothing new comes under it.
//! - H5 Offsets count UTF-16 code units; deleted content is collected; formatting isn't tidied on its own.
//!
//! **Fan-out**
//! - F1 An update that changed something goes to every session, its author included.
//! - F2 One that changed nothing goes nowhere.
//! - F3 What came from a peer goes to clients, not to peers.
//! - F4 A message is encoded at most once for all.
//! - F5 A session whose outbox is full is *behind*: it's sent nothing until its outbox is empty, then one diff and
//!   awareness anew, one after the other if they're large. If its outbox isn't empty for too long, it's closed (1013).
//!   Nobody waits for it, nothing is lost to it.
//! - F6 A session that was sent nothing for 20 s gets an empty awareness frame.
//! - F7 What waits together leaves together: at the end of a turn its updates go out as one, at most 64 merged at once.
//!
//! **Awareness**
//! - A1 An entry counts if its clock is newer, or equal and it says goodbye. An opening entry with a clock of 1 or more
//!   (a reconnect) is answered, to that session alone, by a goodbye at that clock, upon which y-protocols raises the
//!   clock and announces itself at once. The others are made to do the same, at a bounded rate: who comes back has
//!   forgotten their states but not their clocks, and would not see them until they move.
//! - A2 A session owns the id of a single-entry awareness frame directly after its opening SyncStep1. Entries relayed
//!   for sibling tabs don't change hands; a later claim does. Whoever had it is asked then, and has it back if it's alive.
//! - A3 Awareness is never stored.
//! - A4 An entry that isn't renewed for 30 s is removed, and that is announced.
//! - A5 Entries and bytes are limited, in a document and of a session, and so are clients that nobody knew. Nobody speaks for who
//!   is here and isn't its own, and nobody's clock can be moved beyond where it can go on from. Who says who it is finds room.
//! - A6 All are told at most 20 times a second who has come, gone or moved, and less often in a crowd: each message comes back from
//!   every stock client.
//!
//! **Durability**
//! - D1 `Append` precedes `Send` of the same update.
//! - D2 Snapshot plus tail rebuild the state.
//! - D3 Compaction loses nothing.
//! - D5 A store that fails closes all sessions (1013) and ends acknowledgements. While its disk is almost full nothing is
//!   taken: what would change the document is refused and answered so, and asked for again when there's space.
//! - D6 A document retires only when all of it is durable.
//! - D7 Acknowledgements are cumulative counts of a session's own frames that are durable, and of those refused. Where the
//!   document's [`Durability`] is `memory`, what the document has counts as durable: the store gets it a moment later, and a kill
//!   takes that moment at most. D3 and D6 go by what the store has, always.
//! - D8 Bytes are kept as they came; what overlaps what is here is cut off first.
//! - D9 On a strict node, no session is shown what the store doesn't have: no message goes out before all that was appended
//!   is durable, whatever the document's durability. The node's actor sees to it.
//!
//! **Identity**
//! - I1 Deleting leaves a tombstone: whose work it was. Who still holds any of that is closed with 4404 before anything is
//!   sent, so on such a name S1 waits until the client has said what it holds; who shares no id with it starts anew.
//! - I2 A load that fails is an error, never an empty document.

mod answers;
mod awareness;
mod causal;
mod deletion;
mod event;
mod fanout;
mod frames;
mod journal;
mod pace;
mod places;
mod presence;
mod renewal;
mod replica;
mod session;
mod spans;
mod standing;
mod state_vector;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use event::{Access, Audience, CloseCode, Content, Denied, Effect, Event, Kind, Reason};
pub use journal::{Durability, Record, Stored, Tombstone};
pub use renewal::Survivors;
#[doc(hidden)]
pub use replica::Planted;
pub use replica::{OpenError, ReadTransaction, Refused, WriteTransaction};
pub use state_vector::StateVector;
pub use time::{Millis, Now, WallTime};

use crate::config::{Config, Limits, Timing};
use crate::id::{ClientId, Identity, Seq, SessionId};
use crate::wire::sync;
use answers::Answers;
use awareness::Awareness;
use fanout::Turn;
use journal::Journal;
use presence::Recall;
use replica::{Applied, Replica};
use session::Session;

/// The stack that a thread needs which handles documents of the default limits: yrs recurses, a level for each shared
/// type within another, and for each client of an update. It's taken when it's used, not when it's reserved.
pub const STACK_BYTES: usize = 256 << 20;

/// A sign of life may come so much earlier than it's due.
const KEEP_ALIVE_SLACK: Duration = Duration::from_secs(1);

/// Whether a snapshot can be opened. Needs a thread with [`STACK_BYTES`].
///
/// # Errors
/// Why it can't.
pub fn check_snapshot(snapshot: &Bytes) -> Result<(), OpenError> {
    let stored = Stored { snapshot: Some((Seq(0), snapshot.clone())), ..Stored::default() };
    Replica::open(&stored, ClientId(0)).map(drop)
}

/// One open document.
///
/// ```
/// use y_mesh::document::{Access, Document, Event, Kind, Now, Stored};
/// use y_mesh::{ClientId, Config, Identity, SessionId};
///
/// let mut document = Document::open(&Stored::default(), ClientId(1), Config::default().into(), Now::default())?;
/// let mut effects = Vec::new();
/// let kind = Kind::Client { access: Access::Write, identity: Identity::anonymous() };
/// document.handle(Now::default(), Event::Joined { session: SessionId(1), kind }, &mut effects);
/// assert_eq!(effects.len(), 1); // it's asked for what it has
/// # Ok::<(), y_mesh::document::OpenError>(())
/// ```
pub struct Document {
    config: Arc<Config>,
    replica: Replica,
    awareness: Awareness,
    journal: Journal,
    durability: Durability,
    sessions: BTreeMap<SessionId, Session>,
    /// Sessions that must say first what they hold (I1), and aren't greeted before.
    waiting: BTreeSet<SessionId>,
    /// Sessions with frames that aren't settled yet.
    unsettled: BTreeSet<SessionId>,
    turn: Turn,
    answers: Answers,
    /// When something last went to all.
    last_broadcast: Millis,
    /// Since when nobody has it open.
    idle_since: Option<Millis>,
    /// Not later than the first moment at which there's something to do.
    wake: Option<Millis>,
    recall: Recall,
    ending: Option<CloseCode>,
    is_broken: bool,
    store_has_failed: bool,
    is_store_low: bool,
}

/// The store's disk is almost full, so nothing was changed. Try again when there's space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store's disk is almost full; nothing is taken until there's space again")]
pub struct StoreLow;

impl Document {
    /// Opens a document from what a store has of it. `client` is the id for the server's own edits (H4): draw it afresh.
    pub fn open(stored: &Stored, client: ClientId, config: Arc<Config>, now: Now) -> Result<Self, OpenError> {
        let mut document = Self {
            replica: Replica::open(stored, client)?,
            awareness: Awareness::default(),
            journal: Journal::after(stored),
            durability: stored.durability.unwrap_or(Durability::Local),
            sessions: BTreeMap::new(),
            waiting: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            turn: Turn::default(),
            answers: Answers::default(),
            last_broadcast: now.monotonic,
            idle_since: Some(now.monotonic),
            wake: None,
            recall: Recall::default(),
            ending: None,
            is_broken: false,
            store_has_failed: false,
            is_store_low: false,
            config,
        };
        document.wake_at(now.monotonic + document.timing().idle_max);
        Ok(document)
    }

    /// Takes one event and appends what it asks for.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        if self.is_broken {
            return;
        }
        match event {
            Event::Joined { session, kind } => self.on_joined(now, session, kind, effects),
            Event::Received { session, message } => self.on_received(now, session, &message, effects),
            Event::TurnEnded => self.on_turn_ended(now, effects),
            Event::Reauthorized { session, right } => self.on_reauthorized(now, session, right, effects),
            Event::Drained { session } => self.on_drained(now, session, effects),
            Event::Overflowed { session, content } => self.on_overflowed(now, session, content),
            Event::Left { session } => self.leave(now, session),
            Event::Edited { update, author } => self.on_edited(now, &update, author, effects),
            Event::Deleted => self.on_deleted(now, effects),
            Event::Durable { through } => {
                self.journal.set_durable(through);
                self.settle_all(effects);
                self.retire_if_ending(effects);
            }
            Event::StoreFailed => {
                self.store_has_failed = true;
                self.end(now, CloseCode::Later, effects);
            }
            Event::StoreLow { is_low } => self.on_store_low(now, is_low, effects),
            Event::Tick => self.on_tick(now, effects),
            Event::Stopping => {
                self.end(now, CloseCode::Restarting, effects);
                self.retire_if_ending(effects);
            }
        }
    }

    /// When to send [`Event::Tick`] next, if at all.
    pub fn deadline(&self) -> Option<Millis> {
        self.wake
    }

    /// Whether it takes no sessions any more, and is to be dropped when it asks to retire.
    pub fn has_ended(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether yrs has failed in it half-way, as after a panic. It takes no more events, and what the last one asked for isn't to
    /// be done. Load it anew, and let that one [`resume`](Self::resume) what [`survivors`](Self::survivors) gives.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// What its acknowledgements mean, if the store gives as much (D7).
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// What its acknowledgements mean from the next event on.
    pub fn set_durability(&mut self, durability: Durability) {
        self.durability = durability;
    }

    /// Plants something that may fail where yrs could, to see what comes of it.
    #[doc(hidden)]
    pub fn plant(&mut self, planted: Option<Planted>) {
        self.replica.plant(planted);
    }

    /// What the document holds of each client's work.
    pub fn state_vector(&self) -> &StateVector {
        self.replica.state()
    }

    /// The whole state, a Yjs update of format v1.
    pub fn snapshot(&self) -> Bytes {
        self.replica.snapshot()
    }

    /// Reads the document.
    pub fn read<R>(&self, read: impl FnOnce(&ReadTransaction<'_>) -> R) -> R {
        self.replica.read(read)
    }

    /// Edits the document as the server itself (H4). What changed leaves like any other update, at `TurnEnded`. If it could
    /// not be read again, the document is broken: [`is_broken`](Self::is_broken).
    ///
    /// # Errors
    /// If the store's disk is almost full: `edit` wasn't called, and nothing was changed.
    pub fn edit<R>(
        &mut self,
        now: Now,
        author: Identity,
        edit: impl FnOnce(&mut WriteTransaction<'_>) -> R,
        effects: &mut Vec<Effect>,
    ) -> Result<R, StoreLow> {
        if self.is_store_low {
            return Err(StoreLow);
        }
        self.begin_turn();
        let (result, applied) = self.replica.edit(edit);
        match applied {
            Ok(applied) => self.keep(now, applied, author, false, effects),
            Err(refused) => self.on_refused(None, refused, effects),
        }
        Ok(result)
    }

    fn limits(&self) -> &Limits {
        &self.config.limits
    }

    fn timing(&self) -> &Timing {
        &self.config.timing
    }

    fn wake_at(&mut self, at: Millis) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn on_joined(&mut self, now: Now, id: SessionId, kind: Kind, effects: &mut Vec<Effect>) {
        self.begin_turn();
        if let Some(code) = self.ending {
            // Who comes to a deleted document may well be welcome to the next one of that name.
            let code = if code == CloseCode::Deleted { CloseCode::Later } else { code };
            return effects.push(Effect::Close { session: id, code });
        }
        if self.sessions.len() >= self.limits().sessions_per_document_max {
            return effects.push(Effect::Close { session: id, code: CloseCode::Later });
        }
        let waits = self.must_show(&kind);
        self.sessions.insert(id, Session::new(kind, now.monotonic));
        self.idle_since = None;
        self.wake_at(now.monotonic + self.timing().quiet_max);
        match waits {
            true => drop(self.waiting.insert(id)),
            false => self.greet(now, id, effects),
        }
    }

    fn greet(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        // This one doesn't count for how often it may be asked: who has just come may lack something at once (H2).
        self.send(now, id, Content::Question, sync::sync_step_1(&self.replica.state().encode()), effects);
        self.tell_everybody(now, id, effects);
    }

    /// Puts what changed into the journal (D1), and into the turn.
    fn keep(&mut self, now: Now, applied: Applied, author: Identity, from_peer: bool, effects: &mut Vec<Effect>) {
        let Applied::Fresh { update, floor } = applied else { return };
        if self.ending.is_some() {
            return;
        }
        let seq = self.journal.append(update.len());
        effects.push(Effect::Append { seq, record: Record { update: update.clone(), author, at: now.wall } });
        self.turn.add(update, floor, from_peer);
        self.answers.changed(&self.config.limits);
    }

    fn on_reauthorized(&mut self, now: Now, id: SessionId, right: Result<Kind, CloseCode>, effects: &mut Vec<Effect>) {
        self.begin_turn();
        let kind = match right {
            Ok(kind) => kind,
            Err(code) => return self.close(now, id, code, effects),
        };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let could_write = session.may_write();
        session.kind = kind;
        session.was_denied_write = false;
        if session.may_write() && !could_write && !self.waiting.contains(&id) {
            // What it changed meanwhile was refused; it's still in the client, and comes with the answer.
            session.last_asked = None;
            self.ask(now, id, effects);
        }
    }

    /// What was refused meanwhile is still with those who sent it, and comes with their answers.
    fn on_store_low(&mut self, now: Now, is_low: bool, effects: &mut Vec<Effect>) {
        self.begin_turn();
        if std::mem::replace(&mut self.is_store_low, is_low) == is_low || is_low {
            return;
        }
        let all: Vec<_> = self.sessions.keys().copied().collect();
        for id in all {
            self.ask_for_refused(now, id, effects);
        }
    }

    fn ask_for_refused(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Some(behind) = &mut session.behind {
            behind.denied.retain(|denied| *denied != Denied::Space);
        }
        if std::mem::take(&mut session.was_denied_space) && session.may_write() {
            session.last_asked = None;
            self.ask(now, id, effects);
        }
    }

    fn on_edited(&mut self, now: Now, update: &Bytes, author: Identity, effects: &mut Vec<Effect>) {
        self.begin_turn();
        if self.is_store_low {
            return refuse(None, Reason::StoreLow, effects);
        }
        match self.replica.apply(update, false, &self.config.limits) {
            Ok(Applied::Missing { .. }) => refuse(None, Reason::Missing, effects),
            Ok(applied) => self.keep(now, applied, author, false, effects),
            Err(refused) => self.on_refused(None, refused, effects),
        }
    }

    /// After an update that isn't taken.
    fn on_refused(&mut self, session: Option<SessionId>, refused: Refused, effects: &mut Vec<Effect>) {
        self.is_broken |= matches!(refused, Refused::Broken(_));
        refuse(session, Reason::Update(refused), effects);
    }

    /// Puts a snapshot in the place of all records (D3).
    fn compact(&mut self, effects: &mut Vec<Effect>) {
        if self.ending.is_none() {
            let snapshot = self.replica.snapshot();
            let through = self.journal.compacted(snapshot.len());
            effects.push(Effect::Compact { through, snapshot });
        }
    }

    fn close(&mut self, now: Now, id: SessionId, code: CloseCode, effects: &mut Vec<Effect>) {
        if self.sessions.contains_key(&id) {
            self.leave(now, id);
            effects.push(Effect::Close { session: id, code });
        }
    }

    fn leave(&mut self, now: Now, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.unsettled.remove(&id);
        self.waiting.remove(&id);
        self.answers.taken(id);
        if let Some(client) = session.own() {
            self.awareness.leave(client, id, now.monotonic, &self.config.limits);
        }
        if let Some(expires) = self.awareness.deadline() {
            self.wake_at(expires);
        }
        if self.sessions.is_empty() {
            self.idle_since = Some(now.monotonic);
            self.wake_at(now.monotonic + self.timing().idle_max);
        }
    }

    /// Closes every session, and takes no new one.
    fn end(&mut self, now: Now, code: CloseCode, effects: &mut Vec<Effect>) {
        self.ending.get_or_insert(code);
        let all: Vec<_> = self.sessions.keys().copied().collect();
        for id in all {
            self.close(now, id, code, effects);
        }
    }

    fn retire_if_ending(&mut self, effects: &mut Vec<Effect>) {
        // Where nothing becomes durable any more, there's nothing to wait for.
        if self.ending.is_some() && (self.journal.is_durable() || self.store_has_failed) {
            effects.push(Effect::Retire);
        }
    }

    fn on_tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.wake = None;
        self.answers.tidy();
        self.awareness.expire(now.monotonic, &self.config.limits, &self.config.timing);
        if let Some(expires) = self.awareness.deadline() {
            self.wake_at(expires);
        }
        let all: Vec<_> = self.sessions.keys().copied().collect();
        for id in all {
            self.on_session_tick(now, id, effects);
        }
        self.retire_if_idle(now, effects);
    }

    fn on_session_tick(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        let (quiet_max, behind_max) = (self.timing().quiet_max, self.timing().behind_max);
        let Some(session) = self.sessions.get(&id) else { return };
        if let Some(behind) = &session.behind {
            let until = behind.since + behind_max;
            return match now.monotonic < until {
                true => self.wake_at(until),
                false => self.close(now, id, CloseCode::Later, effects),
            };
        }
        if session.asks || session.lacks {
            self.ask(now, id, effects);
        }
        let Some(session) = self.sessions.get(&id) else { return };
        // Those that are due soon get it now too, so that many sessions don't mean many wake-ups.
        if self.last_sent(id, session) + quiet_max <= now.monotonic + KEEP_ALIVE_SLACK {
            self.send(now, id, Content::KeepAlive, sync::keep_alive(), effects);
        }
        let Some(session) = self.sessions.get(&id) else { return };
        self.wake_at(self.last_sent(id, session) + quiet_max);
    }

    /// When a session was last sent anything. What goes to all doesn't go to who hasn't been greeted.
    fn last_sent(&self, id: SessionId, session: &Session) -> Millis {
        match self.waiting.contains(&id) {
            true => session.last_sent,
            false => session.last_sent.max(self.last_broadcast),
        }
    }

    fn retire_if_idle(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(since) = self.idle_since else { return };
        let until = since + self.timing().idle_max;
        if now.monotonic < until {
            return self.wake_at(until);
        }
        if self.journal.is_durable() {
            effects.push(Effect::Retire);
        }
        self.idle_since = Some(now.monotonic);
        self.wake_at(now.monotonic + self.timing().idle_max);
    }
}

fn refuse(session: Option<SessionId>, reason: Reason, effects: &mut Vec<Effect>) {
    effects.push(Effect::Refused { session, reason });
}
