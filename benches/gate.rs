//! What a keystroke costs, and what of it the gate: so many keystrokes of one client into a document that another has open
//! too, through the core as a socket's bytes. To be run under callgrind, which counts instructions:
//!
//! ```text
//! cargo bench --bench gate --no-run
//! valgrind --tool=callgrind --collect-atstat=no target/release/deps/gate-*
//! ```

use std::sync::Arc;

use bytes::Bytes;
use y_mesh::document::{Access, Document, Effect, Event, Kind, Now, Stored};
use y_mesh::wire::sync;
use y_mesh::yrs::{Doc, Text, Transact, WriteTxn};
use y_mesh::{ClientId, Config, Identity, SessionId};

const KEYSTROKES: u32 = 2_000;

fn keystrokes() -> Vec<Bytes> {
    let doc = Doc::with_client_id(7);
    let type_one = |at: u32| {
        let mut txn = doc.transact_mut();
        let text = txn.get_or_insert_text("text");
        // A word at the end, a word in the middle of what is there.
        let place = if at / 8 % 2 == 0 { at } else { at / 2 };
        text.insert(&mut txn, place, "x");
        sync::update(&txn.encode_update_v1())
    };
    (0..KEYSTROKES).map(type_one).collect()
}

#[inline(never)]
fn handle(document: &mut Document, message: &Bytes, effects: &mut Vec<Effect>) {
    document.handle(Now::default(), Event::Received { session: SessionId(1), message: message.clone() }, effects);
    document.handle(Now::default(), Event::TurnEnded, effects);
    effects.clear();
}

fn main() {
    let config = Arc::new(Config::default());
    let mut document =
        Document::open(&Stored::default(), ClientId(1), config, Now::default()).expect("an empty one opens");
    let mut effects = Vec::new();
    for session in [1, 2] {
        let kind = Kind::Client { access: Access::Write, identity: Identity::anonymous() };
        document.handle(Now::default(), Event::Joined { session: SessionId(session), kind }, &mut effects);
    }
    for message in &keystrokes() {
        handle(&mut document, message, &mut effects);
    }
    println!("{KEYSTROKES} keystrokes, {} bytes", document.snapshot().len());
}
