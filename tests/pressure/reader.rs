//! What a reader that doesn't read costs the others.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use y_mesh::wire::sync::keep_alive;

use super::server::{Connection, Server, Sink};
use super::support::client::Client;

const UPDATES_PER_SECOND: u64 = 200;
const UPDATE_BYTES: usize = 1_024;
const READERS: u64 = 4;
/// What the reader that doesn't read may cost.
const MEMORY_MAX: u64 = 8 << 20;
const DELAY_MAX: Duration = Duration::from_millis(2);

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
