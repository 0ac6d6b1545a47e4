//! The door, over real sockets of this machine.

mod access;
mod api;
mod backup;
mod drain;
mod heads;
mod limits;
mod loading;
mod low;
mod names;
mod pages;
mod peers;
mod status;
mod sync;
mod upgrade;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use y_mesh::http::{Door, listen};
use y_mesh::wire::lib0::Reader;
use y_mesh::wire::sync::{ACKNOWLEDGED, Frame, Frames};
use y_mesh::{Config, Node, NodeBuilder};

use crate::support::client::Client;

/// Nothing here takes long; who waits for longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

pub const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Waits for something that must happen.
pub async fn soon<T>(what: &str, happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, happens).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Looks again and again whether something is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(ms(2));
    soon(what, async {
        while !is_so() {
            looks.tick().await;
        }
    })
    .await;
}

/// A node with a door on a port of its own.
pub struct Server {
    pub node: Node,
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| {}, |node| node, |door| door).await
    }

    pub async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        Self::with(configure, |node| node, |door| door).await
    }

    pub async fn with(
        configure: impl FnOnce(&mut Config),
        build: impl FnOnce(NodeBuilder) -> NodeBuilder,
        fit: impl FnOnce(Door) -> Door,
    ) -> Self {
        let mut config = Config::default();
        configure(&mut config);
        let node = build(Node::builder().config(config)).start().unwrap();
        let listener = listen(([127, 0, 0, 1], 0).into(), &node.config().limits).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let door = fit(Door::new(node.clone()));
        let serving = tokio::spawn(door.serve(listener, async { drop(stopped.await) }));
        Self { node, address, stop, serving }
    }

    /// Tells the server to stop; gives what ends when it has stopped.
    pub fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.serving
    }

    pub async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request's text and reads until the server closes.
    pub async fn ask(&self, request: &str) -> Answer {
        ask(self.address, request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)).await
    }

    /// A handshake with these headers instead of, or beside, those that are right.
    pub async fn handshake(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let host = self.address.to_string();
        let mut all = BTreeMap::from([
            ("host", host.as_str()),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        all.extend(headers.iter().copied());
        let lines: String = all.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k}: {v}\r\n")).collect();
        let mut stream = self.tcp().await;
        stream.write_all(format!("GET {path} HTTP/1.1\r\n{lines}\r\n").as_bytes()).await.unwrap();
        soon("an answer", Answer::read(&mut stream)).await
    }

    /// A WebSocket, as a program without an origin opens it.
    pub async fn connect(&self, path: &str) -> WebSocketStream<TcpStream> {
        self.connect_with(path, &[]).await.unwrap().0
    }

    pub async fn connect_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(WebSocketStream<TcpStream>, Response), Error> {
        connect(self.tcp().await, &format!("ws://{}{path}", self.address), headers).await
    }

    /// A Yjs client that is connected and synced.
    pub async fn visit(&self, path: &str, id: u64) -> Visitor {
        let mut visitor = Visitor::new(self.connect(path).await, Client::new(id)).await;
        visitor.synced().await;
        visitor
    }

    /// How often something was refused for this reason.
    pub fn refusals(&self, reason: &str) -> u64 {
        let wanted = format!("ymesh_refusals_total{{reason=\"{reason}\"}} ");
        let text = self.node.metrics().render();
        let count = text.lines().find_map(|line| line.strip_prefix(&wanted));
        count.map_or(0, |count| count.parse().unwrap())
    }
}

pub async fn connect(
    stream: TcpStream,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<(WebSocketStream<TcpStream>, Response), Error> {
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        let (name, value) = (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        request.headers_mut().insert(name, value);
    }
    soon("a handshake", tokio_tungstenite::client_async(request, stream)).await
}

pub async fn ask(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    soon("an answer", Answer::read(&mut stream)).await
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads a head, and as much body as it promises.
    pub async fn read(stream: &mut TcpStream) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a whole head"));
        }
        let head = String::from_utf8(head).unwrap();
        let (first, lines) = head.split_once("\r\n").unwrap();
        let headers = lines.lines().filter_map(|line| line.split_once(": "));
        let headers: BTreeMap<_, _> = headers.map(|(k, v)| (k.to_lowercase(), v.to_owned())).collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        Self { status: first[9..12].parse().unwrap(), headers, body }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The detail of a problem, as RFC 9457 has it.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status);
        assert_eq!(json["type"], "about:blank");
        assert!(json["title"].is_string());
        json["detail"].as_str().unwrap().to_owned()
    }
}

/// The code of the close frame that comes, after whatever comes before it.
pub async fn close_code(socket: &mut WebSocketStream<TcpStream>) -> u16 {
    goodbye(socket).await.1
}

/// The binary messages that come before the close frame, and its code.
pub async fn goodbye(socket: &mut WebSocketStream<TcpStream>) -> (Vec<Vec<u8>>, u16) {
    let mut messages = Vec::new();
    let mut code = None;
    // Reading on after the close frame lets the answer to it out.
    let reading = async {
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Close(said) => code = Some(said.expect("a close code").code.into()),
                Message::Binary(message) => messages.push(message.to_vec()),
                _ => {}
            }
        }
    };
    soon("the end", reading).await;
    (messages, code.expect("a close frame before the end"))
}

/// A Yjs client on a WebSocket.
pub struct Visitor {
    pub socket: WebSocketStream<TcpStream>,
    pub client: Client,
    /// What was acknowledged last: durable, refused.
    pub settled: Option<(u64, u64)>,
    /// The number of what that means.
    pub durability: Option<u64>,
}

impl Visitor {
    /// Sends what a client sends first.
    pub async fn new(socket: WebSocketStream<TcpStream>, mut client: Client) -> Self {
        let opening = client.open();
        let mut visitor = Self { socket, client, settled: None, durability: None };
        visitor.say(opening).await;
        visitor
    }

    pub async fn say(&mut self, messages: Vec<bytes::Bytes>) {
        for message in messages {
            self.socket.send(Message::Binary(message)).await.unwrap();
        }
    }

    pub async fn write(&mut self, text: &str) {
        let messages = self.client.write(text);
        self.say(messages).await;
    }

    /// Takes what comes until `is_done`.
    pub async fn until(&mut self, what: &str, is_done: impl Fn(&Self) -> bool) {
        soon(what, async {
            while !is_done(self) {
                let message = self.socket.next().await.expect("more messages").unwrap();
                match message {
                    Message::Binary(message) => self.take(&message).await,
                    Message::Close(said) => panic!("closed while waiting for {what}: {said:?}"),
                    _ => {}
                }
            }
        })
        .await;
    }

    async fn take(&mut self, message: &[u8]) {
        if Frames::of(message).next() == Some(Ok(Frame::Unknown(ACKNOWLEDGED))) {
            let mut reader = Reader::new(message);
            let mut number = || reader.var_uint().unwrap();
            number();
            self.settled = Some((number(), number()));
            self.durability = Some(number());
            return;
        }
        let answers = self.client.take(message);
        self.say(answers).await;
    }

    pub async fn synced(&mut self) {
        self.until("an answer", |visitor| visitor.client.answers > 0).await;
    }

    /// Until so many of its frames are durable.
    pub async fn saved(&mut self, frames: u64) {
        self.until("acknowledgements", |visitor| visitor.settled == Some((frames, 0))).await;
    }

    pub async fn reads(&mut self, text: &str) {
        self.until(text, |visitor| visitor.client.text() == text).await;
    }
}
