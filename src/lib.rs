//! y-mesh: a server for real-time collaborative documents, as a library.
//!
//! Each document is a Yjs CRDT. A [`Node`] keeps documents open and in a [`Store`]; unmodified y-websocket clients
//! reach it through [`Node::routes`], which can be mounted in any warp program, or through [`http::Door`], which is a
//! whole server. Without the feature `server` a node can be embedded and edited in place: [`Node::document`].
//!
//! From the bottom up:
//!
//! - [`id`] and [`config`]: names that can't be mixed up, and every bound and interval.
//! - [`wire`]: bytes and messages.
//! - [`document`]: the core. One document as a state machine, with its rules by number; no clock, socket or task inside.
//! - [`store`]: where documents are kept: memory, or a directory of this machine ([`store::DiskStore`]).
//! - [`node`]: the runtime. One actor a document; a registry that never has two of one; sessions that can't hurt others.
//! - [`http`]: the door.
//!
//! # Features
//!
//! `server` (the default) is all of it. `node` leaves out HTTP and the command. With neither, the pure core builds
//! alone, for another runtime or for tests.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(feature = "server"), allow(rustdoc::broken_intra_doc_links, reason = "they lead to what is left out"))]

pub mod config;
pub mod document;
#[cfg(feature = "server")]
pub mod http;
pub mod id;
#[cfg(feature = "node")]
pub mod node;
pub mod store;
pub mod wire;

pub use config::{Config, InvalidConfig, Limits, Timing};
pub use id::{ClientId, Clock, DocName, Identity, InvalidName, MessageHash, NodeId, Seq, SessionId};
#[cfg(feature = "node")]
pub use node::{
    Authorize, Closed, Denied, DocumentHandle, Error, Grant, Listed, Metrics, Node, NodeBuilder, Outgoing, Request,
    Seat, StartError, Token,
};
#[cfg(feature = "node")]
pub use store::DiskStore;
pub use store::{Durability, MemoryStore, Store, StoreError};
/// The yrs that documents are made of. Its types are those of the closures given to [`DocumentHandle`]'s methods.
pub use yrs;

/// The examples of the README, compiled and run as tests.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;
