//! A Yjs client as y-websocket 3.1 makes one: a real replica that speaks frames, and no network.

use bytes::Bytes;
use y_mesh::wire::sync::{self, Frame, Frames};
use y_mesh::yrs::updates::decoder::Decode;
use y_mesh::yrs::updates::encoder::Encode;
use y_mesh::yrs::{
    Any, Array, ClientID, Doc, Map, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, TransactionMut, Update,
    WriteTxn, XmlElementPrelim, XmlFragment, XmlTextPrelim,
};
use y_mesh::{ClientId, Clock};

use super::content::{self, Content, LIST, MAP, TEXT, XML};
use super::presence::Presence;
use super::random::Random;

pub struct Client {
    pub id: ClientId,
    pub doc: Doc,
    pub presence: Presence,
    /// SyncStep2 frames that came on this connection.
    pub answers: usize,
    /// SyncStep1 frames that came on this connection.
    pub questions: usize,
    /// Update frames that came on this connection.
    pub updates: Vec<Bytes>,
    /// Awareness frames that came on this connection; empty ones say that the server lives.
    pub keep_alives: usize,
    /// Refusals in words.
    pub denied: Vec<String>,
    /// SyncStep2 and Update frames sent on this connection.
    pub sent: u64,
}

impl Client {
    pub fn new(id: u64) -> Self {
        let mut options = Options::with_client_id(ClientID::new(id));
        options.offset_kind = OffsetKind::Utf16;
        // Yjs sends what it tidies as an edit of its own; this client makes none of which it wasn't told.
        options.cleanup_formatting = false;
        Self {
            id: ClientId(id),
            doc: Doc::with_options(options),
            presence: Presence::new(ClientId(id)),
            answers: 0,
            questions: 0,
            updates: Vec::new(),
            keep_alives: 0,
            denied: Vec::new(),
            sent: 0,
        }
    }

    /// The first messages of a connection.
    pub fn open(&mut self) -> Vec<Bytes> {
        self.presence.forget_others();
        (self.answers, self.questions, self.keep_alives, self.sent) = (0, 0, 0, 0);
        self.updates.clear();
        self.denied.clear();
        [Some(sync::sync_step_1(&self.state()))].into_iter().chain([self.presence.opening()]).flatten().collect()
    }

    /// The state vector, encoded.
    pub fn state(&self) -> Vec<u8> {
        self.doc.transact().state_vector().encode_v1()
    }

    /// Takes one message of the server; gives what the client says to it. Stock clients read only the first frame.
    pub fn take(&mut self, message: &[u8]) -> Vec<Bytes> {
        match Frames::of(message).next().expect("a message has a frame").expect("the server sends whole frames") {
            Frame::SyncStep1(state) => {
                self.questions += 1;
                self.count(Some(sync::sync_step_2(&self.lacks(state))))
            }
            Frame::SyncStep2(update) => {
                self.answers += 1;
                self.apply(update);
                Vec::new()
            }
            Frame::Update(update) => {
                self.updates.push(Bytes::copy_from_slice(update));
                self.apply(update);
                Vec::new()
            }
            Frame::Awareness(body) => {
                self.keep_alives += usize::from(body == [0]);
                self.presence.hear(body).into_iter().collect()
            }
            Frame::QueryAwareness => vec![self.presence.everybody()],
            Frame::Denied(reason) => {
                self.denied.push(reason.to_owned());
                Vec::new()
            }
            Frame::Unknown(kind) => panic!("the server sent a frame of type {kind}"),
        }
    }

    /// What somebody lacks who has `state`.
    pub fn lacks(&self, state: &[u8]) -> Vec<u8> {
        let state = StateVector::decode_v1(state).expect("the server sends state vectors");
        self.doc.transact().encode_state_as_update_v1(&state)
    }

    fn apply(&mut self, update: &[u8]) {
        let update = Update::decode_v1(update).expect("the server sends updates");
        self.doc.transact_mut().apply_update(update).expect("the server sends updates that can be applied");
    }

    /// All that it has, as an update in a message: what a sibling tab hands over, and the provider sends on.
    pub fn everything(&self) -> Bytes {
        sync::update(&self.lacks(&[0]))
    }

    /// Whether something that the server sent stands on something that it didn't send.
    pub fn is_missing_something(&self) -> bool {
        self.doc.transact().has_missing_updates()
    }

