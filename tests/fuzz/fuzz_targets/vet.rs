//! The bytes of one update, as the walk sees them that builds nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use y_mesh::Limits;
use y_mesh::wire::vet::{Bounds, outline};

fuzz_target!(|update: &[u8]| {
    let Ok(outlined) = outline(update, &Bounds::of(&Limits::default())) else { return };
    // What passes today passes as something stored, and is the same.
    assert_eq!(outline(update, &Bounds::STORED).expect("what is stored has wider bounds").spans, outlined.spans);
});
