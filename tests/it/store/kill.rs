//! The real program on a directory of its own: killed amid writing, stopped gently, and started twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use y_mesh::wire::lib0::Reader;
use y_mesh::wire::sync::{ACKNOWLEDGED, Frame, Frames};

use super::{Place, rounds};
use crate::door::{Visitor, connect, soon};
use crate::support::client::Client;
use crate::support::random::Random;

const CLIENTS: usize = 3;
/// Edits of a client in one document that may be on their way.
const WINDOW: usize = 8;

/// Snapshots are made, segments copied forward and volumes replaced all the time, so that kills come amid all that too.
const OFTEN: &str =
    "limits.compact_after_records=20,store.segment_bytes=8192,store.journal_bytes=16384,store.volume_bytes=65536";
/// Rounds that write into the same documents; then there are others, for long texts take long to read.
const ROUNDS_PER_DOCUMENT: u64 = 20;
/// In one of so many rounds, the documents are backed up until the program is gone.
const ROUNDS_PER_BACKUP: u64 = 4;

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_y-mesh"));
    command.args(["--port", "0", "--set", OFTEN, "--data"]).arg(data);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The program, running and ready.
pub struct Program {
    process: Child,
    pub address: String,
}

impl Program {
    pub async fn start(place: &Place) -> Self {
        Self::start_in(&place.0, &[]).await
    }

    pub async fn start_in(data: &Path, arguments: &[&str]) -> Self {
        let mut command = program(data);
        command.args(arguments);
        Self::spawn(command).await
    }

    /// Starts a program that says its address when it's ready.
    pub async fn spawn(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = soon("the address", async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the program says its address");
                if let Some((_, address)) = line.split_once("http://") {
                    return address.trim_end_matches('/').to_owned();
                }
            }
        });
        let address = address.await;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { process, address }
    }

    pub async fn kill(mut self) {
        soon("its end", self.process.kill()).await.unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn ends(mut self) -> ExitStatus {
        soon("its end", self.process.wait()).await.unwrap()
    }

    pub async fn visit(&self, document: &str, client: u64) -> Visitor {
        let mut visitor = self.come(document, client).await;
        visitor.synced().await;
        visitor
    }

    /// Somebody who may be sent away at once.
    pub async fn come(&self, document: &str, client: u64) -> Visitor {
        let tcp = TcpStream::connect(&self.address).await.unwrap();
        let url = format!("ws://{}/ws/{document}?acks=1", self.address);
        Visitor::new(connect(tcp, &url, &[]).await.unwrap().0, Client::new(client)).await
    }

    /// What somebody reads who wasn't there before.
    pub async fn read(&self, document: &str) -> String {
        self.visit(document, 1).await.client.text()
    }
}

/// How many edits were acknowledged to all.
#[derive(Default)]
struct Count {
    edits: AtomicU64,
    changed: Notify,
}

impl Count {
    fn add(&self, edits: u64) {
        self.edits.fetch_add(edits, Ordering::SeqCst);
        self.changed.notify_one();
    }

    async fn reaches(&self, edits: u64) {
        while self.edits.load(Ordering::SeqCst) < edits {
            self.changed.notified().await;
        }
    }
}

/// Somebody who writes numbered words into a document until the program is gone.
struct Author {
    document: String,
    socket: WebSocketStream<TcpStream>,
    client: Client,
    /// What was sent, as acknowledgements count it: a word, or nothing new.
    sent: Vec<Option<String>>,
    durable: usize,
    /// The program is gone.
    is_cut: bool,
}

impl Author {
    async fn new(program: &Program, document: String, client: u64) -> Self {
        let Visitor { socket, client, settled, .. } = program.visit(&document, client).await;
        // What it answered while it synced is counted as well.
        let (sent, settled) = (vec![None; client.sent as usize], settled.unwrap_or_default());
        Self { document, socket, client, sent, durable: settled.0 as usize, is_cut: false }
    }

