//! Faults that updates bring along, where yrs could have them: in the middle of being applied.

use std::hint::black_box;

/// What the texts in an update do when it's applied.
pub const PANIC: &str = "<panic>";
pub const ABORT: &str = "<abort>";
pub const OVERFLOW: &str = "<overflow>";
pub const LOOP: &str = "<loop>";

/// For [`y_mesh::NodeBuilder::planted`].
pub fn planted(update: &[u8]) {
    let says = |text: &str| update.windows(text.len()).any(|window| window == text.as_bytes());
    if says(PANIC) {
        panic!("on purpose: planted in an update");
    }
    if says(ABORT) {
        std::process::abort();
    }
    if says(OVERFLOW) {
        black_box(deep(black_box(1)));
    }
    while says(LOOP) {
        std::hint::spin_loop();
    }
}

#[expect(unconditional_recursion, reason = "it's what is planted")]
fn deep(level: u64) -> u64 {
    black_box(level) + deep(black_box([level; 1_024])[1] + 1)
}
