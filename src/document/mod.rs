//! The core: one document as a state machine. It has no socket, clock, task, file or random number inside.
//!
//! [`Document::handle`] takes one [`Event`] at a moment and appends the [`Effect`]s that it asks for, in the order in
//! which they're to be done. It can't fail: what a client does wrong ends that client's session and changes nothing else.
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
//! - W5 An update that costs too much or can't be held safely is refused before yrs sees it. ([`crate::wire::vet`])
//! - W6 What is refused is refused for good: the session is closed with 4400, and others don't notice.
//!
//! **Session**
//! - S1 Who joins is sent SyncStep1, then awareness if anyone is here.
//! - S2 SyncStep1 is answered, to that session alone, with what it lacks; of several in one message, the last.
//! - S3 Mail that arrives while a document loads waits; none is lost; a load that takes too long closes 1013.
//! - S4 From a session that may only read, what would change the document is refused and answered so; a SyncStep2 with
//!   nothing new is acknowledged; it goes on receiving, and its presence is shown.
//! - S5 Who leaves takes along the awareness that it still owns, and no other's.
//! - S6 Access can change, and end, while a session lives.
//!
//! **Standing**
//! - H1 Before anything is applied, the replica checks how far it stands on what is here: clocks without a hole,
//!   origins, parents and deletes that are here or come along.
//! - H2 What depends on something missing isn't applied, kept, relayed or acknowledged; its sender is asked
//!   for it with SyncStep1, at a bounded rate. So yrs never holds anything pending.
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
//!   for sibling tabs don't change hands; a later claim does.
//! - A3 Awareness is never stored.
//! - A4 An entry that isn't renewed for 30 s is removed, and that is announced.
//! - A5 Entries and bytes are limited.
//!
//! **Durability**
//! - D1 `Append` precedes `Send` of the same update.
//! - D2 Snapshot plus tail rebuild the state.
//! - D3 Compaction loses nothing.
//! - D5 A store that fails closes all sessions (1013) and ends acknowledgements.
//! - D6 A document retires only when all of it is durable.
//! - D7 Acknowledgements are cumulative counts of a session's own frames that are durable, and of those refused.
//! - D8 Bytes are kept as they came; what overlaps what is here is cut off first.

mod awareness;
mod event;
mod journal;
mod replica;
mod session;
mod state_vector;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

pub use event::{Access, Audience, CloseCode, Content, Denied, Effect, Event, Kind, Millis, Now, Reason, WallTime};
pub use journal::{Record, Stored};
pub use replica::{OpenError, ReadTransaction, Refused, WriteTransaction};
pub use state_vector::StateVector;

use crate::config::{Config, Limits, Timing};
use crate::id::{ClientId, Clock, Identity, SessionId};
use crate::wire::Malformed;
use crate::wire::merge::merge;
use crate::wire::sync::{self, Entries, Frame, Frames};
use awareness::{Awareness, Heard};
use journal::Journal;
use replica::{Applied, Replica};
use session::{Behind, Fate, Opening, Session};

/// The stack that a thread needs which handles documents of the default limits: yrs recurses, a level for each shared
/// type within another, and for each client of an update. It's taken when it's used, not when it's reserved.
pub const STACK_BYTES: usize = 256 << 20;

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
    sessions: BTreeMap<SessionId, Session>,
    /// Sessions with frames that wait for a record to be durable.
    unsettled: BTreeSet<SessionId>,
    turn: Turn,
    /// The answer to a session that has nothing, until something changes: many may join at once.
    whole: Option<Bytes>,
    /// When something last went to all.
    last_broadcast: Millis,
    /// Since when nobody has it open.
    idle_since: Option<Millis>,
    /// Not later than the first moment at which there's something to do.
    wake: Option<Millis>,
    recall: Recall,
    ending: Option<CloseCode>,
    store_has_failed: bool,
}

/// What a message asks for. It's answered once, however often it's asked in that message.
#[derive(Default)]
struct Asked {
    vector: Option<StateVector>,
    everybody: bool,
}

/// Who comes back doesn't see those who stayed until they announce themselves anew (A1).
#[derive(Default)]
struct Recall {
    /// When the last of those came who wait for that.
    since: Option<Millis>,
    /// When they were last made to.
    last: Option<Millis>,
}

