//! One document's actor: it takes mail, calls the core, performs effects in order, and does nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::Metrics;
use super::Shared;
use super::access::Request;
use super::backlog::{Backlog, Waiting};
use super::budget::{Budget, worked};
use super::mailbox::{Letters, Mail};
use super::outbox::Outbox;
use super::queue::Queue;
use super::signals::Flags;
use super::watchdog::{Beat, InHand};
use crate::document::{Audience, CloseCode, Content, Document, Effect, Event, Kind, Now};
use crate::id::{DocName, Identity, Seq, SessionId};
use crate::store::writer::{DocumentWriter, Progress};

/// Room for effects that is kept from one turn to the next.
const EFFECTS_KEPT_MAX: usize = 1_024;

pub(crate) struct Actor {
    pub(super) name: DocName,
    pub(super) shared: Arc<Shared>,
    pub(super) letters: Letters,
    pub(super) members: BTreeMap<SessionId, Member>,
    behind: BTreeSet<SessionId>,
    /// Mail that was taken out of the mailbox, and isn't to be handled yet.
    pub(super) queue: Queue,
    budget: Budget,
    /// Mail that is to be handled next.
    pub(super) backlog: Backlog,
    /// What has happened to sessions, all of whose mail was taken out of the mailbox.
    pub(super) flags: BTreeMap<SessionId, Flags>,
    /// Whether the last turn left more to look at.
    pub(super) has_more: bool,
    beat: Arc<Beat>,
    /// What the core has in hand, for the case that it panics.
    pub(super) blame: Blame,
    /// When it had faults lately.
    pub(super) faults: VecDeque<tokio::time::Instant>,
}

/// What the actor knows of a session.
pub(super) struct Member {
    outbox: Arc<Outbox>,
    request: Arc<Request>,
    pub identity: Identity,
    is_peer: bool,
    /// It was sent a question, so what goes to all goes to it too.
    is_greeted: bool,
}

impl Member {
    /// Whether what goes to so many goes to it.
    fn is_in(&self, audience: Audience) -> bool {
        self.is_greeted
            && match audience {
                Audience::One(_) => false,
                Audience::All => true,
                Audience::Clients => !self.is_peer,
                Audience::Peers => self.is_peer,
            }
    }
}

/// Whose doing the core has in hand.
#[derive(Default)]
pub(super) struct Blame {
    /// The session that it's about.
    pub session: Option<SessionId>,
    /// The message that it sent.
    pub message: Option<InHand>,
}

/// How the time of one open document ended.
pub(super) enum End {
    /// It's to be loaded again.
    Reload,
    /// It had too many faults.
    Rest,
    /// It was deleted: what comes next is another document.
    Deleted,
    /// Nobody has it open, or the node stops.
    Done,
}

/// The core panicked. What it had in hand is not to be trusted.
pub(super) struct Fault;

/// One open document with all that belongs to it.
pub(super) struct Opened {
    pub document: Document,
    pub writer: DocumentWriter,
    pub progress: watch::Receiver<Progress>,
    pub seen: Progress,
    pub low: watch::Receiver<bool>,
    pub is_store_low: bool,
    pub effects: Vec<Effect>,
    /// The last record when it was opened, and the last now.
    pub loaded: Seq,
    pub appended: Seq,
    /// What a strict node lets out at the turn's end, in order, and the bytes of it.
    pub held: Vec<Effect>,
    pub held_bytes: usize,
    /// Who waits for it to be deleted.
    pub deleters: Vec<oneshot::Sender<bool>>,
    pub wants_to_retire: bool,
    pub is_stopping: bool,
}

impl Actor {
    pub fn new(name: DocName, shared: Arc<Shared>, letters: Letters) -> Self {
        let (queue, share) =
            (Queue::new(shared.config.clone(), shared.pressure.clone()), shared.config.timing.document_time);
        let beat = Beat::of(name.clone());
        shared.faults.watched.add(&beat);
        Self {
            name,
            shared,
            letters,
            members: BTreeMap::new(),
            behind: BTreeSet::new(),
            queue,
            budget: Budget::of_time(share, share),
            backlog: Backlog::default(),
            flags: BTreeMap::new(),
            has_more: false,
            beat,
            blame: Blame::default(),
            faults: VecDeque::new(),
        }
    }

