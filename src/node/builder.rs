//! How a node comes to be.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::runtime;
use tokio::sync::{Semaphore, watch};

use super::access::{Authorize, Hook, Open};
use super::clock::Clock;
use super::error::StartError;
use super::faults::Faults;
use super::mailbox::Inbound;
use super::metrics::Metrics;
use super::pressure::Pressure;
use super::registry::Registry;
use super::space::{self, Space};
#[cfg(feature = "server")]
use super::unfinished::Unfinished;
use super::{Inner, Node, Shared, hung};
use crate::config::Config;
use crate::document::{Access, Planted, STACK_BYTES};
use crate::store::writer::Writer;
use crate::store::{Durability, MemoryStore, Store};

/// Threads that documents run on. As many as there are cores may be busy with documents that use much; the others are for the rest,
/// and the system gives each its share.
const WORKERS_PER_CORE: usize = 2;
/// Loads and listings that may block at the same time.
const BLOCKING_THREADS: usize = 8;

/// Makes a [`Node`].
pub struct NodeBuilder {
    config: Config,
    store: Arc<dyn Store>,
    durability: Durability,
    is_strict: bool,
    authorize: Hook,
    planted: Option<Planted>,
}

impl Default for NodeBuilder {
    fn default() -> Self {
        Self {
            config: Config::default(),
            store: Arc::new(MemoryStore::new()),
            durability: Durability::Local,
            is_strict: false,
            authorize: Arc::new(Open(Access::Write)),
            planted: None,
        }
    }
}

impl NodeBuilder {
    /// Bounds and intervals; the defaults suit most.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where documents are kept. Without this, in memory.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// What acknowledgements mean where a document doesn't say otherwise (D7). Without this, as much as the store can give;
    /// with [`Durability::Memory`] they come before the store has what they acknowledge.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Whether sessions are shown an edit only when the store has it, so that nobody can have seen what a crash then takes (D9).
    /// That's the store's durability, also of documents whose acknowledgements mean less. The program itself isn't held up:
    /// [`DocumentHandle::edit`](super::DocumentHandle::edit) returns before, and [`DocumentHandle::read`](super::DocumentHandle::read) reads what isn't durable yet.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.is_strict = strict;
        self
    }

    /// Who may do what. Without this, everybody may read and write everything, and nobody may manage it.
    #[must_use]
    pub fn authorize(mut self, hook: impl Authorize) -> Self {
        self.authorize = Arc::new(hook);
        self
    }

    /// Plants something that may fail where yrs could, to see what comes of it.
    #[doc(hidden)]
    #[must_use]
    pub fn planted(mut self, planted: Planted) -> Self {
        self.planted = Some(planted);
        self
    }

    /// Starts the node's threads.
    ///
    /// # Errors
    /// If the configuration can't work, the system gives no threads, or what the store keeps of faults can't be read.
    pub fn start(self) -> Result<Node, StartError> {
        self.config.check()?;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS_PER_CORE * cores)
            .thread_name("y-mesh")
            .thread_stack_size(STACK_BYTES)
            .max_blocking_threads(BLOCKING_THREADS)
            .enable_time()
            .build()?;
        let faults = Faults::open(&*self.store, &self.config.limits)?;
        #[cfg(feature = "server")]
        let limits = &self.config.limits;
        let writer = Writer::start(self.store.clone(), self.config.limits.store_queue_bytes_max, faults.turnstile())?;
        let shared = Shared {
            inbound: Inbound::new(&self.config.limits),
            pressure: Arc::new(Pressure::new(&self.config.timing)),
            #[cfg(feature = "server")]
            unfinished: Arc::new(Unfinished::new(limits.unfinished_bytes_max, limits.message_bytes_max)),
            heavy: Semaphore::new(cores),
            backups: Arc::new(Semaphore::new(self.config.limits.backups_max)),
            config: Arc::new(self.config),
            store: self.store,
            durability: self.durability,
            is_strict: self.is_strict,
            writer,
            registry: Registry::default(),
            metrics: Metrics::new(),
            clock: Clock::start(),
            stopping: watch::channel(false).0,
            low: watch::channel(false).0,
            faults,
            stuck: watch::channel(None).0,
            planted: self.planted,
            blocking: runtime.handle().clone(),
        };
        let shared = Arc::new(shared);
        shared.metrics.suspects.set(shared.faults.suspected() as i64);
        let watching = hung::watch(&shared)?;
        // Before anybody comes, so that nobody is promised anything that can't be kept.
        let space = space::look(&shared, Space::Unbounded);
        runtime.spawn(space::watch(Arc::downgrade(&shared), space));
        let inner = Inner {
            shared,
            authorize: self.authorize,
            runtime: Some(runtime),
            _watching: watching,
            sessions: AtomicU64::new(1),
            rounds: AtomicU64::new(0),
        };
        Ok(Node { inner: Arc::new(inner) })
    }
}
