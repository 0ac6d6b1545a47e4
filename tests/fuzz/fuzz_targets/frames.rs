//! The bytes of one WebSocket message: frames, state vectors, awareness.
#![no_main]

use libfuzzer_sys::fuzz_target;
use y_mesh::document::StateVector;
use y_mesh::wire::sync::{Entries, Frame, Frames};

fuzz_target!(|message: &[u8]| {
    for frame in Frames::of(message) {
        match frame {
            Ok(Frame::SyncStep1(vector)) => {
                if let Ok(vector) = StateVector::decode(vector) {
                    assert_eq!(StateVector::decode(&vector.encode()), Ok(vector));
                }
            }
            Ok(Frame::Awareness(body)) => {
                if let Ok(entries) = Entries::of(body) {
                    entries.for_each(drop);
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
});
