//! The store's writer: one thread that appends what many documents bring, in one call for all that waits; and beside it one
//! that compacts, which takes longer than an acknowledgement may.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc as blocking;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::{Append, Store, StoreError};
use crate::document::{Record, STACK_BYTES, check_snapshot};
use crate::id::{ClientId, DocName, Seq};

/// Records in one call to the store.
const BATCH_RECORDS_MAX: usize = 4_096;
/// Jobs that wait. Their bytes are bounded apart.
const QUEUE_JOBS: usize = 4_096;

/// How far a document's records have come. Only the latest value counts, so it's a watch and never a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything through this record is durable.
    pub through: Seq,
    /// The store has given up; nothing will become durable any more.
    pub has_failed: bool,
}

/// The way to the writer, for any number of documents. The thread ends when the last one is dropped.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
    failed: watch::Receiver<bool>,
}

/// One document's way to the writer.
pub struct DocumentWriter {
    writer: Writer,
    name: DocName,
    progress: watch::Sender<Progress>,
}

enum Work {
    Append(Record),
    Compact(Bytes),
    Delete(Vec<ClientId>),
}

struct Job {
    name: DocName,
    seq: Seq,
    work: Work,
    progress: watch::Sender<Progress>,
    _bytes: OwnedSemaphorePermit,
}

impl Writer {
    /// Starts the threads in front of `store`. At most `bytes_max` bytes wait for them; more make their documents wait. While a
    /// snapshot is checked, which yrs does, `turnstile` is held together with others.
    pub fn start(store: Arc<dyn Store>, bytes_max: usize, turnstile: Arc<RwLock<()>>) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS);
        let (compactions, waiting) = blocking::channel();
        let (fail, failed) = watch::channel(false);
        let fail = Arc::new(fail);
        let (its_store, its_fail) = (store.clone(), fail.clone());
        let compactor = thread::Builder::new().name("y-mesh-compact".into()).stack_size(STACK_BYTES);
        compactor.spawn(move || compact(&*its_store, &waiting, &its_fail, &turnstile))?;
        thread::Builder::new().name("y-mesh-store".into()).spawn(move || write(&*store, queue, &compactions, &fail))?;
        let bytes = Arc::new(Semaphore::new(bytes_max));
        Ok(Self { jobs, bytes, bytes_max, failed })
    }

    /// The way for one document, and the watch of how far its records have come.
    pub fn document(&self, name: DocName, through: Seq) -> (DocumentWriter, watch::Receiver<Progress>) {
        let (progress, watch) = watch::channel(Progress { through, has_failed: *self.failed.borrow() });
        (DocumentWriter { writer: self.clone(), name, progress }, watch)
    }

    /// Waits until nothing waits for the store, and it does nothing: no snapshot either.
    pub async fn idle(&self) {
        let all = self.bytes_max.min(u32::MAX as usize) as u32;
        drop(self.bytes.acquire_many(all).await);
    }

    /// Whether the store has given up.
    pub fn has_failed(&self) -> bool {
        *self.failed.borrow()
    }

    /// Waits until the store gives up.
    pub async fn failed(&self) {
        // The thread outlives everybody who can ask, for it ends when the last of them is dropped.
        let _ = self.failed.clone().wait_for(|failed| *failed).await;
    }
}

impl DocumentWriter {
    /// Hands a record over. Waits while too much waits already.
    pub async fn append(&self, seq: Seq, record: Record) {
        self.hand_over(seq, record.update.len(), Work::Append(record)).await;
    }

    /// Hands a deletion over, which leaves the ids of `clients`. Waits while too much waits already.
    pub async fn delete(&self, through: Seq, clients: Vec<ClientId>) {
        self.hand_over(through, size_of_val(&clients[..]), Work::Delete(clients)).await;
    }

