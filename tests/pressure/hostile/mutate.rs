//! Updates changed at random: bytes, and structs whose bytes stay well-formed.

use super::support::random::Random;
use super::update::{Content, Id, Item, Parent, Section, Struct, Update};
use y_mesh::wire::lib0::write_var_uint;

/// Numbers at which something changes: of bytes, of clocks, of client ids, of what JavaScript and Rust can count.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    63,
    127,
    128,
    255,
    16_384,
    (1 << 31) - 2,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 53) - 1,
    1 << 53,
    u64::MAX,
];

pub fn edge(random: &mut Random) -> u64 {
    random.pick(&EDGES)
}

/// Changes some bytes. `other` is where bytes can come from.
pub fn bytes(update: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        if update.is_empty() {
            return update.extend(other);
        }
        one_byte_change(update, other, random);
    }
}

fn one_byte_change(update: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(update.len());
    match random.below(9) {
        0 => update[at] ^= 1 << random.below(8),
        1 => update[at] = random.next() as u8,
        2 => update[at] = update[at].wrapping_add(random.pick(&[1, 255])),
        3 => drop(update.remove(at)),
        4 => update.insert(at, random.next() as u8),
        5 => update.truncate(at),
        6 => number_at(update, at, random),
        7 => {
            let piece = piece_of(&update.clone(), random);
            drop(update.splice(at..at, piece));
        }
        _ => {
            let end = (at + random.below(8)).min(update.len());
            drop(update.splice(at..end, piece_of(other, random)));
        }
    }
}

/// Puts a number where one may be: over bytes that go on with 0x80.
fn number_at(update: &mut Vec<u8>, at: usize, random: &mut Random) {
    let length = update[at..].iter().position(|byte| byte & 0x80 == 0).map_or(update.len() - at, |last| last + 1);
    let mut number = Vec::new();
    write_var_uint(&mut number, edge(random));
    update.splice(at..at + length, number);
}

fn piece_of(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let from = random.below(bytes.len().max(1)).min(bytes.len());
    let length = random.below(16).min(bytes.len() - from);
    bytes[from..from + length].to_vec()
}

/// Changes some of an update's parts. `ids` are some that mean something.
pub fn structs(update: &mut Update, ids: &[Id], random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        match random.below(10) {
            0 => sections(update, random),
            1 => deletes(update, ids, random),
            2 => clients(update, random),
            _ => one_section(update, ids, random),
        }
    }
}

fn sections(update: &mut Update, random: &mut Random) {
    let count = update.sections.len();
    if count == 0 {
        return;
    }
    let at = random.below(count);
    match random.below(4) {
        0 => drop(update.sections.remove(at)),
        1 => {
            let twin = update.sections[at].clone();
            update.sections.push(twin);
        }
        2 => update.sections.swap(at, random.below(count)),
        _ => update.sections.insert(at, Section { client: random.next() >> 12, clock: 0, structs: Vec::new() }),
    }
}

fn deletes(update: &mut Update, ids: &[Id], random: &mut Random) {
    let id = one_of(ids, random);
    match (random.below(4), update.deletes.first_mut()) {
        (0, Some((_, ranges))) => ranges.reverse(),
        (1, Some((_, ranges))) => ranges.extend(ranges.clone()),
        (2, Some((_, ranges))) => ranges.iter_mut().for_each(|range| range.1 = near(range.1, random)),
        _ => update.deletes.push((id.0, vec![(id.1, random.pick(&[0, 1, 1, 2, 5, 1 << 31]))])),
    }
}

fn clients(update: &mut Update, random: &mut Random) {
    let count = update.sections.len();
    if count == 0 {
        return;
    }
    let (from, to) = (random.below(count), random.below(count));
    update.sections[from].client = match random.below(5) {
        0 => edge(random),
        1 => update.sections[from].client + 1,
        _ => update.sections[to].client,
    };
}

fn one_section(update: &mut Update, ids: &[Id], random: &mut Random) {
    let count = update.sections.len();
    if count == 0 {
        return;
    }
    let section = &mut update.sections[random.below(count)];
    if section.structs.is_empty() || random.percent(10) {
        return section.clock = near(section.clock, random);
    }
    let at = random.below(section.structs.len());
    match random.below(12) {
        0 => drop(section.structs.remove(at)),
        1 => section.structs.insert(at, section.structs[at].clone()),
        2 => {
            let other = random.below(section.structs.len());
            section.structs.swap(at, other);
        }
        3 => {
            let length = section.structs[at].len();
            section.structs[at] = if random.percent(50) { Struct::Gc(length) } else { Struct::Skip(length) };
        }
        _ => one_struct(&mut section.structs[at], ids, random),
    }
}

