//! The command line: one file a subcommand. Only this layer reads the environment, prints, and handles signals.

mod serve;
mod tokens;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
struct Failure(String);

/// Parses the arguments and does what they say.
pub fn run() -> ExitCode {
    let command = Command::parse();
    let serve = match command.subcommand {
        Some(Sub::Serve(serve)) => serve,
        None => command.serve,
    };
    match serve.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(why)) => {
            eprintln!("y-mesh: {why}");
            ExitCode::FAILURE
        }
    }
}