    /// Loads before it reads mail, so mail waits (S3), and serves until nobody has the document open.
    pub async fn run(mut self) {
        self.shared.metrics.documents.inc();
        while let Some(opened) = self.open().await {
            match self.serve(opened).await {
                End::Done => break,
                End::Deleted | End::Reload => {}
                End::Rest if self.rest().await => {}
                End::Rest => break,
            }
        }
        self.give_up(CloseCode::Later);
        self.shared.metrics.documents.dec();
    }

    pub(super) async fn open(&mut self) -> Option<Opened> {
        let started = Instant::now();
        let loading = tokio::time::timeout(self.shared.config.timing.load_max, self.shared.load(self.name.clone()));
        let mut stopping = self.shared.stopping.subscribe();
        let loaded = tokio::select! {
            biased;
            _ = stopping.wait_for(|stops| *stops) => {
                self.give_up(CloseCode::Restarting);
                return None;
            }
            loaded = loading => loaded,
        };
        let code = match loaded {
            Ok(Ok((document, through))) => {
                self.shared.metrics.loaded(started.elapsed());
                return Some(self.opened(document, through));
            }
            Ok(Err(error)) => {
                tracing::error!(document = %self.name, %error, "the document can't be loaded");
                CloseCode::Broken
            }
            Err(_) => {
                tracing::warn!(document = %self.name, "loading takes too long; its sessions are sent away");
                CloseCode::Later
            }
        };
        self.give_up(code);
        None
    }

    /// Who comes later meets another actor; who has come already is closed.
    fn give_up(&mut self, code: CloseCode) {
        self.letters.signals.broken.fetch_or(code == CloseCode::Broken, Ordering::Release);
        self.shared.registry.forget(&self.name, &self.letters.signals);
        self.turn_away(code);
    }

    fn opened(&self, document: Document, through: Seq) -> Opened {
        let (writer, progress) = self.shared.writer.document(self.name.clone(), through);
        Opened {
            document,
            writer,
            progress,
            seen: Progress { through, has_failed: false },
            low: self.shared.low.subscribe(),
            is_store_low: false,
            effects: Vec::new(),
            loaded: through,
            appended: through,
            held: Vec::new(),
            held_bytes: 0,
            deleters: Vec::new(),
            wants_to_retire: false,
            is_stopping: false,
        }
    }

    /// Closes everybody, and takes no more mail.
    fn turn_away(&mut self, code: CloseCode) {
        self.close_all(code);
        self.letters.mail.close();
        while let Some(Waiting { mail, .. }) = self.backlog.pop() {
            self.turn_down(mail, code);
        }
        self.turn_all_down(code);
        while let Ok(mail) = self.letters.mail.try_recv() {
            self.turn_down(mail, code);
        }
    }

    /// Doesn't take what isn't to be handled yet.
    pub(super) fn turn_all_down(&mut self, code: CloseCode) {
        let all: Vec<_> = self.queue.drain().collect();
        all.into_iter().for_each(|mail| self.turn_down(mail, code));
    }

    /// Doesn't take mail. Dropping it tells who waits for an answer.
    pub(super) fn turn_down(&self, mail: Mail, code: CloseCode) {
        if let Mail::Join { outbox, .. } = mail {
            self.shared.metrics.closed(code.number());
            outbox.close(code);
        }
    }

