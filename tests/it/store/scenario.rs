//! What is done to a store on a disk that isn't there, and what the store owes at every moment of it.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use y_mesh::document::Stored;
use y_mesh::store::{Append, DiskOptions, DiskStore, Durability, Store, StoreError};
use y_mesh::{ClientId, DocName, Seq};

use super::owed::Owed;
use super::simulation::{Call, Disk, Simulation};
use super::{Model, append, filled, name};
use crate::support::random::Random;

const DOCUMENTS: usize = 4;

/// Something to do.
#[derive(Debug)]
pub enum Step {
    Append(Vec<Append>),
    Compact(DocName, Seq, Bytes),
    Create(DocName, Option<Durability>),
    Delete(DocName, Seq, Vec<ClientId>),
    Import(DocName, Stored),
    Close,
    Reopen,
}

impl Step {
    fn random(model: &Model, random: &mut Random) -> Self {
        let doc = name(&format!("doc {}", random.below(DOCUMENTS)));
        let (last, exists) = (model.last(&doc), model.0.get(&doc).is_some_and(|stored| stored.exists));
        match random.below(100) {
            0..5 => Self::Reopen,
            5..7 => Self::Close,
            7..11 => Self::Create(doc, random.percent(50).then_some(Durability::Local)),
            11..17 => Self::Delete(doc, Seq(last + 1), (0..random.below(4) as u64).map(ClientId).collect()),
            17..20 => Self::import(model, random),
            20..50 if exists && last > 0 => {
                let floor = model.0[&doc].floor().0.max(1);
                let through = floor + random.below((last - floor + 1) as usize) as u64;
                Self::Compact(doc, Seq(through), filled(through, random.pick(&[0, 90, 90, 90, 900, 4_000])))
            }
            _ => Self::append(model, doc, random),
        }
    }

    fn append(model: &Model, doc: DocName, random: &mut Random) -> Self {
        let mut model = model.clone();
        let other = name(&format!("doc {}", random.below(DOCUMENTS)));
        let mut records = Vec::new();
        for _ in 0..1 + random.below(3) {
            let doc = if random.percent(70) { &doc } else { &other };
            let next = append(doc, model.last(doc) + 1, random.pick(&[0, 30, 200, 700]));
            model.append(std::slice::from_ref(&next));
            records.push(next);
        }
        Self::Append(records)
    }

    fn import(model: &Model, random: &mut Random) -> Self {
        let doc = name(&format!("imported {}", model.0.len()));
        let mut source = Model::default();
        source.append(&[append(&doc, 1, 20), append(&doc, 2, 300)]);
        if random.percent(50) {
            source.compact(&doc, Seq(1), &filled(7, 400));
        }
        Self::Import(doc.clone(), source.0[&doc].clone())
    }

    /// What may be done meanwhile, to other documents.
    fn interlude(&self, model: &Model, random: &mut Random) -> Option<Self> {
        let Self::Compact(compacted, ..) = self else { return None };
        let other = Self::random(model, random);
        let is_apart = match &other {
            Self::Append(records) => records.iter().all(|record| record.name != *compacted),
            Self::Create(doc, _) | Self::Delete(doc, ..) => doc != compacted,
            Self::Close => true,
            _ => false,
        };
        is_apart.then_some(other)
    }

    pub fn change(&self, model: &mut Model) {
        match self {
            Self::Append(records) => model.append(records),
            Self::Compact(doc, through, snapshot) => model.compact(doc, *through, snapshot),
            Self::Create(doc, durability) => model.create(doc, *durability),
            Self::Delete(doc, through, clients) => model.delete(doc, *through, clients),
            Self::Import(doc, stored) => drop(model.0.insert(doc.clone(), stored.clone())),
            Self::Close | Self::Reopen => {}
        }
    }

    fn perform(&self, store: &DiskStore) -> Result<(), StoreError> {
        match self {
            Self::Append(records) => store.append(records),
            Self::Compact(doc, through, snapshot) => store.compact(doc, *through, snapshot),
            Self::Create(doc, durability) => store.create(doc, *durability).map(drop),
            Self::Delete(doc, through, clients) => store.delete(doc, *through, clients),
            Self::Import(doc, stored) => store.import(&[(doc.clone(), stored.clone())]),
            Self::Close | Self::Reopen => store.close(),
        }
    }
}