fn one_struct(one: &mut Struct, ids: &[Id], random: &mut Random) {
    match one {
        Struct::Gc(length) | Struct::Skip(length) => *length = near(*length, random),
        Struct::Item(item) => one_item(item, ids, random),
    }
}

fn one_item(item: &mut Item, ids: &[Id], random: &mut Random) {
    match random.below(12) {
        0 => item.left = None,
        1 => item.right = None,
        2 | 3 => item.left = Some(one_of(ids, random)),
        4 | 5 => item.right = Some(one_of(ids, random)),
        6 => {
            (item.left, item.right) = (None, None);
            item.parent = parent(ids, random);
        }
        7 => item.parent = parent(ids, random),
        8 => item.key = if item.key.is_some() { None } else { Some(random.pick(&["k", "", "bold"]).to_owned()) },
        9 => item.twist ^= 1 << random.below(8),
        _ => item.content = content(random),
    }
}

pub fn parent(ids: &[Id], random: &mut Random) -> Parent {
    match random.percent(30) {
        true => Parent::Root(random.pick(&["text", "map", "list", "xml", ""]).to_owned()),
        false => Parent::Id(one_of(ids, random)),
    }
}

fn one_of(ids: &[Id], random: &mut Random) -> Id {
    let (client, clock) = if ids.is_empty() { (1, 0) } else { random.pick(ids) };
    match random.below(12) {
        0 => (client, near(clock, random)),
        1 => (edge(random), clock),
        _ => (client, clock),
    }
}

/// A number close to this one, or one at an edge.
fn near(number: u64, random: &mut Random) -> u64 {
    match random.below(4) {
        0 => number.saturating_sub(1),
        1 => number.saturating_add(1),
        2 => number.saturating_add(random.below(10) as u64),
        _ => edge(random),
    }
}

/// Content of any kind; what is in it is right most of the time.
pub fn content(random: &mut Random) -> Content {
    let text =
        |random: &mut Random| random.pick(&["a", "bc", "déf", "😀", "x😀y", "longer than most", "\0"]).to_owned();
    match random.below(24) {
        0..=6 => Content::Text(text(random)),
        7..=9 => Content::Type(random.below(7) as u64, None).named(),
        10..=13 => Content::Any((0..1 + random.below(3)).map(|_| any(random)).collect()),
        14..=16 => Content::Format(random.pick(&["bold", "italic", "k"]).to_owned(), json(random)),
        17 => Content::Embed(json(random)),
        18 => Content::Deleted(1 + random.below(4) as u64),
        19 => Content::Binary(vec![7; random.below(4)]),
        20 => Content::Doc(random.pick(&["guid", ""]).to_owned(), any(random)),
        21 => Content::Json((0..random.below(3)).map(|_| json(random)).collect()),
        22 => Content::Text(String::new()),
        _ => random.pick_owned(&[Content::Type(7, None), Content::Any(Vec::new()), Content::Deleted(0)]),
    }
}

impl Content {
    /// XmlElement and XmlHook have a name.
    fn named(self) -> Self {
        match self {
            Self::Type(kind @ (3 | 5), _) => Self::Type(kind, Some("p".to_owned())),
            other => other,
        }
    }
}

impl Random {
    fn pick_owned<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

fn json(random: &mut Random) -> String {
    let right = ["true", "null", "1", "\"x\"", "{\"e\":1}", "[1,[2]]", "\"😀\""];
    let wrong = ["", "undefined", "{", "[1,", "\u{feff}1", "1e999", "\"\\ud800\"", "{\"a\":1,\"a\":2}"];
    if random.percent(90) { random.pick(&right) } else { random.pick(&wrong) }.to_owned()
}

/// One value of lib0's `any`.
fn any(random: &mut Random) -> Vec<u8> {
    let values: [&[u8]; 14] = [
        &[126],
        &[127],
        &[120],
        &[121],
        &[125, 5],
        &[125, 0xbf, 0x7f],
        &[124, 0x7f, 0xc0, 0, 0],
        &[123, 0x80, 0, 0, 0, 0, 0, 0, 0],
        &[122, 0x10, 0, 0, 0, 0, 0, 0, 1],
        &[119, 1, b'a'],
        &[118, 1, 1, b'k', 126],
        &[118, 2, 1, b'k', 126, 1, b'k', 120],
        &[117, 2, 126, 117, 1, 120],
        &[116, 2, 1, 2],
    ];
    random.pick(&values).to_vec()
}
