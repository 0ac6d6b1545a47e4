//! Stores that the command line opens, and what to do if they can't be.

use std::path::Path;

use y_mesh::{DiskStore, StoreError};

use super::Failure;

/// Why a directory can't be served.
pub fn cannot_serve(path: &Path, error: &StoreError) -> Failure {
    let path = path.display();
    Failure(match error {
        StoreError::Format { found, known, .. } if found < known => format!(
            "--data {path}: an older version of y-mesh wrote it, in format {found}. Copy it into a new directory with \
             `y-mesh restore {path} NEW`, then serve that: --data NEW. The old one keeps its documents."
        ),
        _ => format!("--data {path}: {error}"),
    })
}

/// Opens a store to copy what is in it, also one of an older format. `locked` says what to do if another process has it.
pub fn to_copy(path: &Path, locked: &str) -> Result<DiskStore, Failure> {
    if !DiskStore::is_in(path) {
        return Err(Failure(format!("{} holds no documents of y-mesh", path.display())));
    }
    DiskStore::open_to_copy(path).map_err(|error| {
        Failure(match error {
            StoreError::Locked(_) => format!("{error}; {locked}"),
            other => format!("{} can't be opened: {other}", path.display()),
        })
    })
}