    async fn serve(&mut self, mut opened: Opened) -> End {
        let mut stopping = self.shared.stopping.subscribe();
        loop {
            if !self.queue.is_empty() {
                // What is left of a long turn goes on when other documents have had theirs.
                tokio::task::yield_now().await;
            }
            let due = opened.document.deadline().map(|at| self.shared.clock.instant(at));
            let wake = due.into_iter().chain(self.queue.next(Instant::now()).map(Into::into)).min();
            let mut first = None;
            let mut stops = false;
            tokio::select! {
                // Not all of the mail of a turn may be handled in one.
                () = std::future::ready(()), if self.has_more => {}
                mail = self.letters.mail.recv(), if !self.has_more => match mail {
                    Some(mail) => first = Some(mail),
                    None => return End::Done,
                },
                () = self.letters.signals.raised() => {}
                _ = opened.progress.changed() => {}
                _ = opened.low.changed() => {}
                () = self.shared.writer.failed(), if !opened.seen.has_failed => {}
                () = at(wake) => {}
                _ = stopping.wait_for(|stops| *stops), if !opened.is_stopping => stops = true,
            }
            match self.turn(&mut opened, first, stops).await {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(Fault) => match self.recover(opened).await {
                    Ok(renewed) => opened = renewed,
                    Err(end) => return end,
                },
            }
        }
    }

    /// Takes what waits, at most what waits now, then lets what came of it go out (F7).
    async fn turn(&mut self, opened: &mut Opened, first: Option<Mail>, stops: bool) -> Result<Option<End>, Fault> {
        let shared = self.shared.clone();
        let is_heavy = self.budget.over_until().is_some();
        // The semaphore is never closed.
        let _heavy = if is_heavy { shared.heavy.acquire().await.ok() } else { None };
        let started = Instant::now();
        self.gather(first);
        self.on_space(opened).await?;
        if self.shared.writer.has_failed() {
            // Before the mail: nothing of it may be acknowledged any more, not even at `memory`.
            self.on_progress(opened).await?;
        }
        self.close_floods(opened).await?;
        let portion = self.backlog.portion(|hash| self.shared.faults.suspects_message(hash));
        // Until the turn has ended: what it brings is merged and encoded then.
        let _mark = portion.mark(&self.name).and_then(|what| self.shared.faults.mark(&what));
        for _ in 0..portion.count {
            let Some(waiting) = self.backlog.pop() else { break };
            match portion.suspect {
                Some(hash) => self.on_suspect(opened, waiting.mail, hash).await?,
                None => self.on_waiting(opened, waiting).await?,
            }
            if started.elapsed() >= self.shared.config.timing.turn_max {
                break;
            }
        }
        self.has_more |= !self.backlog.is_empty();
        let mut flags = if self.has_more { BTreeMap::new() } else { std::mem::take(&mut self.flags) };
        while let Some((session, its)) = flags.pop_first() {
            if let Err(fault) = self.on_flags(opened, session, its).await {
                flags.into_iter().for_each(|(session, its)| self.flags.entry(session).or_default().add(its));
                return Err(fault);
            }
        }
        self.on_progress(opened).await?;
        if opened.document.deadline().is_some_and(|at| at <= self.shared.clock.now().monotonic) {
            self.step(opened, Event::Tick).await?;
        }
        if stops {
            opened.is_stopping = true;
            self.step(opened, Event::Stopping).await?;
        }
        self.step(opened, Event::TurnEnded).await?;
        self.let_out(opened).await?;
        self.shared.metrics.handled(started.elapsed());
        self.budget.spend_time(started.elapsed());
        Ok(self.end(opened))
    }

    /// Sends away who takes more than its share from others, and goes on. What it has to say it says when it comes back, at once.
    async fn close_floods(&mut self, opened: &mut Opened) -> Result<(), Fault> {
        for session in self.queue.floods(Instant::now()) {
            self.shared.metrics.refused("flood");
            tracing::info!(document = %self.name, %session, "a session is closed: it takes too much from others");
            self.queue.forget(session);
            self.step(opened, Event::Reauthorized { session, right: Err(CloseCode::Later) }).await?;
        }
        Ok(())
    }

    fn end(&mut self, opened: &mut Opened) -> Option<End> {
        if !std::mem::take(&mut opened.wants_to_retire) {
            return None;
        }
        if opened.seen.has_failed {
            return Some(End::Done);
        }
        let is_deleted = !opened.deleters.is_empty();
        for deleter in opened.deleters.drain(..) {
            // Nobody may be waiting for the answer any more.
            let _ = deleter.send(true);
        }
        if opened.is_stopping {
            return Some(End::Done);
        }
        if is_deleted {
            return Some(End::Deleted);
        }
        if opened.document.has_ended() {
            return Some(End::Reload);
        }
        self.may_retire().then_some(End::Done)
    }

