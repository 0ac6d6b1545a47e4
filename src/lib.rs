//! y-mesh: a server for real-time collaborative documents.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod config;
pub mod document;
pub mod id;
#[cfg(feature = "node")]
pub mod node;
pub mod store;
pub mod wire;

pub use config::{Config, Limits, Timing};
pub use id::{ClientId, Clock, DocName, Identity, InvalidName, NodeId, Seq, SessionId};
#[cfg(feature = "node")]
pub use node::{
    Authorize, Closed, Denied, DocumentHandle, Error, Grant, Listed, Metrics, Node, NodeBuilder, Outgoing, Request,
    Seat, StartError, Token,
};
pub use store::{Durability, MemoryStore, Store, StoreError};
pub use yrs;
