//! What the tests stand on: a real Yjs client without a network, and a world around one document without a clock.

pub mod child;
pub mod client;
pub mod content;
pub mod corpus;
pub mod frames;
#[cfg(feature = "node")]
pub mod gate;
pub mod journal;
pub mod outbox;
pub mod planted;
pub mod presence;
pub mod random;
pub mod raw;
#[cfg(feature = "server")]
pub mod serving;
pub mod shown;
pub mod watched;
pub mod world;