    /// Edits; gives the update's bytes, if something changed.
    pub fn edit_raw(&mut self, edit: impl FnOnce(&mut TransactionMut<'_>)) -> Option<Bytes> {
        let mut txn = self.doc.transact_mut();
        edit(&mut txn);
        txn.has_changes().then(|| txn.encode_update_v1().into())
    }

    /// Edits; gives the messages that the client sends for it.
    pub fn edit(&mut self, edit: impl FnOnce(&mut TransactionMut<'_>)) -> Vec<Bytes> {
        let update = self.edit_raw(edit);
        self.count(update.map(|update| sync::update(&update)))
    }

    fn count(&mut self, message: Option<Bytes>) -> Vec<Bytes> {
        self.sent += message.iter().len() as u64;
        message.into_iter().collect()
    }

    pub fn insert(&mut self, at: u32, text: &str) -> Vec<Bytes> {
        self.edit(|txn| txn.get_or_insert_text(TEXT).insert(txn, at, text))
    }

    /// Appends text.
    pub fn write(&mut self, text: &str) -> Vec<Bytes> {
        self.edit(|txn| txn.get_or_insert_text(TEXT).push(txn, text))
    }

    pub fn delete(&mut self, at: u32, count: u32) -> Vec<Bytes> {
        self.edit(|txn| txn.get_or_insert_text(TEXT).remove_range(txn, at, count))
    }

    pub fn set(&mut self, key: &str, value: &str) -> Vec<Bytes> {
        self.edit(|txn| {
            txn.get_or_insert_map(MAP).insert(txn, key, value);
        })
    }

    /// Makes a random edit of a random kind.
    pub fn edit_randomly(&mut self, random: &mut Random) -> Vec<Bytes> {
        self.edit(|txn| edit_randomly(txn, random))
    }

    pub fn text(&self) -> String {
        content::of_client(&self.doc).text
    }

    pub fn content(&self) -> Content {
        content::of_client(&self.doc)
    }

    pub fn clock(&self) -> Clock {
        self.presence.clock()
    }
}

fn edit_randomly(txn: &mut TransactionMut<'_>, random: &mut Random) {
    match random.below(10) {
        0..=3 => insert_text(txn, random),
        4 => delete_text(txn, random),
        5 => format_text(txn, random),
        6 => set_entry(txn, random),
        7 => change_list(txn, random),
        8 => change_xml(txn, random),
        _ => {
            insert_text(txn, random);
            delete_text(txn, random);
            set_entry(txn, random);
        }
    }
}

fn insert_text(txn: &mut TransactionMut<'_>, random: &mut Random) {
    let text = txn.get_or_insert_text(TEXT);
    let at = random.below(text.len(txn) as usize + 1) as u32;
    text.insert(txn, at, random.pick(&["a", "bc", "déf", "€uro", "long enough to be split later"]));
}

fn delete_text(txn: &mut TransactionMut<'_>, random: &mut Random) {
    let text = txn.get_or_insert_text(TEXT);
    let length = text.len(txn) as usize;
    if length > 0 {
        let at = random.below(length);
        let count = 1 + random.below((length - at).min(9));
        text.remove_range(txn, at as u32, count as u32);
    }
}

fn format_text(txn: &mut TransactionMut<'_>, random: &mut Random) {
    let text = txn.get_or_insert_text(TEXT);
    let length = text.len(txn) as usize;
    if length > 0 {
        let at = random.below(length);
        let count = 1 + random.below(length - at);
        let value = if random.percent(50) { Any::Bool(true) } else { Any::Null };
        let key = random.pick(&["bold", "italic"]);
        text.format(txn, at as u32, count as u32, [(key.into(), value)].into_iter().collect());
    }
}

fn set_entry(txn: &mut TransactionMut<'_>, random: &mut Random) {
    let map = txn.get_or_insert_map(MAP);
    let key = random.pick(&["one", "two", "three"]);
    match random.percent(30) {
        true => drop(map.remove(txn, key)),
        false => drop(map.insert(txn, key, random.next() as i64 as f64)),
    }
}

fn change_list(txn: &mut TransactionMut<'_>, random: &mut Random) {
    let list = txn.get_or_insert_array(LIST);
    let length = list.len(txn) as usize;
    match length > 2 && random.percent(40) {
        true => list.remove(txn, random.below(length) as u32),
        false => drop(list.insert(txn, random.below(length + 1) as u32, random.below(1_000) as i64)),
    }
}

fn change_xml(txn: &mut TransactionMut<'_>, random: &mut Random) {
    let xml = txn.get_or_insert_xml_fragment(XML);
    let length = xml.len(txn) as usize;
    if length > 2 && random.percent(40) {
        return xml.remove_range(txn, random.below(length) as u32, 1);
    }
    let paragraph = xml.insert(txn, random.below(length + 1) as u32, XmlElementPrelim::empty("p"));
    paragraph.push_back(txn, XmlTextPrelim::new("words"));
}
