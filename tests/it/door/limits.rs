//! What a WebSocket may send.

use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use y_mesh::wire::sync;

use super::{Server, close_code, ms, soon, until};

const LIMIT: usize = 64 << 10;

async fn small() -> Server {
    Server::configured(|config| config.limits.message_bytes_max = LIMIT).await
}

/// A message of a type that is skipped.
fn message(length: usize) -> Message {
    Message::Binary(vec![77; length].into())
}

async fn answers(server: &Server) {
    server.visit("/ws/notes", 9).await;
}

#[tokio::test]
async fn w2_a_message_over_the_limit_closes_1009_and_one_below_doesnt() {
    let server = small().await;
    let mut below = server.visit("/ws/notes", 1).await;
    below.socket.send(message(LIMIT)).await.unwrap();
    below.say(vec![sync::sync_step_1(&[0])]).await;
    below.until("another answer", |below| below.client.answers > 1).await;
    let mut above = server.connect("/ws/notes").await;
    above.send(message(LIMIT + 1)).await.unwrap();
    assert_eq!(close_code(&mut above).await, 1009);
    assert_eq!(server.refusals("too_big"), 1);
    answers(&server).await;
}

#[tokio::test]
async fn w2_a_message_in_fragments_is_counted_whole() {
    let server = small().await;
    let mut socket = server.connect("/ws/notes").await;
    let part = |code, is_last| Message::Frame(Frame::message(vec![77; LIMIT / 2 + 1], OpCode::Data(code), is_last));
    socket.send(part(Data::Binary, false)).await.unwrap();
    socket.send(part(Data::Continue, true)).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 1009);
}

#[tokio::test]
async fn w2_who_is_still_sending_a_message_too_large_gets_the_code_all_the_same() {
    let server = small().await;
    let socket = server.connect("/ws/notes").await;
    let mut stream = socket.into_inner();
    let mut sent = vec![0x82, 0xff];
    sent.extend((8_u64 << 20).to_be_bytes());
    sent.extend([0; 4]);
    stream.write_all(&sent).await.unwrap();
    let (mut from, mut to) = stream.split();
    let sending = async {
        let part = vec![0; LIMIT];
        while to.write_all(&part).await.is_ok() {}
    };
    let mut read = Vec::new();
    let reading = async { from.read_to_end(&mut read).await };
    tokio::select! {
        () = sending => {}
        _ = soon("the end", reading) => {}
    }
    assert!(read.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1009_u16.to_be_bytes()), "{read:?}");
}

/// Announces a message, and sends so much of it.
async fn unfinished(server: &Server, announced: u64, sent: usize) -> tokio::net::TcpStream {
    let mut stream = server.connect("/ws/notes").await.into_inner();
    let mut head = vec![0x82, 0xff];
    head.extend(announced.to_be_bytes());
    head.extend([0; 4]);
    stream.write_all(&head).await.unwrap();
    stream.write_all(&vec![0; sent]).await.unwrap();
    stream
}

#[tokio::test]
async fn large_messages_that_never_come_whole_give_way_to_those_that_do() {
    let server = Server::configured(|config| {
        config.limits.message_bytes_max = 1 << 20;
        config.limits.unfinished_bytes_max = 2 << 20;
    })
    .await;
    let mut honest = server.visit("/ws/notes", 1).await;
    let mut left = Vec::new();
    for _ in 0..4 {
        left.push(unfinished(&server, 1 << 20, 900 << 10).await);
    }
    honest.write(&"long ".repeat(100_000)).await;
    honest.until("its echo", |honest| !honest.client.updates.is_empty()).await;
    assert!(server.refusals("unfinished") >= 1);
    let mut ends = 0;
    for mut stream in left {
        let mut read = Vec::new();
        // Of those that were not sent away nothing comes.
        let reading = tokio::time::timeout(ms(50), stream.read_to_end(&mut read));
        let _ = reading.await;
        ends += usize::from(read.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1013_u16.to_be_bytes()));
    }
    assert!(ends >= 1, "they're told to come back");
}

