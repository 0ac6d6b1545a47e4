//! Whether the other side is still there.

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::interval;
use tokio_tungstenite::tungstenite::Message;

use super::{Server, ms, soon, until};

async fn impatient() -> Server {
    Server::configured(|config| {
        config.timing.ping_interval = ms(40);
        config.timing.silence_max = ms(250);
    })
    .await
}

#[tokio::test]
async fn who_answers_pings_stays() {
    let server = impatient().await;
    let mut socket = server.connect("/ws/notes").await;
    let mut pings = 0;
    soon("pings", async {
        // More than silence_max has room for.
        while pings < 12 {
            pings += u32::from(matches!(socket.next().await.unwrap().unwrap(), Message::Ping(_)));
        }
    })
    .await;
    assert_eq!((server.refusals("silent"), server.node.metrics().sessions.get()), (0, 1));
}

#[tokio::test]
async fn who_answers_nothing_is_gone() {
    let server = impatient().await;
    let mut stream = server.connect("/ws/notes").await.into_inner();
    let mut said = Vec::new();
    soon("the end", stream.read_to_end(&mut said)).await.unwrap();
    assert!(said.windows(2).filter(|bytes| *bytes == [0x89, 0]).count() >= 2, "it was pinged: {said:?}");
    assert_eq!(server.refusals("silent"), 1);
    until("its seat to be free", || server.node.metrics().sessions.get() == 0).await;
}

#[tokio::test]
async fn any_byte_is_a_sign_of_life() {
    let server = impatient().await;
    let mut stream = server.connect("/ws/notes").await.into_inner();
    // A message that takes three times as long as silence may.
    let mut bytes = vec![0x82, 0x80 | 30, 0, 0, 0, 0];
    bytes.extend([77; 30]);
    let mut pace = interval(ms(25));
    for byte in bytes {
        pace.tick().await;
        stream.write_u8(byte).await.unwrap();
    }
    assert_eq!((server.refusals("silent"), server.node.metrics().sessions.get()), (0, 1));
}

#[tokio::test]
async fn who_takes_nothing_for_too_long_is_gone() {
    let server = Server::configured(|config| {
        config.timing.write_max = ms(200);
        config.limits.outbox_bytes_max = 64 << 20;
    })
    .await;
    let deaf = server.visit("/ws/notes", 1).await;
    let mut writer = server.visit("/ws/notes", 2).await;
    let page = "x".repeat(256 << 10);
    let mut pages = 0;
    while server.refusals("slow") == 0 {
        writer.write(&page).await;
        pages += 1;
        let length = pages * page.len();
        writer
            .until("its own echo", |writer| writer.client.updates.iter().map(|u| u.len()).sum::<usize>() >= length)
            .await;
        assert!(length < 128 << 20, "it takes everything");
    }
    until("its seat to be free", || server.node.metrics().sessions.get() == 1).await;
    drop(deaf);
}
