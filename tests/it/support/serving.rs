//! A server with faults planted in it, in a process of its own: the test binary, started for one test, serves instead.

use std::future::pending;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use y_mesh::http::{Door, listen};
use y_mesh::store::DiskStore;
use y_mesh::{Config, Node};

use super::planted::planted;

const PLACE: &str = "Y_MESH_TEST_SERVE";
const PLANTED: &str = "Y_MESH_TEST_PLANTED";
/// How the process ends that has a stuck document.
pub const STUCK: i32 = 70;

/// The command that serves a directory. `test` is the path of the test that asks [`serves`] first. If the faults aren't planted,
/// nothing comes of the texts that would cause them.
pub fn server(test: &str, place: &Path, is_planted: bool) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test binary knows its path"));
    command.args([test, "--exact", "--nocapture"]).env(PLACE, place).stdin(Stdio::null()).kill_on_drop(true);
    if is_planted {
        command.env(PLANTED, "1");
    }
    command
}

/// Serves if this process was started to; `false` if it's the test's own.
pub async fn serves() -> bool {
    let Some(place) = std::env::var_os(PLACE) else { return false };
    let mut config = Config::default();
    // Longer than a stack takes to overflow on a busy machine.
    config.timing.watchdog_interval = Duration::from_millis(100);
    config.timing.handle_max = Duration::from_secs(7);
    let mut builder = Node::builder().config(config).store(DiskStore::open(Path::new(&place)).unwrap());
    if std::env::var_os(PLANTED).is_some() {
        builder = builder.planted(planted);
    }
    let node = builder.start().unwrap();
    let listener = listen(([127, 0, 0, 1], 0).into(), &node.config().limits).unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    tokio::select! {
        () = Door::new(node.clone()).serve(listener, pending()) => panic!("nobody told it to stop"),
        document = node.stuck() => {
            eprintln!("{document} is stuck");
            std::process::exit(STUCK);
        }
    }
}
