//! `y-mesh serve`: the server.

use std::future::Future;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;
use y_mesh::http::{Door, Origin, listen};
use y_mesh::node::access::Open;
use y_mesh::store::DiskStore;
use y_mesh::{DocName, Durability, Node, document};

use super::local::Local;
use super::progress::counted;
use super::settings::Settings;
use super::tokens::Tokens;
use super::{Failure, opening, start_log};

/// How the process ends when a document does one thing for ever: apart from other failures, for whoever starts it anew.
const STUCK: i32 = 70;
/// File descriptors beside those of connections: the journal, the listener, the runtime.
const FILES_BESIDE_CONNECTIONS: u64 = 256;

/// Its arguments.
#[derive(Args)]
pub struct Serve {
    /// Address to listen on. Beyond this machine (0.0.0.0), access must be settled: --token-file or --open.
    #[arg(long, env = "YMESH_HOST", default_value = "127.0.0.1", value_name = "ADDRESS", value_parser = host)]
    host: IpAddr,

    /// Port to listen on; 0 picks a free one.
    #[arg(long, env = "YMESH_PORT", default_value_t = 1234, value_name = "PORT", value_parser = port)]
    port: u16,

    /// The directory that documents are kept in; it's made if it isn't there. With `memory` they're gone when the process
    /// ends.
    #[arg(long, env = "YMESH_DATA", default_value = "data/db", value_name = "DIRECTORY", value_parser = data)]
    data: Data,

    /// What an acknowledgement says, and "Saved": `local`, that a change is on disk and outlives a kill and a power cut; `memory`,
    /// that the server has it, and is about to write it. Documents may be created with another one. Without this: local, or
    /// memory with `--data memory`.
    #[arg(long, env = "YMESH_DURABILITY", value_name = "local|memory", value_parser = durability)]
    durability: Option<Durability>,

    /// Show a change to others only when it's on disk, so that nobody can have seen what a crash then takes.
    #[arg(long, env = "YMESH_STRICT", value_parser = BoolishValueParser::new())]
    strict: bool,

    /// File with tokens, a line each: `read TOKEN [WHO]`, `write TOKEN [WHO]`, or `manage TOKEN [WHO]`, which may back up
    /// and delete too. Nobody connects without one.
    #[arg(long, env = "YMESH_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Let everybody who reaches the address read and write. Only where nobody but this machine reaches it may they back up and
    /// delete too; elsewhere that takes --token-file instead.
    #[arg(long, env = "YMESH_OPEN", value_parser = BoolishValueParser::new())]
    open: bool,

    /// Let pages of this address connect, such as https://app.example.com. May be repeated. Pages of the server's own
    /// address always may; while it listens on this machine alone, so may pages from this machine.
    #[arg(long = "origin", env = "YMESH_ORIGIN", value_name = "URL", value_delimiter = ',')]
    origins: Vec<Origin>,

    /// Change a limit or an interval, such as limits.message_bytes_max=33554432. May be repeated; --print-config
    /// shows them all.
    #[arg(long = "set", env = "YMESH_SET", value_name = "NAME=VALUE", value_delimiter = ',')]
    settings: Vec<String>,

    /// What to log, in the syntax of RUST_LOG.
    #[arg(long, env = "YMESH_LOG", default_value = "warn,y_mesh=info", value_name = "FILTER")]
    log: String,

    /// Print the limits and intervals that would be used (durations in seconds), and stop.
    #[arg(long)]
    print_config: bool,
}

/// Where documents are kept.
#[derive(Clone, Debug)]
enum Data {
    Memory,
    Directory(PathBuf),
}

fn host(text: &str) -> Result<IpAddr, String> {
    match text {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        _ => text.parse().map_err(|_| "not an IP address; write 127.0.0.1, ::1, or 0.0.0.0 for all interfaces".into()),
    }
}

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "not a port; write a number up to 65535, or 0 for a free one")
}

fn data(text: &str) -> Result<Data, &'static str> {
    match text {
        "" => Err("name a directory, or say `memory`"),
        "memory" => Ok(Data::Memory),
        _ => Ok(Data::Directory(text.into())),
    }
}

fn durability(text: &str) -> Result<Durability, &'static str> {
    let known = [Durability::Local, Durability::Memory];
    known.into_iter().find(|known| known.as_str() == text).ok_or("say `local` or `memory`")
}

impl Serve {
    /// Serves until a signal says to stop.
    pub fn run(self) -> Result<(), Failure> {
        let settings = Settings::with(&self.settings)?;
        if self.print_config {
            let text = serde_json::to_string_pretty(&settings).map_err(|error| Failure(error.to_string()))?;
            return writeln!(io::stdout(), "{text}").map_err(|error| Failure(format!("--print-config: {error}")));
        }
        if self.open && self.token_file.is_some() {
            // clap would take a variable that says no for one that is set.
            return Err(Failure("--open lets everybody in, and --token-file who has a token; give one of them".into()));
        }
        let tokens = self.token_file.as_deref().map(Tokens::read).transpose()?;
        if !self.host.is_loopback() && tokens.is_none() && !self.open {
            return Err(Failure(format!(
                "--host {} can be reached from other machines, and nothing says who may write: \
                 give --token-file FILE, or --open to let everybody",
                self.host
            )));
        }
        can_give(&self.data, self.durability)?;
        start_log(&self.log)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(|error| Failure(format!("no threads: {error}")))?.block_on(self.serve(settings, tokens))
    }

