//! Calls of the disk that fail, each of a scenario in turn: the store says so and writes no more, and loses nothing.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use y_mesh::store::{Store, StoreError};

use super::scenario::{Run, options};
use super::simulation::{Call, Disk, Fault};
use super::{append, name, rounds};
use crate::support::random::Random;

const STEPS: usize = 60;
/// Of so many calls that change nothing, one is made to fail.
const READ_STRIDE: usize = 7;

/// How often calls failed, by kind: so that somebody was told, and so that nobody had to be.
type Outcomes = BTreeMap<Call, (usize, usize)>;

/// What is done, the same for each seed, until a call fails.
fn scenario(seed: u64, steps: usize, fault: Option<Fault>) -> (Run, Result<(), StoreError>) {
    let mut random = Random::new(seed);
    let mut run = Run::new(Disk::default(), options(&mut random), Arc::default());
    if let Some(fault) = fault {
        run.simulation.fail(fault);
    }
    let done = run.open().and_then(|()| run.steps(steps, &mut random));
    (run, done)
}

/// Whether a failure may be the concern of who reads alone: the document is damaged, or the segment stays where it is.
fn is_about_reading(call: Call) -> bool {
    matches!(call, Call::Read | Call::VolumeRead | Call::VolumeOpen)
}

/// Makes one call fail, and looks at what the store makes of it: at once, at the next start, and after a power cut.
fn fail_once(seed: u64, call: usize, outcomes: &mut Outcomes) {
    let mut random = Random::new(seed << 20 | call as u64);
    let kind = random.pick(&[ErrorKind::Other, ErrorKind::StorageFull]);
    let is_full = kind == ErrorKind::StorageFull && random.percent(50);
    let (mut run, done) = scenario(seed, STEPS, Some(Fault { call, kind, seed: random.next(), is_full }));
    let failed = run.simulation.failed()[0];
    is_told(&run, &done, failed, kind);
    let outcome = outcomes.entry(failed).or_default();
    let counted = if done.is_err() { &mut outcome.0 } else { &mut outcome.1 };
    *counted += 1;
    if run.is_open() {
        goes_on_reading(&run, failed);
        // As long as the snapshots' volumes alone failed, the journal is as good as before.
        if done.is_err() && !is_about_reading(failed) && !failed.is_about_snapshots() {
            let refused = run.store().append(&[append(&name("after the error"), 1, 10)]);
            assert!(matches!(refused, Err(StoreError::Io(_))), "{failed:?} failed, and then: {refused:?}");
        }
    }
    let (disk, owed) = (run.simulation.disk(), run.owed.clone());
    start_clean(Run::new(disk.after_cut(&mut random), run.options, owed), &mut random);
    fail_again(&mut run, &mut random);
    start_clean(run, &mut random);
}

/// Whether the failure is told as what it is.
fn is_told(run: &Run, done: &Result<(), StoreError>, failed: Call, kind: ErrorKind) {
    match done {
        Ok(()) => {
            assert!(is_about_reading(failed) || failed == Call::VolumeRemove, "nobody is told that {failed:?} failed")
        }
        Err(StoreError::Io(error)) => assert_eq!(error.kind(), kind, "{failed:?} failed, and that's told"),
        Err(StoreError::Damaged { .. }) => assert!(is_about_reading(failed), "{failed:?} failed: {done:?}"),
        Err(StoreError::Unreadable { .. }) => assert!(!run.is_open(), "{failed:?} failed: {done:?}"),
        Err(other) => panic!("{failed:?} failed: {other}"),
    }
}

fn goes_on_reading(run: &Run, failed: Call) {
    match run.check() {
        // A volume that couldn't be opened.
        Err(StoreError::Damaged { .. }) if failed == Call::VolumeOpen => {}
        read => read.unwrap_or_else(|error| panic!("{failed:?} failed, and then nothing can be read: {error}")),
    }
}

/// Starts the store on a disk that isn't healed: it's still full, or a call of the start fails.
fn fail_again(run: &mut Run, random: &mut Random) {
    let _ = run.open();
    run.close();
    let call = run.simulation.calls().len() + random.below(40);
    run.simulation.fail(Fault { call, kind: ErrorKind::Other, seed: random.next(), is_full: false });
    let _ = run.open().and_then(|()| run.steps(3, random));
    run.close();
    run.simulation.heal();
}

