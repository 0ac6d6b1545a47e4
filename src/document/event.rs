//! The closed vocabulary of the core: everything that can happen to a document, and everything it can ask for.

use bytes::Bytes;

use super::journal::Record;
use crate::id::{ClientId, Identity, NodeId, Seq, SessionId};

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Receive everything, change nothing. Its presence is shown.
    Read,
    /// Change the document too.
    Write,
    /// Take it away as a whole, too: back it up with all that is kept of it, or delete it. For a session it's the same as
    /// [`Write`](Self::Write).
    Manage,
}

/// What kind of party a session is. The kinds differ in access, in fan-out and in trust, and in nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An editor: a browser, or a program that embeds the node.
    Client {
        /// What it may do.
        access: Access,
        /// Who it is, as the access hook said.
        identity: Identity,
    },
    /// Another node. It may write, and isn't sent what came from a peer (F3).
    Peer(NodeId),
}

/// Everything that can happen to a document. A new cause of work is a new variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session has come. It's told what we have, asked for what we lack, and told who is here (S1).
    Joined {
        /// The session's id, never used before.
        session: SessionId,
        /// What kind of party it is.
        kind: Kind,
    },
    /// A session has sent one message; it may hold several frames (W1).
    Received {
        /// Who sent it.
        session: SessionId,
        /// The message, in y-protocols' frames.
        message: Bytes,
    },
    /// No more mail for now: what waits goes out together (F7).
    TurnEnded,
    /// What a session may do has changed (S6).
    Reauthorized {
        /// Whose access it is.
        session: SessionId,
        /// What it is from now on, or with which code it ends.
        right: Result<Kind, CloseCode>,
    },
    /// A session that was behind (F5), or had an answer ([`Content::Answer`]) in its outbox, has emptied it.
    Drained {
        /// Whose outbox it is.
        session: SessionId,
    },
    /// A session's outbox hasn't taken a message: it's full, or was and isn't empty yet (F5). Comes before the next event
    /// of any other kind, for each message that isn't taken; or, where messages go out only at a turn's end, then.
    Overflowed {
        /// Whose outbox it is.
        session: SessionId,
        /// What it has missed.
        content: Content,
    },
    /// A session is gone, for whatever reason (S5).
    Left {
        /// Who has gone.
        session: SessionId,
    },
    /// The embedding program or an API brings an update.
    Edited {
        /// A Yjs update, format v1.
        update: Bytes,
        /// Who made it.
        author: Identity,
    },
    /// Somebody who may has asked to delete the document (I1).
    Deleted,
    /// Everything through this record is durable here.
    Durable {
        /// The last durable record.
        through: Seq,
    },
    /// The store has given up (D5).
    StoreFailed,
    /// The store's disk is almost full, or isn't any more (D5).
    StoreLow {
        /// Whether it is.
        is_low: bool,
    },
    /// The moment that `Document::deadline` named has come.
    Tick,
    /// The node is going down.
    Stopping,
}

/// Everything that a document can ask for, in the order in which it's to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put a record into the journal. It precedes every `Send` of the same update (D1).
    Append {
        /// The record's position, one more than the last.
        seq: Seq,
        /// What to keep.
        record: Record,
    },
    /// Replace all records through `through` by a snapshot (D3).
    Compact {
        /// The last record that the snapshot holds.
        through: Seq,
        /// The whole state, a Yjs update of format v1.
        snapshot: Bytes,
    },
    /// Remove all records, and keep instead whose work they held (I1).
    Delete {
        /// The deletion's position, one more than the last record's.
        through: Seq,
        /// All clients whose work was deleted under this name, in order.
        clients: Vec<ClientId>,
    },
    /// Give a message to some sessions.
    Send {
        /// Who gets it.
        to: Audience,
        /// What it is, for [`Event::Overflowed`].
        content: Content,
        /// The message, encoded once for all (F4).
        message: Bytes,
    },
    /// Tell a session how many of its own SyncStep2 and Update frames are settled. Cumulative (D7).
    Acknowledge {
        /// Who is told.
        session: SessionId,
        /// So many are durable.
        durable: u64,
        /// So many were refused.
        refused: u64,
    },
    /// End a session. It's gone for the document already.
    Close {
        /// Which one.
        session: SessionId,
        /// Why.
        code: CloseCode,
    },
    /// Something that a session sent was refused or skipped. For counting and logging alone.
    Refused {
        /// Who sent it; `None` for the embedding program.
        session: Option<SessionId>,
        /// Why.
        reason: Reason,
    },
    /// Nobody has the document open and all of it is durable (D6): it may be dropped.
    Retire,
}