#[tokio::test]
async fn a_large_message_that_trickles_is_given_up() {
    let server = Server::configured(|config| config.timing.step_max = ms(100)).await;
    let mut stream = unfinished(&server, 1 << 20, 100 << 10).await;
    let (mut from, mut to) = stream.split();
    let mut ticks = tokio::time::interval(ms(10));
    let trickling = async {
        while to.write_all(&[0; 10]).await.is_ok() {
            ticks.tick().await;
        }
    };
    let mut read = Vec::new();
    tokio::select! {
        () = trickling => {}
        _ = soon("the end", from.read_to_end(&mut read)) => {}
    }
    assert_eq!(server.refusals("unfinished"), 1);
    answers(&server).await;
}

#[tokio::test]
async fn a_text_closes_1003_and_a_text_that_is_none_1007() {
    let server = Server::start().await;
    let mut socket = server.connect("/ws/notes").await;
    socket.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 1003);
    let mut socket = server.connect("/ws/notes").await;
    let text = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    socket.send(Message::Frame(text)).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 1007);
    assert_eq!(server.refusals("text"), 2);
}

#[tokio::test]
async fn w4_a_malformed_frame_closes_its_own_session_alone() {
    let server = Server::start().await;
    let mut bystander = server.visit("/ws/notes", 1).await;
    let cases: [(&[u8], u16); 4] =
        [(&[0, 2, 200, 1, 1], 1007), (&[255; 32], 1007), (&[1, 2, 1, 1], 1007), (&[0, 2, 4, 255, 255, 255, 255], 4400)];
    for (bytes, code) in cases {
        let mut socket = server.connect("/ws/notes").await;
        socket.send(Message::Binary(bytes.to_vec().into())).await.unwrap();
        assert_eq!(close_code(&mut socket).await, code, "{bytes:?}");
    }
    bystander.write("undisturbed").await;
    server.visit("/ws/notes", 2).await.reads("undisturbed").await;
}

#[tokio::test]
async fn bytes_that_are_no_websocket_frames_close_1002() {
    let server = Server::start().await;
    let not_masked: &[u8] = &[0x82, 1, 77];
    let reserved_bit: &[u8] = &[0xc2, 0x81, 0, 0, 0, 0, 77];
    let reserved_code: &[u8] = &[0x83, 0x81, 0, 0, 0, 0, 77];
    let long_ping: &[u8] = &[0x89, 0xfe, 0, 126, 0, 0, 0, 0];
    for bytes in [not_masked, reserved_bit, reserved_code, long_ping] {
        let mut socket = server.connect("/ws/notes").await;
        let stream = socket.get_mut();
        stream.write_all(bytes).await.unwrap();
        if bytes == long_ping {
            stream.write_all(&[0; 126]).await.unwrap();
        }
        assert_eq!(close_code(&mut socket).await, 1002, "{bytes:?}");
    }
    answers(&server).await;
}

#[tokio::test]
async fn a_goodbye_is_answered_with_its_code() {
    let server = Server::start().await;
    let mut socket = server.connect("/ws/notes").await;
    let said = tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 4000.into(), reason: "enough".into() };
    socket.close(Some(said)).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 4000);
    until("it to be gone", || server.node.metrics().connections.get() == 0).await;
}

#[tokio::test]
async fn who_ignores_a_goodbye_is_cut_off() {
    let server = Server::start().await;
    let mut stream = server.connect("/ws/notes").await.into_inner();
    // A masked text of one letter.
    stream.write_all(&[0x81, 0x81, 0, 0, 0, 0, b'x']).await.unwrap();
    let mut read = Vec::new();
    soon("the end", stream.read_to_end(&mut read)).await.unwrap();
    assert!(read.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1003_u16.to_be_bytes()));
}

#[tokio::test]
async fn there_are_as_many_connections_as_may_be() {
    let server = Server::configured(|config| config.limits.connections_max = 2).await;
    let first = server.visit("/ws/notes", 1).await;
    let _second = server.tcp().await;
    let answer = server.get("/healthz").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    assert!(server.refusals("connections") >= 1);
    drop(first);
    let mut looks = tokio::time::interval(ms(5));
    soon("room", async {
        while server.get("/healthz").await.status != 200 {
            looks.tick().await;
        }
    })
    .await;
}
