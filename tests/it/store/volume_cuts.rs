//! Power cuts amid writing to a volume: all that was flushed is there, and of what wasn't, each value is there or
//! isn't.
//!
//! What a disk may hold then: each 512-byte sector that changed since the last flush as it was then, or at some time
//! since.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use y_mesh::store::disk::{SledVolumes, SyncFile, Volume, Volumes};

use super::{Place, rounds};
use crate::support::random::Random;

const SECTOR: usize = 512;
const STEPS: usize = 16;
const VALUE_BYTES_MAX: usize = 3_584;

/// The files of a volume, by name.
type Image = BTreeMap<String, Vec<u8>>;

type Values = BTreeMap<[u8; 16], Bytes>;

/// What a volume went through between two syncs of its file.
struct Interval {
    /// The files at the first one.
    before: Image,
    /// The files at several times since, and at the second one.
    later: Vec<Image>,
    /// What was there at the first.
    kept: Values,
    /// What was inserted since.
    new: Values,
}

/// Sees a volume being synced.
#[derive(Default)]
struct Watch {
    before: Image,
    later: Vec<Image>,
    kept: Values,
    new: Values,
    done: Vec<Interval>,
}

impl Watch {
    fn synced(&mut self, image: Image) {
        let (mut later, new) = (std::mem::take(&mut self.later), std::mem::take(&mut self.new));
        later.push(image.clone());
        let (before, kept) = (std::mem::replace(&mut self.before, image), self.kept.clone());
        self.kept.extend(new.clone());
        // What there is before the first sync isn't looked at: nothing points to it.
        if !before.is_empty() {
            self.done.push(Interval { before, later, kept, new });
        }
    }
}

/// A volume that is written to.
struct Subject {
    place: Place,
    watch: Arc<Mutex<Watch>>,
    volume: Option<Arc<dyn Volume>>,
    random: Random,
    snapshots: u32,
}

impl Subject {
    fn new(seed: u64) -> Self {
        let place = Place::in_memory("volume-history");
        let mut subject = Self { place, watch: Arc::default(), volume: None, random: Random::new(seed), snapshots: 0 };
        subject.open();
        subject
    }

    fn open(&mut self) {
        self.volume = None;
        let (watch, root) = (self.watch.clone(), self.place.0.clone());
        let sync: SyncFile = Arc::new(move |path| {
            if path.ends_with("db") {
                watch.lock().unwrap().synced(image(&root));
            }
            Ok(())
        });
        self.volume = Some(SledVolumes::synced_by(&self.place.0, sync).unwrap().open(1).unwrap());
    }

    /// Keeps a snapshot, or opens the volume again. Gives what happened meanwhile.
    fn step(&mut self) -> Vec<Interval> {
        if self.random.percent(10) {
            self.open();
        }
        self.snapshots += 1;
        let values = snapshot(self.snapshots, &mut self.random);
        let amid = values.len().min(20) / 2;
        for (at, (key, value)) in values.into_iter().enumerate() {
            self.watch.lock().unwrap().new.insert(key, value.clone());
            self.volume.as_ref().unwrap().insert(&key, &value).unwrap();
            if at % 20 == amid {
                self.watch.lock().unwrap().later.push(image(&self.place.0));
            }
        }
        self.watch.lock().unwrap().later.push(image(&self.place.0));
        if self.random.percent(70) {
            self.volume.as_ref().unwrap().flush().unwrap();
        }
        std::mem::take(&mut self.watch.lock().unwrap().done)
    }
}

