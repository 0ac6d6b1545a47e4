//! What a file holds: for who reads it, and on the disk.

use std::ops::Range;

use crate::support::random::Random;

/// What a disk writes at once.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub struct Content {
    /// What a reader sees.
    pub now: Vec<u8>,
    /// What is there after a power cut in any case.
    durable: Vec<u8>,
    /// Through here, something durable may have been written; what follows are zeros that were never written.
    written: usize,
    /// What was done since, in order.
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Step {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Write(offset, written) => {
                let end = offset + written.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(written);
            }
        }
    }
}

impl Content {
    pub fn write(&mut self, bytes: &[u8], offset: usize) {
        self.step(Step::Write(offset, bytes.to_vec()));
    }

    pub fn set_len(&mut self, len: usize) {
        self.step(Step::SetLen(len));
    }

    fn step(&mut self, step: Step) {
        step.apply(&mut self.now);
        self.steps.push(step);
    }

    /// Makes it durable; that it was shortened only if `is_all`.
    pub fn sync(&mut self, is_all: bool) {
        let len = self.now.len();
        for sector in self.dirty() {
            self.written = self.written.max(sector.end);
            self.keep(sector);
        }
        self.steps.clear();
        if is_all || self.durable.len() < len {
            self.durable.resize(len, 0);
        } else if self.durable.len() > len {
            self.steps.push(Step::SetLen(len));
        }
    }

    /// Makes some of it durable. What isn't then never is, if it isn't written again: the system takes it for written.
    pub fn fail_to_sync(&mut self, random: &mut Random) {
        for sector in self.dirty() {
            self.written = self.written.max(sector.end);
            if random.percent(50) {
                self.keep(sector);
            }
        }
        self.steps.clear();
        if self.durable.len() != self.now.len() {
            self.steps.push(Step::SetLen(self.now.len()));
        }
    }

    /// The sectors that were written.
    fn dirty(&self) -> Vec<Range<usize>> {
        let mut dirty = Vec::new();
        let mut len = self.durable.len();
        for step in &self.steps {
            let range = match step {
                Step::Write(offset, bytes) => *offset..offset + bytes.len(),
                // What was cut off isn't there any more if the file grows again.
                Step::SetLen(to) => *to..len.max(*to),
            };
            len = match step {
                Step::Write(..) => len.max(range.end),
                Step::SetLen(to) => *to,
            };
            dirty.extend((range.start / SECTOR..range.end.div_ceil(SECTOR)).map(|at| at * SECTOR..(at + 1) * SECTOR));
        }
        dirty
    }

    fn keep(&mut self, sector: Range<usize>) {
        let range = sector.start.min(self.now.len())..sector.end.min(self.now.len());
        self.durable.resize(self.durable.len().max(range.end), 0);
        self.durable[range.clone()].copy_from_slice(&self.now[range]);
    }

    /// What may be there after a power cut: of each sector any state that it had since it was durable, and any length.
    pub fn after_cut(&self, random: &mut Random) -> Self {
        let mut images = vec![self.durable.clone()];
        for step in &self.steps {
            let mut next = images[images.len() - 1].clone();
            step.apply(&mut next);
            images.push(next);
        }
        let newest = images.len() - 1;
        let choice = random.below(4);
        let pick = |random: &mut Random| match choice {
            0 => 0,
            1 => newest,
            _ => random.below(newest + 1),
        };
        let mut bytes = Vec::new();
        let longest = images.iter().map(Vec::len).max().unwrap_or(0);
        for start in (0..longest).step_by(SECTOR) {
            let image = &images[pick(random)];
            let mut sector = image[start.min(image.len())..(start + SECTOR).min(image.len())].to_vec();
            sector.resize(SECTOR, 0);
            if start >= self.written && self.is_dirty(start) && random.percent(2) {
                // What was there before, of a file that's gone.
                sector.fill_with(|| random.next() as u8);
            }
            bytes.append(&mut sector);
        }
        let (one, other) = (images[pick(random)].len(), images[pick(random)].len());
        let len = if random.percent(70) { one } else { one.min(other) + random.below(one.abs_diff(other) + 1) };
        bytes.resize(len, 0);
        Self { now: bytes.clone(), written: bytes.len(), durable: bytes, steps: Vec::new() }
    }

    fn is_dirty(&self, start: usize) -> bool {
        self.dirty().iter().any(|sector| sector.start == start)
    }
}
