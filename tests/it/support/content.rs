//! A document's content in one canonical form, so that two replicas can be compared.

use std::collections::BTreeMap;

use y_mesh::document::Document;
use y_mesh::yrs::types::ToJson;
use y_mesh::yrs::types::text::YChange;
use y_mesh::yrs::updates::decoder::Decode;
use y_mesh::yrs::{Any, Doc, GetString, IdSet, Out, ReadTxn, StateVector, Text, Transact, Update};

/// The roots that the tests' clients edit.
pub const TEXT: &str = "text";
pub const MAP: &str = "map";
pub const LIST: &str = "list";
pub const XML: &str = "xml";

/// Everything that can be told of a replica: what a reader sees, and what it's made of.
#[derive(Debug, PartialEq)]
pub struct Content {
    pub text: String,
    pub map: String,
    pub list: String,
    pub xml: String,
    pub state: StateVector,
    pub deleted: IdSet,
}

pub fn of_client(doc: &Doc) -> Content {
    of(&doc.transact())
}

pub fn of_document(document: &Document) -> Content {
    document.read(|txn| of(txn))
}

fn of<T: ReadTxn>(txn: &T) -> Content {
    let whole = Update::decode_v1(&txn.encode_diff_v1(&StateVector::default())).expect("a replica encodes updates");
    Content {
        text: formatted(txn),
        map: txn.get_map(MAP).map_or("{}".to_owned(), |map| canonical(&map.to_json(txn))),
        list: txn.get_array(LIST).map_or("[]".to_owned(), |list| canonical(&list.to_json(txn))),
        xml: txn.get_xml_fragment(XML).map(|xml| xml.get_string(txn)).unwrap_or_default(),
        state: txn.state_vector(),
        deleted: whole.delete_set().clone(),
    }
}

/// The text with its formatting; neighbours of equal formatting are one, wherever the blocks end.
fn formatted<T: ReadTxn>(txn: &T) -> String {
    let Some(text) = txn.get_text(TEXT) else { return String::new() };
    let mut runs: Vec<(String, String)> = Vec::new();
    for diff in text.diff(txn, YChange::identity) {
        let format = diff.attributes.map(|format| sorted(format.iter().map(|(k, v)| (&**k, v)))).unwrap_or_default();
        let run = match diff.insert {
            Out::Any(Any::String(run)) => run.to_string(),
            other => format!("{other:?}"),
        };
        match runs.last_mut() {
            Some((last, its)) if *its == format => last.push_str(&run),
            _ => runs.push((run, format)),
        }
    }
    runs.into_iter().map(|(run, format)| if format.is_empty() { run } else { format!("<{format}>{run}</>") }).collect()
}

fn canonical(any: &Any) -> String {
    match any {
        Any::Map(entries) => format!("{{{}}}", sorted(entries.iter().map(|(key, value)| (key.as_str(), value)))),
        Any::Array(values) => format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => format!("{other:?}"),
    }
}

fn sorted<'a>(entries: impl Iterator<Item = (&'a str, &'a Any)>) -> String {
    let entries: BTreeMap<_, _> = entries.collect();
    let texts: Vec<_> = entries.into_iter().map(|(key, value)| format!("{key}:{}", canonical(value))).collect();
    texts.join(",")
}

/// The plain text of a document.
pub fn text_of(document: &Document) -> String {
    document.read(|txn| txn.get_text(TEXT).map(|text| text.get_string(txn)).unwrap_or_default())
}
