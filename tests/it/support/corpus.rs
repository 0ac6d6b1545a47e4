//! What real clients sent, and what it comes to: `data/fixtures/honest`, described in its own README.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;
use y_mesh::wire::lib0::Reader;

/// One recorded history of a document.
pub struct Scenario {
    pub name: String,
    /// Updates in the order in which a server got them, each with the number of the session that sent it.
    pub updates: Vec<(u64, Bytes)>,
    /// All of it at the end, in one.
    pub whole: Bytes,
    /// Each root's kind.
    pub roots: BTreeMap<String, String>,
    /// What Yjs reads of each root at the end.
    pub content: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fixtures/honest")
}

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    let manifest = std::fs::read(folder().join("manifest.json")).expect("the corpus has a manifest");
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).expect("the manifest is JSON");
    manifest.into_iter().map(scenario).collect()
}

fn scenario(mut entry: Value) -> Scenario {
    let text = |key: &str| entry[key].as_str().expect("a text").to_owned();
    let (name, file) = (text("name"), text("file"));
    let bytes = Bytes::from(std::fs::read(folder().join(file)).expect("each scenario has its file"));
    let (updates, whole) = updates(&bytes);
    let roots = entry["roots"].as_object().expect("roots by name");
    let roots = roots.iter().map(|(name, kind)| (name.clone(), kind.as_str().expect("a kind").to_owned())).collect();
    Scenario { name, updates, whole, roots, content: entry["content"].take() }
}

fn updates(bytes: &Bytes) -> (Vec<(u64, Bytes)>, Bytes) {
    let mut reader = Reader::new(bytes);
    let count = reader.var_uint().expect("a count");
    let one = |_| {
        let session = reader.var_uint().expect("a session");
        (session, bytes.slice_ref(reader.var_bytes().expect("an update")))
    };
    let updates = (0..count).map(one).collect();
    let whole = bytes.slice_ref(reader.var_bytes().expect("all of it"));
    assert!(reader.is_empty(), "nothing follows");
    (updates, whole)
}
