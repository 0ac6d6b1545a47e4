//! The runtime: a [`Node`] holds open documents, each owned by one actor, in front of a store.

pub mod access;
mod actor;
mod backlog;
pub(crate) mod backup;
mod budget;
mod builder;
mod clock;
mod echoes;
mod error;
mod faults;
mod handle;
mod hashes;
mod hung;
mod loading;
mod mailbox;
mod metrics;
mod outbox;
mod performing;
mod pressure;
mod queue;
mod recovery;
mod registry;
mod signals;
mod space;
mod taking;
#[cfg(feature = "server")]
pub(crate) mod unfinished;
mod watchdog;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::runtime::{self, Runtime};
use tokio::sync::{Semaphore, oneshot, watch};

pub use access::{Authorize, Denied, Grant, Request, Token};
pub use backup::Backup;
pub use builder::NodeBuilder;
pub use error::{Error, StartError};
pub use handle::{DocumentHandle, Seat};
pub use mailbox::Closed;
pub use metrics::Metrics;
pub use outbox::Outgoing;

use crate::config::Config;
use crate::document::{CloseCode, Document, Kind, Now, Planted, StoreLow};
use crate::id::{ClientId, DocName, SessionId};
pub use crate::store::Durability;
use crate::store::Store;
use crate::store::writer::Writer;
use access::Hook;
use actor::Actor;
use clock::Clock;
use error::LoadError;
use faults::Faults;
use mailbox::{Inbound, Mail, Mailbox};
use outbox::Outbox;
use pressure::Pressure;
use registry::Registry;
use signals::Signals;
#[cfg(feature = "server")]
use unfinished::{Growing, Unfinished};
use watchdog::Stuck;

/// Documents whose sessions are asked about at the same time.
const QUESTIONS_MAX: usize = 16;
/// A node: documents that are open, and the store behind them. Clones are the same node.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = y_mesh::Node::builder().start()?;
/// node.create(Some("team/notes".parse()?)).await?;
/// assert_eq!(node.documents(None, 10).await?.len(), 1);
/// node.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok(()) }
/// ```
///
/// Documents run on threads of the node's own. Dropping the last clone, handle and seat stops them at once: what was
/// acknowledged is stored; what wasn't may be lost. [`shutdown`](Self::shutdown) waits for it.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    authorize: Hook,
    runtime: Option<Runtime>,
    /// The watchdog stops when this is gone.
    _watching: mpsc::Sender<()>,
    sessions: AtomicU64,
    /// How often everybody's access was to be asked for anew.
    rounds: AtomicU64,
}

/// What actors share.
pub(crate) struct Shared {
    config: Arc<Config>,
    store: Arc<dyn Store>,
    writer: Writer,
    registry: Registry,
    metrics: Metrics,
    clock: Clock,
    stopping: watch::Sender<bool>,
    /// What acknowledgements mean where a document doesn't say otherwise (D7).
    durability: Durability,
    /// Whether others see an edit only when it's durable (D9).
    is_strict: bool,
    /// Whether the store's disk is almost full (D5).
    low: watch::Sender<bool>,
    faults: Faults,
    /// A document that does one thing for ever, once there's one.
    stuck: watch::Sender<Option<Stuck>>,
    planted: Option<Planted>,
    inbound: Inbound,
    #[cfg(feature = "server")]
    unfinished: Arc<Unfinished>,
    pressure: Arc<Pressure>,
    /// Documents that use much and work at the same time.
    heavy: Semaphore,
    backups: Arc<Semaphore>,
    blocking: runtime::Handle,
}

/// What a listing says of a document.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// Its name.
    pub name: DocName,
    /// Whether it's open now.
    pub open: bool,
    /// How many sessions it has now.
    pub sessions: usize,
}

impl Node {
    /// Starts to describe a node.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    /// A document, by name. It's opened when it's used.
    pub fn document(&self, name: &DocName) -> DocumentHandle {
        DocumentHandle::new(self.clone(), name.clone())
    }

    /// The documents that the store knows, after `after` in byte order, at most `limit` and `Limits::list_max`.
    pub async fn documents(&self, after: Option<DocName>, limit: usize) -> Result<Vec<Listed>, Error> {
        let shared = self.shared().clone();
        let limit = limit.min(shared.config.limits.list_max);
        let store = shared.store.clone();
        let names = self.blocking(move || store.list(after.as_ref(), limit)).await??;
        let listed = |name: DocName| {
            let sessions = shared.registry.sessions(&name);
            Listed { name, open: sessions.is_some(), sessions: sessions.unwrap_or(0) }
        };
        Ok(names.into_iter().map(listed).collect())
    }

    /// Makes an empty document known; without a name, under a name that nobody can guess.
    ///
    /// # Errors
    /// [`Error::Exists`] if there's one, [`Error::StoreLow`] while the store's disk is almost full.
    pub async fn create(&self, name: Option<DocName>) -> Result<DocName, Error> {
        self.create_with(name, None).await
    }

