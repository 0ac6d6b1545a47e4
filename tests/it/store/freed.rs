//! Segments that nobody needs any more are removed. Whatever a process that ends leaves of them changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use y_mesh::Seq;
use y_mesh::store::Store;

use super::{Model, Place, append, filled, name};
use crate::support::random::Random;

const SEGMENT_BYTES: u64 = 4_096;

fn check(place: &Place, model: &Model) {
    // What the first start removes is gone at the second.
    for _ in 0..2 {
        let store = place.open(SEGMENT_BYTES).unwrap();
        assert_eq!(store.list(None, usize::MAX).unwrap(), model.names());
        model.0.iter().for_each(|(doc, stored)| assert!(store.load(doc).unwrap() == *stored, "{doc:?}"));
    }
}

/// Puts files of `before` back that aren't in `after`, if `is_left` of their number in order; gives how many.
fn put_back(before: &Place, after: &Place, is_left: impl Fn(usize, &Path) -> bool) -> usize {
    let names = |place: &Place| -> BTreeSet<_> {
        place.journal("").iter().map(|path| path.file_name().unwrap().to_owned()).collect()
    };
    let (there, gone) = (names(after), names(before));
    let gone: Vec<_> = gone.difference(&there).collect();
    let left = gone.iter().enumerate().filter(|(at, name)| is_left(*at, Path::new(name)));
    left.map(|(_, name)| {
        fs::copy(before.0.join("journal").join(name), after.0.join("journal").join(name)).unwrap();
    })
    .count()
}

#[test]
fn what_is_left_of_freed_segments_changes_nothing() {
    let place = Place::new("freed");
    let store = place.open(SEGMENT_BYTES).unwrap();
    let docs: Vec<_> = (0..6).map(|number| name(&format!("doc {number}"))).collect();
    let (mut model, mut random, mut removals) = (Model::default(), Random::new(5), 0);
    while removals < 6 {
        let before = place.copy("before");
        let doc = docs[random.below(docs.len())].clone();
        if random.percent(30) && model.last(&doc) > 0 {
            let (through, snapshot) = (Seq(model.last(&doc)), filled(random.next(), 4_000));
            store.compact(&doc, through, &snapshot).unwrap();
            model.compact(&doc, through, &snapshot);
        } else {
            let batch: Vec<_> = (1..=4).map(|more| append(&doc, model.last(&doc) + more, 200)).collect();
            store.append(&batch).unwrap();
            model.append(&batch);
        }
        let after = place.copy("after");
        check(&after.copy("as-it-is"), &model);
        // Indexes are removed before their segments, and one segment before the next.
        let all = after.copy("all-left");
        if put_back(&before, &all, |_, _| true) == 0 {
            continue;
        }
        removals += 1;
        check(&all, &model);
        let segments = after.copy("segments-left");
        put_back(&before, &segments, |_, path| path.extension().is_some_and(|end| end == "segment"));
        check(&segments, &model);
        let some = after.copy("last-left");
        put_back(&before, &some, |at, _| at >= 2);
        check(&some, &model);
    }
}
