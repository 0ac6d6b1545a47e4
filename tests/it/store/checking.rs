//! `y-mesh check` on files: honest, refused, of the quarantine, and anything at all.

use std::fs;
use std::path::Path;
use std::process::Output;

use bytes::Bytes;
use serde_json::Value;
use tokio::process::Command;
use y_mesh::document::WallTime;
use y_mesh::store::faults::quarantine::Quarantined;
use y_mesh::wire::sync;

use super::{Place, name};
use crate::door::soon;
use crate::support::client::Client;
use crate::support::content::TEXT;
use crate::support::random::Random;
use crate::support::raw;

async fn check(file: &Path, json: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_y-mesh"));
    command.arg("check").arg(file).args(json.then_some("--json")).kill_on_drop(true);
    soon("the answer", command.output()).await.unwrap()
}

/// What is said of these bytes, for people and for programs; and the exit code.
async fn said(bytes: &[u8]) -> (String, Value, i32) {
    let place = Place::new("check");
    fs::create_dir_all(place.path()).unwrap();
    let file = place.path().join("file");
    fs::write(&file, bytes).unwrap();
    let (text, json) = (check(&file, false).await, check(&file, true).await);
    assert_eq!(text.status.code(), json.status.code());
    let value = serde_json::from_slice(&json.stdout).unwrap_or_else(|error| panic!("{error}: {json:?}"));
    (String::from_utf8(text.stdout).unwrap(), value, text.status.code().unwrap())
}

#[tokio::test]
async fn an_honest_update_is_explained_and_taken() {
    let mut client = Client::new(77);
    client.write("hello");
    client.delete(1, 2);
    let (text, json, code) = said(&client.lacks(&[0])).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("client 77: clocks 0 to 4") && text.contains("deletes   client 77: clocks 1 to 2"), "{text}");
    let update = &json["updates"][0];
    assert_eq!(update["verdict"]["verdict"], "taken");
    assert_eq!(update["content"]["brings"][0]["end"], 5);
}

#[tokio::test]
async fn why_an_update_is_not_taken_is_said_with_rule_and_place() {
    let mut client = Client::new(77);
    client.write("hello");
    let whole = client.lacks(&[0]);
    let cut = &whole[..whole.len() - 4];
    let more = raw::alone(77, 5, [raw::text(TEXT, "x")]);
    for (update, verdict, rule) in [
        (cut, "refused", "W4"),
        (&[1, 0, 1, 0, 0], "refused", "W5"),
        (&more, "missing", "H2"),
        (b"no update at all", "refused", "W4"),
    ] {
        let (text, json, code) = said(update).await;
        assert_eq!((code, &json["updates"][0]["verdict"]["verdict"]), (3, &Value::from(verdict)), "{text}");
        assert!(text.contains(&format!("rule {rule}")), "{text}");
        assert_eq!(json["updates"][0]["verdict"]["offset"].is_number(), verdict == "refused", "{json}");
    }
}

#[tokio::test]
async fn a_file_of_the_quarantine_says_where_it_comes_from() {
    let mut client = Client::new(77);
    client.write("hello");
    let message = [&sync::keep_alive()[..], &client.everything()].concat();
    let file = Quarantined {
        at: WallTime(5),
        document: name("team/notes"),
        identity: "ada".into(),
        why: "yrs panicked".into(),
        message: Some(message.into()),
    };
    let (text, json, code) = said(&file.encode()).await;
    assert_eq!(code, 0, "{text}");
    for words in ["yrs panicked", "team/notes", "ada", "client 77: clocks 0 to 4"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert_eq!((&json["quarantine"]["document"], &json["quarantine"]["at"]), (&"team/notes".into(), &5.into()));
    assert_eq!(json["updates"].as_array().unwrap().len(), 1);
    let mut damaged = file.encode();
    damaged[30] ^= 1;
    let place = Place::new("check");
    fs::create_dir_all(place.path()).unwrap();
    fs::write(place.path().join("file"), damaged).unwrap();
    let output = check(&place.path().join("file"), false).await;
    assert!(
        output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("damaged"),
        "{output:?}"
    );
}

/// Known to hang, brick or crash bare yrs, and then some of any kind.
#[tokio::test]
async fn it_never_crashes_whatever_the_bytes() {
    let hang = [1, 1, 5, 0, 4, 1, 1, 0x61, 4, 0xf0, 0x9f, 0x8e, 0x89, 0];
    let brick = [1, 1, 5, 0, 2, 1, 1, 0x61, 0, 1, 0x31, 0];
    let mut random = Random::new(3);
    let mut client = Client::new(9);
    (0..9).for_each(|_| drop(client.edit_randomly(&mut random)));
    let honest = client.lacks(&[0]);
    let mut cases = vec![Bytes::copy_from_slice(&hang), Bytes::copy_from_slice(&brick), Bytes::new()];
    for _ in 0..8 {
        let mut changed = honest.clone();
        let at = random.below(changed.len());
        changed[at] = random.next() as u8;
        cases.push(changed.into());
    }
    for case in cases {
        let (text, _, code) = said(&case).await;
        assert!([0, 3].contains(&code) && !text.contains("deadly"), "{case:?}: {text}");
    }
}