    /// Like [`create`](Self::create), of a document whose acknowledgements mean something else than the node's (D7). What it's
    /// created with is kept, and goes when the document is deleted.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_with(&self, name: Option<DocName>, durability: Option<Durability>) -> Result<DocName, Error> {
        if self.is_store_low() {
            return Err(StoreLow.into());
        }
        let name = name.unwrap_or_else(Self::drawn_name);
        let (store, wanted) = (self.shared().store.clone(), name.clone());
        if !self.blocking(move || store.create(&wanted, durability)).await?? {
            return Err(Error::Exists(name));
        }
        if let Some(durability) = durability {
            self.set_durability(&name, durability).await;
        }
        Ok(name)
    }

    /// Tells somebody's open document that hadn't been created when it was loaded.
    async fn set_durability(&self, name: &DocName, durability: Durability) {
        if let Some(mailbox) = self.shared().registry.find(name) {
            let set = move |document: &mut Document, _: Now, _: &mut Vec<_>| document.set_durability(durability);
            // If it ends meanwhile, the next one is loaded with it.
            let _ = mailbox.send(Mail::Task(Box::new(set))).await;
        }
    }

    /// Deletes a document for good: its sessions are closed (4404), and all that is kept of it goes but the ids of those who
    /// wrote it. Clients that still hold it can't bring it back; whoever doesn't may use the name anew (I1). It's durable
    /// when this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there's no such document. [`Error::Unavailable`] if it can't be loaded, so that nobody can say
    /// whose work it holds: it's left as it is. Also if the store fails meanwhile: then it may or may not be deleted.
    pub async fn delete(&self, name: &DocName) -> Result<(), Error> {
        let (store, wanted) = (self.shared().store.clone(), name.clone());
        let is_kept = self.blocking(move || store.contains(&wanted)).await??;
        // What was written just now may not have come to the store.
        let may_exist = is_kept || self.shared().registry.sessions(name).is_some();
        let (deleter, deleted) = oneshot::channel();
        let unavailable = || Error::Unavailable(name.clone());
        if may_exist {
            self.open(name)?.send(Mail::Delete { is_kept, deleter }).await.map_err(|_| unavailable())?;
        }
        match may_exist && deleted.await.map_err(|_| unavailable())? {
            true => Ok(()),
            false => Err(Error::NotFound(name.clone())),
        }
    }

    /// A name that nobody can guess.
    pub(crate) fn drawn_name() -> DocName {
        DocName::new(&uuid::Uuid::new_v4().to_string()).expect("a UUID is a name")
    }

    /// Asks the access hook.
    pub async fn authorize(&self, request: &Request, document: &DocName) -> Result<Grant, Denied> {
        let asked = self.inner.authorize.authorize(request, document);
        match tokio::time::timeout(self.config().timing.authorize_max, asked).await {
            Ok(answer) => answer,
            Err(_) => {
                tracing::warn!(%document, "the access hook doesn't answer");
                Err(Denied::Unavailable)
            }
        }
    }

    /// Asks the access hook again for every session of every open document, and changes or ends their access (S6). When
    /// this returns, no session goes on with a right that was asked for before it was called.
    pub async fn reauthorize(&self) {
        self.inner.rounds.fetch_add(1, Ordering::SeqCst);
        let documents = stream::iter(self.shared().registry.all());
        documents.for_each_concurrent(QUESTIONS_MAX, |(name, mailbox)| self.reauthorize_all(name, mailbox)).await;
    }

    async fn reauthorize_all(&self, name: DocName, mailbox: Arc<Mailbox>) {
        let (reply, sessions) = oneshot::channel();
        if mailbox.send(Mail::Sessions(reply)).await.is_err() {
            return;
        }
        for (session, request) in sessions.await.unwrap_or_default() {
            let right = self.right(&request, &name).await;
            // A document that ends meanwhile closes its sessions itself.
            let _ = mailbox.send(Mail::Reauthorized { session, right }).await;
        }
    }

    /// What the hook says of somebody, in a document's terms.
    async fn right(&self, request: &Request, name: &DocName) -> Result<Kind, CloseCode> {
        self.authorize(request, name).await.map(Grant::kind).map_err(Denied::close_code)
    }

    /// How often everybody's access was to be asked for anew.
    pub(crate) fn round(&self) -> u64 {
        self.inner.rounds.load(Ordering::SeqCst)
    }

    /// What it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.shared().metrics
    }

    /// Its bounds and intervals.
    pub fn config(&self) -> &Config {
        &self.shared().config
    }

    /// The store's name, and what acknowledgements mean where a document doesn't say otherwise: what was asked for, or as much
    /// of that as the store can give.
    pub fn store(&self) -> (&'static str, Durability) {
        (self.shared().store.name(), self.given(None))
    }

    /// Whether others see an edit only when it's durable (D9).
    pub fn is_strict(&self) -> bool {
        self.shared().is_strict
    }

    /// What acknowledgements mean for a document that was created with this.
    pub(crate) fn given(&self, asked: Option<Durability>) -> Durability {
        self.shared().given(asked.unwrap_or(self.shared().durability))
    }

    /// Whether it takes sessions: the store works, every document gets on, and the node isn't stopping.
    pub fn is_ready(&self) -> bool {
        !self.is_stopping() && !self.has_store_failed() && self.stuck_document().is_none()
    }

    /// Whether it's stopping.
    pub fn is_stopping(&self) -> bool {
        *self.shared().stopping.borrow()
    }

    /// Closes all sessions (1012) and waits until everything is durable, at most for `deadline`. Gives the documents
    /// that weren't done by then.
    pub async fn shutdown(&self, deadline: Duration) -> Vec<DocName> {
        self.shared().stopping.send_replace(true);
        let registry = &self.shared().registry;
        let idle = async {
            registry.empty().await;
            self.shared().writer.idle().await;
        };
        match tokio::time::timeout(deadline, idle).await {
            Ok(()) => {
                self.close_store().await;
                Vec::new()
            }
            Err(_) => registry.all().into_iter().map(|(name, _)| name).collect(),
        }
    }

    async fn close_store(&self) {
        let store = self.shared().store.clone();
        if let Ok(Err(error)) = self.blocking(move || store.close()).await {
            tracing::error!(%error, "the store couldn't be closed");
        }
    }

    /// Waits until the store gives up (D5). Nothing becomes durable any more, and this node doesn't recover from it: let go of
    /// it, and start another once the log's reason is dealt with.
    pub async fn store_failed(&self) {
        self.shared().writer.failed().await;
    }

    /// Waits until a document does one thing for ever (`Timing::handle_max`), and gives its name. Nothing within the process can
    /// stop that, and it takes one of the node's threads: start the process anew. What was acknowledged is stored, and the message
    /// that the document can't get over is in the quarantine: the next process won't take it.
    pub async fn stuck(&self) -> DocName {
        let mut stuck = self.shared().stuck.subscribe();
        // The sender outlives this, for `self` has it.
        let found = stuck.wait_for(Option::is_some).await.ok().and_then(|stuck| stuck.clone());
        match found {
            Some(stuck) => stuck.document,
            None => std::future::pending().await,
        }
    }

    /// The document that does one thing for ever, if there's one.
    pub fn stuck_document(&self) -> Option<DocName> {
        self.shared().stuck.borrow().as_ref().map(|stuck| stuck.document.clone())
    }

    /// Whether the store has given up.
    pub fn has_store_failed(&self) -> bool {
        self.shared().writer.has_failed()
    }

    /// Whether the store's disk is almost full: less than `Limits::disk_reserve_bytes` are free, or were and only just aren't
    /// any more (D5). Documents are read as always; changes, new documents and [`DocumentHandle::edit`] are refused.
    pub fn is_store_low(&self) -> bool {
        *self.shared().low.borrow()
    }

    pub(crate) fn open(&self, name: &DocName) -> Result<Arc<Mailbox>, Error> {
        let shared = self.shared();
        let limits = &shared.config.limits;
        // Looked at under the registry's lock: whoever waits for it to be empty has said that the node stops before.
        let max = || if self.is_stopping() { 0 } else { limits.documents_open_max };
        let make = || Mailbox::new(limits, shared.inbound.clone());
        let start = |letters| drop(shared.blocking.spawn(Actor::new(name.clone(), shared.clone(), letters).run()));
        let full = || if self.is_stopping() { Error::Stopping } else { Error::TooManyDocuments };
        shared.registry.open(name, max, make, start).ok_or_else(full)
    }

    pub(crate) fn outbox(&self, signals: &Arc<Signals>) -> (SessionId, Arc<Outbox>) {
        let session = SessionId(self.inner.sessions.fetch_add(1, Ordering::Relaxed));
        (session, Arc::new(Outbox::new(session, signals.clone(), &self.config().limits)))
    }

    /// Who is next has to wait for so long on its way here.
    #[cfg_attr(not(feature = "server"), allow(dead_code, reason = "who embeds a node has ways of its own"))]
    pub(crate) fn feel(&self, wait: Duration) {
        // Nobody in particular.
        self.shared().pressure.waited(SessionId(0), wait, std::time::Instant::now());
    }

    #[cfg(feature = "server")]
    /// Counts what a connection sends before it's a whole message.
    #[cfg_attr(not(feature = "server"), allow(dead_code, reason = "who embeds a node hands over whole messages"))]
    pub(crate) fn growing(&self) -> Growing {
        self.shared().unfinished.growing()
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    async fn blocking<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, Error> {
        self.shared().blocking.spawn_blocking(work).await.map_err(|_| Error::Stopping)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("store", &self.store()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            // Waiting isn't allowed here: the last clone may be dropped inside another runtime.
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    /// What is given of a durability that is asked for: no store gives more than its own.
    fn given(&self, asked: Durability) -> Durability {
        asked.min(self.store.durability())
    }
}

/// A client id for the server's own edits. 32 bits, as Yjs 13 draws its own: older clients can't hold more.
fn drawn_client() -> ClientId {
    ClientId(u64::from(uuid::Uuid::new_v4().as_fields().0))
}
