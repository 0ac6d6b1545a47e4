//! A directory that gets its name when it's whole, so that nobody takes half of it for all.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use y_mesh::store::file_system::{FileSystem, System};

use super::Failure;

/// What stands behind the name meanwhile.
const ENDING: &str = ".partial";

/// A directory in the making, under another name.
pub struct Unfinished {
    target: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    /// Finds out whether it may be made. Nothing is made yet.
    pub fn new(target: &Path) -> Result<Self, Failure> {
        let name = target.file_name().ok_or_else(|| Failure(format!("{} is no new directory", target.display())))?;
        let path = target.with_file_name([name, OsStr::new(ENDING)].into_iter().collect::<OsString>());
        if !is_free(target).map_err(|error| Failure(format!("{}: {error}", target.display())))? {
            return Err(Failure(format!(
                "{} is there and isn't empty; name a new directory, nothing is ever written over",
                target.display()
            )));
        }
        if path.exists() {
            return Err(Failure(format!(
                "{} is there: another copy is being made, or one wasn't finished. Remove it, or name another directory",
                path.display()
            )));
        }
        Ok(Self { target: target.to_owned(), path })
    }

    /// Where it's made.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, durably.
    pub fn finish(&self) -> Result<(), Failure> {
        self.rename().map_err(|error| {
            let (path, target) = (self.path.display(), self.target.display());
            Failure(format!("{path} is whole, and can't be renamed to {target}: {error}"))
        })
    }

    fn rename(&self) -> io::Result<()> {
        match fs::remove_dir(&self.target) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => fs::rename(&self.path, &self.target)?,
        }
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        System.sync_directory(parent.unwrap_or(Path::new(".")))
    }
}

/// Whether a name says that a directory isn't whole.
pub fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING))
}

/// Whether nothing is there, or an empty directory.
fn is_free(path: &Path) -> io::Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