/// Nothing fails any more: the store starts, and holds what it owes; also after a power cut.
fn start_clean(mut run: Run, random: &mut Random) {
    let works = |run: &mut Run, random: &mut Random| {
        let done = run.open().and_then(|()| run.steps(3, random));
        done.unwrap_or_else(|error| panic!("when it's healed: {error}"));
    };
    works(&mut run, random);
    let mut after = Run::new(run.simulation.disk().after_cut(random), run.options, run.owed.clone());
    works(&mut after, random);
}

#[test]
fn a_call_that_fails_is_told_and_costs_nothing() {
    let only = std::env::var("YMESH_FAILING_CALLS_SEED").ok().map(|seed| seed.parse().unwrap());
    let wanted = if only.is_some() { usize::MAX } else { rounds("YMESH_FAILING_CALLS", 2_000) };
    let mut outcomes = Outcomes::default();
    let (mut seed, mut count) = (only.unwrap_or(0), 0);
    while count < wanted {
        let (run, done) = scenario(seed, STEPS, None);
        done.unwrap();
        for (call, kind) in run.simulation.calls().into_iter().enumerate() {
            // Most calls read, and one is like the other.
            if count == wanted || !kind.is_change() && call % READ_STRIDE != 0 {
                continue;
            }
            if catch_unwind(AssertUnwindSafe(|| fail_once(seed, call, &mut outcomes))).is_err() {
                panic!("call {call} of seed {seed} failed: YMESH_FAILING_CALLS_SEED={seed} does that again");
            }
            count += 1;
        }
        if only.is_some() {
            return;
        }
        seed += 1;
    }
    println!("{seed} scenarios, {count} calls failed; told and borne, by kind: {outcomes:?}");
    let kinds = [Call::Create, Call::Open, Call::Read, Call::Write, Call::SetLen, Call::Sync, Call::SyncDirectory];
    let more = [Call::Rename, Call::Remove, Call::Volume, Call::VolumeOpen, Call::VolumeRead];
    for kind in kinds.iter().chain(&more) {
        assert!(outcomes.get(kind).is_some_and(|(told, _)| *told > 0), "{kind:?} fails, and that's told");
    }
    assert!(outcomes[&Call::VolumeRemove].1 > 0, "what can't be removed is borne");
}

#[test]
fn two_syncs_that_fail_one_after_the_other_cost_nothing() {
    let mut count = 0;
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let fault = |call| Fault { call, kind: ErrorKind::Other, seed, is_full: false };
        let last_sync =
            scenario(seed, 6, None).0.simulation.calls().iter().rposition(|call| *call == Call::Sync).unwrap();
        let mut run = scenario(seed, 6, Some(fault(last_sync))).0;
        run.close();
        for call in 0.. {
            // What the first one left looks written to the system, and isn't.
            let mut again = Run::new(run.simulation.disk(), run.options, run.owed.clone());
            again.simulation.fail(fault(call));
            let _ = again.open();
            again.close();
            match again.simulation.failed().first() {
                Some(Call::Sync) => {
                    again.simulation.heal();
                    start_clean(again, &mut random);
                    count += 1;
                }
                Some(_) => {}
                None => break,
            }
        }
    }
    assert!(count > 20, "starts sync: {count}");
}

#[test]
fn directories_above_that_cant_be_synced_are_borne() {
    let new = || Run::new(Disk::default(), options(&mut Random::new(0)), Arc::default());
    let mut usual = new();
    usual.open().unwrap();
    let is_sync = |(_, call): &(usize, Call)| *call == Call::SyncDirectory;
    // Of `/srv` and `/`: a new store's directory may lie in ones that are somebody else's.
    let above: Vec<_> = usual.simulation.calls().into_iter().enumerate().filter(is_sync).take(2).collect();
    for (kind, is_borne) in
        [(ErrorKind::PermissionDenied, true), (ErrorKind::Unsupported, true), (ErrorKind::Other, false)]
    {
        for (call, _) in &above {
            let mut run = new();
            run.simulation.fail(Fault { call: *call, kind, seed: 0, is_full: false });
            assert_eq!(run.open().is_ok(), is_borne, "{kind:?}");
        }
    }
}
