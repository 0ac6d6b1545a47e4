//! Documents from wherever they are into a new directory: all of them, or a clear word about those that aren't whole.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use y_mesh::document::Stored;
use y_mesh::store::Store;
use y_mesh::store::dump::{Encoded, Fingerprint};
use y_mesh::{DiskStore, DocName};

use super::Failure;
use super::progress::{Progress, counted, size};
use super::unfinished::Unfinished;
use super::verifying::{Verified, verify};

/// A copy was made, and not of every document; the others are whole.
const INCOMPLETE: u8 = 3;
/// What is written at a time.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_DOCUMENTS: usize = 4_096;
/// Names that are read at a time.
const NAMES: usize = 1_000;

/// What there is to copy.
pub enum Found {
    /// A document with all that is kept of it.
    Document { name: DocName, stored: Stored, fingerprint: Fingerprint, bytes: usize },
    /// One that can't be read where it is.
    Damaged { name: DocName, why: String },
}

/// What is in a store.
pub fn all_of(store: &DiskStore) -> impl Iterator<Item = Result<Found, Failure>> {
    names_of(store).map(|name| {
        let name = name?;
        Ok(match store.load(&name) {
            Ok(stored) => {
                let encoded = Encoded::document(&name, &stored);
                Found::Document { name, stored, fingerprint: encoded.fingerprint, bytes: encoded.bytes() }
            }
            Err(error) => Found::Damaged { name, why: error.to_string() },
        })
    })
}

/// The names of all of which a store keeps something.
fn names_of(store: &DiskStore) -> impl Iterator<Item = Result<DocName, Failure>> {
    let (mut names, mut after) = (Vec::new().into_iter(), None);
    std::iter::from_fn(move || {
        if names.len() == 0 {
            match store.kept(after.as_ref(), NAMES) {
                Ok(more) => names = more.into_iter(),
                Err(error) => return Some(Err(Failure(error.to_string()))),
            }
        }
        let name = names.next()?;
        after = Some(name.clone());
        Some(Ok(name))
    })
}

/// What was copied.
#[derive(Default)]
struct Copied {
    documents: u64,
    tombstones: u64,
    bytes: u64,
    fingerprints: BTreeMap<DocName, Fingerprint>,
    /// Those that aren't whole, and why.
    faults: Vec<(DocName, String)>,
}

/// Copies everything into a new directory, reads it back, and says what was done: `done` is the word for it.
pub fn copy(
    source: impl Iterator<Item = Result<Found, Failure>>,
    target: &Unfinished,
    done: &str,
) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let copied = copied(source, target).map_err(|Failure(why)| match target.path().exists() {
        true => Failure(format!("{why}. What was copied is in {}, and isn't whole", target.path().display())),
        false => Failure(why),
    })?;
    target.finish()?;
    copied.say(done, start);
    Ok(if copied.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

fn copied(source: impl Iterator<Item = Result<Found, Failure>>, target: &Unfinished) -> Result<Copied, Failure> {
    let cannot = |error| Failure(format!("{} can't be written: {error}", target.path().display()));
    let store = DiskStore::open(target.path()).map_err(cannot)?;
    let mut copied = Copied::default();
    let progress = Progress::new("Copying", None);
    let (mut batch, mut batch_bytes) = (Vec::new(), 0);
    for found in source {
        let Some((document, bytes)) = copied.take(found?) else { continue };
        batch.push(document);
        batch_bytes += bytes;
        if batch_bytes >= BATCH_BYTES || batch.len() >= BATCH_DOCUMENTS {
            store.import(&batch).map_err(cannot)?;
            (batch, batch_bytes) = (Vec::new(), 0);
        }
        progress.show(copied.documents + copied.tombstones, copied.bytes);
    }
    store.import(&batch).map_err(cannot)?;
    store.close().map_err(cannot)?;
    drop((store, progress));
    let Verified { lost, unopened } = verify(target.path(), &copied.fingerprints)?;
    if let Some((name, why)) = lost.first() {
        let (lost, path) = (counted(lost.len() as u64, "document"), target.path().display());
        return Err(Failure(format!("{path} doesn't hold {lost} as written, \"{name}\" first: {why}")));
    }
    copied.faults.extend(unopened);
    Ok(copied)
}

impl Copied {
    /// Takes note of what was found; gives what is to be written, with its size.
    fn take(&mut self, found: Found) -> Option<((DocName, Stored), usize)> {
        match found {
            Found::Document { name, stored, fingerprint, bytes } => {
                *(if stored.exists { &mut self.documents } else { &mut self.tombstones }) += 1;
                self.bytes += bytes as u64;
                self.fingerprints.insert(name.clone(), fingerprint);
                Some(((name, stored), bytes))
            }
            Found::Damaged { name, why } => {
                self.faults.push((name, format!("it's damaged where it was, and isn't copied: {why}")));
                None
            }
        }
    }

    fn say(&self, done: &str, start: Instant) {
        let Self { documents, tombstones, bytes, faults, .. } = self;
        let (size, seconds) = (size(*bytes), start.elapsed().as_secs_f64());
        let what = [counted(*documents, "document"), counted(*tombstones, "tombstone")].join(" and ");
        let line = format!("{done}: {what}, {size}, in {seconds:.1} s.");
        // That nobody listens makes it no worse.
        let _ = writeln!(io::stdout(), "{line}");
        if !faults.is_empty() {
            let _ = writeln!(io::stderr(), "y-mesh: not whole: {}", counted(faults.len() as u64, "document"));
        }
        for (name, why) in faults {
            let _ = writeln!(io::stderr(), "  {name}: {why}");
        }
    }
}
