//! The only place where documents are opened and retired, so that there are never two copies of one.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::mailbox::{Letters, Mailbox};
use super::signals::Signals;
use crate::id::DocName;

/// The documents that are open. Nothing is awaited between look-up and insert.
#[derive(Default)]
pub(crate) struct Registry {
    open: Mutex<BTreeMap<DocName, Arc<Mailbox>>>,
    /// Wakes who waits for the last document to go.
    emptied: Notify,
}

impl Registry {
    fn open_now(&self) -> MutexGuard<'_, BTreeMap<DocName, Arc<Mailbox>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mailbox of an open document, or that of one which `start` starts now. `None` if there are `max` already, or there may be none.
    pub fn open(
        &self,
        name: &DocName,
        max: impl FnOnce() -> usize,
        make: impl FnOnce() -> (Mailbox, Letters),
        start: impl FnOnce(Letters),
    ) -> Option<Arc<Mailbox>> {
        let mut open = self.open_now();
        let max = max();
        if let Some(mailbox) = open.get(name) {
            return (max > 0).then(|| mailbox.clone());
        }
        if open.len() >= max {
            return None;
        }
        let (mailbox, letters) = make();
        let mailbox = Arc::new(mailbox);
        open.insert(name.clone(), mailbox.clone());
        start(letters);
        Some(mailbox)
    }

    /// Takes a document out, if nobody holds its mailbox and no mail waits. Nobody can get hold of it meanwhile, for
    /// mailboxes are handed out here alone.
    pub fn retire(&self, name: &DocName, signals: &Arc<Signals>, has_no_mail: impl FnOnce() -> bool) -> bool {
        let mut open = self.open_now();
        let Some(mailbox) = open.get(name) else { return true };
        let is_its = Arc::ptr_eq(mailbox.signals(), signals);
        if is_its && (Arc::strong_count(mailbox) > 1 || !has_no_mail()) {
            return false;
        }
        if is_its {
            open.remove(name);
        }
        true
    }

    /// Takes a document out whoever holds its mailbox. Who comes later gets another one.
    pub fn forget(&self, name: &DocName, signals: &Arc<Signals>) {
        let mut open = self.open_now();
        if open.get(name).is_some_and(|mailbox| Arc::ptr_eq(mailbox.signals(), signals)) {
            open.remove(name);
        }
        if open.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// How many sessions an open document has; `None` if it isn't open.
    pub fn sessions(&self, name: &DocName) -> Option<usize> {
        self.open_now().get(name).map(|mailbox| mailbox.signals().sessions.load(Ordering::Relaxed))
    }

    /// The mailbox of a document, if it's open.
    pub fn find(&self, name: &DocName) -> Option<Arc<Mailbox>> {
        self.open_now().get(name).cloned()
    }

    /// All open documents.
    pub fn all(&self) -> Vec<(DocName, Arc<Mailbox>)> {
        self.open_now().iter().map(|(name, mailbox)| (name.clone(), mailbox.clone())).collect()
    }

    /// Waits until no document is open.
    pub async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.open_now().is_empty() {
                return;
            }
            emptied.await;
        }
    }
}
