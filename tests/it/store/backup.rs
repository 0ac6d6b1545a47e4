//! `y-mesh backup` and `y-mesh restore`, as they're run: what is in a copy, and what happens when something goes wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use y_mesh::document::{Record, Stored, Tombstone, WallTime};
use y_mesh::store::dump::{self, Encoded};
use y_mesh::store::{Append, DiskStore, Store};
use y_mesh::{ClientId, DocName, NodeId, Seq};

use super::kill::Program;
use super::{Place, append, copy_folder, filled, name};
use crate::door::{soon, until};
use crate::support::client::Client;

const TOKENS: &str = "manage 02468ace13579bdf ops\nwrite 0123456789abcdef ada\n";

/// The program with these arguments, in a directory of its own.
fn y_mesh(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_y-mesh"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).env_remove("YMESH_TOKEN").env_remove("YMESH_DATA");
    command
}

/// What a copy says and how it ends.
struct Ended {
    code: Option<i32>,
    said: String,
    complained: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), said: text(&output.stdout), complained: text(&output.stderr) }
    }
}

async fn ended(command: &mut Command) -> Ended {
    soon("its end", command.output()).await.unwrap().into()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Where the copies of a test are made.
struct Copies(Place);

impl Copies {
    fn new(test: &str) -> Self {
        let place = Place::new(test);
        std::fs::create_dir_all(&place.0).unwrap();
        Self(place)
    }

    fn path(&self, copy: &str) -> PathBuf {
        self.0.0.join(copy)
    }

    async fn of_server(&self, address: &str, copy: &str) -> Ended {
        let url = format!("http://{address}");
        ended(&mut y_mesh(&["backup", "--server", &url, text(&self.path(copy))])).await
    }

    async fn of_data(&self, data: &Path, copy: &str) -> Ended {
        ended(&mut y_mesh(&["backup", "--data", text(data), text(&self.path(copy))])).await
    }

    async fn restored(&self, backup: &Path, copy: &str) -> Ended {
        ended(&mut y_mesh(&["restore", text(backup), text(&self.path(copy))])).await
    }

    /// Serves a copy.
    async fn serve(&self, copy: &str) -> Program {
        Program::start_in(&self.path(copy), &[]).await
    }

    /// Nothing looks like a whole copy.
    fn has_none(&self, copy: &str) -> bool {
        !self.path(copy).exists()
    }
}

impl Ended {
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.said, self.complained);
        self
    }

    /// A copy that failed with one line that holds all of this.
    fn failed(&self, words: &[&str]) {
        assert_eq!((self.code, self.said.as_str()), (Some(1), ""), "{}", self.complained);
        let has_all = words.iter().all(|word| self.complained.contains(word));
        assert!(has_all && self.complained.starts_with("y-mesh: "), "{words:?} aren't in: {}", self.complained);
    }
}

/// A document as a client has written it, in several records.
fn written(document: &DocName, words: &[&str]) -> Vec<Append> {
    let mut client = Client::new(7);
    let record = |(seq, word): (u64, &&str)| {
        let update = client.edit_raw(|txn| y_mesh::yrs::Text::push(&text_of(txn), txn, word)).unwrap();
        let record = Record { update, author: "ada".into(), at: WallTime(1_700_000_000_000 + seq) };
        Append { name: document.clone(), seq: Seq(seq), record }
    };
    (1..).zip(words).map(record).collect()
}

fn text_of(txn: &mut y_mesh::yrs::TransactionMut<'_>) -> y_mesh::yrs::TextRef {
    y_mesh::yrs::WriteTxn::get_or_insert_text(txn, crate::support::content::TEXT)
}

/// All that is in a directory, and whose it is.
fn contents(path: &Path) -> (BTreeMap<DocName, Stored>, NodeId) {
    let store = DiskStore::open(path).unwrap();
    let names = store.kept(None, 10_000).unwrap();
    let contents = names.into_iter().map(|name| (name.clone(), store.load(&name).unwrap())).collect();
    (contents, store.node().unwrap())
}

