//! After a fault: the document that had it is let go of, and the same one, loaded anew, takes its place under whoever is seated.

use std::mem::forget;

use super::actor::{Actor, Blame, End, Fault, Opened};
use super::backlog::Waiting;
use crate::document::{CloseCode, Effect, Event, Survivors};
use crate::id::SessionId;

/// Sessions that can't stay, and why.
type SentAway = Vec<(SessionId, CloseCode)>;

impl Actor {
    /// Loads the document anew, and seats everybody again but who caused the fault. The mail that is left is handled by the
    /// next turn.
    ///
    /// # Errors
    /// How its time has ended, if it can't go on.
    pub(super) async fn recover(&mut self, mut opened: Opened) -> Result<Opened, End> {
        let mut away = SentAway::new();
        self.has_more = true;
        loop {
            away.extend(self.judge());
            // Nothing of the rest is run again, not even its destructor: yrs may do anything there.
            let survivors = opened.document.survivors();
            let mut renewed = self.renew(opened).await?;
            match self.seat_again(&mut renewed, survivors, &away).await {
                Ok(()) => return Ok(renewed),
                Err(Fault) => opened = renewed,
            }
        }
    }

    /// Whose doing it was. A message goes to the quarantine.
    fn judge(&mut self) -> Option<(SessionId, CloseCode)> {
        let Blame { session, message } = std::mem::take(&mut self.blame);
        let (shared, now) = (&self.shared, self.shared.clock.now());
        shared.metrics.faults.inc();
        let is_refused = message.as_ref().is_some_and(|message| {
            shared.metrics.quarantined.inc();
            shared.faults.quarantine(&self.name, message, now.wall, "yrs panicked while it was applied")
        });
        shared.metrics.suspects.set(shared.faults.suspected() as i64);
        tracing::error!(document = %self.name, ?session, is_refused, "the document had a fault; it's loaded anew");
        Some((session?, if is_refused { CloseCode::Refused } else { CloseCode::Broken }))
    }

    /// Lets go of a document that can't be trusted, waits until all that it appended is kept, and loads it anew.
    async fn renew(&mut self, opened: Opened) -> Result<Opened, End> {
        let Opened { document, mut progress, appended, loaded, held, held_bytes, deleters, is_store_low, .. } = opened;
        let has_ended = document.has_ended();
        forget(document);
        self.shared.metrics.leaked.inc();
        if self.has_too_many_faults() {
            return Err(End::Rest);
        }
        let is_kept = tokio::select! {
            biased;
            kept = progress.wait_for(|progress| !progress.has_failed && progress.through >= appended) => kept.is_ok(),
            () = self.shared.writer.failed() => false,
        };
        if !is_kept {
            return Err(End::Done);
        }
        if has_ended {
            self.close_held(&held);
            self.close_all(CloseCode::Broken);
            let is_deleted = !deleters.is_empty();
            for deleter in deleters {
                // Nobody may be waiting for the answer any more.
                let _ = deleter.send(true);
            }
            return Err(if is_deleted { End::Deleted } else { End::Reload });
        }
        let renewed = self.open().await.ok_or(End::Done)?;
        Ok(Opened { loaded, held, held_bytes, is_store_low, ..renewed })
    }

    /// Hands the document who was seated before.
    async fn seat_again(&mut self, opened: &mut Opened, survivors: Survivors, away: &SentAway) -> Result<(), Fault> {
        let now = self.shared.clock.now();
        let is_held = |id: &SessionId| closed_in(&opened.held).any(|(session, _)| session == *id);
        let lost: Vec<_> = self.members.keys().filter(|id| !survivors.holds(**id) && !is_held(id)).copied().collect();
        for session in lost {
            // The core doesn't know it any more, or not yet: nobody could say what of its own is settled (D7).
            let code = away.iter().find(|(it, _)| *it == session).map_or(CloseCode::Broken, |(_, code)| *code);
            self.close(session, code);
        }
        self.together(opened, Blame::default(), |document, effects| document.resume(now, survivors, effects))?;
        self.perform(opened).await?;
        for (session, code) in away {
            self.step(opened, Event::Reauthorized { session: *session, right: Err(*code) }).await?;
        }
        Ok(())
    }

    fn close_held(&mut self, held: &[Effect]) {
        closed_in(held).for_each(|(session, code)| self.close(session, code));
    }

    fn has_too_many_faults(&mut self) -> bool {
        let (now, window) = (tokio::time::Instant::now(), self.shared.config.timing.fault_window);
        self.faults.push_back(now);
        while self.faults.front().is_some_and(|fault| now - *fault > window) {
            self.faults.pop_front();
        }
        self.faults.len() > self.shared.config.limits.document_faults_max
    }

    /// Sends everybody away for a while. `false` if nobody came meanwhile, or the node stops.
    pub(super) async fn rest(&mut self) -> bool {
        let rest = self.shared.config.timing.fault_rest;
        tracing::error!(document = %self.name, ?rest, "the document had too many faults; nobody is served for a while");
        self.close_all(CloseCode::Broken);
        while let Some(Waiting { mail, .. }) = self.backlog.pop() {
            self.turn_down(mail, CloseCode::Broken);
        }
        self.turn_all_down(CloseCode::Broken);
        let mut stopping = self.shared.stopping.subscribe();
        let over = tokio::time::sleep(rest);
        tokio::pin!(over);
        loop {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stops| *stops) => return false,
                () = &mut over => return !self.may_retire(),
                mail = self.letters.mail.recv() => match mail {
                    Some(mail) => self.turn_down(mail, CloseCode::Broken),
                    None => return false,
                },
                () = self.letters.signals.raised() => drop(self.letters.signals.take()),
            }
        }
    }
}

/// Sessions that are about to be closed, for a reason of their own.
fn closed_in(effects: &[Effect]) -> impl Iterator<Item = (SessionId, CloseCode)> + '_ {
    effects.iter().filter_map(|effect| match effect {
        Effect::Close { session, code } => Some((*session, *code)),
        _ => None,
    })
}
