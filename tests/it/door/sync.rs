//! Documents through the door: what goes in comes out, to whom it's for.

use std::sync::Arc;

use futures_util::SinkExt;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;
use y_mesh::wire::sync;

use super::{Server, Visitor, connect, ms, soon, until};
use crate::support::client::Client;

#[tokio::test]
async fn two_clients_write_the_same_document() {
    let server = Server::start().await;
    let mut ada = server.visit("/ws/notes", 1).await;
    let mut bob = server.visit("/notes", 2).await;
    ada.write("from ada. ").await;
    bob.reads("from ada. ").await;
    bob.write("from bob.").await;
    ada.reads("from ada. from bob.").await;
    assert_eq!(ada.client.state(), bob.client.state());
    let mut late = server.visit("/ws/notes", 3).await;
    late.reads("from ada. from bob.").await;
}

#[tokio::test]
async fn a_message_of_a_megabyte_goes_through_both_ways() {
    let server = Server::start().await;
    let mut ada = server.visit("/ws/large", 1).await;
    let mut bob = server.visit("/ws/large", 2).await;
    let text = "0123456789abcdef".repeat(1 << 16);
    ada.write(&text).await;
    bob.reads(&text).await;
    server.visit("/ws/large", 3).await.reads(&text).await;
}

#[tokio::test]
async fn who_leaves_takes_its_seat_along() {
    let server = Server::start().await;
    let ada = server.visit("/ws/notes", 1).await;
    let bob = server.visit("/ws/notes", 2).await;
    assert_eq!((server.node.metrics().sessions.get(), server.node.metrics().connections.get()), (2, 2));
    drop(ada);
    until("one to be gone", || server.node.metrics().sessions.get() == 1).await;
    let mut socket = bob.socket;
    socket.close(None).await.unwrap();
    until("all to be gone", || {
        server.node.metrics().sessions.get() == 0 && server.node.metrics().connections.get() == 0
    })
    .await;
}

#[tokio::test]
async fn d7_acknowledgements_go_to_who_asked_alone() {
    let server = Server::start().await;
    let mut asked = server.visit("/ws/notes?acks=1", 1).await;
    let mut unasked = server.visit("/ws/notes", 2).await;
    let mut declined = server.visit("/ws/notes?acks=0", 3).await;
    for letter in ["a", "b", "c"] {
        unasked.write(letter).await;
        declined.write(letter).await;
    }
    asked.write("d").await;
    asked.saved(2).await;
    // What is asked now is answered after all of it.
    for other in [&mut unasked, &mut declined] {
        let question = sync::sync_step_1(&[0]);
        other.say(vec![question]).await;
        other.until("another answer", |other| other.client.answers > 1).await;
        assert_eq!(other.settled, None);
    }
}

#[tokio::test]
async fn many_documents_at_once_stay_apart() {
    let server = Arc::new(Server::start().await);
    let visits = (0..20).map(|at| {
        let server = server.clone();
        tokio::spawn(async move {
            let (path, text) = (format!("/ws/many/{at}"), format!("document {at}"));
            let mut writer = server.visit(&path, 1).await;
            let mut reader = server.visit(&path, 2).await;
            writer.write(&text).await;
            reader.reads(&text).await;
        })
    });
    for visit in visits.collect::<Vec<_>>() {
        soon("a document", visit).await.unwrap();
    }
}

#[tokio::test]
async fn f5_a_slow_reader_ends_equal_and_delays_nobody() {
    let server = Server::configured(|config| config.limits.outbox_bytes_max = 256 << 10).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let (socket, _) = connect(stream, &format!("ws://{}/ws/pressed", server.address), &[]).await.unwrap();
    let mut slow = Visitor::new(socket, Client::new(1)).await;
    slow.synced().await;
    let mut writer = server.visit("/ws/pressed", 2).await;
    let mut other = server.visit("/ws/pressed", 3).await;
    let behind = || server.node.metrics().behind.get();
    let page = "x".repeat(32 << 10);
    let mut pages = 0;
    while behind() == 0 {
        writer.write(&page).await;
        pages += 1;
        let length = pages * page.len();
        // Each page reaches the other reader before the next is written: nobody waits for the slow one.
        other.until("the next page", |other| other.client.text().len() == length).await;
        assert!(length < 64 << 20, "it never falls behind");
    }
    assert!(slow.client.text().is_empty());
    slow.write("said while behind").await;
    other.until("what the slow one says", |other| other.client.text().contains("said while behind")).await;
    let text = other.client.text();
    slow.until("all of it", |slow| slow.client.text() == text).await;
    assert_eq!(slow.client.state(), other.client.state());
    until("nobody to be behind", || behind() == 0).await;
    assert_eq!(server.node.metrics().sessions.get(), 3);
}

#[tokio::test]
async fn pings_are_answered_with_their_payload_even_to_who_reads_nothing_else() {
    let server = Server::configured(|config| config.timing.silence_max = ms(60_000)).await;
    let mut ada = server.visit("/ws/notes", 1).await;
    ada.socket.send(Message::Ping("are you there".into())).await.unwrap();
    soon("a pong", async {
        loop {
            use futures_util::StreamExt;
            match ada.socket.next().await.unwrap().unwrap() {
                Message::Pong(payload) => return assert_eq!(&payload[..], b"are you there"),
                other => assert!(other.is_binary()),
            }
        }
    })
    .await;
}
