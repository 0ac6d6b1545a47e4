//! The process that takes the messages: if one kills it or hangs it, its parent goes on without it.
//!
//! It says on its standard output, a line each: `@ seed` when a case begins, `! seed what` when something was broken, and at
//! the end `= ` and its counts. What it was sent in the present case is in the flight file, before it's handled.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::str::FromStr;

use bytes::Bytes;
use y_mesh::document::STACK_BYTES;

use super::bare::Bare;
use super::case::{Case, MESSAGES};
use super::subject::{Broken, Subject};
use super::support::random::Random;

/// Where an order stands in a child's environment.
pub const ORDER: &str = "YMESH_HOSTILE_ORDER";

/// What a child is told to do: `kind first-seed cases flight-file`.
#[derive(Clone, Debug)]
pub struct Order {
    pub what: What,
    pub first: u64,
    pub cases: u64,
    pub flight: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// Make up cases and send them through the gate.
    Gate,
    /// Send what is in the flight file through the gate.
    Replay,
    /// Make up cases as for the gate, and give yrs what they bring without one.
    Bare,
    /// Give yrs what is in the flight file, on a stack as most programs have it.
    BareReplay,
}

const NAMES: [(What, &str); 4] =
    [(What::Gate, "gate"), (What::Replay, "replay"), (What::Bare, "bare"), (What::BareReplay, "bare-replay")];

impl Order {
    pub fn of_this_process() -> Option<Self> {
        let text = std::env::var(ORDER).ok()?;
        let words: Vec<_> = text.splitn(4, ' ').collect();
        let number = |at: usize| u64::from_str(words[at]).expect("an order's numbers are numbers");
        let (what, _) = *NAMES.iter().find(|(_, name)| *name == words[0]).expect("an order has a kind");
        Some(Self { what, first: number(1), cases: number(2), flight: words[3].to_owned() })
    }

    pub fn to_text(&self) -> String {
        let (_, what) = NAMES.iter().find(|(what, _)| *what == self.what).expect("each has a name");
        format!("{what} {} {} {}", self.first, self.cases, self.flight)
    }
}

/// Counts of what a child did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub inputs: u64,
    pub taken: u64,
    pub refused: u64,
    pub missing: u64,
}

/// A child's memory, in addresses.
#[cfg(unix)]
const ADDRESSES_MAX: u64 = 6 << 30;
/// The stack of tokio's threads, unless one asks for more.
const COMMON_STACK_BYTES: usize = 2 << 20;

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

pub fn obey(order: Order) {
    std::panic::set_hook(Box::new(|info| PANIC.with_borrow_mut(|text| *text = info.to_string().replace('\n', " "))));
    // What yrs takes without asking is bounded, so that the machine isn't hurt in its place.
    #[cfg(unix)]
    rlimit::setrlimit(rlimit::Resource::AS, ADDRESSES_MAX, ADDRESSES_MAX).expect("less memory can be asked for");
    let stack_bytes = if order.what == What::BareReplay { COMMON_STACK_BYTES } else { STACK_BYTES };
    let thread = std::thread::Builder::new().stack_size(stack_bytes);
    thread.spawn(move || run(&order)).expect("a thread starts").join().expect("panics are caught");
}

fn run(order: &Order) {
    let mut counts = Counts::default();
    match order.what {
        What::Replay | What::BareReplay => replay(order, &mut counts),
        What::Gate | What::Bare => make_up(order, &mut counts),
    }
    say(&format!("= {} {} {} {}", counts.inputs, counts.taken, counts.refused, counts.missing));
}

fn replay(order: &Order, counts: &mut Counts) {
    say("@ 0");
    let messages = read_flight(Path::new(&order.flight));
    if order.what == What::BareReplay {
        return bare(0, &mut Bare::new(true), &messages);
    }
    let mut messages = messages.into_iter();
    one(0, |_| messages.next(), counts);
}

fn make_up(order: &Order, counts: &mut Counts) {
    let mut flight = File::create(&order.flight).expect("the flight file can be made");
    for seed in order.first..order.first + order.cases {
        say(&format!("@ {seed}"));
        flight.set_len(0).and_then(|()| flight.rewind()).expect("the flight file can be emptied");
        let mut case = Case::new(seed);
        let mut left = MESSAGES;
        let mut ungated = (order.what == What::Bare).then(|| Bare::new(false));
        let next = |subject: &Subject| {
            left = left.checked_sub(1)?;
            let message = case.next(&subject.known);
            note(&mut flight, &message);
            if let Some(ungated) = &mut ungated {
                bare(seed, ungated, std::slice::from_ref(&message));
            }
            Some(message)
        };
        one(seed, next, counts);
    }
}

/// Gives yrs what messages bring, and goes on with a new document when it's hurt.
fn bare(seed: u64, ungated: &mut Bare, messages: &[Bytes]) {
    for message in messages {
        if let Err(broken) = guarded(|| ungated.take(message)) {
            say(&format!("! {seed} {broken}"));
            let anew = ungated.anew();
            std::mem::replace(ungated, anew).leak();
        }
    }
}

/// Sends a case's messages until there are no more or something is broken.
fn one(seed: u64, mut next: impl FnMut(&Subject) -> Option<Bytes>, counts: &mut Counts) {
    let mut subject = Subject::new();
    while let Some(message) = next(&subject) {
        counts.inputs += 1;
        match guarded(|| subject.send(message)) {
            Ok(came) => {
                counts.taken += u64::from(came.taken);
                counts.refused += u64::from(came.refused);
                counts.missing += u64::from(came.missing);
            }
            Err(broken) => {
                say(&format!("! {seed} {broken}"));
                return subject.leak();
            }
        }
    }
    if let Err(broken) = guarded(|| subject.end(&mut Random::new(seed))) {
        say(&format!("! {seed} at the end: {broken}"));
        subject.leak();
    }
}

fn guarded<R>(deed: impl FnOnce() -> Result<R, Broken>) -> Result<R, Broken> {
    let ended = catch_unwind(AssertUnwindSafe(deed));
    ended.unwrap_or_else(|_| Err(format!("panic: {}", PANIC.take())))
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn note(flight: &mut File, message: &[u8]) {
    let whole = [&(message.len() as u32).to_le_bytes(), message].concat();
    flight.write_all(&whole).expect("the flight file can be written");
}

pub fn write_flight(path: &Path, messages: &[Bytes]) {
    let mut flight = File::create(path).expect("the flight file can be made");
    messages.iter().for_each(|message| note(&mut flight, message));
}

pub fn read_flight(path: &Path) -> Vec<Bytes> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("the flight file can be read");
    let (mut rest, mut messages) = (&bytes[..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk() {
        let (message, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        messages.push(Bytes::copy_from_slice(message));
        rest = after;
    }
    messages
}
