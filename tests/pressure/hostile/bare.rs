//! yrs without a gate, as a server has it that applies what it's sent.

use y_mesh::wire::sync::{Frame, Frames};
use y_mesh::yrs::types::ToJson;
use y_mesh::yrs::updates::decoder::Decode;
use y_mesh::yrs::{
    ArrayRef, Doc, GetString, OffsetKind, Options, Out, ReadTxn, StateVector, Transact, Update, XmlFragmentRef,
};

use super::subject::Broken;
use super::support::shown::branch;

pub struct Bare {
    doc: Doc,
    /// Whether it's read, too, as whoever shows or exports it does.
    reads: bool,
}

fn new_doc() -> Doc {
    Doc::with_options(Options { offset_kind: OffsetKind::Utf16, ..Options::default() })
}

impl Bare {
    pub fn new(reads: bool) -> Self {
        Self { doc: new_doc(), reads }
    }

    /// Applies what a message brings; then encodes and loads it.
    pub fn take(&mut self, message: &[u8]) -> Result<(), Broken> {
        for frame in Frames::of(message).map_while(Result::ok) {
            match frame {
                Frame::Update(update) | Frame::SyncStep2(update) => {
                    // What it refuses, it refuses: that hurts nobody.
                    if let Ok(update) = Update::decode_v1(update) {
                        let _ = self.doc.transact_mut().apply_update(update);
                    }
                }
                Frame::SyncStep1(vector) => drop(StateVector::decode_v1(vector)),
                _ => {}
            }
        }
        self.hold()
    }

    fn hold(&self) -> Result<(), Broken> {
        let state = self.doc.transact().encode_state_as_update_v1(&StateVector::default());
        let again = new_doc();
        let decoded = Update::decode_v1(&state).map_err(|error| format!("bricked: can't be decoded: {error}"))?;
        let applied = again.transact_mut().apply_update(decoded);
        applied.map_err(|error| format!("bricked: can't be applied: {error}"))?;
        if again.transact().state_vector() != self.doc.transact().state_vector() {
            return Err("bricked: another state vector when it's loaded again".to_owned());
        }
        if self.reads {
            self.read();
        }
        Ok(())
    }

    fn read(&self) {
        let txn = self.doc.transact();
        for root in txn.root_refs().filter_map(|(_, out): (&str, Out)| branch(&out)) {
            ArrayRef::from(root).to_json(&txn);
            XmlFragmentRef::from(root).get_string(&txn);
        }
    }

    /// One like it, with nothing in it.
    pub fn anew(&self) -> Self {
        Self::new(self.reads)
    }

    pub fn leak(self) {
        std::mem::forget(self);
    }
}
