//! Files of a journal that were changed behind the store's back. What is served is what was written; all else is an error that
//! names the document, or the file.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use y_mesh::store::{DiskStore, Store, StoreError};

use super::{Model, Place, append, filled, name, rounds};
use crate::support::random::Random;

const SEGMENT_BYTES: u64 = 4_096;
const DOCUMENTS: usize = 36;

/// A store that was closed in order: many segments, all documents with records, many with one or more snapshots.
fn filled_store(place: &Place, random: &mut Random) -> Model {
    let store = place.open(SEGMENT_BYTES).unwrap();
    let mut model = Model::default();
    let docs: Vec<_> = (0..DOCUMENTS).map(|number| name(&format!("doc {number}"))).collect();
    for turn in 0..240 {
        let doc = &docs[turn % DOCUMENTS];
        let other = &docs[(turn + 1 + random.below(DOCUMENTS - 1)) % DOCUMENTS];
        let batch = [doc, doc, other].map(|doc| {
            let next = append(doc, model.last(doc) + 1, random.below(300));
            model.append(std::slice::from_ref(&next));
            next
        });
        store.append(&batch).unwrap();
        // Documents with odd numbers are never compacted, so that segments of every age are needed.
        if random.percent(25) && (turn % DOCUMENTS).is_multiple_of(2) {
            let (through, snapshot) = (batch[0].seq, filled(turn as u64, random.below(9_000)));
            store.compact(doc, through, &snapshot).unwrap();
            model.compact(doc, through, &snapshot);
        }
    }
    model
}

/// Changes a file in one of the ways in which files get changed.
fn damage(path: &Path, random: &mut Random) {
    let mut bytes = fs::read(path).unwrap();
    if bytes.is_empty() {
        return;
    }
    match random.below(3) {
        0 => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        1 => {
            let start = random.below(bytes.len()) / 512 * 512;
            let end = (start + 512).min(bytes.len());
            bytes[start..end].fill(0);
        }
        _ => bytes.truncate(random.below(bytes.len())),
    }
    fs::write(path, bytes).unwrap();
}

/// What was served, in documents.
#[derive(Default, Debug)]
struct Outcome {
    unreadable: usize,
    damaged: usize,
    unharmed: usize,
}

impl Outcome {
    fn is_detected(&self) -> bool {
        self.unreadable + self.damaged > 0
    }

    fn note(&mut self, opened: Result<DiskStore, StoreError>, harmed: &BTreeSet<OsString>, model: &Model) {
        let store = match opened {
            Ok(store) => store,
            Err(StoreError::Unreadable { path, why }) => {
                let stem = path.file_stem().unwrap().to_owned();
                assert!(harmed.contains(&stem), "{} is named, and isn't harmed: {why}", path.display());
                self.unreadable += 1;
                return;
            }
            Err(other) => panic!("an error of another kind: {other}"),
        };
        assert_eq!(store.list(None, usize::MAX).unwrap(), model.names(), "all documents are known");
        for (doc, expected) in &model.0 {
            match store.load(doc) {
                Ok(stored) => {
                    assert!(stored == *expected, "{doc:?} is served as it never was");
                    self.unharmed += 1;
                }
                Err(StoreError::Damaged { name, .. }) => {
                    assert_eq!(name, *doc, "another document is named");
                    self.damaged += 1;
                }
                Err(other) => panic!("an error of another kind: {other}"),
            }
        }
    }
}

#[test]
fn damage_is_told_and_never_served() {
    let place = Place::new("damage");
    let model = filled_store(&place, &mut Random::new(1));
    assert_eq!(model.0.len(), DOCUMENTS);
    assert!(place.journal(".segment").len() >= 8, "several segments are there");
    assert_eq!(place.journal(".segment").len(), place.journal(".index").len(), "all are complete");
    let (mut all, mut quiet, mut detected) = (Outcome::default(), 0, 0);
    for round in 0..rounds("YMESH_DAMAGE_ROUNDS", 1_000) {
        let mut random = Random::new(round as u64);
        let copy = place.copy(&format!("round-{round}"));
        let files = copy.journal("");
        let mut harmed = BTreeSet::new();
        // Sometimes a segment and its index together, so that neither can help the other.
        let file = random.pick(&(0..files.len()).collect::<Vec<_>>());
        let also = random.percent(25).then(|| if random.percent(50) { file ^ 1 } else { random.below(files.len()) });
        for at in [Some(file), also].into_iter().flatten() {
            damage(&files[at], &mut random);
            harmed.insert(files[at].file_stem().unwrap().to_owned());
        }
        let mut outcome = Outcome::default();
        // What the first start mends or leaves, the second finds.
        outcome.note(copy.open(SEGMENT_BYTES), &harmed, &model);
        let first = (outcome.unreadable, outcome.damaged);
        outcome.note(copy.open(SEGMENT_BYTES), &harmed, &model);
        let both = (outcome.unreadable, outcome.damaged);
        assert_eq!(both, (first.0 * 2, first.1 * 2), "round {round}: the second start finds what the first found");
        match outcome.is_detected() {
            true => detected += 1,
            false => quiet += 1,
        }
        all.unreadable += outcome.unreadable;
        all.damaged += outcome.damaged;
        all.unharmed += outcome.unharmed;
    }
    println!("{detected} rounds detected, {quiet} harmless; in documents (stores, if unreadable): {all:?}");
    assert!(detected > 0 && quiet > 0, "both kinds occur");
    assert!(all.unreadable > 0 && all.damaged > 0 && all.unharmed > 0, "everything occurs: {all:?}");
}

#[test]
fn a_file_that_is_gone_is_told() {
    let place = Place::new("gone");
    let model = filled_store(&place, &mut Random::new(2));
    for (at, path) in place.journal("").iter().enumerate() {
        let copy = place.copy(&format!("without-{at}"));
        let path = copy.0.join("journal").join(path.file_name().unwrap());
        fs::remove_file(&path).unwrap();
        let mut outcome = Outcome::default();
        outcome.note(copy.open(SEGMENT_BYTES), &BTreeSet::from([path.file_stem().unwrap().to_owned()]), &model);
        // An index can be made anew from its segment.
        let is_segment = path.extension().is_some_and(|end| end == "segment");
        assert_eq!(outcome.unreadable, usize::from(is_segment), "{}: {outcome:?}", path.display());
        assert_eq!(outcome.damaged, 0);
    }
}

#[test]
fn a_journal_that_is_gone_or_its_newest_part_is_told() {
    let place = Place::new("all-gone");
    filled_store(&place, &mut Random::new(3));
    let newest = place.journal("").last().unwrap().file_stem().unwrap().to_owned();
    for gone in [None, Some(&newest)] {
        let copy = place.copy("copy");
        let is_gone = |path: &Path| gone.is_none_or(|stem| path.file_stem() == Some(stem));
        copy.journal("").iter().filter(|path| is_gone(path)).for_each(|path| fs::remove_file(path).unwrap());
        match copy.open(SEGMENT_BYTES) {
            Err(StoreError::Unreadable { path, .. }) => assert_eq!(path.file_stem(), Some(&*newest)),
            other => panic!("{other:?}"),
        }
    }
}
