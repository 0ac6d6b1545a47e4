//! S3: mail that arrives while a document loads waits, and who waits too long is sent away for now.

use std::sync::{Arc, Condvar, Mutex};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use super::{Server, Visitor, close_code, ms, soon};
use crate::support::client::Client;
use crate::support::watched::{Call, Watched};

/// What loads wait for.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
    }
}

/// A server whose documents load when the gate opens.
async fn gated(load_max: std::time::Duration) -> (Server, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let its = gate.clone();
    let store = Watched::new(move |call| {
        if let Call::Load(_) = call {
            its.pass();
        }
        Ok(())
    });
    let server = Server::with(|config| config.timing.load_max = load_max, |node| node.store(store), |door| door).await;
    (server, gate)
}

#[tokio::test]
async fn s3_what_is_sent_while_the_document_loads_waits() {
    let (server, gate) = gated(ms(60_000)).await;
    let mut early = Visitor::new(server.connect("/ws/notes").await, Client::new(1)).await;
    early.write("written while it loads").await;
    early.socket.send(Message::Ping("".into())).await.unwrap();
    // The pong says that all of it was taken in; and it's the first thing that comes.
    assert!(soon("a pong", early.socket.next()).await.unwrap().unwrap().is_pong());
    gate.open();
    early.synced().await;
    early.until("its echo", |early| !early.client.updates.is_empty()).await;
    server.visit("/ws/notes", 2).await.reads("written while it loads").await;
}

#[tokio::test]
async fn s3_a_load_that_takes_too_long_closes_1013() {
    let (server, gate) = gated(ms(100)).await;
    let mut early = server.connect("/ws/notes").await;
    assert_eq!(close_code(&mut early).await, 1013);
    gate.open();
    server.visit("/ws/notes", 1).await;
}

#[tokio::test]
async fn s3_who_waits_for_a_load_can_be_sent_away() {
    let (server, gate) = gated(ms(60_000)).await;
    let mut early = server.connect("/ws/notes").await;
    let stopping = server.stop();
    assert_eq!(close_code(&mut early).await, 1012);
    gate.open();
    soon("the end", stopping).await.unwrap();
}
