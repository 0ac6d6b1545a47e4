//! Messages that end the process, or never come to an end; and honest ones that are in flight when it's killed.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use y_mesh::store::faults::quarantine::Quarantined;
use y_mesh::wire::sync;
use y_mesh::yrs::{Array, WriteTxn};

use super::kill::Program;
use super::{Place, rounds};
use crate::door::{Visitor, close_code};
use crate::support::content::{LIST, TEXT};
use crate::support::planted::{ABORT, LOOP, OVERFLOW};
use crate::support::random::Random;
use crate::support::raw;
use crate::support::serving::{STUCK, server, serves};

impl Place {
    /// The quarantine's files with this ending.
    fn quarantine(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join("quarantine")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
    }
}

/// An update that does what this text says.
fn poison(text: &str) -> Bytes {
    sync::update(&raw::alone(666, 0, [raw::text(TEXT, text)]))
}

async fn planted(test: &str, place: &Place) -> Program {
    Program::spawn(server(test, &place.0, true)).await
}

async fn write(program: &Program, document: &str, client: u64, text: &str) -> Visitor {
    let mut visitor = program.visit(document, client).await;
    visitor.write(text).await;
    let sent = visitor.client.sent;
    visitor.saved(sent).await;
    visitor
}

/// Honest people write beside it, then it comes; gives who sent it.
async fn strike(program: &Program, life: u64, poison: &Bytes) -> Visitor {
    write(program, "honest", 10 + life, &format!("{life} ")).await;
    write(program, "hit", 20 + life, &format!("{life} ")).await;
    let mut hostile = program.visit("hit", 30 + life).await;
    hostile.say(vec![poison.clone()]).await;
    hostile
}

/// From now on it's refused, and nobody else is harmed.
async fn refused(test: &str, place: &Place, lives: std::ops::Range<u64>, poison: &Bytes) {
    for life in lives {
        let program = planted(test, place).await;
        let (mut honest, mut beside) = (program.visit("honest", 1).await, program.visit("hit", 2).await);
        let mut hostile = strike(&program, life, poison).await;
        assert_eq!(close_code(&mut hostile.socket).await, 4400);
        let text: String = (1..=life).map(|life| format!("{life} ")).collect();
        honest.reads(&text).await;
        beside.reads(&text).await;
        program.kill().await;
    }
    let files = place.quarantine("");
    assert_eq!(files.len(), 1, "{files:?}");
    let file = Quarantined::decode(&fs::read(&files[0]).unwrap()).unwrap();
    assert_eq!((file.document.as_str(), file.message.as_ref()), ("hit", Some(poison)));
}

/// It ends the process twice: the second time it's applied alone, and so known to be what did it.
async fn ends_it_twice(test: &str, text: &str) {
    let (place, poison) = (Place::new("crash"), poison(text));
    for life in 1..=2 {
        let program = planted(test, &place).await;
        let hostile = strike(&program, life, &poison).await;
        assert!(!program.ends().await.success());
        drop(hostile);
    }
    refused(test, &place, 3..5, &poison).await;
}

#[tokio::test]
async fn w6_what_aborts_the_process_does_so_twice_and_is_refused_then() {
    if !serves().await {
        ends_it_twice("store::crashes::w6_what_aborts_the_process_does_so_twice_and_is_refused_then", ABORT).await;
    }
}

#[tokio::test]
async fn w6_what_overflows_the_stack_does_so_twice_and_is_refused_then() {
    if !serves().await {
        ends_it_twice("store::crashes::w6_what_overflows_the_stack_does_so_twice_and_is_refused_then", OVERFLOW).await;
    }
}

#[tokio::test]
async fn w6_what_never_ends_is_noticed_and_refused_by_the_next_process() {
    if serves().await {
        return;
    }
    let test = "store::crashes::w6_what_never_ends_is_noticed_and_refused_by_the_next_process";
    let (place, poison) = (Place::new("loop"), poison(LOOP));
    let program = planted(test, &place).await;
    let hostile = strike(&program, 1, &poison).await;
    assert_eq!(program.ends().await.code(), Some(STUCK));
    drop(hostile);
    refused(test, &place, 2..4, &poison).await;
}

/// The program itself, which takes something honest for endless, so short is its patience.
#[tokio::test]
async fn the_program_ends_with_a_code_of_its_own_when_a_document_is_stuck() {
    let place = Place::new("stuck");
    let impatient = ["--set", "timing.watchdog_interval=0.001,timing.handle_max=0.002"];
    let program = Program::start_in(&place.0, &impatient).await;
    let mut visitor = program.visit("large", 1).await;
    let messages = visitor.client.edit(|txn| {
        let list = txn.get_or_insert_array(LIST);
        for number in 0..200_000 {
            list.insert(txn, 0, number);
        }
    });
    visitor.say(messages.clone()).await;
    assert_eq!(program.ends().await.code(), Some(STUCK));
    let files = place.quarantine(".message");
    assert_eq!(files.len(), 1);
    let file = Quarantined::decode(&fs::read(&files[0]).unwrap()).unwrap();
    assert_eq!(file.message.as_ref(), messages.first());
}

