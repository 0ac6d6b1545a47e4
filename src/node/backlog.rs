//! Mail that was taken from the mailbox, what of it makes one turn, and what becomes of messages that are known to be dangerous.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::actor::{Actor, Blame, Fault, Opened};
use super::hashes::Hashes;
use super::mailbox::Mail;
use super::watchdog::InHand;
use crate::document::{CloseCode, Event};
use crate::id::{DocName, Identity, MessageHash, SessionId};
use crate::store::faults::marks::{InFlight, MESSAGES_MAX};

/// One piece of mail.
pub(super) struct Waiting {
    pub mail: Mail,
    /// Of a message that would change something.
    pub hashes: Option<Hashes>,
}

/// Mail in its order. After a fault, what is left of it is handled by the document that was loaded anew.
#[derive(Default)]
pub(super) struct Backlog(VecDeque<Waiting>);

/// What of the backlog makes the next turn.
pub(super) struct Portion {
    /// So much mail.
    pub count: usize,
    /// It's one message, which is suspected.
    pub suspect: Option<MessageHash>,
    hashes: Vec<MessageHash>,
}

impl Backlog {
    pub fn push(&mut self, waiting: Waiting) {
        self.0.push_back(waiting);
    }

    pub fn pop(&mut self) -> Option<Waiting> {
        self.0.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it, but for suspects: each makes a turn of its own.
    pub fn portion(&self, is_suspect: impl Fn(MessageHash) -> bool) -> Portion {
        let (mut count, mut hashes) = (0, Vec::new());
        for waiting in &self.0 {
            if let Some(hash) = waiting.hashes.as_ref().map(|hashes| hashes.whole) {
                if is_suspect(hash) {
                    let suspect = (count == 0).then_some(hash);
                    return Portion { count: count.max(1), suspect, hashes };
                }
                if hashes.len() == MESSAGES_MAX {
                    break;
                }
                hashes.push(hash);
            }
            count += 1;
        }
        Portion { count, suspect: None, hashes }
    }
}

impl Portion {
    /// What is in flight while it's handled. A suspect has a mark of another kind.
    pub fn mark(&self, document: &DocName) -> Option<InFlight> {
        let hashes = self.hashes.clone();
        (!hashes.is_empty()).then(|| InFlight::Messages { document: document.clone(), hashes })
    }
}

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

    pub(super) async fn on_waiting(&mut self, opened: &mut Opened, waiting: Waiting) -> Result<(), Fault> {
        match (waiting.mail, waiting.hashes) {
            (Mail::Message { session, .. }, Some(hashes)) if self.shared.faults.refuses(&hashes) => {
                self.shared.metrics.refused_by("known", "W6");
                tracing::debug!(document = %self.name, %session, hash = %hashes.whole, "refused by its hash");
                self.step(opened, Event::Reauthorized { session, right: Err(CloseCode::Refused) }).await
            }
            (mail, _) => self.on_mail(opened, mail).await,
        }
    }

    /// Something that was in flight when the process ended. It's applied while nobody else uses yrs, and its turn is ended, under
    /// a mark of its own: if the process ends now, it's to blame.
    pub(super) async fn on_suspect(&mut self, opened: &mut Opened, mail: Mail, hash: MessageHash) -> Result<(), Fault> {
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
