//! Bytes and messages: pure, total, and no allocation that a peer's length field decides.
//!
//! [`lib0`] reads and writes the primitives, [`sync`] the frames of y-protocols that the document core speaks,
//! [`vet`] walks an update without building it, [`merge`](mod@merge) puts updates together.

pub mod lib0;
pub mod merge;
pub mod sync;
pub mod vet;

/// Bytes that aren't what they claim to be. Nothing was changed by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// The byte at which reading stopped, counted from the start of what was read.
    pub at: usize,
}
