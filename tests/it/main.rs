//! The tests of the library through its public face, in one binary. A module a subject.

#[cfg(feature = "server")]
mod door;
#[cfg(feature = "node")]
mod node;
mod rules;
#[cfg(feature = "node")]
mod store;
mod support;
mod tidy;
