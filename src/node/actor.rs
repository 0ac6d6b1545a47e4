//! One document's actor: it takes mail, calls the core, performs effects in order, and does nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Shared;
use super::access::Request;
use super::backlog::{Backlog, Waiting};
use super::budget::{Budget, worked};
use super::echoes::Echoes;
use super::mailbox::{Letters, Mail};
use super::outbox::Outbox;
use super::queue::Queue;
use super::signals::Flags;
use super::watchdog::{Beat, InHand};
use crate::document::{Audience, CloseCode, Document, Effect, Event, Kind, Now};
use crate::id::{DocName, Identity, Seq, SessionId};
use crate::store::writer::{DocumentWriter, Progress};

/// What took less is taken for work: to ask the system for the difference would cost more than it's worth.
const LONG: Duration = Duration::from_micros(300);

pub(crate) struct Actor {
    pub(super) name: DocName,
    pub(super) shared: Arc<Shared>,
    pub(super) letters: Letters,
    pub(super) members: BTreeMap<SessionId, Member>,
    pub(super) behind: BTreeSet<SessionId>,
    /// Mail that was taken out of the mailbox, and isn't to be handled yet.
    pub(super) queue: Queue,
    pub(super) budget: Budget,
    /// Mail that is to be handled next.
    pub(super) backlog: Backlog,
    /// What has happened to sessions, all of whose mail was taken out of the mailbox.
    pub(super) flags: BTreeMap<SessionId, Flags>,
    /// Whether the last turn left more to look at.
    pub(super) has_more: bool,
    /// How long the thread had worked when the turn began.
    pub(super) worked_before: Duration,
    /// How long the core has worked in this turn.
    pub(super) handled: Duration,
    pub(super) beat: Arc<Beat>,
    /// What the core has in hand, for the case that it panics.
    pub(super) blame: Blame,
    /// When it had faults lately.
    pub(super) faults: VecDeque<tokio::time::Instant>,
}

/// What the actor knows of a session.
pub(super) struct Member {
    pub(super) outbox: Arc<Outbox>,
    pub(super) request: Arc<Request>,
    pub identity: Identity,
    pub(super) is_peer: bool,
    /// It was sent a question, so what goes to all goes to it too.
    pub(super) is_greeted: bool,
    pub(super) echoes: Echoes,
}

impl Member {
    /// Whether what goes to so many goes to it.
    pub(super) fn is_in(&self, audience: Audience) -> bool {
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
            worked_before: Duration::ZERO,
            handled: Duration::ZERO,
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
        let heavy = if is_heavy { shared.heavy.acquire().await.ok() } else { None };
        self.worked_before = worked();
        self.handled = Duration::ZERO;
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
            self.on_waiting(opened, waiting, portion.suspect).await?;
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
        // To wait for the store is no work.
        drop(heavy);
        self.let_out(opened).await?;
        self.shared.metrics.handled(started.elapsed());
        self.budget.spend_time(self.handled);
        Ok(self.end(opened))
    }

    /// How long something took. What takes long may have had to wait for the machine, which is nobody's fault.
    fn took(&self, started: Instant) -> Duration {
        let took = started.elapsed();
        if took < LONG { took } else { took.min(worked().saturating_sub(self.worked_before)) }
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
                let (started, bytes) = (Instant::now(), message.len());
                let is_echo = self.members.get_mut(&session).is_some_and(|member| member.echoes.said(&message));
                let now = self.shared.clock.now();
                self.handle(opened, now, Event::Received { session, message })?;
                if !is_echo {
                    self.queue.charge(session, self.took(started), bytes, Instant::now());
                }
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

    pub(super) fn handle(&mut self, opened: &mut Opened, now: Now, event: Event) -> Result<(), Fault> {
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
        let shared = self.shared.clone();
        let _together = shared.faults.together();
        self.guarded(opened, work)
    }

    /// The one place where a panic of yrs, or of the embedding program's closure, is stopped, and where a hang is noticed.
    pub(super) fn guarded(
        &mut self,
        opened: &mut Opened,
        work: impl FnOnce(&mut Document, &mut Vec<Effect>),
    ) -> Result<(), Fault> {
        let beat = self.beat.clone();
        let _busy = beat.begin(self.blame.message.clone());
        let Opened { document, effects, .. } = opened;
        let begun = Instant::now();
        let worked = catch_unwind(AssertUnwindSafe(|| work(document, effects)));
        self.handled += begun.elapsed();
        match worked {
            Ok(()) if !document.is_broken() => Ok(()),
            _ => Err(Fault),
        }
    }
}

impl Member {
    fn new(outbox: Arc<Outbox>, request: Arc<Request>, kind: &Kind) -> Self {
        let is_peer = matches!(kind, Kind::Peer(_));
        Self { outbox, request, identity: identity_of(kind), is_peer, is_greeted: false, echoes: Echoes::default() }
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