    /// Writes on and on; gives what was acknowledged, by document.
    async fn write(mut self, count: Arc<Count>) -> (String, Vec<String>) {
        loop {
            self.write_some().await;
            match self.socket.next().await {
                Some(Ok(Message::Binary(message))) => self.take(&message, &count).await,
                Some(Ok(Message::Close(why))) => panic!("sent away: {why:?}"),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
        (self.document, self.sent.drain(..self.durable).flatten().collect())
    }

    /// Writes as much as may be on its way.
    async fn write_some(&mut self) {
        while !self.is_cut && self.sent.len() < self.durable + WINDOW {
            let word = format!("{}.{}", self.client.id.0, self.sent.len());
            let messages = self.client.write(&format!("{word} "));
            self.sent.push(Some(word));
            self.send(messages).await;
        }
    }

    async fn send(&mut self, messages: Vec<bytes::Bytes>) {
        for message in messages {
            // What came before the end can still be read, and counts.
            self.is_cut |= self.socket.send(Message::Binary(message)).await.is_err();
        }
    }

    async fn take(&mut self, message: &[u8], count: &Count) {
        if Frames::of(message).next() != Some(Ok(Frame::Unknown(ACKNOWLEDGED))) {
            let messages = self.client.take(message);
            self.sent.resize(self.client.sent as usize, None);
            return self.send(messages).await;
        }
        let mut reader = Reader::new(message);
        let [_, durable, refused] = [(); 3].map(|()| reader.var_uint().unwrap() as usize);
        assert_eq!(refused, 0, "nothing is refused");
        assert!((self.durable..=self.sent.len()).contains(&durable), "only what was sent is acknowledged");
        count.add((durable - self.durable) as u64);
        self.durable = durable;
    }
}

/// What was acknowledged of each document.
type Acknowledged = BTreeMap<String, BTreeSet<String>>;

/// Lets some write until the program is killed amid it; gives what was acknowledged.
async fn write_until_killed(place: &Place, round: u64, random: &mut Random) -> Vec<(String, Vec<String>)> {
    let program = Program::start(place).await;
    let (mut authors, count) = (JoinSet::new(), Arc::new(Count::default()));
    let documents = round / ROUNDS_PER_DOCUMENT;
    for number in 0..CLIENTS as u64 {
        // New clients each time: nobody brings back what was lost.
        let client = 10 + round * 100 + number * 10;
        let (own, shared) = (format!("own-{documents}-{number}"), format!("shared-{documents}"));
        for (document, client) in [(own, client), (shared, client + 1)] {
            authors.spawn(Author::new(&program, document, client).await.write(count.clone()));
        }
    }
    let backups = round.is_multiple_of(ROUNDS_PER_BACKUP).then(|| tokio::spawn(back_up(program.address.clone())));
    soon("acknowledgements", count.reaches(1 + random.below(250) as u64)).await;
    program.kill().await;
    if let Some(backups) = backups {
        soon("the backups", backups).await.unwrap();
    }
    soon("the authors", authors.join_all()).await
}

/// Takes backups until the server is gone.
async fn back_up(address: String) {
    loop {
        let place = Place::new("kill-backup");
        let mut command = Command::new(env!("CARGO_BIN_EXE_y-mesh"));
        command.args(["backup", "--server", &format!("http://{address}")]).arg(&place.0);
        let output = command.kill_on_drop(true).output().await.unwrap();
        let _ = std::fs::remove_dir_all(format!("{}.partial", place.0.display()));
        if !output.status.success() {
            return;
        }
    }
}

async fn check(program: &Program, round: u64, acknowledged: &Acknowledged) {
    for (document, words) in acknowledged {
        let text = program.read(document).await;
        let there: BTreeSet<_> = text.split(' ').collect();
        let lost: Vec<_> = words.iter().filter(|word| !there.contains(word.as_str())).collect();
        assert!(lost.is_empty(), "round {round}, {document}: {} of {} lost: {lost:?}", lost.len(), words.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_kill_9() {
    let (place, mut random) = (Place::new("kill"), Random::new(9));
    let (mut all, mut current) = (Acknowledged::new(), Acknowledged::new());
    for round in 0..rounds("YMESH_KILL_ROUNDS", 20) as u64 {
        if round % ROUNDS_PER_DOCUMENT == 0 {
            all.append(&mut current);
        }
        for (document, words) in write_until_killed(&place, round, &mut random).await {
            current.entry(document).or_default().extend(words);
        }
        let program = Program::start(&place).await;
        check(&program, round, &current).await;
        program.kill().await;
    }
    all.append(&mut current);
    let program = Program::start(&place).await;
    check(&program, u64::MAX, &all).await;
    program.kill().await;
    println!("{} edits were acknowledged", all.values().map(BTreeSet::len).sum::<usize>());
}

#[tokio::test]
async fn a_second_program_on_the_directory_says_why_it_ends() {
    let place = Place::new("twice");
    let first = Program::start(&place).await;
    let output = soon("the second's end", program(&place.0).output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains(&*place.0.to_string_lossy()) && said.contains("in use"), "it says: {said}");
    let mut visitor = first.visit("notes", 2).await;
    visitor.write("the first isn't disturbed").await;
    let sent = visitor.client.sent;
    visitor.saved(sent).await;
    first.kill().await;
    // Who is killed leaves no lock behind.
    assert_eq!(Program::start(&place).await.read("notes").await, "the first isn't disturbed");
}

#[cfg(unix)]
#[tokio::test]
async fn a_document_outlives_a_gentle_stop() {
    let place = Place::new("gentle");
    let mut text = String::new();
    for round in 0..3 {
        let mut program = Program::start(&place).await;
        let mut visitor = program.visit("notes", 10 + round).await;
        assert_eq!(visitor.client.text(), text);
        for _ in 0..20 {
            visitor.write("word ").await;
        }
        let sent = visitor.client.sent;
        visitor.saved(sent).await;
        text = visitor.client.text();
        let process = program.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().await.unwrap().success());
        drop(visitor);
        assert!(soon("its end", program.process.wait()).await.unwrap().success());
        // All that was written is complete, so the next start has nothing to mend.
        assert_eq!(place.journal(".segment").len(), place.journal(".index").len());
    }
    assert_eq!(text.len(), 3 * 20 * 5);
}
