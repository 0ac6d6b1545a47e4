//! Mail taken from the mailbox, a turn's portion at a time, and what becomes of messages that are known to be dangerous.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::actor::{Actor, Blame, Fault, Opened};
use super::backlog::Waiting;
use super::mailbox::Mail;
use super::watchdog::InHand;
use crate::document::{CloseCode, Event};
use crate::id::{Identity, MessageHash, SessionId};

impl Actor {
    /// Takes the mail that waits now, and of that what is to be handled next, unless some of the last turn's is left.
    pub(super) fn gather(&mut self, first: Option<Mail>) {
        self.has_more = !self.backlog.is_empty();
        if self.has_more {
            return;
        }
        // Flags are taken before the mail: who has left sent all its mail before, so that is among what is read now.
        for (session, flags) in self.letters.signals.take() {
            self.flags.entry(session).or_default().add(flags);
        }
        let waiting = self.letters.mail.len();
        let rest = (0..waiting).map_while(|_| self.letters.mail.try_recv().ok());
        first.into_iter().chain(rest).for_each(|mail| self.queue.push(mail));
        let (limits, turn_max) = (&self.shared.config.limits, self.shared.config.timing.turn_max);
        let (now, mut expected) = (Instant::now(), Duration::ZERO);
        for _ in 0..limits.mailbox_messages_max {
            let Some((mail, cost)) = self.queue.pop(now) else { break };
            expected += cost;
            let hashes = match &mail {
                Mail::Message { message, .. } => self.shared.faults.hashes(message),
                _ => None,
            };
            self.backlog.push(Waiting { mail, hashes });
            if expected >= turn_max {
                break;
            }
        }
    }

    pub(super) async fn on_waiting(
        &mut self,
        opened: &mut Opened,
        waiting: Waiting,
        suspect: Option<MessageHash>,
    ) -> Result<(), Fault> {
        match (waiting.mail, waiting.hashes) {
            (Mail::Message { session, .. }, Some(hashes)) if self.shared.faults.refuses(&hashes) => {
                self.shared.metrics.refused_by("known", "W6");
                tracing::debug!(document = %self.name, %session, hash = %hashes.whole, "refused by its hash");
                self.step(opened, Event::Reauthorized { session, right: Err(CloseCode::Refused) }).await
            }
            (mail, _) => match suspect {
                Some(hash) => self.on_suspect(opened, mail, hash).await,
                None => self.on_mail(opened, mail).await,
            },
        }
    }

    /// Something that was in flight when the process ended. It's applied while nobody else uses yrs, and its turn is ended, under
    /// a mark of its own: if the process ends now, it's to blame.
    async fn on_suspect(&mut self, opened: &mut Opened, mail: Mail, hash: MessageHash) -> Result<(), Fault> {
        let Mail::Message { session, message, .. } = mail else { return Ok(()) };
        let (shared, now) = (self.shared.clone(), self.shared.clock.now());
        let in_hand = self.in_hand(session, &message);
        tracing::warn!(document = %self.name, %hash, "a message that was in flight when the process ended is applied alone");
        shared.faults.begin_alone(&self.name, &in_hand, hash, now.wall);
        self.blame = Blame { session: Some(session), message: Some(in_hand) };
        {
            let _alone = shared.faults.alone();
            self.guarded(opened, |document, effects| {
                document.handle(now, Event::Received { session, message }, effects);
                document.handle(now, Event::TurnEnded, effects);
            })?;
        }
        shared.faults.acquit(hash);
        self.shared.metrics.suspects.set(shared.faults.suspected() as i64);
        self.perform(opened).await
    }

    pub(super) fn in_hand(&self, session: SessionId, message: &Bytes) -> InHand {
        let identity = self.members.get(&session).map_or_else(Identity::anonymous, |member| member.identity.clone());
        InHand { message: message.clone(), identity }
    }
}
