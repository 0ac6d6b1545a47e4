//! Messages, taken apart for assertions.

use bytes::Bytes;
use y_mesh::ClientId;
use y_mesh::document::{Audience, CloseCode, Effect};
use y_mesh::wire::sync::{self, Entries, Entry, Frame, Frames};
use y_mesh::{Clock, SessionId};

/// What kind of frame a message is.
pub fn kind(message: &[u8]) -> &'static str {
    match frame(message) {
        Frame::SyncStep1(_) => "step 1",
        Frame::SyncStep2(_) => "step 2",
        Frame::Update(_) => "update",
        Frame::Awareness([0]) => "keep alive",
        Frame::Awareness(_) => "awareness",
        Frame::QueryAwareness => "query",
        Frame::Denied(_) => "denied",
        Frame::Unknown(_) => "unknown",
    }
}

pub fn kinds(messages: &[Bytes]) -> Vec<&'static str> {
    messages.iter().map(|message| kind(message)).collect()
}

fn frame(message: &[u8]) -> Frame<'_> {
    Frames::of(message).next().expect("a frame").expect("a whole frame")
}

/// The update in a SyncStep2 or an Update.
pub fn update_in(message: &[u8]) -> &[u8] {
    match frame(message) {
        Frame::SyncStep2(update) | Frame::Update(update) => update,
        other => panic!("no update: {other:?}"),
    }
}

/// The entries in an awareness message, with `None` for a goodbye.
pub fn entries_in(message: &[u8]) -> Vec<(u64, Clock, Option<String>)> {
    let Frame::Awareness(body) = frame(message) else { panic!("no awareness: {message:?}") };
    let entries = Entries::of(body).expect("entries").map(|entry| entry.expect("a whole entry"));
    entries.map(|entry| (entry.client.0, entry.clock, entry.state.map(str::to_owned))).collect()
}

/// An awareness message.
pub fn awareness(entries: &[(u64, Clock, Option<&str>)]) -> Bytes {
    let entry = |&(client, clock, state)| Entry { client: ClientId(client), clock, state };
    sync::awareness(entries.iter().map(entry).collect::<Vec<_>>().into_iter())
}

/// All messages that effects send, with their audiences.
pub fn sends(effects: &[Effect]) -> Vec<(Audience, Bytes)> {
    let send = |effect: &Effect| match effect {
        Effect::Send { to, message, .. } => Some((*to, message.clone())),
        _ => None,
    };
    effects.iter().filter_map(send).collect()
}

/// All sessions that effects close.
pub fn closes(effects: &[Effect]) -> Vec<(SessionId, CloseCode)> {
    let close = |effect: &Effect| match effect {
        Effect::Close { session, code } => Some((*session, *code)),
        _ => None,
    };
    effects.iter().filter_map(close).collect()
}

/// How many records effects append.
pub fn appends(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Append { .. })).count()
}