    /// Whether nobody can reach the document any more.
    pub(super) fn may_retire(&self) -> bool {
        let has_no_mail = || self.letters.mail.is_empty() && self.queue.is_empty() && self.backlog.is_empty();
        self.shared.registry.retire(&self.name, &self.letters.signals, has_no_mail)
    }

    pub(super) async fn on_mail(&mut self, opened: &mut Opened, mail: Mail) -> Result<(), Fault> {
        match mail {
            Mail::Join { session, kind, request, outbox } => {
                self.members.insert(session, Member::new(outbox, request, &kind));
                self.count(|metrics| metrics.sessions.inc());
                self.step(opened, Event::Joined { session, kind }).await
            }
            Mail::Message { session, message, .. } => {
                self.shared.metrics.messages_in.inc();
                self.shared.metrics.bytes_in.inc_by(message.len() as u64);
                let (before, bytes) = (worked(), message.len());
                let now = self.shared.clock.now();
                self.handle(opened, now, Event::Received { session, message })?;
                self.queue.charge(session, worked().saturating_sub(before), bytes, Instant::now());
                self.perform(opened).await
            }
            Mail::Reauthorized { session, right } => {
                if let (Some(member), Ok(kind)) = (self.members.get_mut(&session), &right) {
                    member.identity = identity_of(kind);
                }
                self.step(opened, Event::Reauthorized { session, right }).await
            }
            // Dropping it tells who waits for it.
            Mail::Task(_) if opened.document.has_ended() => Ok(()),
            Mail::Task(task) => {
                let now = self.shared.clock.now();
                self.together(opened, Blame::default(), |document, effects| task(document, now, effects))?;
                self.perform(opened).await
            }
            Mail::Delete { .. } if opened.document.has_ended() && opened.deleters.is_empty() => Ok(()),
            Mail::Delete { is_kept: false, deleter } if opened.appended == opened.loaded => {
                let _ = deleter.send(false);
                Ok(())
            }
            Mail::Delete { deleter, .. } => {
                opened.deleters.push(deleter);
                self.step(opened, Event::Deleted).await
            }
            Mail::Sessions(reply) => {
                // Nobody may be waiting for the answer any more.
                let _ = reply.send(self.members.iter().map(|(id, member)| (*id, member.request.clone())).collect());
                Ok(())
            }
        }
    }

    async fn on_flags(&mut self, opened: &mut Opened, session: SessionId, flags: Flags) -> Result<(), Fault> {
        if flags.has_drained {
            self.is_not_behind(session);
            self.step(opened, Event::Drained { session }).await?;
        }
        if flags.has_left && self.queue.has_last_words(session, Instant::now()) {
            self.flags.entry(session).or_default().has_left = true;
        } else if flags.has_left {
            self.queue.forget(session);
            self.remove(session);
            self.step(opened, Event::Left { session }).await?;
        }
        Ok(())
    }

    async fn on_progress(&mut self, opened: &mut Opened) -> Result<(), Fault> {
        let mut progress = *opened.progress.borrow_and_update();
        progress.has_failed |= self.shared.writer.has_failed();
        let seen = std::mem::replace(&mut opened.seen, progress);
        if progress.through > seen.through {
            self.step(opened, Event::Durable { through: progress.through }).await?;
        }
        if progress.has_failed && !seen.has_failed {
            // Dropping them tells those who wait.
            opened.deleters.clear();
            self.step(opened, Event::StoreFailed).await?;
        }
        Ok(())
    }

    async fn on_space(&mut self, opened: &mut Opened) -> Result<(), Fault> {
        let is_low = *opened.low.borrow_and_update();
        if std::mem::replace(&mut opened.is_store_low, is_low) == is_low {
            return Ok(());
        }
        self.step(opened, Event::StoreLow { is_low }).await
    }