/// What came between two `TurnEnded`, and waits to go out.
#[derive(Default)]
struct Turn {
    updates: Vec<Relayed>,
    /// What was here of each client's work before the turn. A session that overflows has at least that.
    floor: BTreeMap<ClientId, Clock>,
    /// Sessions that were answered in this turn.
    answered: Vec<SessionId>,
    has_ended: bool,
}

struct Relayed {
    update: Bytes,
    from_peer: bool,
}

impl Document {
    /// Opens a document from what a store has of it. `client` is the id for the server's own edits (H4): draw it afresh.
    pub fn open(stored: &Stored, client: ClientId, config: Arc<Config>, now: Now) -> Result<Self, OpenError> {
        let mut document = Self {
            replica: Replica::open(stored, client)?,
            awareness: Awareness::default(),
            journal: Journal::after(stored),
            sessions: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            turn: Turn::default(),
            whole: None,
            last_broadcast: now.monotonic,
            idle_since: Some(now.monotonic),
            wake: None,
            recall: Recall::default(),
            ending: None,
            store_has_failed: false,
            config,
        };
        document.wake_at(now.monotonic + document.timing().idle_max);
        Ok(document)
    }

    /// Takes one event and appends what it asks for.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Joined { session, kind } => self.on_joined(now, session, kind, effects),
            Event::Received { session, message } => self.on_received(now, session, &message, effects),
            Event::TurnEnded => self.on_turn_ended(now, effects),
            Event::Reauthorized { session, access } => self.on_reauthorized(now, session, access, effects),
            Event::Drained { session } => self.on_drained(now, session, effects),
            Event::Overflowed { session, content } => self.on_missed(now, session, content),
            Event::Left { session } => self.leave(now, session),
            Event::Edited { update, author } => self.on_edited(now, &update, author, effects),
            Event::Durable { through } => {
                self.journal.set_durable(through);
                self.settle_all(effects);
                self.retire_if_ending(effects);
            }
            Event::StoreFailed => {
                self.store_has_failed = true;
                self.end(now, CloseCode::Later, effects);
            }
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

    /// Edits the document as the server itself (H4). What changed leaves like any other update, at `TurnEnded`.
    pub fn edit<R>(
        &mut self,
        now: Now,
        author: Identity,
        edit: impl FnOnce(&mut WriteTransaction<'_>) -> R,
        effects: &mut Vec<Effect>,
    ) -> R {
        self.begin_turn();
        let (result, applied) = self.replica.edit(edit);
        self.keep(now, applied, author, false, effects);
        result
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
            return effects.push(Effect::Close { session: id, code });
        }
        if self.sessions.len() >= self.limits().sessions_per_document_max {
            return effects.push(Effect::Close { session: id, code: CloseCode::Later });
        }
        self.sessions.insert(id, Session::new(kind, now.monotonic));
        self.idle_since = None;
        self.wake_at(now.monotonic + self.timing().quiet_max);
        // This one doesn't count for how often it may be asked: who has just come may lack something at once (H2).
        self.send(now, id, Content::Question, sync::sync_step_1(&self.replica.state().encode()), effects);
        self.tell_everybody(now, id, effects);
    }

    fn on_received(&mut self, now: Now, id: SessionId, message: &Bytes, effects: &mut Vec<Effect>) {
        self.begin_turn();
        let mut asked = Asked::default();
        for (number, frame) in Frames::of(message).enumerate() {
            if !self.sessions.contains_key(&id) {
                return;
            }
            if number >= self.limits().message_frames_max {
                return self.close(now, id, CloseCode::TooBig, effects);
            }
            match frame {
                Ok(frame) => self.on_frame(now, id, message, frame, &mut asked, effects),
                Err(malformed) => return self.on_malformed(now, id, malformed, effects),
            }
        }
        if let Some(known) = asked.vector {
            self.answer(now, id, known, effects);
        }
        if asked.everybody {
            self.tell_everybody(now, id, effects);
        }
        self.settle(id, effects);
    }

