//! Whether a copy is what it should be: read back from its directory, and opened as it will be.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use y_mesh::document::{Document, Now, STACK_BYTES, Stored};
use y_mesh::store::Store;
use y_mesh::store::dump::{Encoded, Fingerprint};
use y_mesh::{ClientId, Config, DiskStore, DocName};

use super::Failure;
use super::progress::Progress;

/// What was found.
#[derive(Default)]
pub struct Verified {
    /// Documents that aren't there as they were written.
    pub lost: Vec<(DocName, String)>,
    /// Those that are, and that nobody can open.
    pub unopened: Vec<(DocName, String)>,
}

/// Reads all documents of a directory anew. Each must be what was written, and must open.
pub fn verify(path: &Path, written: &BTreeMap<DocName, Fingerprint>) -> Result<Verified, Failure> {
    let store = DiskStore::open(path).map_err(|error| Failure(format!("what was written can't be opened: {error}")))?;
    thread::scope(|scope| {
        let work = || verify_all(&store, written);
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| Failure(format!("no thread: {error}")))?;
        thread.join().map_err(|panic| Failure(format!("what was written can't be read: {}", message(&*panic))))
    })
}

fn verify_all(store: &DiskStore, written: &BTreeMap<DocName, Fingerprint>) -> Verified {
    let (config, mut verified) = (Arc::new(Config::default()), Verified::default());
    let progress = Progress::new("Verifying", Some(written.len() as u64));
    let mut bytes = 0;
    for ((name, fingerprint), documents) in written.iter().zip(1..) {
        match read_back(store, name, *fingerprint) {
            Ok((stored, read)) => {
                bytes += read as u64;
                verified.unopened.extend(cannot_open(&stored, &config).map(|why| (name.clone(), why)));
            }
            Err(why) => verified.lost.push((name.clone(), why)),
        }
        progress.show(documents, bytes);
    }
    verified
}

/// A document as it was written, with its size; or why it isn't.
fn read_back(store: &DiskStore, name: &DocName, written: Fingerprint) -> Result<(Stored, usize), String> {
    let stored = store.load(name).map_err(|error| error.to_string())?;
    let encoded = Encoded::document(name, &stored);
    if encoded.fingerprint == written {
        Ok((stored, encoded.bytes()))
    } else {
        Err("something else is read back".into())
    }
}

/// Why a document can't be opened.
fn cannot_open(stored: &Stored, config: &Arc<Config>) -> Option<String> {
    let open = || Document::open(stored, ClientId(1), config.clone(), Now::default()).map(drop);
    let why = match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.err()?.to_string(),
        Err(panic) => message(&*panic),
    };
    Some(format!("it's copied as it was, and can't be opened: {why}"))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").to_owned()
}
