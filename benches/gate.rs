//! What of a keystroke's path the gate costs, in instructions: `cargo bench --bench gate`. It needs valgrind.
//!
//! The server runs under callgrind, on a store of its own on disk. One client types, another looks on. What the server does
//! for half as many keystrokes is taken away from what it does for all of them, so that its start doesn't count. What the
//! kernel does for it isn't counted at all, so the gate's real share is smaller.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use y_mesh::wire::sync::{self, Frame, Frames};
use y_mesh::yrs::{Doc, Text, Transact, WriteTxn};

const KEYSTROKES: u32 = 4_000;

/// The functions of the gate: nothing else calls them while somebody types, and none calls another.
const GATE: [(&str, &str); 6] = [
    ("walk over the update", "y_mesh::wire::vet::outline"),
    ("how far it stands", "y_mesh::document::standing::standing"),
    ("comparison with what is here", "y_mesh::document::replica::Replica::check"),
    ("hash of the message", "y_mesh::node::hashes::Hashes::of"),
    ("mark of what is in flight", "y_mesh::store::faults::marks::Marks::set"),
    ("end of the mark", "<y_mesh::store::faults::marks::Mark as core::ops::drop::Drop>::drop"),
];

fn main() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return eprintln!("valgrind isn't installed, so instructions can't be counted");
    }
    let (half, whole) = (run(KEYSTROKES / 2), run(KEYSTROKES));
    let each = |name: &str| {
        let count = |run: &BTreeMap<String, u64>| run.get(name).copied().unwrap_or(0);
        (count(&whole).saturating_sub(count(&half))) as f64 / f64::from(KEYSTROKES / 2)
    };
    let (total, mut gate) = (each(TOTAL), 0.0);
    println!("instructions for each of {KEYSTROKES} keystrokes, with one who types and one who looks on");
    for (what, function) in GATE {
        println!("{:>9.0}  {what}", each(function));
        gate += each(function);
    }
    println!("{gate:>9.0}  the gate");
    println!("{total:>9.0}  all that the server does: the gate is {:.1} % of it", 100.0 * gate / total);
}

const TOTAL: &str = "PROGRAM TOTALS";

/// What each function and all that it calls took while somebody typed so much, in instructions.
fn run(keystrokes: u32) -> BTreeMap<String, u64> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-gate-{}", std::process::id()));
    std::fs::create_dir_all(&root).expect("cargo's folder can be written to");
    let counted = root.join("callgrind.out");
    let mut server = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", counted.display()))
        .arg(env!("CARGO_BIN_EXE_y-mesh"))
        .args(["--port", "0", "--data"])
        .arg(root.join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("valgrind starts");
    let mut lines = BufReader::new(server.stdout.take().expect("it's piped")).lines().map_while(Result::ok);
    let address = lines.find_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_owned()));
    let address = address.expect("the server says where it listens");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(type_into(&format!("ws://{address}/ws/gate"), keystrokes));
    let pid = server.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().expect("the server can be stopped");
    server.wait().expect("the server stops");
    let annotated = Command::new("callgrind_annotate")
        .args(["--inclusive=yes", "--threshold=100", "--auto=no"])
        .arg(&counted)
        .output()
        .expect("callgrind_annotate runs");
    std::fs::remove_dir_all(&root).expect("the folder can be removed");
    costs(&String::from_utf8_lossy(&annotated.stdout))
}

/// Lines like `1,234 (12.3%)  file:function [object]`.
fn costs(annotated: &str) -> BTreeMap<String, u64> {
    let mut costs = BTreeMap::new();
    for line in annotated.lines().map(str::trim) {
        let Some((number, rest)) = line.split_once(" (") else { continue };
        let Ok(cost) = number.replace(',', "").parse::<u64>() else { continue };
        let Some((_, place)) = rest.split_once(")  ") else { continue };
        let function = place.split(" [").next().unwrap_or(place);
        let named = |name: &&str| function.ends_with(name);
        let names = GATE.iter().map(|(_, function)| *function).chain([TOTAL]);
        if let Some(name) = names.into_iter().find(named) {
            let known: &mut u64 = costs.entry(name.to_owned()).or_default();
            *known = (*known).max(cost);
        }
    }
    costs
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn type_into(url: &str, keystrokes: u32) {
    let (mut author, mut reader) = (join(url).await, join(url).await);
    let doc = Doc::with_client_id(7);
    for at in 0..keystrokes {
        author.send(Message::Binary(keystroke(&doc, at))).await.expect("the server reads");
        updated(&mut reader).await;
        updated(&mut author).await;
    }
}

/// A word at the end, then one in the middle of what is there, and so on.
fn keystroke(doc: &Doc, at: u32) -> Bytes {
    let mut txn = doc.transact_mut();
    let text = txn.get_or_insert_text("text");
    let place = if (at / 8).is_multiple_of(2) { at } else { at / 2 };
    text.insert(&mut txn, place, "x");
    sync::update(&txn.encode_update_v1())
}

async fn join(url: &str) -> Socket {
    let (mut socket, _) = connect_async(url).await.expect("the server takes it");
    socket.send(Message::Binary(sync::sync_step_1(&[0]))).await.expect("the server reads");
    // Only then it's among those who are sent updates.
    until(&mut socket, |frame| matches!(frame, Frame::SyncStep2(_))).await;
    socket
}

/// Waits for the next update.
async fn updated(socket: &mut Socket) {
    until(socket, |frame| matches!(frame, Frame::Update(_))).await;
}

async fn until(socket: &mut Socket, is_it: impl Fn(&Frame<'_>) -> bool) {
    loop {
        let message = socket.next().await.expect("the server goes on").expect("the connection holds");
        if let Message::Binary(message) = message
            && let Some(Ok(frame)) = Frames::of(&message).next()
            && is_it(&frame)
        {
            return;
        }
    }
}