    fn on_frame(
        &mut self,
        now: Now,
        id: SessionId,
        message: &Bytes,
        frame: Frame<'_>,
        asked: &mut Asked,
        effects: &mut Vec<Effect>,
    ) {
        let opening = self.advance_opening(id, &frame);
        match frame {
            Frame::SyncStep1(vector) => self.on_sync_step_1(now, id, vector, asked, effects),
            Frame::SyncStep2(update) => self.on_update(now, id, &message.slice_ref(update), true, effects),
            Frame::Update(update) => self.on_update(now, id, &message.slice_ref(update), false, effects),
            Frame::Awareness(body) => self.on_awareness(now, id, body, opening, effects),
            Frame::QueryAwareness => asked.everybody = true,
            Frame::Denied(_) => refuse(id, Reason::UnknownType(sync::AUTH), effects),
            Frame::Unknown(kind) => refuse(id, Reason::UnknownType(kind), effects),
        }
    }

    /// Where the session stood before this frame, and where it stands after it.
    fn advance_opening(&mut self, id: SessionId, frame: &Frame<'_>) -> Opening {
        let Some(session) = self.sessions.get_mut(&id) else { return Opening::Done(None) };
        let before = session.opening;
        session.opening = match (before, frame) {
            (Opening::Silent, Frame::SyncStep1(_)) => Opening::Asked,
            (Opening::Silent, _) => Opening::Silent,
            (Opening::Asked, _) => Opening::Done(None),
            (Opening::Done(own), _) => Opening::Done(own),
        };
        before
    }

    fn on_malformed(&mut self, now: Now, id: SessionId, malformed: Malformed, effects: &mut Vec<Effect>) {
        refuse(id, Reason::Malformed(malformed), effects);
        self.close(now, id, CloseCode::Malformed, effects);
    }

    fn on_sync_step_1(&mut self, now: Now, id: SessionId, vector: &[u8], asked: &mut Asked, effects: &mut Vec<Effect>) {
        if vector.len() > self.limits().state_vector_bytes_max {
            return self.close(now, id, CloseCode::TooBig, effects);
        }
        match StateVector::decode(vector) {
            Ok(known) => asked.vector = Some(known),
            Err(malformed) => self.on_malformed(now, id, malformed, effects),
        }
    }