    pub(super) async fn step(&mut self, opened: &mut Opened, event: Event) -> Result<(), Fault> {
        let now = self.shared.clock.now();
        self.handle(opened, now, event)?;
        self.perform(opened).await
    }

    fn handle(&mut self, opened: &mut Opened, now: Now, event: Event) -> Result<(), Fault> {
        let message = match &event {
            Event::Received { session, message } => Some(self.in_hand(*session, message)),
            _ => None,
        };
        let blame = Blame { session: session_of(&event), message };
        self.together(opened, blame, |document, effects| document.handle(now, event, effects))
    }

    /// Lets the core work, beside other documents.
    pub(super) fn together(
        &mut self,
        opened: &mut Opened,
        blame: Blame,
        work: impl FnOnce(&mut Document, &mut Vec<Effect>),
    ) -> Result<(), Fault> {
        self.blame = blame;
        let _together = self.shared.faults.together();
        self.guarded(opened, work)
    }

    /// The one place where a panic of yrs, or of the embedding program's closure, is stopped, and where a hang is noticed.
    pub(super) fn guarded(
        &self,
        opened: &mut Opened,
        work: impl FnOnce(&mut Document, &mut Vec<Effect>),
    ) -> Result<(), Fault> {
        let _busy = self.beat.begin(self.blame.message.clone());
        let Opened { document, effects, .. } = opened;
        match catch_unwind(AssertUnwindSafe(|| work(document, effects))) {
            Ok(()) if !document.is_broken() => Ok(()),
            _ => Err(Fault),
        }
    }

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
    async fn hold(&mut self, opened: &mut Opened, effect: Effect) -> Result<(), Fault> {
        opened.held_bytes += if let Effect::Send { message, .. } = &effect { message.len() } else { 0 };
        opened.held.push(effect);
        match opened.held_bytes > self.shared.config.limits.outbox_bytes_max {
            true => self.let_out(opened).await,
            false => Ok(()),
        }
    }

    async fn let_out(&mut self, opened: &mut Opened) -> Result<(), Fault> {
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
    async fn may_be_shown(&mut self, opened: &Opened) -> bool {
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

    fn send(&mut self, opened: &mut Opened, to: Audience, content: Content, message: &Bytes) -> Result<(), Fault> {
        let mut overflowed = Vec::new();
        let mut push = |session: SessionId, member: &Member| {
            if !member.outbox.try_push(message.clone(), content) {
                overflowed.push(session);
            }
        };
        if let Audience::One(session) = to {
            if let Some(member) = self.members.get_mut(&session) {
                member.is_greeted |= content == Content::Question;
                push(session, member);
            }
        } else {
            let meant = self.members.iter().filter(|(_, member)| member.is_in(to));
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

    fn is_not_behind(&mut self, session: SessionId) {
        if self.behind.remove(&session) {
            self.shared.metrics.behind.dec();
        }
    }

    fn remove(&mut self, session: SessionId) -> Option<Member> {
        self.is_not_behind(session);
        let member = self.members.remove(&session)?;
        self.count(|metrics| metrics.sessions.dec());
        Some(member)
    }

    fn count(&self, change: impl FnOnce(&Metrics) -> i64) {
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

impl Member {
    fn new(outbox: Arc<Outbox>, request: Arc<Request>, kind: &Kind) -> Self {
        let is_peer = matches!(kind, Kind::Peer(_));
        Self { outbox, request, identity: identity_of(kind), is_peer, is_greeted: false }
    }
}

fn identity_of(kind: &Kind) -> Identity {
    match kind {
        Kind::Client { identity, .. } => identity.clone(),
        Kind::Peer(_) => Identity::anonymous(),
    }
}

/// Which session an event is about.
fn session_of(event: &Event) -> Option<SessionId> {
    match event {
        Event::Joined { session, .. }
        | Event::Received { session, .. }
        | Event::Reauthorized { session, .. }
        | Event::Drained { session }
        | Event::Overflowed { session, .. }
        | Event::Left { session } => Some(*session),
        _ => None,
    }
}

async fn at(wake: Option<tokio::time::Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
