//! How quickly connections that lead nowhere are shed.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::server::{Connection, PATIENCE, Server};

/// Connections that lead nowhere are gone by then.
const SHED_MAX: Duration = Duration::from_secs(10);

/// Reads until the server hangs up; gives how long that took.
async fn shed(mut tcp: TcpStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    // A reset is as good an end as an orderly one.
    let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut rest)).await.expect("the server never hangs up");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_that_lead_nowhere_are_shed_while_others_work() {
    rlimit::increase_nofile_limit(4_096).unwrap();
    let server = Server::start();
    let beginnings = [
        "",
        "GET /ws/pressure HTTP/1.1\r\nHost: x\r\nUpgr",
        "POST /api/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
    ];
    let mut waiting = JoinSet::new();
    for number in 0..1_000 {
        let mut tcp = TcpStream::connect(&server.address).await.unwrap();
        tcp.write_all(beginnings[number % beginnings.len()].as_bytes()).await.unwrap();
        waiting.spawn(shed(tcp));
    }
    let mut a = Connection::open(&server, 1).await;
    let mut b = Connection::open(&server, 2).await;
    let hello = a.client.write("hello");
    a.send(hello).await;
    b.read_until(|client| client.text() == "hello").await;
    let longest = waiting.join_all().await.into_iter().max().unwrap();
    println!("the last of 1,000 was shed after {longest:?}");
    assert!(longest <= SHED_MAX, "the last was shed after {longest:?}");
}
