//! A disk that isn't there: it knows what was synced, so that it can say what a power cut leaves, and its calls fail when
//! they're told to.

mod calls;
mod content;
mod disk;
mod entries;
mod file_system;
mod keys;
mod volume;

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

pub use calls::{Call, Fault};
pub use disk::Disk;

use crate::support::random::Random;

/// Who has this has the disk, as a running system sees it.
#[derive(Clone, Debug)]
pub struct Simulation(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    disk: Disk,
    locked: BTreeSet<PathBuf>,
    calls: Vec<Call>,
    /// The disk before each call that changes something, if they're wanted.
    moments: Vec<Disk>,
    keeps_moments: bool,
    fault: Option<Fault>,
    /// The calls that failed.
    failed: Vec<Call>,
    interlude: Interlude,
}

/// What is done while a volume of snapshots is flushed.
#[derive(Default)]
struct Interlude(Option<Box<dyn FnOnce() + Send>>);

impl Debug for Interlude {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Interlude")
    }
}

impl Simulation {
    pub fn new(disk: Disk) -> Self {
        Self(Arc::new(Mutex::new(State { disk, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The disk as it is now.
    pub fn disk(&self) -> Disk {
        self.state().disk.clone()
    }

    /// The calls that were made.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// From now on, the disk is kept as it is before every change.
    pub fn keep_moments(&self) {
        self.state().keeps_moments = true;
    }

    /// The first of those that were kept since this was called last.
    pub fn take_moments(&self, count: usize) -> Vec<Disk> {
        let mut state = self.state();
        let moments = &mut state.moments;
        let rest = moments.split_off(count.min(moments.len()));
        std::mem::replace(moments, rest)
    }

    /// How often the disk was kept since then.
    pub fn moments(&self) -> usize {
        self.state().moments.len()
    }

    /// Has something be done when a volume of snapshots is flushed next.
    pub fn meanwhile(&self, interlude: impl FnOnce() + Send + 'static) {
        self.state().interlude.0 = Some(Box::new(interlude));
    }

    /// What waits for a flush isn't done any more.
    pub fn without_interlude(&self) {
        self.state().interlude.0 = None;
    }

    fn perform_interlude(&self) {
        let interlude = self.state().interlude.0.take();
        if let Some(interlude) = interlude {
            interlude();
        }
    }

    /// Makes a call fail.
    pub fn fail(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// From now on, no call fails.
    pub fn heal(&self) {
        let mut state = self.state();
        (state.fault, state.failed) = (None, Vec::new());
    }

    /// The calls that failed since it was healed last.
    pub fn failed(&self) -> Vec<Call> {
        self.state().failed.clone()
    }

    /// Does something, or something of it and fails.
    fn call<T>(
        &self,
        call: Call,
        work: impl FnOnce(&mut State) -> io::Result<T>,
        part: impl FnOnce(&mut State, &mut Random),
    ) -> io::Result<T> {
        let mut state = self.state();
        if state.keeps_moments && call.is_change() {
            let disk = state.disk.clone();
            state.moments.push(disk);
        }
        state.calls.push(call);
        let number = state.calls.len() - 1;
        match state.fault {
            Some(fault) if fault.strikes(number, call) => {
                state.failed.push(call);
                part(&mut state, &mut Random::new(fault.seed));
                Err(fault.kind.into())
            }
            _ => work(&mut state),
        }
    }

    fn look<T>(&self, call: Call, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.call(call, work, |_, _| {})
    }

    /// What fails is done all the same, or isn't.
    fn change<T>(&self, call: Call, work: impl Fn(&mut State) -> io::Result<T>) -> io::Result<T> {
        let part = |state: &mut State, random: &mut Random| {
            if random.percent(50) {
                let _ = work(state);
            }
        };
        self.call(call, &work, part)
    }
}