    async fn serve(self, settings: Settings, tokens: Option<Tokens>) -> Result<(), Failure> {
        let Settings { config, store: options } = settings;
        allow_files(config.limits.connections_max);
        let listener = listen(SocketAddr::new(self.host, self.port), &config.limits)
            .map_err(|error| self.cannot_listen(&error))?;
        let address = listener.local_addr().map_err(|error| self.cannot_listen(&error))?;
        let access = Access { tokens: tokens.as_ref().map(Tokens::len), is_local: self.host.is_loopback() };
        let mut builder = Node::builder().config(config).strict(self.strict);
        if let Some(durability) = self.durability {
            builder = builder.durability(durability);
        }
        builder = match tokens {
            Some(tokens) => builder.authorize(tokens),
            None if access.is_local => builder.authorize(Local),
            None => builder.authorize(Open(document::Access::Write)),
        };
        if let Data::Directory(path) = &self.data {
            let store = DiskStore::open_with(path, options);
            builder = builder.store(store.map_err(|error| opening::cannot_serve(path, &error))?);
        }
        let node = builder.start().map_err(|error| Failure(error.to_string()))?;
        let door = Door::new(node.clone())
            .origins(self.origins.clone())
            .loopback(access.is_local)
            .open(access.tokens.is_none());
        let stop = stopped().map_err(|error| Failure(format!("signals can't be handled: {error}")))?;
        greet(address, &node, &access);
        let failing = node.clone();
        let stop = async move {
            tokio::select! {
                () = stop => {}
                () = failing.store_failed() => say("The store failed; stopping."),
                document = failing.stuck() => give_up(&document),
            }
        };
        door.serve(listener, stop).await;
        if node.has_store_failed() {
            return Err(Failure("the store failed, so nothing more could be saved; the log says why".into()));
        }
        say("Stopped.");
        Ok(())
    }

    fn cannot_listen(&self, error: &io::Error) -> Failure {
        let (host, port) = (self.host, self.port);
        Failure(match error.kind() {
            ErrorKind::AddrInUse => format!(
                "port {port} on {host} is in use; stop the program that has it, or take another with --port (0 picks a free one)"
            ),
            ErrorKind::PermissionDenied => {
                format!("port {port} on {host} isn't allowed for this user; take one above 1023 with --port")
            }
            ErrorKind::AddrNotAvailable => format!("this machine has no address {host}; see --host"),
            _ => format!("can't listen on {host}, port {port}: {error}"),
        })
    }
}

/// Nobody is to believe that documents in memory outlive the process.
fn can_give(data: &Data, durability: Option<Durability>) -> Result<(), Failure> {
    match (data, durability) {
        (Data::Memory, Some(Durability::Local)) => Err(Failure(
            "--durability local: with --data memory nothing outlives the process; name a directory with --data".into(),
        )),
        _ => Ok(()),
    }
}

/// Raises the limit of open files as far as it may be, to what the connections need.
fn allow_files(connections: usize) {
    let wanted = connections as u64 + FILES_BESIDE_CONNECTIONS;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) if limit < wanted => {
            tracing::warn!(limit, wanted, "fewer open files are allowed than connections may need; raise `ulimit -n`");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files can't be read"),
    }
}

/// What the greeting says of access.
struct Access {
    tokens: Option<usize>,
    is_local: bool,
}

fn greet(address: SocketAddr, node: &Node, access: &Access) {
    let (store, durability) = node.store();
    let kept = match durability {
        Durability::Memory if store == "memory" => "documents are gone when this process ends",
        Durability::Memory => "what is acknowledged is written a moment later",
        Durability::Local => "what is acknowledged is on disk",
    };
    let who = match access.tokens {
        Some(count) => counted(count as u64, "token"),
        None if access.is_local => "open to everybody on this machine".into(),
        None => "OPEN: everybody who reaches this address may write".into(),
    };
    say(&format!("y-mesh {}", env!("CARGO_PKG_VERSION")));
    say(&format!("  Page       http://{address}/"));
    say(&format!("  Clients    ws://{address}/<document>"));
    say(&format!("  Store      {store}: {kept} (durability: {})", durability.as_str()));
    if node.is_strict() {
        say("  Strict     changes are shown to others when the store has them");
    }
    say(&format!("  Access     {who}"));
    say("Ctrl-C stops it.");
}

/// Tells whoever started the server. That nobody listens any more (a closed pipe, a full disk) is no reason not to serve,
/// nor not to stop gently.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// At once: what never ends can't be waited for, and what was acknowledged is on disk.
fn give_up(document: &DocName) -> ! {
    eprintln!("y-mesh: the document \"{document}\" does one thing for ever; start the server anew (exit code {STUCK})");
    std::process::exit(STUCK);
}

/// Resolves at the first SIGTERM or Ctrl-C. The second one ends the process at once.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new()?;
    Ok(async move {
        signals.next().await;
        say("Closing connections… (again to stop at once)");
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(130);
        });
    })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Without a handler nobody can ask to stop gently; the system's default ends the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_memory_can_give_is_not_promised() {
        assert!(can_give(&Data::Memory, Some(Durability::Local)).is_err());
        assert!(can_give(&Data::Memory, None).is_ok() && can_give(&Data::Memory, Some(Durability::Memory)).is_ok());
        assert!(can_give(&Data::Directory("db".into()), Some(Durability::Local)).is_ok());
        assert_eq!((durability("local"), durability("memory")), (Ok(Durability::Local), Ok(Durability::Memory)));
        assert!(durability("disk").is_err());
    }
}