/// A store on its disk, with what it owes; and the disk as it was before every change, with what the store owed then.
pub struct Run {
    pub simulation: Simulation,
    pub owed: Arc<Owed>,
    pub moments: Vec<(Disk, Arc<Owed>)>,
    pub options: DiskOptions,
    store: Option<Arc<DiskStore>>,
}

impl Run {
    pub fn new(disk: Disk, options: DiskOptions, owed: Arc<Owed>) -> Self {
        let simulation = Simulation::new(disk);
        Self { simulation, owed, moments: Vec::new(), options, store: None }
    }

    /// Opens the store, and reads all there is.
    pub fn open(&mut self) -> Result<(), StoreError> {
        self.close();
        let volumes = Arc::new(self.simulation.clone());
        let opened = DiskStore::open_on(volumes.clone(), volumes, Path::new("/srv/data"), self.options);
        self.note_moments();
        self.store = Some(Arc::new(opened?));
        self.owed = Arc::new(self.found()?);
        Ok(())
    }

    /// Lets go of the store.
    pub fn close(&mut self) {
        self.store = None;
        self.note_moments();
    }

    /// Does something; the store owes what was before and what comes after as long as it isn't done.
    fn step(&mut self, step: &Step) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.owed).begin([step]);
        let done = step.perform(self.store());
        self.note_moments();
        done?;
        Arc::make_mut(&mut self.owed).end();
        if matches!(step, Step::Reopen) { self.open() } else { Ok(()) }
    }

    /// Does something, and another thing while it flushes the snapshots.
    fn step_with_interlude(&mut self, step: &Step, interlude: Step) -> Result<(), StoreError> {
        let (shared, store, simulation) = (Arc::new(interlude), self.shared_store(), self.simulation.clone());
        let (interlude, outcome) = (shared.clone(), Arc::new(OnceLock::new()));
        let told = outcome.clone();
        self.simulation.meanwhile(move || {
            let done = interlude.perform(&store);
            let _ = told.set((simulation.moments(), done));
        });
        Arc::make_mut(&mut self.owed).begin([step, &*shared]);
        let done = step.perform(self.store());
        self.simulation.without_interlude();
        match Arc::into_inner(outcome).and_then(OnceLock::into_inner) {
            // There was nothing to flush.
            None => Arc::make_mut(&mut self.owed).begin([step]),
            Some((count, interlude)) => {
                self.note_moments_until(count);
                interlude?;
                // That is owed from now on, whatever becomes of the other.
                Arc::make_mut(&mut self.owed).keep(&shared);
            }
        }
        self.note_moments();
        done?;
        Arc::make_mut(&mut self.owed).end();
        Ok(())
    }

    /// Does things at random, and reads all there is.
    pub fn steps(&mut self, count: usize, random: &mut Random) -> Result<(), StoreError> {
        for _ in 0..count {
            if !self.owed.is_settled() {
                break;
            }
            let step = Step::random(self.owed.model(), random);
            match step.interlude(self.owed.model(), random) {
                Some(interlude) => self.step_with_interlude(&step, interlude)?,
                None => self.step(&step)?,
            }
        }
        self.check()
    }

    /// Reads all there is.
    pub fn check(&self) -> Result<(), StoreError> {
        self.found().map(drop)
    }

    fn found(&self) -> Result<Owed, StoreError> {
        // Asked for each document: reading it may be what fails.
        let are_snapshots_lost = || self.simulation.failed().into_iter().any(Call::is_about_snapshots);
        self.owed.check(self.store(), are_snapshots_lost)
    }

    pub fn is_open(&self) -> bool {
        self.store.is_some()
    }

    pub fn store(&self) -> &DiskStore {
        self.store.as_ref().unwrap()
    }

    fn shared_store(&self) -> Arc<DiskStore> {
        self.store.clone().unwrap()
    }

    fn note_moments(&mut self) {
        self.note_moments_until(usize::MAX);
    }

    /// What follows after the first `count` is left for another time.
    fn note_moments_until(&mut self, count: usize) {
        let moments = self.simulation.take_moments(count).into_iter();
        self.moments.extend(moments.map(|disk| (disk, self.owed.clone())));
    }
}

/// Sizes so small that everything happens often.
pub fn options(random: &mut Random) -> DiskOptions {
    let mut options = DiskOptions::default();
    options.segment_bytes = random.pick(&[1, 500, 1_000, 3_000]);
    options.journal_bytes = options.segment_bytes * random.pick(&[0, 2, 4]);
    options.volume_bytes = random.pick(&[1, 1_000, 5_000]);
    options
}
