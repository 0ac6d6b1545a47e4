//! Updates made up against what a document holds: right in most respects and wrong in few, so that they get far.

use super::known::{Known, Place};
use super::mutate;
use super::support::random::Random;
use super::update::{Id, Item, Parent, Section, Struct, Update};

/// Clients that edit; a few, so that they meet.
const CLIENTS: [u64; 6] = [1, 2, 3, 4, 77, (1 << 53) - 1];
const ROOTS: [&str; 5] = ["text", "map", "list", "xml", "other"];
const KEYS: [&str; 4] = ["k", "n", "bold", ""];

pub fn update(known: &Known, random: &mut Random) -> Update {
    let mut invented = Update::default();
    // Its own structs can be stood on by those that follow.
    let mut all = known.clone();
    let mut clients = CLIENTS.to_vec();
    for _ in 0..1 + random.below(3) {
        let client = clients.swap_remove(random.below(clients.len()));
        let section = section(client, &mut all, random);
        invented.sections.push(section);
    }
    if random.percent(30) {
        invented.deletes = deletes(&all, random);
    }
    invented
}

fn section(client: u64, all: &mut Known, random: &mut Random) -> Section {
    let end = all.end(client);
    let mut section = match random.below(20) {
        // Known again, and more.
        0..=3 if end > 0 => {
            let clock = end - 1 - random.below(end.min(8) as usize) as u64;
            all.run(client, clock, 1 + random.below(3)).unwrap_or(Section { client, clock, structs: Vec::new() })
        }
        // Under clocks that are known, and different.
        4 if end > 0 => Section { client, clock: random.below(end as usize) as u64, structs: Vec::new() },
        5 => Section { client, clock: end + 1, structs: Vec::new() },
        _ => Section { client, clock: end, structs: Vec::new() },
    };
    for _ in 0..1 + random.below(4) {
        let one = one_struct(all, random);
        section.structs.push(one);
        all.add(&Update { sections: vec![section.clone()], deletes: Vec::new() });
    }
    section
}

fn one_struct(all: &Known, random: &mut Random) -> Struct {
    match random.below(30) {
        0 => Struct::Gc(1 + random.below(5) as u64),
        1 => Struct::Skip(1 + random.below(5) as u64),
        _ => Struct::Item(item(all, random)),
    }
}

fn item(all: &Known, random: &mut Random) -> Item {
    let place = place(all, random);
    let neighbours = all.neighbours(&place, random);
    let mut item = Item::new(place.parent, mutate::content(random));
    item.key = place.key;
    if !neighbours.is_empty() {
        item.left = random.percent(60).then(|| random.pick(&neighbours));
        item.right = random.percent(30).then(|| random.pick(&neighbours));
    }
    if random.percent(8) {
        wrong(&mut item, all, random);
    }
    item
}

fn place(all: &Known, random: &mut Random) -> Place {
    let types = all.types();
    let old = all.any(random).and_then(|id| all.place(id));
    if let Some(place) = old.filter(|_| random.percent(60)) {
        return place;
    }
    let is_nested = !types.is_empty() && random.percent(50);
    let parent = match is_nested {
        true => Parent::Id(random.pick(&types)),
        false => Parent::Root(random.pick(&ROOTS).to_owned()),
    };
    Place { parent, key: random.percent(30).then(|| random.pick(&KEYS).to_owned()) }
}

/// Makes one thing of an item wrong, maybe.
fn wrong(item: &mut Item, all: &Known, random: &mut Random) {
    let any: Vec<Id> = (0..3).filter_map(|_| all.any(random)).collect();
    if any.is_empty() {
        return;
    }
    match random.below(5) {
        0 => item.left = Some(random.pick(&any)),
        1 => item.right = Some(random.pick(&any)),
        2 => (item.left, item.right) = (item.right, item.left),
        3 => {
            (item.left, item.right) = (None, None);
            item.parent = Parent::Id(random.pick(&any));
        }
        _ => item.key = random.percent(50).then(|| random.pick(&KEYS).to_owned()),
    }
}

fn deletes(all: &Known, random: &mut Random) -> Vec<(u64, Vec<(u64, u64)>)> {
    let one = |random: &mut Random| {
        let (client, clock) = all.any(random)?;
        let length = (1 + random.below(4) as u64).min(all.end(client) - clock);
        let length = if random.percent(5) { length + random.below(3) as u64 } else { length };
        Some((client, vec![(clock, length)]))
    };
    let mut deletes: Vec<_> = (0..1 + random.below(2)).filter_map(|_| one(random)).collect();
    deletes.dedup_by_key(|(client, _)| *client);
    deletes
}
