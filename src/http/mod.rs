//! The door: everything that comes in over HTTP.
//!
//! | path | what |
//! |---|---|
//! | `/`, `/d/<document>` | the page |
//! | `/assets/*` | what the page loads |
//! | `/ws/<document>` | a WebSocket in y-websocket's dialect |
//! | `/<document>` | the same, as a drop-in for y-websocket's own server, unless the first segment has a use here |
//! | `/api/documents`, `/api/documents/<document>` | list, create and delete documents |
//! | `/api/backup` | all documents as they're kept, for who may manage them |
//! | `/healthz`, `/readyz`, `/metrics` | for whoever looks after the server |
//!
//! A request goes through one warp filter, [`Door::routes`], wherever that is mounted: it's taken apart (`head`), matched
//! (`route`), and answered by the file of that name. A WebSocket's bytes go from `reader` into a seat of the document, and
//! from the seat out through `writer`; `socket` holds the two together. [`Door::serve`] puts its own accept loop around the
//! filter, with bounds on everything that a peer decides.

mod accept;
mod backup;
mod connections;
mod credentials;
mod deadline;
mod documents;
mod door;
mod drain;
mod frame;
mod head;
mod headers;
mod life;
mod names;
mod origin;
mod pages;
mod problem;
mod reader;
mod route;
mod shared;
mod socket;
mod status;
mod upgrade;
mod writer;

pub use accept::listen;
pub use door::Door;
pub use origin::{InvalidOrigin, Origin};
