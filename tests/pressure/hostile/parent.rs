//! Starts children, waits for them, and finds out what became of them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use bytes::Bytes;

use super::child::{Counts, ORDER, Order, What, read_flight, write_flight};

/// A case that takes longer hangs, on however busy a machine.
const CASE_MAX: Duration = Duration::from_secs(30);
/// yrs alone is given less: it does hang.
const BARE_CASE_MAX: Duration = Duration::from_secs(3);
/// A case that was slow once is tried so often, for the machine may have been busy.
const TRIES: usize = 4;
/// Cases that one child takes.
const CASES_PER_CHILD: u64 = 2_000;

/// Something that was broken, and by what.
#[derive(Clone, Debug)]
pub struct Finding {
    pub seed: u64,
    pub what: String,
    pub messages: Vec<Bytes>,
}

#[derive(Debug, Default)]
pub struct Report {
    pub counts: Counts,
    pub findings: Vec<Finding>,
}

/// What became of one child.
struct Ended {
    counts: Counts,
    /// Where it broke something, and what.
    broken: Vec<(u64, String)>,
    /// The case that it was at when it died or hung, and how.
    died: Option<(u64, String)>,
}

/// The path of the test that children are to run.
pub struct Parent {
    pub test: &'static str,
    pub folder: PathBuf,
}

impl Parent {
    pub fn new(test: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
        std::fs::create_dir_all(&folder).expect("a folder for what is found");
        Self { test, folder }
    }

    /// Sends cases from a seed on, in as many processes at once as the machine bears.
    pub fn run(&self, what: What, first: u64, cases: u64) -> Report {
        let next = AtomicU64::new(first);
        let report = Mutex::new(Report::default());
        let processes = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for number in 0..processes {
                let (next, report) = (&next, &report);
                scope.spawn(move || {
                    loop {
                        let from = next.fetch_add(CASES_PER_CHILD, Ordering::Relaxed);
                        if from >= first + cases {
                            return;
                        }
                        self.run_some((what, number), from, (first + cases).min(from + CASES_PER_CHILD), report);
                    }
                });
            }
        });
        report.into_inner().expect("no thread panicked")
    }

    fn run_some(&self, (what, number): (What, usize), mut from: u64, end: u64, report: &Mutex<Report>) {
        while from < end {
            let flight = self.folder.join(format!("flight-{}-{number}", std::process::id()));
            let flight = flight.to_string_lossy().into_owned();
            let order = Order { what, first: from, cases: end - from, flight };
            let ended = self.order(&order);
            let mut findings = Vec::new();
            for (seed, what) in ended.broken {
                let messages = if order.what == What::Gate { self.messages_of(seed) } else { Vec::new() };
                if !what.starts_with("slow") || self.is_slow(&messages) {
                    findings.push(Finding { seed, what, messages });
                }
            }
            from = end;
            if let Some((seed, what)) = ended.died {
                findings.push(Finding { seed, what, messages: read_flight(Path::new(&order.flight)) });
                from = seed + 1;
            }
            let mut report = report.lock().expect("no thread panicked");
            report.counts.inputs += ended.counts.inputs;
            report.counts.taken += ended.counts.taken;
            report.counts.refused += ended.counts.refused;
            report.counts.missing += ended.counts.missing;
            report.findings.extend(findings);
        }
    }

    /// Lets a child make a case once more, for its messages.
    fn messages_of(&self, seed: u64) -> Vec<Bytes> {
        let flight = self.folder.join(format!("case-{seed}-{}", std::process::id()));
        let order = Order { what: What::Gate, first: seed, cases: 1, flight: flight.to_string_lossy().into_owned() };
        self.order(&order);
        let messages = read_flight(&flight);
        let _ = std::fs::remove_file(&flight);
        messages
    }

    /// Whether it's slow each time, and not because the machine was busy.
    fn is_slow(&self, messages: &[Bytes]) -> bool {
        (1..TRIES).all(|_| self.replay(What::Replay, messages).is_some())
    }

    /// What is broken by these messages.
    pub fn replay(&self, what: What, messages: &[Bytes]) -> Option<String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let flight = self.folder.join(format!("replay-{}-{number}", std::process::id()));
        write_flight(&flight, messages);
        let order = Order { what, first: 0, cases: 1, flight: flight.to_string_lossy().into_owned() };
        let ended = self.order(&order);
        let _ = std::fs::remove_file(&flight);
        ended.broken.into_iter().chain(ended.died).map(|(_, what)| what).next()
    }

    /// The same, but what is slow must be slow each time.
    pub fn try_out(&self, messages: &[Bytes]) -> Option<String> {
        let what = self.replay(What::Replay, messages)?;
        (!what.starts_with("slow") || self.is_slow(messages)).then_some(what)
    }

    fn order(&self, order: &Order) -> Ended {
        let this = std::env::current_exe().expect("a test binary knows its path");
        let mut child = Command::new(this)
            .args([self.test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ORDER, order.to_text())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test binary starts");
        let lines = lines_of(&mut child);
        let is_bare = matches!(order.what, What::Bare | What::BareReplay);
        listen(child, &lines, order.first, if is_bare { BARE_CASE_MAX } else { CASE_MAX })
    }
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let out = BufReader::new(child.stdout.take().expect("its output is ours"));
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn listen(mut child: Child, lines: &Receiver<String>, first: u64, case_max: Duration) -> Ended {
    let mut ended = Ended { counts: Counts::default(), broken: Vec::new(), died: None };
    let (mut seed, mut cases) = (first, 0);
    loop {
        match lines.recv_timeout(case_max) {
            Ok(line) => match line.split_once(' ') {
                Some(("@", number)) => {
                    seed = number.parse().expect("a seed is a number");
                    cases += 1;
                }
                Some(("!", rest)) => {
                    let (seed, what) = rest.split_once(' ').expect("a seed and what happened");
                    ended.broken.push((seed.parse().expect("a seed is a number"), what.to_owned()));
                }
                Some(("=", counts)) => ended.counts = counts_of(counts),
                _ => {}
            },
            Err(RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                let _ = child.wait();
                ended.died = Some((seed, "hang".to_owned()));
                break;
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait().expect("a child ends");
                ended.died = (!status.success()).then(|| (seed, death(status)));
                break;
            }
        }
    }
    if ended.died.is_some() {
        ended.counts.inputs = cases * super::case::MESSAGES as u64;
    }
    ended
}

fn counts_of(text: &str) -> Counts {
    let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().expect("a count is a number")).collect();
    Counts { inputs: numbers[0], taken: numbers[1], refused: numbers[2], missing: numbers[3] }
}

fn death(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("abort: signal {signal}");
    }
    format!("abort: {status}")
}

/// Findings of a kind: what they have in common, and one of them.
pub fn kinds(findings: &[Finding]) -> BTreeMap<String, (usize, &Finding)> {
    let mut kinds: BTreeMap<String, (usize, &Finding)> = BTreeMap::new();
    for finding in findings {
        let (count, example) = kinds.entry(kind(&finding.what)).or_insert((0, finding));
        *count += 1;
        if finding.messages.concat().len() < example.messages.concat().len() {
            *example = finding;
        }
    }
    kinds
}

/// What happened, without numbers and contents.
pub fn kind(what: &str) -> String {
    let text = what.split(" content: ").next().unwrap_or_default();
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}
