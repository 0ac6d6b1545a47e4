//! What the core asks for, done in its order; on a strict node, what would show somebody something is held back meanwhile.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Metrics;
use super::actor::{Actor, Fault, Member, Opened};
use crate::document::{Audience, CloseCode, Content, Effect, Event};
use crate::id::SessionId;

/// Room for effects that is kept from one turn to the next.
const EFFECTS_KEPT_MAX: usize = 1_024;

impl Actor {
    /// Does what the core asks for, in its order. After a fault the rest is done too, but for what may bring the core more to do:
    /// that is held back.
    pub(super) async fn perform(&mut self, opened: &mut Opened) -> Result<(), Fault> {
        let mut done = Ok(());
        let mut effects = std::mem::take(&mut opened.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Append { seq, record } => {
                    opened.appended = seq;
                    opened.writer.append(seq, record).await;
                }
                Effect::Delete { through, clients } => {
                    opened.appended = through;
                    opened.writer.delete(through, clients).await;
                }
                Effect::Compact { through, snapshot } => opened.writer.compact(through, snapshot).await,
                effect @ (Effect::Send { .. } | Effect::Close { .. }) if done.is_err() => opened.held.push(effect),
                effect @ (Effect::Send { .. } | Effect::Close { .. }) if self.shared.is_strict => {
                    done = self.hold(opened, effect).await;
                }
                Effect::Send { to, content, message } => done = self.send(opened, to, content, &message),
                Effect::Acknowledge { session, durable, refused } => {
                    if let Some(member) = self.members.get(&session) {
                        let durability = self.shared.given(opened.document.durability());
                        member.outbox.acknowledge(durable, refused, durability);
                    }
                }
                Effect::Close { session, code } => self.close(session, code),
                Effect::Refused { session, reason } => {
                    self.shared.metrics.refused_by(reason.label(), reason.rule());
                    tracing::debug!(document = %self.name, ?session, ?reason, "refused");
                    if let Some(in_hand) = self.blame.message.as_ref().filter(|_| reason.is_the_bytes_alone()) {
                        self.shared.faults.remember(&in_hand.message);
                    }
                }
                Effect::Retire => opened.wants_to_retire = true,
            }
        }
        // The memory is used again, unless it was an exceptionally large turn.
        if effects.capacity() <= EFFECTS_KEPT_MAX && opened.effects.is_empty() {
            opened.effects = effects;
        }
        done
    }

    /// Keeps back what would show somebody something: a turn waits once, and not for each message (D9).
    pub(super) async fn hold(&mut self, opened: &mut Opened, effect: Effect) -> Result<(), Fault> {
        opened.held_bytes += if let Effect::Send { message, .. } = &effect { message.len() } else { 0 };
        opened.held.push(effect);
        match opened.held_bytes > self.shared.config.limits.outbox_bytes_max {
            true => self.let_out(opened).await,
            false => Ok(()),
        }
    }

    pub(super) async fn let_out(&mut self, opened: &mut Opened) -> Result<(), Fault> {
        if opened.held.is_empty() {
            return Ok(());
        }
        let may_be_shown = self.may_be_shown(opened).await;
        opened.held_bytes = 0;
        let mut done = Ok(());
        for effect in std::mem::take(&mut opened.held) {
            match effect {
                effect if done.is_err() => opened.held.push(effect),
                Effect::Send { to, content, message } if may_be_shown => {
                    done = self.send(opened, to, content, &message)
                }
                Effect::Close { session, code } => self.close(session, code),
                _ => {}
            }
        }
        done
    }

    /// On a strict node, waits until the store has all that was appended (D9). Every message waits, for an answer or a caret can
    /// tell of an edit as well as the edit itself. `false` if the store has failed: then the sessions are about to be closed.
    pub(super) async fn may_be_shown(&mut self, opened: &Opened) -> bool {
        // A receiver of its own: on the other, what it sees now must be news later, for what is acknowledged.
        let mut progress = opened.progress.clone();
        tokio::select! {
            biased;
            kept = progress.wait_for(|progress| progress.has_failed || progress.through >= opened.appended) => {
                kept.is_ok_and(|progress| progress.through >= opened.appended)
            }
            () = self.shared.writer.failed() => false,
        }
    }

    pub(super) fn send(
        &mut self,
        opened: &mut Opened,
        to: Audience,
        content: Content,
        message: &Bytes,
    ) -> Result<(), Fault> {
        let mut overflowed = Vec::new();
        let limits = &self.shared.config.limits;
        let mut push = |session: SessionId, member: &mut Member| {
            if !member.outbox.try_push(message.clone(), content) {
                overflowed.push(session);
            } else if content == Content::Awareness {
                member.echoes.told(message.len(), limits);
            }
        };
        if let Audience::One(session) = to {
            if let Some(member) = self.members.get_mut(&session) {
                member.is_greeted |= content == Content::Question;
                push(session, member);
            }
        } else {
            let meant = self.members.iter_mut().filter(|(_, member)| member.is_in(to));
            meant.for_each(|(session, member)| push(*session, member));
        }
        for session in overflowed {
            if self.behind.insert(session) {
                self.shared.metrics.behind.inc();
            }
            let now = self.shared.clock.now();
            self.handle(opened, now, Event::Overflowed { session, content })?;
        }
        Ok(())
    }

    pub(super) fn is_not_behind(&mut self, session: SessionId) {
        if self.behind.remove(&session) {
            self.shared.metrics.behind.dec();
        }
    }

    pub(super) fn remove(&mut self, session: SessionId) -> Option<Member> {
        self.is_not_behind(session);
        let member = self.members.remove(&session)?;
        self.count(|metrics| metrics.sessions.dec());
        Some(member)
    }

    pub(super) fn count(&self, change: impl FnOnce(&Metrics) -> i64) {
        change(&self.shared.metrics);
        self.letters.signals.sessions.store(self.members.len(), Ordering::Relaxed);
    }

    pub(super) fn close(&mut self, session: SessionId, code: CloseCode) {
        if let Some(member) = self.remove(session) {
            self.shared.metrics.closed(code.number());
            member.outbox.close(code);
        }
    }

    pub(super) fn close_all(&mut self, code: CloseCode) {
        let all: Vec<_> = self.members.keys().copied().collect();
        for session in all {
            self.close(session, code);
        }
    }
}
