//! The store's writer: one thread that appends what many documents bring, in one call for all that waits.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::{Append, Store, StoreError};
use crate::document::Record;
use crate::id::{DocName, Seq};

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
}

struct Job {
    name: DocName,
    seq: Seq,
    work: Work,
    progress: watch::Sender<Progress>,
    _bytes: OwnedSemaphorePermit,
}

impl Writer {
    /// Starts the thread in front of `store`. At most `bytes_max` bytes wait for it; more make their documents wait.
    pub fn start(store: Arc<dyn Store>, bytes_max: usize) -> io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS);
        let (fail, failed) = watch::channel(false);
        let thread = thread::Builder::new().name("y-mesh-store".into()).spawn(move || write(&*store, queue, &fail))?;
        let bytes = Arc::new(Semaphore::new(bytes_max));
        Ok((Self { jobs, bytes, bytes_max, failed }, thread))
    }

    /// The way for one document, and the watch of how far its records have come.
    pub fn document(&self, name: DocName, through: Seq) -> (DocumentWriter, watch::Receiver<Progress>) {
        let (progress, watch) = watch::channel(Progress { through, has_failed: *self.failed.borrow() });
        (DocumentWriter { writer: self.clone(), name, progress }, watch)
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

fn write(store: &dyn Store, mut queue: mpsc::Receiver<Job>, fail: &watch::Sender<bool>) {
    let mut jobs = Vec::with_capacity(BATCH_RECORDS_MAX);
    while queue.blocking_recv_many(&mut jobs, BATCH_RECORDS_MAX) > 0 {
        // A store that panics has failed like any other.
        let written = catch_unwind(AssertUnwindSafe(|| write_all(store, &jobs)));
        if let Some(why) = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it panicked".to_owned()),
        } {
            tracing::error!(%why, "the store failed; nothing more will be saved");
            fail.send_replace(true);
        }
        tell(&jobs, *fail.borrow());
        jobs.clear();
        if *fail.borrow() {
            // A failed write is never tried again: what is on disk is unknown. Later jobs learn that they failed too.
            while queue.blocking_recv_many(&mut jobs, BATCH_RECORDS_MAX) > 0 {
                tell(&jobs, true);
                jobs.clear();
            }
        }
    }
}

/// Writes the jobs in their order; neighbouring appends become one call.
fn write_all(store: &dyn Store, jobs: &[Job]) -> Result<(), StoreError> {
    let mut records = Vec::new();
    for job in jobs {
        match &job.work {
            Work::Append(record) => {
                records.push(Append { name: job.name.clone(), seq: job.seq, record: record.clone() });
            }
            Work::Compact(snapshot) => {
                append(store, &mut records)?;
                store.compact(&job.name, job.seq, snapshot)?;
            }
        }
    }
    append(store, &mut records)
}

fn append(store: &dyn Store, records: &mut Vec<Append>) -> Result<(), StoreError> {
    if !records.is_empty() {
        store.append(records)?;
        records.clear();
    }
    Ok(())
}

fn tell(jobs: &[Job], has_failed: bool) {
    for job in jobs {
        job.progress.send_modify(|progress| match has_failed {
            true => progress.has_failed = true,
            false => progress.through = progress.through.max(job.seq),
        });
    }
}
