//! A world around one document: sessions with outboxes, a journal, and time that moves when a test says so.
//!
//! It performs effects in order, as a runtime would, and holds on every one of them what must hold always.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use y_mesh::document::{
    Access, Audience, CloseCode, Content as Delivered, Document, Effect, Event, Kind, Millis, Now, Reason, StateVector,
    Stored, WallTime,
};
use y_mesh::wire::sync::{Frame, Frames};
use y_mesh::wire::vet::{self, Bounds};
use y_mesh::{ClientId, Config, Identity, NodeId, SessionId};

use super::client::Client;
use super::content::{self, Content};
use super::journal::Journal;
use super::outbox::Outbox;

/// The client id that worlds give the server's own edits.
pub const SERVER: ClientId = ClientId(900_000);

/// So many rounds of messages and answers settle everything that can be settled.
const ROUNDS_MAX: usize = 100;

pub struct World {
    pub document: Document,
    pub journal: Journal,
    pub now: Now,
    pub config: Arc<Config>,
    /// All effects so far.
    pub effects: Vec<Effect>,
    /// Whether the journal is durable at once.
    pub syncs: bool,
    /// Whether messages go out only at the end of a turn, as those of a strict node do.
    pub holds: bool,
    /// What goes out then.
    held: Vec<Effect>,
    /// How often it was woken.
    pub ticks: usize,
    sessions: BTreeMap<SessionId, Outbox>,
    next: u64,
    /// What the journal holds of each client's work (D1).
    appended: StateVector,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        configure(&mut config);
        Self::reopened(&Stored::default(), config.into(), SERVER)
    }

    pub fn reopened(stored: &Stored, config: Arc<Config>, client: ClientId) -> Self {
        let now = Now { monotonic: Millis(1_000_000), wall: WallTime(1_700_000_000_000) };
        let document = Document::open(stored, client, config.clone(), now).expect("what was stored can be opened");
        Self {
            appended: document.state_vector().clone(),
            document,
            journal: Journal::after(stored),
            now,
            config,
            effects: Vec::new(),
            syncs: true,
            holds: false,
            held: Vec::new(),
            ticks: 0,
            sessions: BTreeMap::new(),
            next: 1,
        }
    }

    /// Opens the document anew in the place of one that is broken; whoever is seated stays so.
    pub fn renew(&mut self) {
        let survivors = self.document.survivors();
        let opened = Document::open(&self.journal.everything(), ClientId(SERVER.0 + 1), self.config.clone(), self.now);
        std::mem::forget(std::mem::replace(&mut self.document, opened.expect("what was stored can be opened")));
        let mut effects = Vec::new();
        self.document.resume(self.now, survivors, &mut effects);
        self.perform(effects);
    }

    /// A session of a client that may write, with an outbox that is never full.
    pub fn join(&mut self) -> SessionId {
        self.join_as(client(Access::Write), usize::MAX, usize::MAX)
    }

    pub fn join_reader(&mut self) -> SessionId {
        self.join_as(client(Access::Read), usize::MAX, usize::MAX)
    }

    pub fn join_peer(&mut self) -> SessionId {
        self.join_as(Kind::Peer(NodeId(self.next.into())), usize::MAX, usize::MAX)
    }

    /// A session whose outbox takes so many messages and, but for the first, so many bytes.
    pub fn join_slow(&mut self, messages_max: usize, bytes_max: usize) -> SessionId {
        self.join_as(client(Access::Write), messages_max, bytes_max)
    }

    pub fn join_as(&mut self, kind: Kind, messages_max: usize, bytes_max: usize) -> SessionId {
        let session = SessionId(self.next);
        self.next += 1;
        self.sessions.insert(session, Outbox::new(matches!(kind, Kind::Peer(_)), messages_max, bytes_max));
        self.event(Event::Joined { session, kind });
        session
    }

    /// A client joins, and everything that is to be said is said.
    pub fn connect(&mut self, client: &mut Client) -> SessionId {
        let session = self.join();
        self.open(session, client);
        session
    }

    /// Lets a client that has just joined say its opening, and settles everything.
    pub fn open(&mut self, session: SessionId, client: &mut Client) {
        self.say(session, client.open());
        self.settle(&mut [(session, client)]);
    }

    /// Hands the document a session's messages; nothing more happens.
    pub fn say(&mut self, session: SessionId, messages: impl IntoIterator<Item = Bytes>) {
        for message in messages {
            self.event(Event::Received { session, message });
        }
    }

    /// Lets the clients take what is for them, and the document their answers, until nobody has anything to say.
    pub fn settle(&mut self, clients: &mut [(SessionId, &mut Client)]) {
        for _ in 0..ROUNDS_MAX {
            self.turn();
            let mut was_quiet = true;
            for (session, client) in clients.iter_mut() {
                was_quiet &= !self.exchange(*session, client);
            }
            if was_quiet && clients.iter().all(|(session, _)| self.is_drained(*session)) {
                return;
            }
        }
        panic!("they never stop talking: {:?}", self.effects.iter().rev().take(8).collect::<Vec<_>>());
    }

    /// One client takes all that is for it and answers. Gives whether there was anything.
    pub fn exchange(&mut self, session: SessionId, client: &mut Client) -> bool {
        let messages = self.pop_all(session);
        for message in &messages {
            let answers = client.take(message);
            self.say(session, answers);
        }
        self.drained(session) || !messages.is_empty()
    }

    /// The next message for a session.
    pub fn pop(&mut self, session: SessionId) -> Option<Bytes> {
        self.sessions.get_mut(&session)?.pop()
    }

    /// All messages for a session.
    pub fn pop_all(&mut self, session: SessionId) -> Vec<Bytes> {
        std::iter::from_fn(|| self.pop(session)).collect()
    }

    /// Tells the document that a session's outbox is empty, if it was behind and now is. Gives whether that was so.
    pub fn drained(&mut self, session: SessionId) -> bool {
        let Some(outbox) = self.sessions.get_mut(&session) else { return false };
        if !outbox.is_empty() || outbox.closed.is_some() || !outbox.must_tell() {
            return false;
        }
        self.event(Event::Drained { session });
        true
    }

    fn is_drained(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_none_or(|outbox| outbox.is_empty() && !outbox.owes_word())
    }

    /// A session is gone, with all that was for it.
    pub fn leave(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        self.event(Event::Left { session });
    }

    /// The turn ends; what is appended is durable, if the world syncs.
    pub fn turn(&mut self) {
        self.event(Event::TurnEnded);
        for effect in std::mem::take(&mut self.held) {
            self.let_out(&effect);
        }
        if self.syncs && self.journal.waiting() > 0 {
            self.sync();
        }
    }

    /// All that was appended is durable.
    pub fn sync(&mut self) {
        let through = self.journal.sync_all();
        self.event(Event::Durable { through });
    }

    /// Time passes, and the document is woken whenever it asked for that. The journal is durable meanwhile.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now.monotonic + duration;
        while let Some(at) = self.document.deadline().filter(|at| *at <= end) {
            self.set_now(at.max(self.now.monotonic));
            self.ticks += 1;
            self.event(Event::Tick);
            self.turn();
        }
        self.set_now(end);
    }

    fn set_now(&mut self, at: Millis) {
        self.now.wall.0 += at.0 - self.now.monotonic.0;
        self.now.monotonic = at;
    }

    /// Hands the document an event and performs what it asks for. Gives that.
    pub fn event(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.document.handle(self.now, event, &mut effects);
        self.perform(effects)
    }

    pub fn perform(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        for effect in &effects {
            match effect {
                Effect::Send { .. } | Effect::Close { .. } if self.holds => self.held.push(effect.clone()),
                Effect::Send { .. } | Effect::Close { .. } => self.let_out(effect),
                Effect::Append { seq, record } => {
                    self.note_appended(&record.update);
                    self.journal.append(*seq, record.clone());
                }
                Effect::Compact { through, snapshot } => self.journal.compact(*through, snapshot.clone()),
                Effect::Delete { through, clients } => self.journal.delete(*through, clients.clone()),
                Effect::Acknowledge { session, durable, refused } => self.acknowledge(*session, (*durable, *refused)),
                Effect::Refused { .. } | Effect::Retire => {}
            }
        }
        self.effects.extend(effects.iter().cloned());
        effects
    }

    fn let_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Send { to, content, message } => self.deliver(*to, *content, message),
            Effect::Close { session, code } => self.close(*session, *code),
            _ => {}
        }
    }

    fn note_appended(&mut self, update: &[u8]) {
        let outline = vet::outline(update, &Bounds::STORED).expect("what is journalled can be vetted again");
        for span in outline.spans {
            assert!(span.start <= self.appended.get(span.client), "what is journalled stands on what was");
            self.appended.raise(span.client, span.end);
        }
    }

    fn deliver(&mut self, to: Audience, content: Delivered, message: &Bytes) {
        self.hold_always(message);
        let mut missed = Vec::new();
        for (session, outbox) in &mut self.sessions {
            let is_meant = match to {
                Audience::One(one) => one == *session,
                Audience::All => outbox.is_greeted,
                Audience::Clients => outbox.is_greeted && !outbox.is_peer,
                Audience::Peers => outbox.is_greeted && outbox.is_peer,
            };
            if is_meant && outbox.closed.is_none() && !outbox.try_push(message, content) {
                missed.push(*session);
            }
        }
        for session in missed {
            let mut more = Vec::new();
            self.document.handle(self.now, Event::Overflowed { session, content }, &mut more);
            assert!(more.is_empty(), "an overflow asks for nothing");
        }
    }

    /// What must hold of every message: one frame (W1), and nothing in it that isn't in the journal (D1).
    fn hold_always(&self, message: &Bytes) {
        let frames: Vec<_> = Frames::of(message).map(|frame| frame.expect("a whole frame is sent")).collect();
        assert_eq!(frames.len(), 1, "W1: one frame a message is sent");
        if let Frame::SyncStep2(update) | Frame::Update(update) = frames[0] {
            let outline = vet::outline(update, &Bounds::of(&y_mesh::Limits::default()))
                .expect("what is sent passes our own vetting");
            for span in outline.spans {
                assert!(span.end <= self.appended.get(span.client), "D1: appended before it's sent");
            }
        }
    }

    fn acknowledge(&mut self, session: SessionId, counts: (u64, u64)) {
        let Some(outbox) = self.sessions.get_mut(&session) else { return };
        let before = outbox.acknowledged.unwrap_or_default();
        assert!(counts.0 >= before.0 && counts.1 >= before.1, "D7: counts never decrease");
        outbox.acknowledged = Some(counts);
    }

    fn close(&mut self, session: SessionId, code: CloseCode) {
        if let Some(outbox) = self.sessions.get_mut(&session) {
            outbox.closed = Some(code);
            outbox.clear();
        }
    }

    pub fn acknowledged(&self, session: SessionId) -> (u64, u64) {
        self.sessions[&session].acknowledged.unwrap_or_default()
    }

    pub fn closed(&self, session: SessionId) -> Option<CloseCode> {
        self.sessions[&session].closed
    }

    pub fn is_behind(&self, session: SessionId) -> bool {
        self.sessions[&session].is_behind
    }

    /// Why something was refused so far.
    pub fn refusals(&self) -> Vec<&Reason> {
        let reasons = self.effects.iter().filter_map(|effect| match effect {
            Effect::Refused { reason, .. } => Some(reason),
            _ => None,
        });
        reasons.collect()
    }

    pub fn content(&self) -> Content {
        content::of_document(&self.document)
    }

    pub fn text(&self) -> String {
        content::text_of(&self.document)
    }
}

pub fn client(access: Access) -> Kind {
    Kind::Client { access, identity: Identity::anonymous() }
}
