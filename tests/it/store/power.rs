//! Power cuts, at every change of the disk: what wasn't synced is there, isn't, or is there in part.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use y_mesh::store::DiskOptions;

use super::owed::Owed;
use super::rounds;
use super::scenario::{Run, options};
use super::simulation::Disk;
use crate::support::random::Random;

/// Of so many changes, the power is cut at one: that makes more scenarios of as many cuts.
const STRIDE: usize = 3;
/// So many changes make a new store, and begin its journal: the power is cut at each.
const FIRST: usize = 40;

/// How often the power was cut, and how often once more after that; and how often all indexes were lost then.
#[derive(Debug, Default)]
struct Cuts {
    first: usize,
    second: usize,
    without_indexes: usize,
}

/// Starts the store on what a power cut left, and uses it.
fn start_after_cut(disk: &Disk, owed: &Arc<Owed>, options: DiskOptions, random: &mut Random) -> Run {
    let mut run = Run::new(disk.after_cut(random), options, owed.clone());
    run.simulation.keep_moments();
    let done = run.open().and_then(|()| run.steps(3, random));
    done.unwrap_or_else(|error| panic!("the store doesn't work after a power cut: {error}"));
    run.close();
    run
}

/// Cuts the power at every change of a scenario, and once more at one of those of the start that follows.
fn cut_everywhere(seed: u64, cuts: &mut Cuts) {
    let mut random = Random::new(seed);
    let options = options(&mut random);
    let mut run = Run::new(Disk::default(), options, Arc::default());
    run.simulation.keep_moments();
    run.open().and_then(|()| run.steps(40, &mut random)).unwrap();
    run.close();
    run.moments.push((run.simulation.disk(), run.owed.clone()));
    let offset = random.below(STRIDE);
    for (at, (disk, owed)) in run.moments.iter().enumerate() {
        if at >= FIRST && at % STRIDE != offset {
            continue;
        }
        let once = start_after_cut(disk, owed, options, &mut random);
        cuts.first += 1;
        let (disk, owed) = &once.moments[random.below(once.moments.len())];
        let twice = start_after_cut(disk, owed, options, &mut random);
        cuts.second += 1;
        if random.percent(10) {
            // Segments that are complete say all that their indexes do.
            let disk = twice.simulation.disk().without(".index");
            start_after_cut(&disk, &twice.owed, options, &mut random);
            cuts.without_indexes += 1;
        }
    }
}

#[test]
fn whatever_was_acknowledged_outlives_power_cuts() {
    let mut cuts = Cuts::default();
    let only = std::env::var("YMESH_POWER_CUT_SEED").ok().map(|seed| seed.parse().unwrap());
    let wanted = rounds("YMESH_POWER_CUTS", 4_000);
    let mut seed = only.unwrap_or(0);
    while cuts.first + cuts.second < wanted {
        if catch_unwind(AssertUnwindSafe(|| cut_everywhere(seed, &mut cuts))).is_err() {
            panic!("power cuts of seed {seed}: YMESH_POWER_CUT_SEED={seed} makes them again");
        }
        if only.is_some() {
            return;
        }
        seed += 1;
    }
    println!("{seed} scenarios, {cuts:?}");
}
