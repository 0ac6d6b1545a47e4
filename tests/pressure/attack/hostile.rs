//! Fifty hostile connections: ten kinds, half of them in the document where honest people type, half in others.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use y_mesh::document::StateVector;
use y_mesh::wire::lib0::write_var_uint;
use y_mesh::wire::sync::{self, Frame, Frames};
use y_mesh::{ClientId, wire::sync::Entry};

use super::super::support::client::Client;
use super::super::support::random::Random;
use super::honest::SHARED;

type Socket = WebSocketStream<TcpStream>;

const CONNECTIONS: u64 = 50;
/// Who is sent away comes back after so long.
const COMES_BACK: Duration = Duration::from_millis(50);
const KINDS: u64 = 12;

struct Hostile {
    address: String,
    document: String,
    id: u64,
    random: Random,
}

pub async fn attack(address: &str) {
    let mut all = JoinSet::new();
    for number in 0..CONNECTIONS {
        let document = if number % 2 == 0 { SHARED.to_owned() } else { format!("hostile/{}", number % 5) };
        let hostile =
            Hostile { address: address.to_owned(), document, id: 1_000 + number, random: Random::new(number) };
        all.spawn(hostile.go_on(number / 2 % KINDS));
    }
    all.join_all().await;
}

impl Hostile {
    /// Does its kind of harm, for ever; it comes back when it's sent away.
    async fn go_on(mut self, kind: u64) {
        loop {
            // Being sent away is what it waits for.
            let _ = self.do_harm(kind).await;
            sleep(COMES_BACK).await;
        }
    }

    async fn do_harm(&mut self, kind: u64) -> Result<(), Error> {
        match kind {
            0 => self.flood(Self::odd_vector).await,
            1 => self.flood(|_, _| sync::query_awareness()).await,
            2 => self.fill_and_forge().await,
            3 => self.flood(|this, _| sync::update(&this.bytes(40))).await,
            4 => self.flood(|this, _| this.bytes(40).into()).await,
            5 => self.send_all_again().await,
            6 => self.delete_all_again().await,
            7 => self.leave_unfinished().await,
            8 => self.never_read().await,
            9 => self.come_and_go().await,
            10 => self.flood_tiny_updates().await,
            _ => self.flood_from_nowhere().await,
        }
    }

    async fn connect(&mut self) -> Result<Socket, Error> {
        let tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        let (socket, _) = client_async(format!("ws://{}/ws/{}", self.address, self.document), tcp).await?;
        Ok(socket)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.random.next() as u8).collect()
    }

    /// Sends as fast as it can, and reads all that comes.
    async fn flood(&mut self, mut next: impl FnMut(&mut Self, u64) -> Bytes) -> Result<(), Error> {
        let (mut sink, mut stream) = self.connect().await?.split();
        let sending = async {
            for round in 0.. {
                sink.feed(Message::Binary(next(self, round))).await?;
                if round % 16 == 15 {
                    sink.flush().await?;
                }
            }
            Ok(())
        };
        let reading = async { while let Some(Ok(_)) = stream.next().await {} };
        tokio::select! {
            result = sending => result,
            () = reading => Ok(()),
        }
    }

    /// It has a little of what many have written, never twice the same.
    fn odd_vector(&mut self, round: u64) -> Bytes {
        let mut vector = StateVector::default();
        for client in 10..14 {
            vector.raise(ClientId(client), 1 + (self.random.next() % 1_000) as u32 + round as u32 % 7);
        }
        sync::sync_step_1(&vector.encode())
    }

    /// Invents people, and says this and that of those who are here.
    async fn fill_and_forge(&mut self) -> Result<(), Error> {
        let state = format!("{{\"name\":\"{}\"}}", "x".repeat(2_000));
        self.flood(move |this, _| {
            let victim = Entry { client: ClientId(10 + this.random.next() % 20), clock: 1 << 30, state: Some(&state) };
            let goodbye = Entry { state: None, ..victim };
            let invented = Entry { client: ClientId(this.random.next() % (1 << 32)), clock: 1, state: Some(&state) };
            sync::awareness([victim, goodbye, invented].into_iter())
        })
        .await
    }

    /// Reads until it has been told what the document holds.
    async fn copy(&mut self) -> Result<(Socket, Client), Error> {
        let mut socket = self.connect().await?;
        let mut client = Client::new(self.id);
        for message in client.open() {
            socket.send(Message::Binary(message)).await?;
        }
        while client.answers == 0 {
            match socket.next().await {
                Some(Ok(Message::Binary(message))) => drop(client.take(&message)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(Error::ConnectionClosed),
            }
        }
        Ok((socket, client))
    }

    async fn send_all_again(&mut self) -> Result<(), Error> {
        let (_socket, client) = self.copy().await?;
        let everything = client.everything();
        self.flood(move |_, _| everything.clone()).await
    }

    async fn delete_all_again(&mut self) -> Result<(), Error> {
        let (_socket, client) = self.copy().await?;
        let state = client.state();
        let message = sync::sync_step_2(&client.lacks(&state));
        self.flood(move |_, _| message.clone()).await
    }

    /// Announces a large message, sends most of it, and lets the rest trickle.
    async fn leave_unfinished(&mut self) -> Result<(), Error> {
        let mut tcp = self.connect().await?.into_inner();
        let mut head = vec![0x82, 0xff];
        head.extend((15_u64 << 20).to_be_bytes());
        head.extend([0; 4]);
        tcp.write_all(&head).await?;
        let part = vec![0; 64 << 10];
        for _ in 0..200 {
            tcp.write_all(&part).await?;
        }
        let mut ticks = interval(Duration::from_millis(500));
        loop {
            ticks.tick().await;
            tcp.write_all(&part[..100]).await?;
        }
    }

    /// Asks for everything, and takes nothing of it; but it lives.
    async fn never_read(&mut self) -> Result<(), Error> {
        let mut socket = self.connect().await?;
        let mut ticks = interval(Duration::from_millis(20));
        for round in 0.. {
            ticks.tick().await;
            socket.send(Message::Binary(self.odd_vector(round))).await?;
        }
        Ok(())
    }

    async fn come_and_go(&mut self) -> Result<(), Error> {
        for round in 0..100 {
            let mut socket = self.connect().await?;
            let question = if round % 2 == 0 { sync::sync_step_1(&[0]) } else { self.odd_vector(round) };
            socket.send(Message::Binary(question)).await?;
            let shows = Entry { client: ClientId(self.random.next() % (1 << 32)), clock: 5, state: Some("{}") };
            socket.send(Message::Binary(sync::awareness([shows].into_iter()))).await?;
        }
        Ok(())
    }

    async fn flood_tiny_updates(&mut self) -> Result<(), Error> {
        self.id += CONNECTIONS;
        let mut client = Client::new(self.id);
        self.flood(move |_, round| client.set("hostile", &round.to_string()).remove(0)).await
    }

    /// Updates that stand on what nobody has.
    async fn flood_from_nowhere(&mut self) -> Result<(), Error> {
        self.flood(|this, round| {
            let mut update = vec![1, 1];
            write_var_uint(&mut update, this.id);
            write_var_uint(&mut update, 1_000 + round);
            update.extend([0x84]);
            write_var_uint(&mut update, this.id);
            write_var_uint(&mut update, 999 + round);
            update.extend([1, b'x', 0]);
            let message = sync::update(&update);
            assert!(matches!(Frames::of(&message).next(), Some(Ok(Frame::Update(_)))));
            message
        })
        .await
    }
}
