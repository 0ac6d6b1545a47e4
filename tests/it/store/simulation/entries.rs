//! What a directory holds: for who looks into it, and on the disk.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::support::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Directory,
    /// A file, by its number.
    File(u64),
}

type Names = BTreeMap<OsString, Entry>;

#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// What there is for who looks now.
    pub now: Names,
    durable: Names,
    /// What was done since, in order.
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Put(OsString, Entry),
    Rename(OsString, OsString, Entry),
    Remove(OsString),
}

impl Step {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(name, entry) => drop(names.insert(name.clone(), *entry)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Rename(from, to, entry) => {
                names.remove(from);
                names.insert(to.clone(), *entry);
            }
        }
    }
}

impl Entries {
    pub fn put(&mut self, name: &OsStr, entry: Entry) {
        self.step(Step::Put(name.into(), entry));
    }

    pub fn remove(&mut self, name: &OsStr) {
        self.step(Step::Remove(name.into()));
    }

    pub fn rename(&mut self, from: &OsStr, to: &OsStr, entry: Entry) {
        self.step(Step::Rename(from.into(), to.into(), entry));
    }

    fn step(&mut self, step: Step) {
        step.apply(&mut self.now);
        self.steps.push(step);
    }

    pub fn sync(&mut self) {
        self.steps.clear();
        self.durable = self.now.clone();
    }

    /// What may be there after a power cut: each step by itself was done or wasn't.
    pub fn after_cut(&self, random: &mut Random) -> Self {
        let chance = random.pick(&[0, 20, 50, 80, 100]);
        let mut names = self.durable.clone();
        for step in &self.steps {
            if random.percent(chance) {
                step.apply(&mut names);
            }
        }
        Self { now: names.clone(), durable: names, steps: Vec::new() }
    }
}
