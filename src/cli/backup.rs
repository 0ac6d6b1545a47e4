//! `y-mesh backup`: a copy of all documents.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::address::{Address, token};
use super::copying::{all_of, copy};
use super::download::Download;
use super::unfinished::Unfinished;
use super::{COPYING_LOG, Failure, opening, start_log};

pub const EXAMPLES: &str = "\
A server that runs on this machine:
  y-mesh backup --server http://127.0.0.1:1234 /backup/monday

One that wants a token (a line `manage TOKEN` in its --token-file):
  YMESH_TOKEN=$(cat token) y-mesh backup --server http://127.0.0.1:1234 /backup/monday

One on another machine, for what goes over the wire isn't encrypted:
  ssh -N -L 1234:127.0.0.1:1234 docs.example.com &
  y-mesh backup --server http://127.0.0.1:1234 /backup/monday

Documents that nobody serves now:
  y-mesh backup --data data/db /backup/monday

It's called monday.partial until all of it was read back and opened.
`y-mesh restore --help` says how to go on from it.

Exit codes:
  0  all documents
  1  no backup was made
  2  wrong arguments
  3  a backup was made, and some documents are damaged where they were, or can't
     be opened; they're named on the standard error";

/// Its arguments.
#[derive(Args)]
pub struct Backup {
    /// The directory that the copy is made in. It must be empty, or not be there yet.
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Address of a running server, such as http://127.0.0.1:1234. It goes on working meanwhile; the copy has everything that
    /// it had acknowledged as on disk when this began.
    #[arg(long, value_name = "URL")]
    server: Option<Address>,

    /// The directory that documents are kept in, if no server runs. Without effect beside --server.
    #[arg(long, env = "YMESH_DATA", default_value = "data/db", value_name = "DIRECTORY")]
    data: PathBuf,

    /// File with the token to show the server: alone, or as a line `manage TOKEN` of the server's own file. Without this,
    /// the environment's YMESH_TOKEN is taken.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

impl Backup {
    /// Makes the copy, and says how it went.
    pub fn run(self) -> Result<ExitCode, Failure> {
        start_log(COPYING_LOG)?;
        let target = Unfinished::new(&self.directory)?;
        let done = format!("Backed up into {}", self.directory.display());
        match self.server {
            Some(address) => copy(Download::start(address, token(self.token_file.as_deref())?)?, &target, &done),
            None => {
                let locked = "if a server has it, give that one's address: --server http://127.0.0.1:1234";
                copy(all_of(&opening::to_copy(&self.data, locked)?), &target, &done)
            }
        }
    }
}
