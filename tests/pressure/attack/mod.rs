//! A real process under attack: fifty hostile connections of all kinds, while twenty honest people type.
//!
//! `YMESH_ATTACK_SECONDS` says for how long (else 5). The hostile ones are a process of their own at the lowest priority: it's
//! the server's work for them that is measured, and not what they cost a machine that they wouldn't be on.

mod honest;
mod hostile;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::server::Server;
use honest::{Honest, Latencies};

/// Says to a process that it's the hostile one: where the server is.
const HOSTILE: &str = "YMESH_ATTACK_ADDRESS";
const NAME: &str = "attack::who_types_notices_nothing_of_fifty_hostile_connections";
/// What the attack may add for 99 of 100 letters, in the document that is attacked and in others. A debug build of the server does
/// everything ten times slower.
const DELAYS_MAX: [Duration; 2] = match cfg!(debug_assertions) {
    true => [Duration::from_millis(500), Duration::from_millis(100)],
    false => [Duration::from_millis(50), Duration::from_millis(25)],
};
/// What the server may have in memory more than before, when the attack is over, and while it lasts.
const MEMORY_LEFT_MAX: u64 = 64 << 20;
const MEMORY_MAX: u64 = 512 << 20;

/// The hostile ones. They end with this.
struct Attack(Child);

impl Attack {
    fn begin(server: &Server) -> Self {
        let this = std::env::current_exe().expect("a test binary knows its path");
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(this).args([NAME, "--exact", "--nocapture", "--test-threads=1"]);
        let child = command.env(HOSTILE, &server.address).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn();
        Self(child.expect("the test binary starts"))
    }

    fn is_going_on(&mut self) -> bool {
        self.0.try_wait().expect("it's our child").is_none()
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn seconds() -> u64 {
    std::env::var("YMESH_ATTACK_SECONDS").map_or(5, |text| text.parse().expect("YMESH_ATTACK_SECONDS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_types_notices_nothing_of_fifty_hostile_connections() {
    if let Ok(address) = std::env::var(HOSTILE) {
        return hostile::attack(&address).await;
    }
    let (server, seconds) = (Server::start(), seconds());
    let mut honest = Honest::open(&server).await;
    honest.type_for(2).await; // what is allocated once is allocated
    let mut alone = Latencies::default();
    for _ in 0..seconds.max(5) {
        alone.add(honest.type_for(1).await);
    }
    let before = server.memory();

    let mut attack = Attack::begin(&server);
    let mut beside = Latencies::default();
    let mut most = before;
    for _ in 0..seconds {
        beside.add(honest.type_for(1).await);
        most = most.max(server.memory());
    }
    assert!(attack.is_going_on(), "the hostile ones gave up");
    println!("the server while it's attacked: {}", server.cpu());
    drop(attack);

    println!("{seconds} s; without the hostile ones {alone}, with them {beside}");
    honest.ends_equal().await;
    server.has_at_most(honest.count()).await;
    let after = server.memory();
    println!("memory {:?} KiB before, at most {:?} with them, {:?} afterwards", kib(before), kib(most), kib(after));
    println!("{}", server.refusals().await);
    if let (Some(before), Some(most), Some(after)) = (before, most, after) {
        assert!(most <= before + MEMORY_MAX, "memory grew by {} KiB", (most - before) >> 10);
        assert!(after <= before + MEMORY_LEFT_MAX, "{} KiB stay", (after - before) >> 10);
    }
    let (was, is) = (alone.of_most(), beside.of_most());
    println!("p99 in the middle second, in the shared document and in others: {was:?}, with them {is:?}");
    let has_waited = (0..2).any(|place| is[place] > was[place] + DELAYS_MAX[place]);
    assert!(!has_waited, "the honest wait: p99 was {was:?}, and is {is:?}");
}

fn kib(bytes: Option<u64>) -> Option<u64> {
    bytes.map(|bytes| bytes >> 10)
}
