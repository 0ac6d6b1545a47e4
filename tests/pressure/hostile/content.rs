//! All of a document's content as text, read without recursion, in an order that doesn't depend on how it came.

use std::collections::VecDeque;
use std::fmt::Write;

use y_mesh::document::{Document, ReadTransaction};
use y_mesh::yrs::branch::BranchPtr;
use y_mesh::yrs::types::text::YChange;
use y_mesh::yrs::{Any, Array, ArrayRef, GetString, Map, MapRef, Out, ReadTxn, Text, TextRef, XmlFragmentRef};

use super::support::shown::branch;

/// More than any document of these tests holds: whoever gets so far walks in a circle.
const STEPS_MAX: usize = 1_000_000;

struct Walk<'a, 'doc> {
    reads_arrays: bool,
    txn: &'a ReadTransaction<'doc>,
    waiting: VecDeque<BranchPtr>,
    out: String,
    steps: usize,
}

/// `reads_arrays` says whether arrays may be read: yrs 0.28.1 walks for ever over one that holds text beyond 16 bits.
pub fn of(document: &Document, reads_arrays: bool) -> String {
    document.read(|txn| {
        let mut walk = Walk { reads_arrays, txn, waiting: VecDeque::new(), out: String::new(), steps: 0 };
        let mut roots: Vec<_> = txn.root_refs().filter_map(|(name, out)| Some((name, branch(&out)?))).collect();
        roots.sort_by_key(|(name, _)| *name);
        for (name, root) in roots {
            walk.out += name;
            walk.out.push(':');
            walk.waiting.push_back(root);
            walk.run();
        }
        walk.out
    })
}

impl Walk<'_, '_> {
    fn run(&mut self) {
        while let Some(branch) = self.waiting.pop_front() {
            self.texts(&TextRef::from(branch));
            if self.reads_arrays {
                self.values(&ArrayRef::from(branch));
            }
            self.entries(&MapRef::from(branch));
            self.out.push('\n');
        }
    }

    fn step(&mut self) {
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "the content has no end");
    }

    /// What a text shows, formatting and embeds included; wherever the blocks end.
    fn texts(&mut self, text: &TextRef) {
        let mut last = None;
        for diff in text.diff(self.txn, YChange::identity) {
            let attributes = diff.attributes.map(|attributes| {
                let mut sorted: Vec<_> =
                    attributes.iter().map(|(key, value)| (key.to_string(), canonical(value))).collect();
                sorted.sort();
                sorted
            });
            if last.as_ref() != Some(&attributes) {
                let _ = write!(self.out, "<{attributes:?}>");
                last = Some(attributes);
            }
            self.one(&diff.insert);
        }
    }

    /// What an array holds that a text doesn't show.
    fn values(&mut self, array: &ArrayRef) {
        self.out.push('[');
        for value in array.iter(self.txn) {
            self.step();
            match &value {
                Out::Any(any) => self.out += &canonical(any),
                _ => self.out.push('.'),
            }
            self.out.push(',');
        }
        self.out.push(']');
    }

    fn entries(&mut self, map: &MapRef) {
        let mut entries: Vec<_> = map.iter(self.txn).collect();
        entries.sort_by_key(|(key, _)| *key);
        for (key, value) in entries {
            let _ = write!(self.out, "{key}=");
            self.one(&value);
        }
    }

    fn one(&mut self, out: &Out) {
        self.step();
        match out {
            Out::Any(Any::String(text)) => self.out += text,
            Out::Any(any) => self.out += &canonical(any),
            Out::YDoc(doc) => {
                let _ = write!(self.out, "doc {}", doc.guid());
            }
            other => {
                let branch = branch(other).expect("the rest are shared types");
                self.out += "*";
                self.waiting.push_back(branch);
            }
        }
    }
}

fn canonical(any: &Any) -> String {
    match any {
        Any::Map(entries) => {
            let mut texts: Vec<_> = entries.iter().map(|(key, value)| format!("{key}:{}", canonical(value))).collect();
            texts.sort();
            format!("{{{}}}", texts.join(","))
        }
        Any::Array(values) => format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(",")),
        // yrs 0.28.1 encodes a BigInt and a large whole number as it likes, and minus zero as zero.
        Any::Number(number) => {
            number.as_f64().map_or_else(|| format!("{number:?}"), |number| format!("{:?}", number + 0.0))
        }
        other => format!("{other:?}"),
    }
}

/// What yrs itself makes of it, recursively: roots as texts and as XML.
pub fn by_yrs(document: &Document) -> usize {
    document.read(|txn| {
        let roots: Vec<_> = txn.root_refs().filter_map(|(_, out)| branch(&out)).collect();
        roots.into_iter().map(|root| XmlFragmentRef::from(root).get_string(txn).len()).sum()
    })
}