/// Who gets a message. All, clients and peers are those who were greeted: who was sent a question ([`Content::Question`]).
/// Who wasn't has yet to say what it holds (I1), and is sent nothing of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// One session.
    One(SessionId),
    /// All sessions that aren't behind.
    All,
    /// All clients that aren't behind, and no peers.
    Clients,
    /// All peers that aren't behind.
    Peers,
}

/// What a message is, as far as it matters for who has missed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// SyncStep1: the session is asked for what is missing.
    Question,
    /// SyncStep2: the session's own question is answered.
    Answer,
    /// An update that was made in this turn.
    Update,
    /// Awareness of others.
    Awareness,
    /// A goodbye to the session's own awareness, upon which it announces itself anew (A1).
    Goodbye,
    /// A refusal in words.
    Denied(Denied),
    /// A sign of life.
    KeepAlive,
}

/// What a session is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// That it may not change the document (S4).
    Write,
    /// That nothing can be kept for want of space (D5).
    Space,
    /// That an awareness state was dropped (A5).
    Awareness,
}

/// Why something was refused or skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A frame of a type that we don't know (W3).
    UnknownType(u64),
    /// A frame that isn't one (W4).
    Malformed(crate::wire::Malformed),
    /// A change from a session that may only read (S4).
    ReadOnly,
    /// A change while the store's disk is almost full (D5).
    StoreLow,
    /// An update that stands on something that isn't here; its sender was asked for it (H2).
    Missing,
    /// An update that isn't taken, ever (W6).
    Update(crate::document::Refused),
    /// An awareness entry that is too large, one too many, or not JSON (A5).
    Awareness,
}

impl Reason {
    /// A short name, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::UnknownType(_) => "unknown_type",
            Self::Malformed(_) => "malformed",
            Self::ReadOnly => "read_only",
            Self::StoreLow => "store_low",
            Self::Missing => "missing",
            Self::Update(_) => "update",
            Self::Awareness => "awareness",
        }
    }

    /// The number of the rule that it goes by, for metrics.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::UnknownType(_) => "W3",
            Self::Malformed(_) => "W4",
            Self::ReadOnly => "S4",
            Self::StoreLow => "D5",
            Self::Missing => "H2",
            Self::Update(refused) => refused.rule(),
            Self::Awareness => "A5",
        }
    }

    /// Whether the same bytes would be refused by every document, at any time.
    pub fn is_the_bytes_alone(&self) -> bool {
        matches!(self, Self::Update(crate::document::Refused::Vet(_)))
    }
}

/// Why a session ends, as a WebSocket close code. y-websocket from 3.1 on gives up for good on 4400 to 4499 and
/// comes back on every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The embedding program ended it.
    Done = 1000,
    /// A text message; the protocol has none.
    Text = 1003,
    /// A malformed frame (W4).
    Malformed = 1007,
    /// A message over the limit (W2).
    TooBig = 1009,
    /// The document can't be loaded or was dropped after a fault.
    Broken = 1011,
    /// The node is restarting.
    Restarting = 1012,
    /// Come back later: overload, a slow load, a store that fails.
    Later = 1013,
    /// An update that will never be taken (W6).
    Refused = 4400,
    /// No token, or one that we don't know.
    Unauthorized = 4401,
    /// No right to this document, or not any more (S6).
    Forbidden = 4403,
    /// The document was deleted (I1).
    Deleted = 4404,
}

impl CloseCode {
    /// The code's number on the wire.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The reason on the wire, for a developer who looks at the close event.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Text => "text messages aren't part of the protocol",
            Self::Malformed => "malformed frame",
            Self::TooBig => "message too big",
            Self::Broken => "the document can't be served",
            Self::Restarting => "restarting",
            Self::Later => "try again later",
            Self::Refused => "update refused",
            Self::Unauthorized => "token missing or unknown",
            Self::Forbidden => "no access to this document",
            Self::Deleted => "document deleted",
        }
    }
}
