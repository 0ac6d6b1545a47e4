//! `y-mesh restore`: from a backup, or from a store that is left behind, to one that can be served.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::copying::{all_of, copy};
use super::unfinished::{Unfinished, is_unfinished};
use super::{COPYING_LOG, Failure, opening, start_log};

pub const EXAMPLES: &str = "\
After a loss, go on from the last backup:
  y-mesh restore /backup/monday data/new
  y-mesh --data data/new

Move what an older version of y-mesh has written (the server says so when it starts) into the format of this one:
  y-mesh restore data/db data/new
  y-mesh --data data/new

The new directory is another node's. It's called data/new.partial until all of it
was read back and opened. The documents that it's copied from stay as they are.

Exit codes:
  0  all documents
  1  nothing was restored
  2  wrong arguments
  3  a directory was made, and some documents are damaged where they were, or can't
     be opened; they're named on the standard error";

/// Its arguments.
#[derive(Args)]
pub struct Restore {
    /// A backup, or a directory that documents were kept in by this or an older version. Nobody may have it open.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,

    /// The directory to make. It must be empty, or not be there yet.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Restore {
    /// Makes the copy, and says how it went.
    pub fn run(self) -> Result<ExitCode, Failure> {
        start_log(COPYING_LOG)?;
        let target = Unfinished::new(&self.directory)?;
        let locked = "stop who has it; or, if that's a server, take a backup of it with `y-mesh backup` first";
        if is_unfinished(&self.backup) {
            let backup = self.backup.display();
            return Err(Failure(format!(
                "{backup} was never finished: what it doesn't hold can't be said. If there's nothing else, rename it first"
            )));
        }
        let source = opening::to_copy(&self.backup, locked)?;
        copy(all_of(&source), &target, &format!("Restored into {}", self.directory.display()))
    }
}
