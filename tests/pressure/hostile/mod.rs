//! Hostile messages by the million, through the same code as a socket's bytes.
//!
//! `YMESH_HOSTILE_INPUTS` says how many (else a few thousand), `YMESH_HOSTILE_SEED` the first seed. What breaks something is
//! named with its seed, and kept below the target folder, in `tmp/hostile`: a message a line, in hexadecimal.

mod bare;
mod case;
mod child;
mod classes;
mod content;
mod honest;
mod invent;
mod known;
mod memory;
mod mutate;
mod order;
mod parent;
mod shrink;
mod subject;
mod update;

use super::support;
use child::{Order, What};
use parent::{Finding, Parent};

/// yrs alone is tried with one of so many inputs: each time that it hangs takes seconds.
const BARE_SHARE: u64 = 50;
const BARE_CASES_MIN: u64 = 40;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Writes down what broke something, as small as it can be made; gives it in words.
fn keep(parent: &Parent, kind: &str, count: usize, finding: &Finding) -> String {
    let messages = shrink::shrink(parent, finding);
    let lines: Vec<_> = messages.iter().map(|message| hex(message)).collect();
    let path = parent.folder.join(format!("seed-{}.hex", finding.seed));
    std::fs::write(&path, lines.join("\n") + "\n").expect("what was found can be written");
    let what = parent.replay(What::Replay, &messages).unwrap_or_else(|| finding.what.clone());
    format!("{count} times {kind:?}, as seed {}: {what}\n  {}", finding.seed, lines.join("\n  "))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn nothing_that_is_sent_hurts_the_node_or_a_document() {
    if let Some(order) = Order::of_this_process() {
        return child::obey(order);
    }
    let inputs = number("YMESH_HOSTILE_INPUTS", 5_000);
    let parent = Parent::new("hostile::nothing_that_is_sent_hurts_the_node_or_a_document");
    let begun = std::time::Instant::now();
    let report = parent.run(What::Gate, number("YMESH_HOSTILE_SEED", 0), inputs.div_ceil(case::MESSAGES as u64));
    println!("{:?} in {:?}", report.counts, begun.elapsed());
    let kinds = parent::kinds(&report.findings);
    let found: Vec<_> = kinds.iter().map(|(kind, (count, finding))| keep(&parent, kind, *count, finding)).collect();
    assert!(found.is_empty(), "{} cases broke something:\n{}", report.findings.len(), found.join("\n"));
}

/// What takes longer than a message should, and at most so many milliseconds: that's yrs at work, which can't be done without.
const SLOWER: [(&str, u64); 2] = [("a chain of 30,000 clients", 400), ("100,000 deletes backwards", 600)];

fn is_as_slow_as_known(name: &str, what: &str) -> bool {
    let took = what.strip_prefix("slow: ").and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    SLOWER.iter().any(|(slower, max)| *slower == name && took.is_some_and(|took| took <= *max))
}

#[test]
fn no_known_way_to_hurt_yrs_hurts_a_document() {
    if let Some(order) = Order::of_this_process() {
        return child::obey(order);
    }
    let parent = Parent::new("hostile::no_known_way_to_hurt_yrs_hurts_a_document");
    let hurt = |class: classes::Class| {
        let what = parent.try_out(&class.messages)?;
        println!("{}: {what}", class.name);
        (!is_as_slow_as_known(class.name, &what)).then(|| format!("{}: {what}", class.name))
    };
    let found: Vec<_> = classes::all().into_iter().filter_map(hurt).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_same_bytes_hurt_yrs_without_the_gate() {
    if let Some(order) = Order::of_this_process() {
        return child::obey(order);
    }
    let parent = Parent::new("hostile::the_same_bytes_hurt_yrs_without_the_gate");
    let classes = classes::all();
    let count = classes.len();
    let ends = classes.into_iter().map(|class| (class.name, parent.replay(What::BareReplay, &class.messages)));
    let ends: Vec<_> = ends.filter_map(|(name, end)| Some((name, end?))).collect();
    ends.iter().for_each(|(name, end)| println!("without the gate, {name}: {end}"));
    let cases = number("YMESH_HOSTILE_INPUTS", 5_000).div_ceil(BARE_SHARE * case::MESSAGES as u64).max(BARE_CASES_MIN);
    let report = parent.run(What::Bare, number("YMESH_HOSTILE_SEED", 0), cases);
    let found = report.findings.iter().map(|finding| finding.what.clone());
    let whats: Vec<_> = ends.into_iter().map(|(_, what)| what).chain(found).collect();
    println!("without the gate, {count} known ways and {} cases of {} messages:", cases, case::MESSAGES);
    for kind in ["abort", "hang", "panic", "bricked"] {
        let times = whats.iter().filter(|what| what.starts_with(kind)).count();
        println!("  {kind}: {times}");
        assert!(times > 0, "the corpus has no teeth of this kind: {kind}");
    }
}
