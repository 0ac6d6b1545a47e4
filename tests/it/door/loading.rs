//! S3: mail that arrives while a document loads waits, and who waits too long is sent away for now.

use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use y_mesh::document::Stored;
use y_mesh::store::{Append, Store};
use y_mesh::{DocName, Durability, MemoryStore, Seq, StoreError};

use super::{Server, Visitor, close_code, ms, soon};
use crate::support::client::Client;

/// A memory store that outlives its node.
pub struct Kept(pub Arc<MemoryStore>);

impl Store for Kept {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn durability(&self) -> Durability {
        self.0.durability()
    }

    fn load(&self, name: &DocName) -> Result<Stored, StoreError> {
        self.0.load(name)
    }

    fn append(&self, records: &[Append]) -> Result<(), StoreError> {
        self.0.append(records)
    }

    fn compact(&self, name: &DocName, through: Seq, snapshot: &Bytes) -> Result<(), StoreError> {
        self.0.compact(name, through, snapshot)
    }

    fn create(&self, name: &DocName) -> Result<bool, StoreError> {
        self.0.create(name)
    }

    fn list(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError> {
        self.0.list(after, limit)
    }
}

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
}

/// A store whose loads wait at a gate.
struct Gated {
    kept: Kept,
    gate: Arc<Gate>,
}

impl Store for Gated {
    fn name(&self) -> &'static str {
        self.kept.name()
    }

    fn durability(&self) -> Durability {
        self.kept.durability()
    }

    fn load(&self, name: &DocName) -> Result<Stored, StoreError> {
        drop(self.gate.opened.wait_while(self.gate.is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
        self.kept.load(name)
    }

    fn append(&self, records: &[Append]) -> Result<(), StoreError> {
        self.kept.append(records)
    }

    fn compact(&self, name: &DocName, through: Seq, snapshot: &Bytes) -> Result<(), StoreError> {
        self.kept.compact(name, through, snapshot)
    }

    fn create(&self, name: &DocName) -> Result<bool, StoreError> {
        self.kept.create(name)
    }

    fn list(&self, after: Option<&DocName>, limit: usize) -> Result<Vec<DocName>, StoreError> {
        self.kept.list(after, limit)
    }
}

/// A server whose documents load when the gate opens.
async fn gated(load_max: std::time::Duration) -> (Server, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let store = Gated { kept: Kept(Arc::default()), gate: gate.clone() };
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