/// Somebody who types a word after the other, and notes what was acknowledged.
struct Typist {
    typing: JoinHandle<()>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    typed: Arc<Notify>,
}

impl Typist {
    async fn start(program: &Program, document: &str, client: u64) -> Self {
        let mut visitor = program.visit(document, client).await;
        let (acknowledged, typed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (its, notify) = (acknowledged.clone(), typed.clone());
        let typing = tokio::spawn(async move {
            for number in 0.. {
                let word = format!("{client}.{number}");
                visitor.write(&format!("{word} ")).await;
                let sent = visitor.client.sent;
                visitor.saved(sent).await;
                its.lock().unwrap().push(word);
                notify.notify_one();
            }
        });
        Self { typing, acknowledged, typed }
    }

    fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap().clone()
    }

    async fn types_on(&self, words: usize) {
        let goal = self.acknowledged().len() + words;
        soon("more words", async {
            while self.acknowledged().len() < goal {
                self.typed.notified().await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_backup_began_is_in_it() {
    let (place, copies) = (Place::new("live"), Copies::new("live-copies"));
    let program = Program::start(&place).await;
    let documents = ["notes", "plans/2026", "shared", "shared"];
    let mut typists = Vec::new();
    for (client, document) in (20..).zip(documents) {
        typists.push((document, Typist::start(&program, document, client).await));
    }
    for round in 0..3 {
        for (_, typist) in &typists {
            typist.types_on(15).await;
        }
        let before: Vec<_> = typists.iter().map(|(document, typist)| (*document, typist.acknowledged())).collect();
        let (backup, restored) = (format!("backup {round}"), format!("restored {round}"));
        let ended = copies.of_server(&program.address, &backup).await.expect(0);
        assert!(ended.said.contains("3 documents and 0 tombstones") && ended.complained.is_empty(), "{}", ended.said);
        copies.restored(&copies.path(&backup), &restored).await.expect(0);
        let copy = copies.serve(&restored).await;
        for (document, words) in before {
            let text = copy.read(document).await;
            let there: Vec<_> = text.split(' ').collect();
            let lost: Vec<_> = words.iter().filter(|word| !there.contains(&word.as_str())).collect();
            assert!(lost.is_empty(), "{document}, of {}: {lost:?}", words.len());
        }
        copy.kill().await;
        // Nobody was disturbed.
        for (_, typist) in &typists {
            typist.types_on(2).await;
        }
    }
    typists.iter().for_each(|(_, typist)| typist.typing.abort());
    program.kill().await;
}

#[tokio::test]
async fn a_copy_of_a_copy_holds_the_same_and_is_another_nodes() {
    let (place, copies) = (Place::new("same"), Copies::new("same-copies"));
    let (notes, gone, again, empty) = (name("notes"), name("gone"), name("again"), name("empty"));
    let store = place.open(16_384).unwrap();
    let held: Vec<_> = (0..9).map(|client| ClientId(client << 40)).collect();
    store.append(&written(&notes, &["one ", "two ", "three "])).unwrap();
    for document in [&gone, &again] {
        store.append(&written(document, &["old"])).unwrap();
        store.delete(document, Seq(2), &held).unwrap();
    }
    let new = written(&again, &["new"]).remove(0);
    store.append(&[Append { seq: Seq(3), ..new }]).unwrap();
    store.create(&empty, None).unwrap();
    drop(store);
    let (expected, node) = contents(&place.0);
    let tombstone = Tombstone { incarnation: 1, through: Seq(2), clients: held };
    assert_eq!(expected[&gone], Stored { tombstone: Some(tombstone), ..Stored::default() });

    copies.of_data(&place.0, "backup").await.expect(0);
    let ended = copies.restored(&copies.path("backup"), "restored").await.expect(0);
    assert!(ended.said.contains("3 documents and 1 tombstone,"), "{}", ended.said);
    let (backup, restored) = (contents(&copies.path("backup")), contents(&copies.path("restored")));
    assert_eq!((&backup.0, &restored.0), (&expected, &expected));
    assert!(node != backup.1 && node != restored.1 && backup.1 != restored.1);

    let program = copies.serve("restored").await;
    assert_eq!(program.read("notes").await, "one two three ");
    assert_eq!(program.read("again").await, "new");
    // And once more from a server.
    copies.of_server(&program.address, "again").await.expect(0);
    program.kill().await;
    let again = contents(&copies.path("again")).0;
    assert_eq!(again, expected);
}

#[tokio::test]
async fn what_an_older_format_holds_is_moved_and_the_server_says_how() {
    let (old, copies) = (Place::new("older"), Copies::new("older-copies"));
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fixtures/store-1"), &old.0);
    let refused = ended(&mut y_mesh(&["serve", "--port", "0", "--data", text(&old.0)])).await;
    let advice = format!("y-mesh restore {} NEW", old.0.display());
    assert!(refused.code == Some(1) && refused.complained.contains(&advice), "{}", refused.complained);
    let ended = copies.restored(&old.0, "new").await.expect(0);
    assert!(ended.said.contains("4 documents and 0 tombstones"), "{}", ended.said);
    let program = copies.serve("new").await;
    let numbers = (0..50).map(|number| format!("{number} ")).collect::<String>();
    assert_eq!(program.read("notes").await, numbers);
    program.kill().await;
    // The old one is as it was, and can be moved again.
    copies.restored(&old.0, "newer").await.expect(0);
}

#[tokio::test]
async fn a_directory_that_is_served_is_backed_up_through_its_server() {
    let (place, copies) = (Place::new("served"), Copies::new("served-copies"));
    let program = Program::start(&place).await;
    copies.of_data(&place.0, "backup").await.failed(&["in use", "--server http://"]);
    copies.restored(&place.0, "backup").await.failed(&["in use", "y-mesh backup"]);
    assert!(copies.has_none("backup"));
    copies.of_server(&program.address, "backup").await.expect(0);
    program.kill().await;
    copies.of_server("127.0.0.1:1", "other").await.failed(&["http://127.0.0.1:1", "can't be reached"]);
    copies.of_data(&copies.path("nowhere"), "other").await.failed(&["nowhere", "no documents"]);
    assert!(copies.has_none("other") && copies.has_none("other.partial") && copies.has_none("nowhere"));
}

#[tokio::test]
async fn a_server_with_tokens_gives_a_backup_to_who_may_manage() {
    let (place, copies) = (Place::new("tokens"), Copies::new("tokens-copies"));
    let file = copies.path("tokens");
    std::fs::write(&file, TOKENS).unwrap();
    let program = Program::start_in(&place.0, &["--token-file", text(&file)]).await;
    let url = format!("http://{}", program.address);
    let backup = |copy: &str, token: &str| {
        let mut command = y_mesh(&["backup", "--server", &url, text(&copies.path(copy))]);
        command.env("YMESH_TOKEN", token);
        command
    };
    ended(&mut backup("none", "")).await.failed(&["token is missing", "YMESH_TOKEN"]);
    ended(&mut backup("none", "not-one-of-them-0123")).await.failed(&["token is missing or unknown"]);
    ended(&mut backup("none", "0123456789abcdef")).await.failed(&["manage"]);
    assert!(copies.has_none("none") && copies.has_none("none.partial"));
    ended(&mut backup("by variable", "02468ace13579bdf")).await.expect(0);
    ended(backup("by file", "").args(["--token-file", text(&file)])).await.expect(0);
    let in_url = format!("http://ops:02468ace13579bdf@{}", program.address);
    let refused = ended(&mut y_mesh(&["backup", "--server", &in_url, text(&copies.path("none"))])).await;
    assert!(refused.code == Some(2) && refused.complained.contains("--token-file"), "{}", refused.complained);
    program.kill().await;
}

/// The status of an answer to a request with these headers.
async fn status(program: &Program, line: &str, headers: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(&program.address).await.unwrap();
    let head = format!("{line} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n", program.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon("the status", stream.read_exact(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

#[tokio::test]
async fn what_a_proxy_passes_on_is_not_from_this_machine() {
    let place = Place::new("proxy");
    let program = Program::start(&place).await;
    program.visit("notes", 1).await;
    for header in ["x-forwarded-for: 192.0.2.1\r\n", "Forwarded: for=192.0.2.1\r\n", "Via: 1.1 proxy\r\n"] {
        assert_eq!(status(&program, "DELETE /api/documents/notes", header).await, "403", "{header}");
        assert_eq!(status(&program, "GET /api/backup", header).await, "403", "{header}");
        assert_eq!(status(&program, "GET /api/documents", header).await, "200", "{header}");
    }
    assert_eq!(status(&program, "GET /api/backup", "").await, "200");
    assert_eq!(status(&program, "DELETE /api/documents/notes", "").await, "404");
    program.kill().await;
}

#[tokio::test]
async fn switches_in_the_environment_are_said_as_people_say_them() {
    for (value, code) in [("1", 0), ("yes", 0), ("true", 0), ("0", 0), ("off", 0), ("perhaps", 2)] {
        for switch in ["YMESH_OPEN", "YMESH_STRICT"] {
            let mut command = y_mesh(&["--print-config"]);
            ended(command.env(switch, value)).await.expect(code);
        }
    }
    let with_tokens = |value: &str| {
        let mut command = y_mesh(&["--port", "0", "--data", "memory", "--token-file", "/nowhere/tokens"]);
        command.env("YMESH_OPEN", value);
        command
    };
    ended(&mut with_tokens("1")).await.failed(&["--open", "give one of them"]);
    ended(&mut with_tokens("0")).await.failed(&["/nowhere/tokens"]);
}

#[tokio::test]
async fn what_is_logged_into_a_file_has_no_colours() {
    let place = Place::new("log");
    let mut command = y_mesh(&["--port", "0", "--set", "limits.disk_reserve_bytes=1000000000000000", "--data"]);
    let mut process = command.arg(&place.0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let line = soon("a line", lines.next_line()).await.unwrap().unwrap();
    assert!(line.contains("almost full") && !line.contains('\u{1b}'), "{line}");
    process.kill().await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_over_and_what_cant_be_written_is_said() {
    let (place, copies) = (Place::new("target"), Copies::new("target-copies"));
    let store = place.open(16_384).unwrap();
    store.append(&written(&name("notes"), &["word"])).unwrap();
    drop(store);
    std::fs::create_dir(copies.path("empty")).unwrap();
    copies.of_data(&place.0, "empty").await.expect(0);
    copies.of_data(&place.0, "empty").await.failed(&["empty", "isn't empty"]);
    std::fs::write(copies.path("file"), "mine").unwrap();
    copies.of_data(&place.0, "file").await.failed(&["file"]);
    copies.of_data(&place.0, "file/below").await.failed(&["below"]);
    std::fs::create_dir(copies.path("taken.partial")).unwrap();
    copies.of_data(&place.0, "taken").await.failed(&["taken.partial", "Remove it"]);
    assert_eq!(std::fs::read(copies.path("file")).unwrap(), b"mine");
    assert!(copies.has_none("taken"));
}

/// What a disk is that has room for no more.
#[cfg(unix)]
#[tokio::test]
async fn a_target_without_room_ends_with_nothing_that_looks_whole() {
    let (place, copies) = (Place::new("room"), Copies::new("room-copies"));
    let store = DiskStore::open(&place.0).unwrap();
    store.append(&[append(&name("large"), 1, 24 << 20)]).unwrap();
    drop(store);
    let limited = format!(
        "trap '' XFSZ; ulimit -f 40000; exec {} backup --data {} {}",
        env!("CARGO_BIN_EXE_y-mesh"),
        place.0.display(),
        copies.path("backup").display()
    );
    let ended = ended(Command::new("sh").args(["-c", &limited]).stdin(Stdio::null())).await;
    ended.failed(&["backup.partial can't be written", "isn't whole"]);
    assert!(copies.has_none("backup"));
}

/// Changes a byte of what is written in this place of the journal.
fn damage(place: &Place, of: &[u8]) {
    let mut damaged = 0;
    for path in place.journal(".segment") {
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(of.len()).position(|window| window == of) {
            bytes[at + of.len() / 2] ^= 1;
            std::fs::write(path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1);
}

#[tokio::test]
async fn a_damaged_document_is_named_and_the_others_are_copied() {
    let (place, copies) = (Place::new("damaged"), Copies::new("damaged-copies"));
    let documents = ["first", "harmed", "last"].map(name);
    let store = place.open(4_096).unwrap();
    for document in &documents {
        store.append(&written(document, &[&format!("the text of {document}")])).unwrap();
    }
    drop(store);
    damage(&place, b"the text of harmed");
    copies.of_data(&place.0, "backup").await.expect(3);
    let program = Program::start(&place).await;
    let ended = copies.of_server(&program.address, "live").await.expect(3);
    program.kill().await;
    assert!(ended.said.contains("2 documents") && ended.complained.contains("harmed"), "{}", ended.complained);
    assert!(!ended.complained.contains("first") && !ended.complained.contains("last"), "{}", ended.complained);
    copies.restored(&place.0, "restored").await.expect(3);
    for copy in ["backup", "live", "restored"] {
        let (contents, _) = contents(&copies.path(copy));
        assert_eq!(contents.keys().collect::<Vec<_>>(), [&documents[0], &documents[2]], "{copy}");
        let program = copies.serve(copy).await;
        assert_eq!(program.read("last").await, "the text of last");
        program.kill().await;
    }
}

#[tokio::test]
async fn a_document_that_nobody_can_open_is_named_and_copied_as_it_was() {
    let (place, copies) = (Place::new("unopened"), Copies::new("unopened-copies"));
    let store = place.open(16_384).unwrap();
    store.append(&written(&name("notes"), &["word"])).unwrap();
    store.append(&[append(&name("nonsense"), 1, 100)]).unwrap();
    drop(store);
    let ended = copies.of_data(&place.0, "backup").await.expect(3);
    assert!(ended.complained.contains("nonsense") && !ended.complained.contains("notes"), "{}", ended.complained);
    let (contents, _) = contents(&copies.path("backup"));
    assert_eq!(contents[&name("nonsense")].tail[0].1.update, filled(1, 100));
}

/// A server that gives one answer to whoever asks, then hangs up.
async fn answering(body: Vec<u8>, length: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    });
    address
}

#[tokio::test]
async fn an_answer_that_is_cut_off_or_changed_makes_no_backup() {
    let copies = Copies::new("cut-copies");
    let mut stored = Stored { exists: true, ..Stored::default() };
    stored.tail =
        written(&name("notes"), &["one", "two"]).into_iter().map(|append| (append.seq, append.record)).collect();
    let items = [Encoded::document(&name("a"), &stored), Encoded::document(&name("b"), &stored), Encoded::end(2, 0)];
    let mut parts = vec![dump::head().to_vec()];
    parts.extend(items.iter().map(|item| item.parts.concat()));
    let whole = parts.concat();
    copies.of_server(&answering(whole.clone(), whole.len()).await, "whole").await.expect(0);

    let ends = [0, 5, 12, 40, parts[..2].concat().len(), parts[..3].concat().len(), whole.len() - 1];
    for (number, end) in ends.into_iter().enumerate() {
        // The connection breaks; or the answer is shorter, and looks whole to HTTP.
        for (kind, length) in [("broken", whole.len()), ("short", end)] {
            let copy = format!("{kind} {number}");
            let ended = copies.of_server(&answering(whole[..end].to_vec(), length).await, &copy).await;
            ended.failed(&["broke off", &format!("{copy}.partial")]);
            assert!(copies.has_none(&copy));
        }
    }
    for at in [3, 9, 15, 60, parts[..2].concat().len() + 70, whole.len() - 20] {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        let copy = format!("changed {at}");
        copies.of_server(&answering(changed, whole.len()).await, &copy).await.failed(&["broke off"]);
        assert!(copies.has_none(&copy));
    }
    let stopped = [dump::head().to_vec(), Encoded::stopped("the store \u{1b}[2Jfailed\n").parts.concat()].concat();
    let length = stopped.len();
    let ended = copies.of_server(&answering(stopped, length).await, "stopped").await;
    assert!(!ended.complained.contains('\u{1b}'), "a server may clear the terminal");
    ended.failed(&["gave up", "the store \u{fffd}[2Jfailed"]);
    assert!(copies.has_none("stopped"));
}

/// Lets bytes of an answer through, then waits until it's told to go on.
async fn held_after(bytes: u64, server: &str) -> (String, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, server) = (listener.local_addr().unwrap().to_string(), server.to_owned());
    let (held, is_held) = oneshot::channel();
    let (go_on, goes_on) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (from_server, mut to_server) = TcpStream::connect(server).await.unwrap().into_split();
        tokio::spawn(async move { drop(tokio::io::copy(&mut from_client, &mut to_server).await) });
        let mut first = from_server.take(bytes);
        tokio::io::copy(&mut first, &mut to_client).await.unwrap();
        held.send(()).unwrap();
        let _ = goes_on.await;
        // Both ends may be gone.
        drop(tokio::io::copy(&mut first.into_inner(), &mut to_client).await);
    });
    (address, is_held, go_on)
}

/// A program with some megabytes in its store.
async fn large(test: &str) -> (Place, Program) {
    let place = Place::new(test);
    let store = DiskStore::open(&place.0).unwrap();
    for number in 0..8 {
        let document = name(&format!("doc-{number}"));
        store.append(&written(&document, &["begin ", &"lorem ipsum ".repeat(50_000)])).unwrap();
    }
    drop(store);
    let program = Program::start(&place).await;
    (place, program)
}

#[tokio::test]
async fn a_server_that_is_killed_amid_a_backup_leaves_nothing_that_looks_whole() {
    let copies = Copies::new("killed-copies");
    let (place, program) = large("killed-server").await;
    let (proxy, is_held, go_on) = held_after(2 << 20, &program.address).await;
    let url = format!("http://{proxy}");
    let mut command = y_mesh(&["backup", "--server", &url, text(&copies.path("backup"))]);
    let backup = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    soon("the middle", is_held).await.unwrap();
    program.kill().await;
    go_on.send(()).unwrap();
    let ended: Ended = soon("its end", backup.wait_with_output()).await.unwrap().into();
    ended.failed(&["broke off after", "backup.partial, and isn't whole"]);
    assert!(copies.has_none("backup"));
    let program = Program::start(&place).await;
    copies.of_server(&program.address, "next").await.expect(0);
    program.kill().await;
    copies.restored(&copies.path("backup.partial"), "half").await.failed(&["backup.partial was never finished"]);
    assert!(copies.has_none("half"));
}

#[tokio::test]
async fn a_backup_that_is_killed_harms_no_server_and_leaves_nothing_that_looks_whole() {
    let copies = Copies::new("killed-copies");
    let (_place, program) = large("killed-backup").await;
    let (proxy, is_held, _go_on) = held_after(2 << 20, &program.address).await;
    let url = format!("http://{proxy}");
    let mut backup = y_mesh(&["backup", "--server", &url, text(&copies.path("backup"))]).spawn().unwrap();
    soon("the middle", is_held).await.unwrap();
    let unfinished = copies.path("backup.partial");
    until("what is unfinished", || unfinished.join("store").exists()).await;
    soon("its end", backup.kill()).await.unwrap();
    assert!(copies.has_none("backup"));
    let mut visitor = program.visit("doc-1", 2).await;
    visitor.write("still here").await;
    let sent = visitor.client.sent;
    visitor.saved(sent).await;
    copies.of_server(&program.address, "backup").await.failed(&["backup.partial", "Remove it"]);
    copies.of_server(&program.address, "next").await.expect(0);
    assert_eq!(contents(&copies.path("next")).0.len(), 8);
    program.kill().await;
}
