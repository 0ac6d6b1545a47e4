//! What can go wrong with a node and its documents.

use std::io;
use std::path::PathBuf;

use super::access::Denied;
use crate::config::InvalidConfig;
use crate::document::{OpenError, StoreLow};
use crate::id::DocName;
use crate::store::StoreError;

/// Why a node can't be started. Nothing was opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration can't work.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// What the store keeps of faults can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no threads.
    #[error("threads can't be started: {0}")]
    Threads(#[from] io::Error),
}

/// Why something with a document couldn't be done. Unless the variant says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The access hook said no.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// As many documents are open as may be. Try again later, or raise `Limits::documents_open_max`.
    #[error("too many documents are open")]
    TooManyDocuments,
    /// As many backups are being taken as may be (`Limits::backups_max`). Try again later.
    #[error("another backup is being taken")]
    TooManyBackups,
    /// There's a document of that name already.
    #[error("the document \"{0}\" exists")]
    Exists(DocName),
    /// The document couldn't be loaded, had a fault, or the node stops. The log says which; try again later.
    #[error("the document \"{0}\" can't be served now")]
    Unavailable(DocName),
    /// There's no document of that name.
    #[error("there's no document \"{0}\"")]
    NotFound(DocName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's disk is almost full. Make space, or try again when others did.
    #[error(transparent)]
    StoreLow(#[from] StoreLow),
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
}

/// Why a document couldn't be loaded. It's left as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("a panic while it was loaded")]
    Panicked,
    #[error("loading it has ended the process twice; remove {path} to have it tried again", path = .0.display())]
    Quarantined(PathBuf),
}
