//! How fast the disk store acknowledges, how much disk it takes, and how fast it starts: `cargo bench --bench store`.
//!
//! The directory is made where `YMESH_BENCH_DIR` says (by default, cargo's target folder), so that the disk can be chosen.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use y_mesh::document::{Document, Now, Record, WallTime};
use y_mesh::store::writer::Writer;
use y_mesh::store::{Append, DiskStore, Store};
use y_mesh::yrs::{Doc, ReadTxn, StateVector, Text, TextRef, Transact};
use y_mesh::{ClientId, DocName, Identity, Seq};

/// How long each number of writers is measured.
const MEASURED: Duration = Duration::from_secs(5);
/// Bytes of an update: a keystroke or two.
const UPDATE_BYTES: usize = 30;

/// Tells this program, run anew, to open a store and nothing else: so that it has only that in memory.
const OPENED: &str = "--opened";

fn main() {
    if let Some(path) = std::env::args().skip_while(|argument| argument != OPENED).nth(1) {
        return opened(Path::new(&path));
    }
    let root =
        std::env::var_os("YMESH_BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let root = root.join(format!("bench-store-{}", std::process::id()));
    println!("durable acknowledgements, {UPDATE_BYTES} B each, {} s", MEASURED.as_secs());
    for writers in [1, 64, 1_024] {
        acknowledgements(&root.join(writers.to_string()), writers);
    }
    space(&root.join("space"));
    typed(&root.join("typed"));
    documents(&root.join("documents"));
    cold(&root.join("cold"));
    std::fs::remove_dir_all(&root).expect("the directory can be removed");
}

fn record() -> Record {
    Record { update: vec![7; UPDATE_BYTES].into(), author: Identity::anonymous(), at: WallTime(1) }
}

fn name(number: usize) -> DocName {
    format!("document {number}").parse().expect("a name")
}

/// Each writer has a document of its own, and goes on once its record is durable.
fn acknowledgements(path: &Path, writers: usize) {
    let store = Arc::new(DiskStore::open(path).expect("it opens"));
    let writer = Writer::start(store, 64 << 20, Arc::default()).expect("a thread");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("threads");
    let until = Instant::now() + MEASURED;
    let mut waits = runtime.block_on(async {
        let one = |number: usize| {
            let (writer, mut progress) = writer.document(name(number), Seq(0));
            tokio::spawn(async move {
                let (mut seq, mut waits) = (Seq(0), Vec::new());
                while Instant::now() < until {
                    seq = seq.next();
                    let started = Instant::now();
                    writer.append(seq, record()).await;
                    progress.wait_for(|progress| progress.through >= seq).await.expect("the writer lives");
                    waits.push(started.elapsed());
                }
                waits
            })
        };
        let tasks: Vec<_> = (0..writers).map(one).collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("it doesn't panic"));
        }
        all
    });
    waits.sort_unstable();
    let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let rate = waits.len() as f64 / MEASURED.as_secs_f64();
    println!(
        "  {writers:>5} writers  {rate:>9.0} /s   p50 {:.2} ms   p99 {:.2} ms   max {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// A million updates over a thousand documents, each with a snapshot of 10 to 60 KB every 200 that can't be compressed.
fn space(path: &Path) {
    let store = DiskStore::open(path).expect("it opens");
    let started = Instant::now();
    let mut live = 0;
    for round in 1..=1_000u64 {
        let append = |number| Append { name: name(number), seq: Seq(round), record: record() };
        store.append(&(0..1_000).map(append).collect::<Vec<_>>()).expect("it's written");
        for number in (0..1_000).filter(|number| (round + *number as u64).is_multiple_of(200)) {
            let snapshot = snapshot(number, round);
            live += if round > 800 { snapshot.len() } else { 0 };
            store.compact(&name(number), Seq(round), &snapshot.into()).expect("it's compacted");
        }
    }
    println!("1,000,000 updates over 1,000 documents, {:.1} s", started.elapsed().as_secs_f64());
    taken(path, live);
    drop(store);
    started_again(path);
}

fn taken(path: &Path, live: usize) {
    let disk = bytes_below(path);
    let ratio = disk as f64 / live as f64;
    println!("  live snapshots {} MB, on disk {} MB: {ratio:.1} times", live >> 20, disk >> 20);
}

/// A million keystrokes over a thousand documents of text, each with a snapshot every 200.
fn typed(path: &Path) {
    let store = DiskStore::open(path).expect("it opens");
    let started = Instant::now();
    let mut authors: Vec<_> = (0..1_000).map(Author::new).collect();
    for round in 1..=1_000u64 {
        let append = |(number, author): (usize, &mut Author)| {
            let record = Record { update: author.type_one(round).into(), ..record() };
            Append { name: name(number), seq: Seq(round), record }
        };
        store.append(&authors.iter_mut().enumerate().map(append).collect::<Vec<_>>()).expect("it's written");
        for number in (0..1_000).filter(|number| (round + *number as u64).is_multiple_of(200)) {
            store.compact(&name(number), Seq(round), &authors[number].all().into()).expect("it's compacted");
        }
    }
    println!("1,000,000 keystrokes over 1,000 documents of text, {:.1} s", started.elapsed().as_secs_f64());
    taken(path, authors.iter().map(|author| author.all().len()).sum());
}

/// Somebody who types, and moves the caret now and then.
struct Author {
    doc: Doc,
    text: TextRef,
    caret: u32,
    state: u64,
}

impl Author {
    fn new(number: usize) -> Self {
        let doc = Doc::with_client_id(number as u64 + 1);
        let text = doc.get_or_insert_text("text");
        Self { doc, text, caret: 0, state: number as u64 }
    }

    /// The update of a keystroke.
    fn type_one(&mut self, round: u64) -> Vec<u8> {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
        let letter = char::from(b'a' + (self.state >> 59) as u8 % 26).to_string();
        let mut transaction = self.doc.transact_mut();
        if (self.state >> 32).is_multiple_of(40) {
            self.caret = (self.state >> 40) as u32 % (self.text.len(&transaction) + 1);
        }
        self.text.insert(&mut transaction, self.caret, &letter);
        self.caret += 1;
        transaction.encode_update_v1()
    }

    fn all(&self) -> Vec<u8> {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default())
    }
}

