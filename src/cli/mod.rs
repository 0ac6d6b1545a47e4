//! The command line: one file a subcommand. Only this layer reads the environment, prints, and handles signals.

mod address;
mod backup;
mod check;
mod copying;
mod download;
mod lines;
mod local;
mod opening;
mod progress;
mod restore;
mod serve;
mod settings;
mod tokens;
mod trial;
mod unfinished;
mod verifying;

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// The command line as a whole.
#[derive(Parser)]
#[command(
    name = "y-mesh",
    version,
    about = "A server for real-time collaborative documents (Yjs over WebSocket)",
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true
)]
struct Command {
    #[command(subcommand)]
    subcommand: Option<Sub>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Subcommand)]
enum Sub {
    /// Start the server (what happens without a subcommand too).
    #[command(after_help = EXAMPLES)]
    Serve(serve::Serve),
    /// Copy all documents of a server, running or not, into a new directory.
    #[command(after_help = backup::EXAMPLES)]
    Backup(backup::Backup),
    /// Copy a backup, or any store that nobody has open, into a new directory to serve from.
    #[command(after_help = restore::EXAMPLES)]
    Restore(restore::Restore),
    /// Explain an update, or a file of the quarantine: what it brings, and whether a document takes it.
    #[command(after_help = check::EXAMPLES)]
    Check(check::Check),
}

const EXAMPLES: &str = "\
Serve this machine, then open the printed address in two browsers:
  y-mesh

Let the pages of an app connect:
  y-mesh --origin https://app.example.com

Serve other machines, and only who has a token:
  echo \"write $(openssl rand -hex 24) ada\" > tokens.txt
  y-mesh --host 0.0.0.0 --token-file tokens.txt

Clients connect as to any y-websocket server:
  new WebsocketProvider('ws://127.0.0.1:1234', 'my-document', ydoc)";

/// Something that ends the command, in one line that says what to do.
#[derive(Debug)]
pub struct Failure(String);

/// What a command that copies lets be seen, beside what it says itself.
const COPYING_LOG: &str = "y_mesh=warn";

/// Logs to the standard error, in the syntax of RUST_LOG.
fn start_log(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| Failure(format!("--log: {error}")))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    log.with_ansi(stderr().is_terminal()).with_writer(stderr).init();
    Ok(())
}

/// Parses the arguments and does what they say.
pub fn run() -> ExitCode {
    let command = Command::parse();
    let done = match command.subcommand {
        Some(Sub::Backup(backup)) => backup.run(),
        Some(Sub::Restore(restore)) => restore.run(),
        Some(Sub::Check(check)) => check.run(),
        Some(Sub::Serve(serve)) => serve.run().map(|()| ExitCode::SUCCESS),
        None => command.serve.run().map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(Failure(why)) => {
            eprintln!("y-mesh: {why}");
            ExitCode::FAILURE
        }
    }
}