    /// Hands a snapshot over. Waits while too much waits already.
    pub async fn compact(&self, through: Seq, snapshot: Bytes) {
        self.hand_over(through, snapshot.len(), Work::Compact(snapshot)).await;
    }

    async fn hand_over(&self, seq: Seq, bytes: usize, work: Work) {
        // One that is larger than all that may wait goes alone.
        let wanted = bytes.clamp(1, self.writer.bytes_max.min(u32::MAX as usize)) as u32;
        let permit = self.writer.bytes.clone().acquire_many_owned(wanted).await;
        let Ok(permit) = permit else { return };
        let job = Job { name: self.name.clone(), seq, work, progress: self.progress.clone(), _bytes: permit };
        if self.writer.jobs.send(job).await.is_err() {
            // The thread is gone. Nothing more becomes durable.
            self.progress.send_modify(|progress| progress.has_failed = true);
        }
    }
}

/// Something to do for a document's store: nothing of it is tried again once the store has failed.
fn attempt(fail: &watch::Sender<bool>, work: impl FnOnce() -> Result<(), StoreError>) {
    // A store that panics has failed like any other.
    let why = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it panicked".to_owned(),
    };
    tracing::error!(%why, "the store failed; nothing more will be saved");
    fail.send_replace(true);
}

fn write(
    store: &dyn Store,
    mut queue: mpsc::Receiver<Job>,
    compactions: &blocking::Sender<Job>,
    fail: &watch::Sender<bool>,
) {
    let mut jobs = Vec::with_capacity(BATCH_RECORDS_MAX);
    while queue.blocking_recv_many(&mut jobs, BATCH_RECORDS_MAX) > 0 {
        // A failed write is never tried again: what is on disk is unknown. Later jobs learn that they failed too.
        if !*fail.borrow() {
            attempt(fail, || write_all(store, &jobs));
        }
        tell(&jobs, *fail.borrow());
        for job in jobs.drain(..).filter(|job| matches!(job.work, Work::Compact(_))) {
            // All that it holds is durable. If the other thread is gone, the store has failed.
            let _ = compactions.send(job);
        }
    }
}

fn write_all(store: &dyn Store, jobs: &[Job]) -> Result<(), StoreError> {
    let append = |job: &Job| match &job.work {
        Work::Append(record) => Some(Append { name: job.name.clone(), seq: job.seq, record: record.clone() }),
        Work::Compact(_) | Work::Delete(_) => None,
    };
    let records: Vec<_> = jobs.iter().filter_map(append).collect();
    if !records.is_empty() {
        store.append(&records)?;
    }
    // A document brings nothing more until its deletion is durable, so all that stands before it is appended.
    for job in jobs {
        if let Work::Delete(clients) = &job.work {
            store.delete(&job.name, job.seq, clients)?;
        }
    }
    Ok(())
}

fn compact(store: &dyn Store, waiting: &blocking::Receiver<Job>, fail: &watch::Sender<bool>, turnstile: &RwLock<()>) {
    while let Ok(job) = waiting.recv() {
        let Work::Compact(snapshot) = &job.work else { continue };
        if *fail.borrow() {
            continue;
        }
        let checked = {
            let _together = turnstile.read().unwrap_or_else(PoisonError::into_inner);
            catch_unwind(|| check_snapshot(snapshot))
        };
        match checked {
            Ok(Ok(())) => attempt(fail, || store.compact(&job.name, job.seq, snapshot)),
            // The records stay, so nothing is lost.
            Ok(Err(error)) => {
                tracing::error!(document = %job.name, %error, "a new snapshot can't be opened; it's not taken")
            }
            Err(_) => tracing::error!(document = %job.name, "a new snapshot makes yrs panic; it's not taken"),
        }
    }
}

fn tell(jobs: &[Job], has_failed: bool) {
    for job in jobs {
        job.progress.send_modify(|progress| match has_failed {
            true => progress.has_failed = true,
            false => progress.through = progress.through.max(job.seq),
        });
    }
}
