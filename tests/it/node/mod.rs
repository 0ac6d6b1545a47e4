//! The runtime: documents as actors, opened and retired while people come and go.

mod budgets;
mod deletion;
mod embedding;
mod faults;
mod levels;
mod lifecycle;
mod low;
mod marks;
mod panics;
mod strict;
mod suspects;
mod upheaval;

use std::time::Duration;

use y_mesh::document::CloseCode;
use y_mesh::{DocName, Durability, Node, Outgoing, Request, Seat};

use crate::support::client::Client;

/// Nothing here takes long; who waits for longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn name(text: &str) -> DocName {
    text.parse().unwrap()
}

/// A Yjs client with a seat.
pub struct Visitor {
    pub client: Client,
    pub seat: Seat,
    pub settled: (u64, u64),
    /// What its acknowledgements mean.
    pub durability: Option<Durability>,
    pub closed: Option<CloseCode>,
}

impl Visitor {
    /// Joins and sends what a client sends first.
    pub async fn join(node: &Node, document: &DocName, client: u64) -> Self {
        Self::join_as(node, document, Client::new(client)).await
    }

    pub async fn join_as(node: &Node, document: &DocName, mut client: Client) -> Self {
        let seat = node.document(document).join(Request::default()).await.unwrap();
        for message in client.open() {
            // If the session is over, the next thing that comes says why.
            let _ = seat.send(message).await;
        }
        Self::seated(client, seat)
    }

    pub fn seated(client: Client, seat: Seat) -> Self {
        Self::new(client, seat)
    }

    pub fn new(client: Client, seat: Seat) -> Self {
        Self { client, seat, settled: (0, 0), durability: None, closed: None }
    }

    pub async fn write(&mut self, text: &str) {
        for message in self.client.write(text) {
            self.seat.send(message).await.unwrap();
        }
    }

    /// Takes what comes until `is_done`.
    pub async fn until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !is_done(self) {
                match self.seat.next().await {
                    Outgoing::Message(message) => {
                        for answer in self.client.take(&message) {
                            // If the session is over, the next thing that comes says why.
                            let _ = self.seat.send(answer).await;
                        }
                    }
                    Outgoing::Acknowledged { durable, refused, durability } => {
                        (self.settled, self.durability) = ((durable, refused), Some(durability));
                    }
                    Outgoing::Closed(code) => {
                        self.closed = Some(code);
                        assert!(is_done(self), "closed: {code:?}");
                    }
                }
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, waiting).await;
        let client = &self.client;
        let state = (client.text(), client.answers, client.sent, self.settled);
        assert!(outcome.is_ok(), "nothing more comes: (text, answers, sent, settled) = {state:?}");
    }

    pub async fn synced(&mut self) {
        self.until(|visitor| visitor.client.answers > 0).await;
    }

    /// Until every frame that was sent is durable.
    pub async fn saved(&mut self) {
        self.until(|visitor| visitor.settled == (visitor.client.sent, 0)).await;
    }
}
