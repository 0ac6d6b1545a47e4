//! Updates of format v1 written byte by byte: what no honest client sends, or what one would send if it were told to.

use y_mesh::wire::lib0::{write_var_bytes, write_var_string, write_var_uint};

/// A client and a clock.
pub type Id = (u64, u64);

/// One client's structs, from a clock on.
pub struct Section {
    pub client: u64,
    pub clock: u64,
    pub structs: Vec<Vec<u8>>,
}

pub fn section(client: u64, clock: u64, structs: impl IntoIterator<Item = Vec<u8>>) -> Section {
    Section { client, clock, structs: structs.into_iter().collect() }
}

/// An update of these sections and these deleted ranges (client, clock, length).
pub fn update(sections: &[Section], deleted: &[(u64, u64, u64)]) -> Vec<u8> {
    let mut out = numbers([sections.len() as u64]);
    for section in sections {
        out.extend(numbers([section.structs.len() as u64, section.client, section.clock]));
        out.extend(section.structs.concat());
    }
    out.extend(numbers([deleted.len() as u64]));
    for (client, clock, length) in deleted {
        out.extend(numbers([*client, 1, *clock, *length]));
    }
    out
}

/// An update of one section that deletes nothing.
pub fn alone(client: u64, clock: u64, structs: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    update(&[section(client, clock, structs)], &[])
}

/// Text at the start of a root.
pub fn text(root: &str, text: &str) -> Vec<u8> {
    string([numbers([4, 1]), named(root)].concat(), text)
}

/// Text right of something.
pub fn text_after(origin: Id, text: &str) -> Vec<u8> {
    string([vec![0x84], numbers([origin.0, origin.1])].concat(), text)
}

/// Text left of something.
pub fn text_before(origin: Id, text: &str) -> Vec<u8> {
    string(numbers([0x44, origin.0, origin.1]), text)
}

/// Text inside something that should be a shared type.
pub fn text_in(parent: Id, text: &str) -> Vec<u8> {
    string(numbers([4, 0, parent.0, parent.1]), text)
}

/// An array in a root.
pub fn array(root: &str) -> Vec<u8> {
    [numbers([7, 1]), named(root), numbers([0])].concat()
}

/// An array inside another.
pub fn array_in(parent: Id) -> Vec<u8> {
    numbers([7, 0, parent.0, parent.1, 0])
}

/// Values in a root: what follows is `count` values of lib0's `any`.
pub fn values(root: &str, count: u64, any: &[u8]) -> Vec<u8> {
    [numbers([8, 1]), named(root), numbers([count]), any.to_vec()].concat()
}

/// An embed at the start of a root, in what should be JSON.
pub fn embed(root: &str, json: &str) -> Vec<u8> {
    string([numbers([5, 1]), named(root)].concat(), json)
}

pub fn gc(length: u64) -> Vec<u8> {
    numbers([0, length])
}

pub fn skip(length: u64) -> Vec<u8> {
    numbers([10, length])
}

fn string(mut head: Vec<u8>, text: &str) -> Vec<u8> {
    write_var_string(&mut head, text);
    head
}

fn named(root: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_var_bytes(&mut out, root.as_bytes());
    out
}

fn numbers<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    let mut out = Vec::new();
    numbers.into_iter().for_each(|number| write_var_uint(&mut out, number));
    out
}
