//! Bytes and messages: pure, total, and no allocation that a peer's length field decides.
//!
//! [`lib0`] reads and writes the primitives, [`sync`] the frames of y-protocols that the document core speaks. Of updates,
//! [`structs`] reads what they consist of, [`vet`] walks over all of one without building it, [`assemble`] and [`part`] write
//! them, [`json`] reads what yrs can't, [`merge`](mod@merge) puts several together, and [`same`] compares what two say of the same work.

pub mod assemble;
pub mod json;
pub mod lib0;
pub mod merge;
pub mod part;
pub mod same;
pub mod structs;
pub mod sync;
pub mod vet;

/// yrs adds clocks in 32 bits, and JavaScript shifts them in 31.
const CLOCK_END: u64 = 1 << 31;

/// Bytes that aren't what they claim to be. Nothing was changed by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// The byte at which reading stopped, counted from the start of what was read.
    pub at: usize,
}

/// Why an update isn't taken. The document is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It isn't an update.
    #[error("not a Yjs update: {0}")]
    Malformed(#[from] Malformed),
    /// It is one, but costs too much or can't be held safely.
    #[error("{what} (byte {at})")]
    Refused {
        /// What is wrong, in a client developer's terms.
        what: &'static str,
        /// Where in the update.
        at: usize,
    },
}