    /// Sends what a session lacks that has `known`, or notes it until its outbox is empty.
    fn answer(&mut self, now: Now, id: SessionId, known: StateVector, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Some(behind) = &mut session.behind {
            behind.basis = Some(known);
            return;
        }
        let message = self.diff_message(&known);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.basis = Some(known);
            self.turn.answered.push(id);
        }
        self.send(now, id, Content::Answer, message, effects);
    }

    fn tell_everybody(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        if let Some(everybody) = self.awareness.everybody() {
            self.send(now, id, Content::Awareness, everybody, effects);
        }
    }

    fn diff_message(&mut self, known: &StateVector) -> Bytes {
        if !known.is_empty() {
            return sync::sync_step_2(&self.replica.diff(known));
        }
        self.whole.get_or_insert_with(|| sync::sync_step_2(&self.replica.snapshot())).clone()
    }

    fn on_update(&mut self, now: Now, id: SessionId, update: &Bytes, answers: bool, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get(&id) else { return };
        if !session.may_write() {
            return self.on_update_read_only(now, id, update, answers, effects);
        }
        let (author, from_peer) = (session.identity(), session.is_peer());
        let fate = match self.replica.apply(update, &self.config.limits) {
            Ok(Applied::Missing) => {
                refuse(id, Reason::Missing, effects);
                self.ask(now, id, effects);
                Fate::Missing
            }
            Ok(applied) => {
                self.keep(now, applied, author, from_peer, effects);
                Fate::Kept(self.journal.appended())
            }
            Err(refused) => return self.on_refused(now, id, refused, effects),
        };
        self.note(id, fate, answers);
    }

    fn on_update_read_only(
        &mut self,
        now: Now,
        id: SessionId,
        update: &Bytes,
        answers: bool,
        effects: &mut Vec<Effect>,
    ) {
        if self.replica.knows(update, answers, &self.config.limits) {
            return self.note(id, Fate::Kept(self.journal.appended()), answers);
        }
        refuse(id, Reason::ReadOnly, effects);
        self.deny(now, id, Denied::Write, effects);
        self.note(id, Fate::Refused, answers);
    }

    fn on_refused(&mut self, now: Now, id: SessionId, refused: Refused, effects: &mut Vec<Effect>) {
        let is_broken = matches!(refused, Refused::Broken(_));
        if let (Refused::Partly { taken, .. }, Some(session)) = (&refused, self.sessions.get(&id)) {
            let (author, from_peer) = (session.identity(), session.is_peer());
            self.keep(now, taken.as_ref().clone(), author, from_peer, effects);
        }
        refuse(id, Reason::Update(refused), effects);
        self.close(now, id, CloseCode::Refused, effects);
        if is_broken {
            self.end(now, CloseCode::Broken, effects);
            self.retire_if_ending(effects);
        }
    }

    /// Puts what changed into the journal (D1), and into the turn.
    fn keep(&mut self, now: Now, applied: Applied, author: Identity, from_peer: bool, effects: &mut Vec<Effect>) {
        let Applied::Fresh { update, floor } = applied else { return };
        if self.store_has_failed {
            return;
        }
        let seq = self.journal.append(update.len());
        effects.push(Effect::Append { seq, record: Record { update: update.clone(), author, at: now.wall } });
        for (client, before) in floor {
            self.turn.floor.entry(client).or_insert(before);
        }
        self.turn.updates.push(Relayed { update, from_peer });
        self.whole = None;
    }

    /// Notes what became of a session's frame; what is settled is acknowledged after the message (D7).
    fn note(&mut self, id: SessionId, fate: Fate, answers: bool) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.ledger.push(fate, answers);
            self.unsettled.insert(id);
        }
    }

    fn settle(&mut self, id: SessionId, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Some((durable, refused)) = session.ledger.settle(self.journal.durable()) {
            effects.push(Effect::Acknowledge { session: id, durable, refused });
        }
        if !session.ledger.is_open() {
            self.unsettled.remove(&id);
        }
    }

    fn settle_all(&mut self, effects: &mut Vec<Effect>) {
        if self.ending == Some(CloseCode::Later) {
            return;
        }
        let open: Vec<_> = self.unsettled.iter().copied().collect();
        for id in open {
            self.settle(id, effects);
        }
    }

    /// Asks a session for what is missing: now, or as soon as it may be asked again (H2).
    fn ask(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        let interval = self.timing().ask_interval;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.asks = true;
        if let Some(last) = session.last_asked
            && now.monotonic.since(last) < interval
        {
            return self.wake_at(last + interval);
        }
        if session.behind.is_none() {
            session.asks = false;
            session.last_asked = Some(now.monotonic);
            let question = sync::sync_step_1(&self.replica.state().encode());
            self.send(now, id, Content::Question, question, effects);
        }
    }

    /// Tells a session, once, that something of its own isn't taken.
    fn deny(&mut self, now: Now, id: SessionId, what: Denied, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let was_told = match what {
            Denied::Write => &mut session.was_denied_write,
            Denied::Awareness => &mut session.was_denied_awareness,
        };
        if !std::mem::replace(was_told, true) {
            self.send(now, id, Content::Denied(what), denied(what), effects);
        }
    }

    fn on_awareness(&mut self, now: Now, id: SessionId, body: &[u8], opening: Opening, effects: &mut Vec<Effect>) {
        // All of it is read before any of it counts (W4).
        let entries = match Entries::of(body).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()) {
            Ok(entries) => entries,
            Err(malformed) => return self.on_malformed(now, id, malformed, effects),
        };
        let is_own = opening == Opening::Asked && entries.len() == 1;
        for entry in entries {
            if is_own && entry.state.is_some() {
                self.own(now, id, entry.client, entry.clock, effects);
            }
            match self.awareness.hear(entry, now.monotonic, &self.config.limits, &self.config.timing) {
                Heard::Refused => {
                    refuse(id, Reason::Awareness, effects);
                    self.deny(now, id, Denied::Awareness, effects);
                }
                Heard::New | Heard::Old => {}
            }
        }
        if let Some(expires) = self.awareness.deadline() {
            self.wake_at(expires);
        }
    }

    /// The entry is the session's own (A2). After a reconnect it's made to raise its clock (A1).
    fn own(&mut self, now: Now, id: SessionId, client: ClientId, clock: Clock, effects: &mut Vec<Effect>) {
        self.awareness.claim(client, id);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.opening = Opening::Done(Some(client));
        }
        if clock >= 1 {
            self.send(now, id, Content::Goodbye, awareness::goodbye(client, clock), effects);
            self.recall.since = Some(now.monotonic);
        }
    }

    /// Makes those announce themselves anew whom somebody who came back can't see: now, or as soon as it may be (A1).
    fn recall(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(since) = self.recall.since else { return };
        // Everybody's answer goes to everybody, so the more there are, the rarer.
        let interval = self.timing().recall_interval * (1 + self.sessions.len() as u32 / 50);
        if let Some(last) = self.recall.last
            && now.monotonic.since(last) < interval
        {
            return self.wake_at(last + interval);
        }
        self.recall = Recall { since: None, last: Some(now.monotonic) };
        let own = self.sessions.iter().filter_map(|(id, session)| Some((*id, session.own()?)));
        let quiet: Vec<_> =
            own.filter_map(|(id, client)| Some((id, client, self.awareness.clock_before(client, since)?))).collect();
        for (id, client, clock) in quiet {
            self.send(now, id, Content::Goodbye, awareness::goodbye(client, clock), effects);
        }
    }

    fn begin_turn(&mut self) {
        if std::mem::replace(&mut self.turn.has_ended, false) {
            self.turn.floor.clear();
            for id in self.turn.answered.drain(..) {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.basis = None;
                }
            }
        }
    }

    fn on_turn_ended(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let updates = std::mem::take(&mut self.turn.updates);
        if !self.sessions.is_empty() {
            self.relay(now, &updates, effects);
        }
        if let Some(changes) = self.awareness.changes() {
            self.broadcast(now, Audience::All, Content::Awareness, changes, effects);
        }
        self.recall(now, effects);
        if !self.store_has_failed && self.journal.wants_compaction(&self.config.limits) {
            let snapshot = self.replica.snapshot();
            let through = self.journal.compacted(snapshot.len());
            effects.push(Effect::Compact { through, snapshot });
        }
        self.turn.has_ended = true;
    }

    fn relay(&mut self, now: Now, updates: &[Relayed], effects: &mut Vec<Effect>) {
        let all: Vec<_> = updates.iter().map(|relayed| &relayed.update).collect();
        let ours: Vec<_> = updates.iter().filter(|r| !r.from_peer).map(|relayed| &relayed.update).collect();
        if ours.len() == all.len() {
            return self.relay_to(now, Audience::All, &all, effects);
        }
        self.relay_to(now, Audience::Clients, &all, effects);
        self.relay_to(now, Audience::Peers, &ours, effects);
    }

    fn relay_to(&mut self, now: Now, to: Audience, updates: &[&Bytes], effects: &mut Vec<Effect>) {
        for together in updates.chunks(self.limits().merge_updates_max.max(1)) {
            let bytes: Vec<&[u8]> = together.iter().map(|update| &update[..]).collect();
            let merged = if bytes.len() > 1 { merge(&bytes) } else { None };
            let merged = merged.as_deref().map(|merged| vec![merged]);
            for update in merged.unwrap_or(bytes) {
                self.broadcast(now, to, Content::Update, sync::update(update), effects);
            }
        }
    }

    fn broadcast(&mut self, now: Now, to: Audience, content: Content, message: Bytes, effects: &mut Vec<Effect>) {
        if self.sessions.is_empty() {
            return;
        }
        if to == Audience::All {
            self.last_broadcast = now.monotonic;
        }
        effects.push(Effect::Send { to, content, message });
    }

    /// Gives a session a message of its own, unless it's behind: then it gets what matters of it later.
    fn send(&mut self, now: Now, id: SessionId, content: Content, message: Bytes, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.behind.is_some() {
            return self.on_missed(now, id, content);
        }
        session.last_sent = now.monotonic;
        effects.push(Effect::Send { to: Audience::One(id), content, message });
    }

    /// Notes what a session has missed, so that it gets it when its outbox is empty.
    fn on_missed(&mut self, now: Now, id: SessionId, content: Content) {
        let until = now.monotonic + self.config.timing.behind_max;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let behind = session.behind.get_or_insert_with(|| Behind::since(now.monotonic));
        match content {
            Content::Question => session.asks = true,
            Content::Answer => behind.basis = session.basis.take().or(behind.basis.take()),
            Content::Update if behind.basis.is_none() => {
                let mut before = self.replica.state().clone();
                self.turn.floor.iter().for_each(|(client, clock)| before.lower(*client, *clock));
                behind.basis = Some(before);
            }
            Content::Awareness => behind.awareness = true,
            Content::Goodbye => behind.goodbye = true,
            Content::Denied(what) if !behind.denied.contains(&what) => behind.denied.push(what),
            Content::Update | Content::Denied(_) | Content::KeepAlive => {}
        }
        self.wake_at(until);
    }

    /// A session's outbox is empty: it gets what it has missed. What of that isn't taken either, for an empty outbox takes
    /// one message of any size and not two, is noted anew, and comes when that one has gone.
    fn on_drained(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        self.begin_turn();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(behind) = session.behind.take() else { return };
        let own = session.own().filter(|_| behind.goodbye);
        if let Some(client) = own {
            let goodbye = awareness::goodbye(client, self.awareness.clock(client));
            self.send(now, id, Content::Goodbye, goodbye, effects);
        }
        self.ask_if_owed(now, id, effects);
        for what in behind.denied {
            self.send(now, id, Content::Denied(what), denied(what), effects);
        }
        if let Some(basis) = behind.basis {
            self.answer(now, id, basis, effects);
        }
        if let Some(anew) = self.awareness.anew().filter(|_| behind.awareness) {
            self.send(now, id, Content::Awareness, anew, effects);
        }
        self.wake_at(now.monotonic + self.timing().quiet_max);
    }

    /// Asks a question that was noted but not sent, however short ago the last one was.
    fn ask_if_owed(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.asks) {
            session.last_asked = None;
            self.ask(now, id, effects);
        }
    }

    fn on_reauthorized(&mut self, now: Now, id: SessionId, access: Option<Access>, effects: &mut Vec<Effect>) {
        self.begin_turn();
        let Some(access) = access else { return self.close(now, id, CloseCode::Forbidden, effects) };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Kind::Client { access: current, .. } = &mut session.kind else { return };
        let may_write_now = *current == Access::Read && access == Access::Write;
        *current = access;
        session.was_denied_write = false;
        if may_write_now {
            // What it changed meanwhile was refused; it's still in the client, and comes with the answer.
            session.last_asked = None;
            self.ask(now, id, effects);
        }
    }

    fn on_edited(&mut self, now: Now, update: &Bytes, author: Identity, effects: &mut Vec<Effect>) {
        self.begin_turn();
        let reason = match self.replica.apply(update, &self.config.limits) {
            Ok(Applied::Missing) => Reason::Missing,
            Ok(applied) => return self.keep(now, applied, author, false, effects),
            Err(refused) => Reason::Update(refused),
        };
        effects.push(Effect::Refused { session: None, reason });
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
        if self.ending.is_some() && self.journal.is_durable() {
            effects.push(Effect::Retire);
        }
    }

    fn on_tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.wake = None;
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
        if session.asks {
            self.ask(now, id, effects);
        }
        let Some(session) = self.sessions.get(&id) else { return };
        if session.last_sent.max(self.last_broadcast) + quiet_max <= now.monotonic {
            self.send(now, id, Content::KeepAlive, sync::keep_alive(), effects);
        }
        let Some(session) = self.sessions.get(&id) else { return };
        self.wake_at(session.last_sent.max(self.last_broadcast) + quiet_max);
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

fn denied(what: Denied) -> Bytes {
    sync::denied(match what {
        Denied::Write => "read-only: this session may not change the document; its changes aren't saved",
        Denied::Awareness => "awareness: a state was dropped; it's too large, not JSON, or one too many",
    })
}

fn refuse(session: SessionId, reason: Reason, effects: &mut Vec<Effect>) {
    effects.push(Effect::Refused { session: Some(session), reason });
}