fn image(root: &Path) -> Image {
    let entries = fs::read_dir(root.join("00000001")).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

fn restore(place: &Place, image: &Image) {
    let _ = fs::remove_dir_all(&place.0);
    fs::create_dir_all(place.0.join("00000001")).unwrap();
    image.iter().for_each(|(name, bytes)| fs::write(place.0.join("00000001").join(name), bytes).unwrap());
}

/// Opens what a cut left. It needs no syncing, for what it holds then is only read.
fn open(root: &Path, what: &str) -> Arc<dyn Volume> {
    let volumes = SledVolumes::synced_by(root, Arc::new(|_| Ok(()))).unwrap();
    volumes.open(1).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// The values of one snapshot, as they're kept for a document.
fn snapshot(generation: u32, random: &mut Random) -> Values {
    // A few are larger than what sled collects before it writes.
    let bytes = random.pick(&[1, 100, 3_584, 20_000, 60_000, 300_000]);
    let doc = random.below(6) as u64;
    let part = |at: usize| {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&doc.to_be_bytes());
        key[8..12].copy_from_slice(&generation.to_be_bytes());
        key[12..].copy_from_slice(&((at / VALUE_BYTES_MAX) as u32).to_be_bytes());
        let value: Vec<u8> = (at..bytes.min(at + VALUE_BYTES_MAX)).map(|_| random.next() as u8).collect();
        (key, Bytes::from(value))
    };
    (0..bytes).step_by(VALUE_BYTES_MAX).map(part).collect()
}

fn insert(volume: &dyn Volume, values: &Values) {
    values.iter().for_each(|(key, value)| volume.insert(key, value).unwrap());
}

/// What the disk may hold, if the power failed amid this.
fn cut(before: &Image, later: &[Image], random: &mut Random) -> Image {
    let names: BTreeSet<&String> = later.iter().chain([before]).flat_map(BTreeMap::keys).collect();
    let mut image = Image::new();
    for name in names {
        let versions: Vec<&Vec<u8>> = later.iter().filter_map(|image| image.get(name)).collect();
        match before.get(name) {
            // That it's there, or gone, isn't durable.
            None if random.percent(50) => {}
            Some(_) if versions.len() < later.len() && random.percent(50) => {}
            None => drop(image.insert(name.clone(), random.pick(&versions).clone())),
            Some(before) => drop(image.insert(name.clone(), mixed(before, &versions, random))),
        }
    }
    image
}

fn mixed(before: &[u8], later: &[&Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = before.to_vec();
    let longest = later.iter().map(|version| version.len()).max().unwrap_or(0);
    if longest > bytes.len() && random.percent(70) {
        bytes.resize(longest, 0);
    }
    let density = random.pick(&[3, 50, 97]);
    for start in (0..bytes.len()).step_by(SECTOR) {
        let end = (start + SECTOR).min(bytes.len());
        let newer = later.iter().filter_map(|version| version.get(start..end));
        let differing: Vec<&[u8]> = newer.filter(|sector| *sector != &bytes[start..end]).collect();
        if !differing.is_empty() && random.percent(density) {
            bytes[start..end].copy_from_slice(random.pick(&differing));
        }
    }
    bytes
}

fn check(volume: &dyn Volume, kept: &Values, new: &Values, what: &str) {
    for (key, value) in kept {
        assert!(volume.get(key).unwrap().as_ref() == Some(value), "{what}: a value that was flushed isn't what it was");
    }
    for (key, value) in new {
        let found = volume.get(key).unwrap();
        assert!(found.is_none_or(|found| found == *value), "{what}: a value is there that never was");
    }
}

/// Whether all that wasn't synced came back.
fn check_cut(interval: &Interval, random: &mut Random, what: &str) -> bool {
    let place = Place::in_memory("volume-cut");
    let mut left = cut(&interval.before, &interval.later, random);
    restore(&place, &left);
    if random.percent(30) {
        // The power fails once more, while it's being opened.
        drop(open(&place.0, what));
        left = cut(&left, &[image(&place.0)], random);
        restore(&place, &left);
    }
    let volume = open(&place.0, what);
    check(&*volume, &interval.kept, &interval.new, what);
    let is_whole = interval.new.keys().all(|key| volume.get(key).unwrap().is_some());
    insert(&*volume, &interval.new);
    volume.flush().unwrap();
    drop(volume);
    let mut all = interval.kept.clone();
    all.extend(interval.new.clone());
    check(&*open(&place.0, what), &all, &Values::new(), what);
    is_whole
}

#[test]
fn what_was_flushed_outlives_a_power_cut() {
    let cuts = rounds("YMESH_SLED_POWER_CUTS", 400);
    let (mut lost, mut whole, mut seed) = (0, 0, 0);
    while lost + whole < cuts {
        let mut subject = Subject::new(seed);
        for step in 0..STEPS {
            for (at, interval) in subject.step().iter().enumerate() {
                let what = format!("history {seed}, step {step}, interval {at}");
                match check_cut(interval, &mut Random::new(seed * 10_000 + (step * 100 + at) as u64), &what) {
                    true => whole += 1,
                    false => lost += 1,
                }
            }
        }
        seed += 1;
    }
    println!("{} cuts: all that wasn't synced was there after {whole}, and not all of it after {lost}", whole + lost);
    assert!(whole > 0 && lost > 0, "both occur");
}
