//! Twenty who type: half of them in the document that is attacked, the others in documents of their own.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::super::server::{Connection, PATIENCE, Server};

pub const SHARED: &str = "shared";
/// Who is where.
const SEATS: [(&str, u64); 6] = [(SHARED, 10), ("own/1", 2), ("own/2", 2), ("own/3", 2), ("own/4", 2), ("own/5", 2)];
/// Letters that each types in a second.
const RATE: u64 = 5;
/// Characters that the shared document has before anybody types, in pieces of a thousand.
const PIECES: usize = 1_000;

/// How long letters took from who typed them to everybody else.
#[derive(Default)]
pub struct Latencies {
    /// In the document that is attacked.
    shared: Vec<Duration>,
    /// In all others.
    own: Vec<Duration>,
    /// What 99 of 100 took at most in the one and in the others, in each of the parts that were added up.
    parts: Vec<[Duration; 2]>,
}

impl Latencies {
    pub fn add(&mut self, other: Self) {
        self.parts.push([at(&other.shared, 990), at(&other.own, 990)]);
        self.shared.extend(other.shared);
        self.own.extend(other.own);
    }

    /// What 99 of 100 letters took at most in the document that is attacked, and elsewhere, in the middle one of the parts: what
    /// else the machine does now and then isn't what is measured.
    pub fn of_most(&self) -> [Duration; 2] {
        [0, 1].map(|place| at(&self.parts.iter().map(|part| part[place]).collect::<Vec<_>>(), 500))
    }
}

/// The greatest of so many in a thousand.
fn at(latencies: &[Duration], of_thousand: usize) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * of_thousand / 1_000).min(sorted.len().max(1) - 1)).copied().unwrap_or_default()
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, part) in [("in the shared document", &self.shared), ("in others", &self.own)] {
            let [half, many, most, all] = [500, 950, 990, 1_000].map(|of_thousand| at(part, of_thousand));
            write!(f, "\n  {name}: p50 {half:?} p95 {many:?} p99 {most:?} max {all:?} of {}", part.len())?;
        }
        Ok(())
    }
}

/// What was typed when, and who has seen what.
#[derive(Default)]
struct Typed {
    sent: Vec<Instant>,
    took: Latencies,
    seen: BTreeSet<(u64, usize)>,
}

impl Typed {
    /// The number of a letter that's about to be typed, and nobody else's.
    fn next(&mut self) -> usize {
        self.sent.push(Instant::now() + PATIENCE);
        self.sent.len() - 1
    }

    fn arrived(&mut self, reader: u64, document: &str, message: &[u8]) {
        let now = Instant::now();
        for number in numbers(message) {
            if let Some(sent) = self.sent.get(number).copied()
                && self.seen.insert((reader, number))
            {
                let took = if document == SHARED { &mut self.took.shared } else { &mut self.took.own };
                took.push(now.saturating_duration_since(sent));
            }
        }
    }
}

fn marker(number: usize) -> String {
    format!("#{number:07}#")
}

fn numbers(message: &[u8]) -> Vec<usize> {
    let at_marker = |at: &usize| message[*at] == b'#' && message.get(at + 8) == Some(&b'#');
    let number = |at: usize| std::str::from_utf8(&message[at + 1..at + 8]).ok()?.parse().ok();
    (0..message.len()).filter(at_marker).filter_map(number).collect()
}

pub struct Honest {
    people: Vec<Person>,
    typed: Arc<Mutex<Typed>>,
}

struct Person {
    document: &'static str,
    connection: Connection,
}

impl Honest {
    pub async fn open(server: &Server) -> Self {
        let mut people = Vec::new();
        for (document, count) in SEATS {
            for _ in 0..count {
                let id = 10 + people.len() as u64;
                let mut connection = Connection::open_at(server, document, id).await;
                if id == 10 {
                    fill(&mut connection).await;
                }
                let shows = connection.client.presence.set(Some(&format!("{{\"name\":\"{id}\"}}")));
                connection.send(vec![shows]).await;
                people.push(Person { document, connection });
            }
        }
        Self { people, typed: Arc::default() }
    }

    /// Everybody types for so many seconds, and then reads what the others have typed.
    pub async fn type_for(&mut self, seconds: u64) -> Latencies {
        let mut typing = JoinSet::new();
        for person in self.people.drain(..) {
            typing.spawn(person.type_for(seconds, self.typed.clone()));
        }
        self.people = typing.join_all().await;
        self.people.sort_by_key(|person| person.connection.client.id);
        std::mem::take(&mut self.typed.lock().unwrap().took)
    }

    pub fn count(&self) -> u64 {
        self.people.len() as u64
    }

    /// Everybody has everything.
    pub async fn ends_equal(&mut self) {
        let sent = self.typed.lock().unwrap().sent.len();
        let mut found = BTreeSet::new();
        for person in &mut self.people {
            // What it has sent before is there then.
            person.connection.settles().await;
        }
        for (document, _) in SEATS {
            let mut people = self.people.iter_mut().filter(|person| person.document == document);
            let first = people.next().expect("somebody is there");
            first.connection.settles().await;
            let text = first.connection.client.text();
            for person in people {
                person.connection.settles().await;
                assert!(person.connection.client.text() == text, "in {document} they differ");
            }
            found.extend(numbers(text.as_bytes()));
        }
        assert_eq!(found.len(), sent, "what was typed is there");
    }
}

/// The document that is attacked is of some size, and something of it was deleted.
async fn fill(connection: &mut Connection) {
    for piece in 0..PIECES {
        let messages = connection.client.insert((piece * 300) as u32, &"long text ".repeat(100));
        connection.send(messages).await;
        if piece % 10 == 9 {
            let messages = connection.client.delete(piece as u32, 100);
            connection.send(messages).await;
        }
        connection.read_what_is_there().await;
    }
}

impl Person {
    async fn type_for(mut self, seconds: u64, typed: Arc<Mutex<Typed>>) -> Self {
        let period = Duration::from_millis(1_000 / RATE);
        // Not all at the same moment.
        let offset = period.mul_f64(self.connection.client.id.0 as f64 * 0.618 % 1.0);
        let start = tokio::time::Instant::now() + offset;
        let end = tokio::time::sleep_until(start + Duration::from_secs(seconds) - offset);
        let mut ticks = tokio::time::interval_at(start, period);
        tokio::pin!(end);
        loop {
            tokio::select! {
                biased;
                message = self.connection.stream.next() => self.hear(message.expect("it's open").unwrap(), &typed).await,
                () = &mut end => return self,
                _ = ticks.tick() => self.type_one(&typed).await,
            }
        }
    }

    async fn type_one(&mut self, typed: &Mutex<Typed>) {
        let client = &mut self.connection.client;
        let number = typed.lock().unwrap().next();
        let messages = client.write(&marker(number));
        typed.lock().unwrap().sent[number] = Instant::now();
        self.connection.send(messages).await;
    }

    async fn hear(&mut self, message: Message, typed: &Mutex<Typed>) {
        let message = match message {
            Message::Binary(message) => message,
            Message::Close(why) => panic!("an honest one is closed: {why:?}"),
            _ => return,
        };
        let id = self.connection.client.id.0;
        typed.lock().unwrap().arrived(id, self.document, &message);
        let answers = self.connection.client.take(&message);
        self.connection.send(answers).await;
    }
}
