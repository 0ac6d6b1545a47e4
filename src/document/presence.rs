//! Who is here, as far as sessions and turns have to do with it (A).

use super::awareness::{self, Heard, Speaker};
use super::pace::Allowance;
use super::session::{Opening, Session};
use super::{Audience, Content, Denied, Document, Effect, Millis, Now, Reason, refuse};
use crate::id::SessionId;
use crate::wire::sync::{Entries, Entry};

/// Who comes back doesn't see those who stayed until they announce themselves anew (A1).
#[derive(Default)]
pub(super) struct Recall {
    /// When the last of those came who wait for that.
    since: Option<Millis>,
    /// When they were last made to.
    last: Option<Millis>,
}

/// A frame with so many times more entries than there are places is refused unread.
const FRAME_ENTRIES_PER_PLACE: u64 = 10;

impl Document {
    pub(super) fn on_awareness(
        &mut self,
        now: Now,
        id: SessionId,
        body: &[u8],
        opening: Opening,
        effects: &mut Vec<Effect>,
    ) {
        let entries = match Entries::of(body) {
            Ok(entries) if entries.left() > FRAME_ENTRIES_PER_PLACE * self.limits().awareness_entries_max as u64 => {
                return self.on_awareness_refused(now, id, effects);
            }
            // All of it is read before any of it counts (W4).
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>(),
            Err(malformed) => Err(malformed),
        };
        let entries = match entries {
            Ok(entries) => entries,
            Err(malformed) => return self.on_malformed(now, id, malformed, effects),
        };
        let is_refused = match entries[..] {
            [entry] if opening == Opening::Asked && entry.state.is_some() => self.on_claim(now, id, entry, effects),
            _ => entries.into_iter().fold(false, |is_refused, entry| self.hear(now, id, entry) | is_refused),
        };
        if is_refused {
            self.on_awareness_refused(now, id, effects);
        }
        if let Some(expires) = self.awareness.deadline() {
            self.wake_at(expires);
        }
    }

    fn on_awareness_refused(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        refuse(Some(id), Reason::Awareness, effects);
        self.deny(now, id, Denied::Awareness, effects);
    }

    /// Hears an entry; gives whether it's refused.
    fn hear(&mut self, now: Now, id: SessionId, entry: Entry<'_>) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        // Another node brings everybody who is there.
        let brought = if session.is_peer() { None } else { Some(&mut session.brought) };
        let mut by = Speaker { id, brought };
        let heard = self.awareness.hear(entry, &mut by, now.monotonic, &self.config.limits, &self.config.timing);
        heard == Heard::Refused
    }

    /// A session says who it is (A2); gives whether that's refused. Somebody else's entry can't be claimed; whether a session
    /// that had it before is gone without a word, or is alive, is seen by whether it answers.
    fn on_claim(&mut self, now: Now, id: SessionId, entry: Entry<'_>, effects: &mut Vec<Effect>) -> bool {
        let client = entry.client;
        let before = self.awareness.owner(client).filter(|owner| *owner != id);
        let identity = |id: &SessionId| self.sessions.get(id).map(Session::identity);
        let is_others = before.is_some_and(|before| identity(&before) != identity(&id));
        if is_others || !self.awareness.may_move(client, entry.clock) {
            return true;
        }
        self.awareness.claim(client, id);
        // Somebody has moved its clock. y-protocols takes what it then hears of itself for its own state, so it hears this.
        let known = self.awareness.clock(client);
        let clock = if entry.clock < known { known + 1 } else { entry.clock };
        if self.hear(now, id, Entry { clock, ..entry }) {
            self.awareness.give_back(client, before);
            return true;
        }
        if let Some(before) = before {
            self.send(now, before, Content::Goodbye, awareness::goodbye(client, clock), effects);
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.opening = Opening::Done(Some(client));
        }
        if clock >= 1 {
            self.recall.since = Some(now.monotonic);
        }
        // After a reconnect it's made to raise its clock (A1), unless that was done for it.
        if clock >= 1 && entry.clock >= known {
            self.send(now, id, Content::Goodbye, awareness::goodbye(client, clock), effects);
        }
        false
    }

    /// Tells all who has come, gone or moved: now, or as soon as it may be (A6).
    pub(super) fn tell_changes(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let limits = self.limits();
        let each = limits.awareness_echoes_per_second / self.sessions.len().max(1) as u64;
        let per_second = each.clamp(1, limits.awareness_messages_per_second.max(1));
        let of = Allowance { burst: per_second, per_second };
        while let Some(due) = self.awareness.due(now.monotonic, of) {
            if due > now.monotonic {
                return self.wake_at(due);
            }
            let changes = self.awareness.changes(now.monotonic, of);
            self.broadcast(now, Audience::All, Content::Awareness, changes, effects);
        }
    }

    /// Makes those announce themselves anew whom somebody who came back can't see: now, or as soon as it may be (A1).
    pub(super) fn recall(&mut self, now: Now, effects: &mut Vec<Effect>) {
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

    pub(super) fn tell_everybody(&mut self, now: Now, id: SessionId, effects: &mut Vec<Effect>) {
        if self.sessions.get(&id).is_some_and(|session| session.behind.is_some()) {
            return self.on_missed(now, id, Content::Awareness);
        }
        for message in self.awareness.everybody() {
            self.send(now, id, Content::Awareness, message, effects);
        }
    }
}