/// A document of 300 KB whose file was just opened, read and built.
fn cold(path: &Path) {
    let (mut author, doc) = (Author::new(1), name(1));
    let mut round = 0;
    while author.all().len() < 300_000 {
        (0..1_000).for_each(|_| {
            drop(author.type_one({
                round += 1;
                round
            }))
        });
    }
    {
        let store = DiskStore::open(path).expect("it opens");
        store.append(&[Append { name: doc.clone(), seq: Seq(1), record: record() }]).expect("it's written");
        store.compact(&doc, Seq(1), &author.all().into()).expect("it's compacted");
    }
    let opened = || {
        let store = DiskStore::open(path).expect("it opens");
        let started = Instant::now();
        let stored = store.load(&doc).expect("it loads");
        let read = started.elapsed();
        Document::open(&stored, ClientId(7), Arc::default(), Now::default()).expect("it's a document");
        (started.elapsed().as_secs_f64() * 1e3, read.as_secs_f64() * 1e3)
    };
    let mut times: Vec<_> = (0..21).map(|_| opened()).collect();
    times.sort_by(|one, other| one.0.total_cmp(&other.0));
    println!("a document of {} KB of {} keystrokes", author.all().len() / 1_000, round);
    let [(least, _), (median, read), (most, _)] = [0, 10, 20].map(|place| times[place]);
    println!("  opened cold in {median:.2} ms ({least:.2} to {most:.2}, 21 times), {read:.2} ms of that to read it");
}

/// Bytes that don't repeat, 10 to 60 KB of them.
fn snapshot(number: usize, round: u64) -> Vec<u8> {
    let mut state = number as u64 * 0x9e37_79b9_7f4a_7c15 + round + 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..10_000 + number * 50).map(next).collect()
}

fn documents(path: &Path) {
    let store = DiskStore::open(path).expect("it opens");
    for thousand in 0..100usize {
        let append = |number| Append { name: name(thousand * 1_000 + number), seq: Seq(1), record: record() };
        store.append(&(0..1_000).map(append).collect::<Vec<_>>()).expect("it's written");
    }
    println!("100,000 documents");
    drop(store);
    started_again(path);
}

fn started_again(path: &Path) {
    let program = std::env::current_exe().expect("it has a name");
    let done = std::process::Command::new(program).arg(OPENED).arg(path).status().expect("it runs");
    assert!(done.success());
}

fn opened(path: &Path) {
    let (started, before) = (Instant::now(), memory());
    let store = DiskStore::open(path).expect("it opens");
    println!("  opened again in {} ms", started.elapsed().as_millis());
    if let (Some(before), Some(after)) = (before, memory()) {
        println!("  takes {} MB of memory", after.saturating_sub(before) >> 10);
    }
    let started = Instant::now();
    store.load(&name(500)).expect("it loads");
    println!("  one document read in {:.2} ms", started.elapsed().as_secs_f64() * 1e3);
}

/// KB that the process has in memory, where the system says so.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// Bytes that the files below take, as the system counts blocks.
fn bytes_below(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("it's there").map(|entry| entry.expect("it can be read"));
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => bytes_below(&path),
            path => on_disk(&path),
        })
        .sum()
}

#[cfg(unix)]
fn on_disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}

#[cfg(not(unix))]
fn on_disk(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}
