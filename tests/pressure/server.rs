//! The server under pressure, and connections to it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

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
        let mut process =
            Command::new(binary).args(["--port", "0", "--data", "memory"]).stdout(Stdio::piped()).spawn().unwrap();
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
    /// Connects with a small receive buffer, so that the kernel doesn't read in the reader's place, and syncs.
    pub async fn open(server: &Server, client: u64) -> Self {
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
