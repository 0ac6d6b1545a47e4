//! The binary under pressure, alone on the machine: what a reader that doesn't read costs the others, and how
//! quickly connections that lead nowhere are shed.
//!
//! `YMESH_BIN` names the binary (else the one that cargo has built), `YMESH_PRESSURE_SECONDS` how long the reader
//! doesn't read (else 5 s, which is too short for the memory that it may cost to show).
#![cfg(feature = "server")]

#[path = "it/support/mod.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use y_mesh::wire::sync::keep_alive;

use support::client::Client;

const UPDATES_PER_SECOND: u64 = 200;
const UPDATE_BYTES: usize = 1_024;
const READERS: u64 = 4;
/// What the reader that doesn't read may cost.
const MEMORY_MAX: u64 = 8 << 20;
const DELAY_MAX: Duration = Duration::from_millis(2);
/// Connections that lead nowhere are gone by then.
const SHED_MAX: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

/// The server, as a process of its own.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let binary = std::env::var("YMESH_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_y-mesh").to_owned());
        let mut process =
            Command::new(binary).args(["--port", "0", "--data", "memory"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Bytes of memory that it has now, where the system says so.
    fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1_024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;

struct Connection {
    client: Client,
    sink: Sink,
    stream: SplitStream<WebSocketStream<TcpStream>>,
}

impl Connection {
    /// Connects with a small receive buffer, so that the kernel doesn't read in the reader's place, and syncs.
    async fn open(server: &Server, client: u64) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(32 << 10).unwrap();
        let tcp = socket.connect(server.address.parse().unwrap()).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (socket, _) = client_async(format!("ws://{}/ws/pressure", server.address), tcp).await.unwrap();
        let (sink, stream) = socket.split();
        let mut connection = Self { client: Client::new(client), sink, stream };
        let opening = connection.client.open();
        connection.send(opening).await;
        connection.read_until(|client| client.answers > 0).await;
        connection
    }

    async fn send(&mut self, messages: Vec<Bytes>) {
        for message in messages {
            self.sink.send(Message::Binary(message)).await.unwrap();
        }
    }

    async fn read(&mut self) -> Bytes {
        loop {
            match self.stream.next().await.expect("the server hung up").expect("the connection broke") {
                Message::Binary(message) => return message,
                Message::Close(why) => panic!("closed: {why:?}"),
                _ => {}
            }
        }
    }

    async fn read_until(&mut self, is_done: impl Fn(&Client) -> bool) {
        let reading = async {
            while !is_done(&self.client) {
                let message = self.read().await;
                let answers = self.client.take(&message);
                self.send(answers).await;
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("what was waited for doesn't come");
    }
}

/// When each update was sent, and how long each took to each reader.
#[derive(Default)]
struct Times {
    sent: Vec<Instant>,
    took: Vec<Duration>,
}

impl Times {
    fn arrived(&mut self, message: &[u8]) {
        let now = Instant::now();
        let took = numbers(message).into_iter().filter_map(|number| Some(now - *self.sent.get(number)?));
        self.took.extend(took);
    }
}

fn marker(number: usize) -> String {
    format!("#{number:08}#")
}

/// The numbers of the updates in a message: a merged one holds several.
fn numbers(message: &[u8]) -> Vec<usize> {
    let at_marker = |at: &usize| message[*at] == b'#' && message.get(at + 9) == Some(&b'#');
    let number = |at: usize| std::str::from_utf8(&message[at + 1..at + 9]).ok()?.parse().ok();
    (0..message.len()).filter(at_marker).filter_map(number).collect()
}

/// Reads all the time, and notes when what arrives.
async fn read_on(mut connection: Connection, times: Arc<Mutex<Times>>) {
    loop {
        let message = connection.read().await;
        times.lock().unwrap().arrived(&message);
        let answers = connection.client.take(&message);
        connection.send(answers).await;
    }
}

/// Writes at the rate for so many seconds. Each value takes the place of the one before, so the document stays small.
async fn write_for(author: &mut Client, sink: &mut Sink, seconds: u64, times: &Mutex<Times>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / UPDATES_PER_SECOND));
    for _ in 0..seconds * UPDATES_PER_SECOND {
        ticks.tick().await;
        let number = times.lock().unwrap().sent.len();
        let value = format!("{:-<UPDATE_BYTES$}", marker(number));
        let messages = author.set("value", &value);
        times.lock().unwrap().sent.push(Instant::now());
        for message in messages {
            sink.send(Message::Binary(message)).await.unwrap();
        }
    }
}

/// The greatest of 99 in 100, and forgets all of them.
fn p99(times: &Mutex<Times>) -> Duration {
    let mut took = std::mem::take(&mut times.lock().unwrap().took);
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f5_a_reader_that_stops_reading_costs_the_others_nothing_and_ends_equal() {
    let seconds = std::env::var("YMESH_PRESSURE_SECONDS").map_or(5, |text| text.parse().unwrap());
    let server = Server::start();
    let times = Arc::new(Mutex::new(Times::default()));
    let Connection { client: mut author, mut sink, stream: echo } = Connection::open(&server, 1).await;
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        readers.spawn(read_on(Connection::open(&server, 10 + reader).await, times.clone()));
    }
    readers.spawn(echo.for_each(|_| async {}));

    write_for(&mut author, &mut sink, 2, &times).await; // what is allocated once is allocated
    p99(&times);
    write_for(&mut author, &mut sink, seconds, &times).await;
    let alone = p99(&times);
    let memory_before = server.memory();

    let mut lazy = Connection::open(&server, 3).await;
    let (mut memory_max, mut left) = (memory_before, seconds);
    while left > 0 {
        let slice = left.min(5);
        write_for(&mut author, &mut sink, slice, &times).await;
        lazy.sink.send(Message::Binary(keep_alive())).await.unwrap(); // it doesn't read, but it lives
        memory_max = memory_max.max(server.memory());
        left -= slice;
    }
    let beside = p99(&times);

    let wanted = author.content();
    lazy.read_until(|client| client.content() == wanted).await;
    assert!(!lazy.client.is_missing_something());
    println!("{seconds} s, {UPDATES_PER_SECOND} updates of {UPDATE_BYTES} bytes a second, {READERS} readers");
    println!("p99 without the lazy reader {alone:?}, with it {beside:?}");
    assert!(beside <= alone + DELAY_MAX, "the others wait: p99 was {alone:?}, and is {beside:?}");
    match (memory_before, memory_max) {
        (Some(before), Some(max)) => {
            println!("memory {} KiB before, at most {} KiB with it", before >> 10, max >> 10);
            assert!(max <= before + MEMORY_MAX, "memory grew by {} KiB", (max - before) >> 10);
        }
        _ => println!("this system doesn't say how much memory a process has; that part is unproven here"),
    }
    readers.shutdown().await;
}

/// Reads until the server hangs up; gives how long that took.
async fn shed(mut tcp: TcpStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    // A reset is as good an end as an orderly one.
    let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut rest)).await.expect("the server never hangs up");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_that_lead_nowhere_are_shed_while_others_work() {
    rlimit::increase_nofile_limit(4_096).unwrap();
    let server = Server::start();
    let beginnings = [
        "",
        "GET /ws/pressure HTTP/1.1\r\nHost: x\r\nUpgr",
        "POST /api/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
    ];
    let mut waiting = JoinSet::new();
    for number in 0..1_000 {
        let mut tcp = TcpStream::connect(&server.address).await.unwrap();
        tcp.write_all(beginnings[number % beginnings.len()].as_bytes()).await.unwrap();
        waiting.spawn(shed(tcp));
    }
    let mut a = Connection::open(&server, 1).await;
    let mut b = Connection::open(&server, 2).await;
    let hello = a.client.write("hello");
    a.send(hello).await;
    b.read_until(|client| client.text() == "hello").await;
    let longest = waiting.join_all().await.into_iter().max().unwrap();
    println!("the last of 1,000 was shed after {longest:?}");
    assert!(longest <= SHED_MAX, "the last was shed after {longest:?}");
}