/// What is in a document whose load is deadly was taken by a version that bore it.
#[tokio::test]
async fn i2_a_document_whose_load_ends_the_process_twice_is_not_loaded_until_its_file_is_removed() {
    if serves().await {
        return;
    }
    let test =
        "store::crashes::i2_a_document_whose_load_ends_the_process_twice_is_not_loaded_until_its_file_is_removed";
    let place = Place::new("load");
    let program = Program::spawn(server(test, &place.0, false)).await;
    write(&program, "deadly", 1, ABORT).await;
    write(&program, "honest", 2, "kept").await;
    program.kill().await;
    for _ in 0..2 {
        let program = planted(test, &place).await;
        let visitor = program.come("deadly", 3).await;
        assert!(!program.ends().await.success());
        drop(visitor);
    }
    let program = planted(test, &place).await;
    let mut visitor = program.come("deadly", 4).await;
    assert_eq!(close_code(&mut visitor.socket).await, 1011);
    assert_eq!(program.read("honest").await, "kept");
    let listed = crate::door::ask(program.address.parse().unwrap(), &listing(&program)).await;
    assert!(listed.text().contains("deadly") && listed.text().contains("honest"), "{}", listed.text());
    program.kill().await;

    let program = Program::spawn(server(test, &place.0, false)).await;
    let mut visitor = program.come("deadly", 5).await;
    assert_eq!(close_code(&mut visitor.socket).await, 1011, "it stays so, whatever the version");
    let files = place.quarantine(".document");
    assert_eq!(Quarantined::decode(&fs::read(&files[0]).unwrap()).unwrap().document.as_str(), "deadly");
    fs::remove_file(&files[0]).unwrap();
    assert_eq!(program.read("deadly").await, ABORT);
    program.kill().await;
}

fn listing(program: &Program) -> String {
    format!("GET /api/documents HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", program.address)
}

/// Turns in a life of the program, before it's killed amid one.
const TURNS: usize = 1_000;
const DOCUMENTS: u64 = 4;

/// Writes everywhere until the program is killed; gives all messages that were sent, by document.
async fn write_until_killed(program: Program, life: u64, random: &mut Random) -> Vec<(String, Bytes)> {
    let (mut visitors, mut sent) = (Vec::new(), Vec::new());
    for number in 0..DOCUMENTS {
        visitors.push((format!("doc-{number}"), program.visit(&format!("doc-{number}"), life * 100 + number).await));
    }
    for turn in 0..TURNS {
        let (document, visitor) = &mut visitors[turn % DOCUMENTS as usize];
        let messages = visitor.client.write("word ");
        sent.extend(messages.iter().map(|message| (document.clone(), message.clone())));
        visitor.say(messages).await;
        // Towards the end nobody waits, so that there's much to do when it's killed.
        if turn < TURNS - 300 && random.percent(5) {
            let frames = visitor.client.sent;
            visitor.saved(frames).await;
        }
    }
    program.kill().await;
    sent
}

/// What ends with the process is suspected; what comes of it is nothing.
#[tokio::test]
async fn w6_a_kill_9_amid_honest_turns_bans_nothing() {
    let (place, mut random) = (Place::new("innocent"), Random::new(5));
    let mut suspects = 0;
    let rounds = rounds("YMESH_INNOCENT_ROUNDS", 3) as u64;
    // And on, should no kill have come amid anything.
    for life in 1..=rounds + 20 {
        if life > rounds && suspects > 0 {
            break;
        }
        let program = Program::start_in(&place.0, &["--strict"]).await;
        let sent = write_until_killed(program, life, &mut random).await;
        let program = Program::start_in(&place.0, &[]).await;
        suspects += count(&program, "ymesh_suspects").await;
        for number in 0..DOCUMENTS {
            let document = format!("doc-{number}");
            let mut again = program.visit(&document, 7 + number).await;
            let mine: Vec<_> = sent.iter().filter(|(name, _)| *name == document).map(|(_, m)| m.clone()).collect();
            let frames = again.client.sent + mine.len() as u64;
            again.say(mine).await;
            again.saved(frames).await;
        }
        assert_eq!(count(&program, "ymesh_suspects").await, 0, "all of it came again");
        assert!(place.quarantine("").is_empty());
        program.kill().await;
    }
    assert!(suspects > 0, "nothing was in flight at any kill");
}

async fn count(program: &Program, name: &str) -> u64 {
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", program.address);
    let answer = crate::door::ask(program.address.parse().unwrap(), &request).await;
    let line = answer.text().lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap().to_owned();
    line.parse().unwrap()
}
