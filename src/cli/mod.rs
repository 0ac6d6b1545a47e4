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
Examples:
  y-mesh                                   Serve on this machine; open the printed address in two browsers.
  y-mesh --port 8080                       On another port; 0 picks a free one.
  y-mesh --origin https://app.example.com  Let pages of that address connect.
  y-mesh --host 0.0.0.0 --token-file t.txt For other machines, and only with a token. A line of the file is
                                           `write TOKEN [WHO]` or `read TOKEN [WHO]`.

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
