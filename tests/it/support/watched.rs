//! A store in memory that outlives its node, with something that looks at each call before it's made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use y_mesh::document::Stored;
use y_mesh::store::{Append, Store};
use y_mesh::{ClientId, DocName, Durability, MemoryStore, Seq, StoreError};

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call<'a> {
    Load(&'a DocName),
    Append,
    Compact,
    Create,
    Delete,
    Import,
    List,
    Space,
}

type Look = Arc<dyn Fn(Call<'_>) -> Result<(), StoreError> + Send + Sync>;

/// Clones are the same store.
#[derive(Clone)]
pub struct Watched {
    pub inner: Arc<MemoryStore>,
    free: Option<Arc<AtomicU64>>,
    durability: Durability,
    look: Look,
}

impl Watched {
    /// `look` may refuse a call, or hold it up.
    pub fn new(look: impl Fn(Call<'_>) -> Result<(), StoreError> + Send + Sync + 'static) -> Self {
        Self { inner: Arc::default(), free: None, durability: Durability::Memory, look: Arc::new(look) }
    }

    /// Has as much space as `free` says.
    pub fn with_space(mut self, free: &Arc<AtomicU64>) -> Self {
        self.free = Some(free.clone());
        self
    }

    /// Says that what it has survives so well.
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many records of a document it has.
    pub fn inner_records(&self, name: &DocName) -> usize {
        self.inner.load(name).unwrap().tail.len()
    }

    /// Just the store.
    pub fn kept() -> Self {
        Self::new(|_| Ok(()))
    }
}

impl Store for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn space(&self) -> Result<Option<u64>, StoreError> {
        (self.look)(Call::Space)?;
        Ok(self.free.as_ref().map(|free| free.load(Ordering::Relaxed)))
    }

    fn load(&self, name: &DocName) -> Result<Stored, StoreError> {
        (self.look)(Call::Load(name))?;
        self.inner.load(name)
    }

    fn append(&self, records: &[Append]) -> Result<(), StoreError> {
        (self.look)(Call::Append)?;
        self.inner.append(records)
    }

    fn compact(&self, name: &DocName, through: Seq, snapshot: &Bytes) -> Result<(), StoreError> {
        (self.look)(Call::Compact)?;
        self.inner.compact(name, through, snapshot)
    }

    fn create(&self, name: &DocName, durability: Option<Durability>) -> Result<bool, StoreError> {
        (self.look)(Call::Create)?;
        self.inner.create(name, durability)
    }

    fn delete(&self, name: &DocName, through: Seq, clients: &[ClientId]) -> Result<(), StoreError> {
        (self.look)(Call::Delete)?;
        self.inner.delete(name, through, clients)
    }

    fn import(&self, documents: &[(DocName, Stored)]) -> Result<(), StoreError> {
        (self.look)(Call::Import)?;
        self.inner.import(documents)
    }

    fn contains(&self, name: &DocName) -> Result<bool, StoreError> {
        (self.look)(Call::List)?;
        self.inner.contains(name)
    }

    fn list(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError> {
        (self.look)(Call::List)?;
        self.inner.list(after, limit)
    }

    fn kept(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError> {
        (self.look)(Call::List)?;
        self.inner.kept(after, limit)
    }
}
