//! The server under pressure, and connections to it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use y_mesh::wire::sync::sync_step_1;

use super::support::client::Client;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// The server, as a process of its own.
pub struct Server {
    process: Child,
    pub address: String,
}

impl Server {
    pub fn start() -> Self {
        let binary = std::env::var("YMESH_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_y-mesh").to_owned());
        let mut command = Command::new(binary);
        command.args(["--port", "0", "--data", "memory"]).stdout(Stdio::piped());
        // What is freed goes back to the system at once, so that what it has is what it needs.
        command.envs([("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")]);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Bytes of memory that it has now, where the system says so.
    pub fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1_024)
    }
}

impl Server {
    /// How much of a core it has used since it started.
    pub fn cpu(&self) -> String {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        format!("{} ms of its own, {} ms of the system's", ticks(11) * 10, ticks(12) * 10)
    }

    /// A page of its API.
    pub async fn get(&self, path: &str) -> String {
        let mut tcp = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// What it has refused, and whom it has closed.
    pub async fn refusals(&self) -> String {
        let metrics = self.get("/metrics").await;
        let counts =
            |line: &&str| line.starts_with("ymesh_refusals_total") || line.starts_with("ymesh_sessions_closed_total");
        metrics.lines().filter(counts).map(|line| line.trim_start_matches("ymesh_")).collect::<Vec<_>>().join("\n")
    }

    /// Waits until no more than so many connections are left.
    pub async fn has_at_most(&self, connections: u64) {
        let count = |metrics: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix("ymesh_connections "));
            line.and_then(|count| count.trim().parse::<u64>().ok()).expect("they're counted")
        };
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        let waiting = async {
            while count(&self.get("/metrics").await) > connections {
                looks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("they never go");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;

pub struct Connection {
    pub client: Client,
    pub sink: Sink,
    pub stream: SplitStream<WebSocketStream<TcpStream>>,
}

impl Connection {
    pub async fn open(server: &Server, client: u64) -> Self {
        Self::open_at(server, "pressure", client).await
    }

    /// Connects with a small receive buffer, so that the kernel doesn't read in the reader's place, and syncs.
    pub async fn open_at(server: &Server, document: &str, client: u64) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(32 << 10).unwrap();
        let tcp = socket.connect(server.address.parse().unwrap()).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (socket, _) = client_async(format!("ws://{}/ws/{document}", server.address), tcp).await.unwrap();
        let (sink, stream) = socket.split();
        let mut connection = Self { client: Client::new(client), sink, stream };
        let opening = connection.client.open();
        connection.send(opening).await;
        connection.read_until(|client| client.answers > 0).await;
        connection
    }

    pub async fn send(&mut self, messages: Vec<Bytes>) {
        for message in messages {
            self.sink.send(Message::Binary(message)).await.unwrap();
        }
    }

    pub async fn read(&mut self) -> Bytes {
        loop {
            match self.stream.next().await.expect("the server hung up").expect("the connection broke") {
                Message::Binary(message) => return message,
                Message::Close(why) => panic!("closed: {why:?}"),
                _ => {}
            }
        }
    }

    /// Takes what has come already.
    pub async fn read_what_is_there(&mut self) {
        while let Some(Some(Ok(Message::Binary(message)))) = self.stream.next().now_or_never() {
            let answers = self.client.take(&message);
            self.send(answers).await;
        }
    }

    /// Takes all that comes until the server has nothing new: it's asked, and its answer comes last.
    pub async fn settles(&mut self) {
        let answers = self.client.answers;
        let question = sync_step_1(&self.client.state());
        self.send(vec![question]).await;
        self.read_until(|client| client.answers > answers).await;
    }

    pub async fn read_until(&mut self, is_done: impl Fn(&Client) -> bool) {
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
