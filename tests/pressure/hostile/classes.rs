//! Known ways to hurt yrs 0.28.1, each by name. None of them hurts a document behind the gate.

use bytes::Bytes;
use y_mesh::wire::lib0::{write_var_bytes, write_var_uint};
use y_mesh::wire::sync;

use super::support::raw::{self, section};
use super::support::world::SERVER;

/// A way to hurt: its name, and the messages that do it.
pub struct Class {
    pub name: &'static str,
    pub messages: Vec<Bytes>,
}

/// Bytes as they were found.
const FOUND: [(&str, &str); 15] = [
    ("text beyond 16 bits in an array never ends", "010105000401016104f09f8e8900"),
    ("ContentJSON that can't be decoded again", "010105000201016100013100"),
    (
        "several values under a key, one of them a neighbour",
        "01020400280103786d6c000375027e75017875027e7501787c7fc0000064040204f09f988000",
    ),
    ("one neighbour on both sides, under a key", "01024d00280104746578740003740201027f7602016b7e016b78c14d024d020300"),
    ("neighbours that cross", "020103000401046c697374106c6f6e676572207468616e206d6f7374014d00c4030b03020464c3a96600"),
    ("a chain that ends in itself", "010101008401000161 00"),
    ("two that stand on each other", "020101008402000161 0102008401000162 00"),
    ("a parent that is its own child", "0101010007000100 00 00"),
    ("a count of 250 million clients", "80e59a77"),
    ("a count of 250 million deletes", "0080e59a77"),
    ("a count of 250 million structs", "0180e59a770100"),
    ("a value that promises 250 million entries", "01010100080101610176 80e59a77 00"),
    ("text that isn't UTF-8", "01010100040101610280ff00"),
    ("a client id of 2^53", "0101808080808080801000040101610161 00"),
    ("clocks that wrap", "0101 01 ffffffff0f 04010161026162 00"),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("two digits");
    digits.chunks(2).map(byte).collect()
}

fn class(name: &'static str, updates: impl IntoIterator<Item = Vec<u8>>) -> Class {
    Class { name, messages: updates.into_iter().map(|update| sync::update(&update)).collect() }
}

pub fn all() -> Vec<Class> {
    let found = FOUND.iter().map(|(name, hex)| class(name, [unhex(hex)]));
    let groups = [twice(), nested(), crowds(), collisions(), unfit(), pending(), other_frames()];
    found.chain(groups.into_iter().flatten()).collect()
}

/// Clients that are listed more than once.
fn twice() -> Vec<Class> {
    let text = |text: &str| raw::text("text", text);
    let abc = raw::alone(1, 0, [text("abc")]);
    vec![
        class(
            "a client listed twice, with a hole between",
            [
                raw::update(&[section(1, 0, [text("abc")]), section(1, 5, [raw::gc(2)])], &[]),
                raw::update(&[section(1, 2, [text("xyz")]), section(1, 0, [raw::gc(9)])], &[]),
            ],
        ),
        class(
            "a client listed twice, over known clocks, with formatting",
            [
                abc.clone(),
                raw::update(
                    &[
                        section(1, 3, [format("text"), raw::text_after((1, 2), "d"), format("text")]),
                        section(1, 1, [raw::text_after((1, 0), "bcd"), format("text")]),
                    ],
                    &[(1, 0, 4)],
                ),
            ],
        ),
        class(
            "a client listed thrice, backwards",
            [raw::update(
                &[section(1, 6, [text("c")]), section(1, 3, [raw::skip(3), text("b")]), section(1, 0, [text("abc")])],
                &[],
            )],
        ),
        class("a client deleted twice", [abc, raw::update(&[], &[(1, 0, 1), (1, 0, 3), (1, 1, 1)])]),
    ]
}

fn format(root: &str) -> Vec<u8> {
    let mut out = vec![6, 1];
    for text in [root, "bold", "true"] {
        write_var_bytes(&mut out, text.as_bytes());
    }
    out
}

/// What recurses: values, JSON, types, and clients that wait for each other.
fn nested() -> Vec<Class> {
    let values =
        |depth: usize| raw::alone(1, 0, [raw::values("list", 1, &[[117, 1].repeat(depth), vec![126]].concat())]);
    let maps = |depth: usize| {
        raw::alone(1, 0, [raw::values("list", 1, &[[118, 1, 1, b'k'].repeat(depth), vec![126]].concat())])
    };
    let json = "[".repeat(20_000) + &"]".repeat(20_000);
    let arrays = |depth: u64| {
        let inner = (1..depth).map(|at| raw::array_in((1, at - 1)));
        raw::alone(1, 0, [raw::array("list")].into_iter().chain(inner))
    };
    vec![
        class("values nested 8,000 deep", [values(8_000)]),
        class("values nested 100,000 deep", [values(100_000)]),
        class("objects nested 8,000 deep", [maps(8_000)]),
        class("JSON nested 20,000 deep", [raw::alone(1, 0, [raw::embed("text", &json)])]),
        class("arrays nested 3,500 deep", [arrays(3_500)]),
        class("arrays nested 30,000 deep, and deleted", [arrays(30_000), raw::update(&[], &[(1, 0, 1)])]),
        class("30,000 clients without structs", [empty_sections(30_000)]),
        class("a chain of 30,000 clients", [chain(30_000)]),
    ]
}

fn empty_sections(count: u64) -> Vec<u8> {
    let sections: Vec<_> = (0..count).map(|at| section(1_000 + at, 0, [])).collect();
    let first = [section(1, 0, [raw::text("text", "a")])];
    raw::update(&first.into_iter().chain(sections).collect::<Vec<_>>(), &[])
}

/// Each stands on the next.
fn chain(count: u64) -> Vec<u8> {
    let stands_on = |at: u64| section(at, 0, [raw::text_after((at + 1, 0), "x")]);
    let last = [section(count, 0, [raw::text("text", "x")])];
    raw::update(&(0..count).map(stands_on).chain(last).collect::<Vec<_>>(), &[])
}

/// Much work for few bytes.
fn crowds() -> Vec<Class> {
    let one = raw::alone(0, 0, [raw::text("text", "a")]);
    let sibling = |client: u64| section(client, 0, [raw::text_after((0, 0), "x")]);
    let reversed = |count: u64| {
        let mut out = vec![0, 1, 1];
        write_var_uint(&mut out, count);
        for at in (0..count).rev() {
            write_var_uint(&mut out, 2 * at);
            write_var_uint(&mut out, 1);
        }
        out
    };
    let long = raw::alone(1, 0, [raw::text("text", &"x".repeat(200_000))]);
    vec![
        class(
            "5,000 clients at one place",
            [one.clone(), raw::update(&(1..5_000).map(sibling).collect::<Vec<_>>(), &[])],
        ),
        class(
            "5,000 clients at one place, backwards",
            [one, raw::update(&(1..5_000).rev().map(sibling).collect::<Vec<_>>(), &[])],
        ),
        class("20,000 deletes backwards", [long.clone(), reversed(20_000)]),
        class("100,000 deletes backwards", [long, reversed(100_000)]),
        class("many at the front", [raw::alone(1, 0, (0..20_000).map(|_| raw::text("text", "x")))]),
    ]
}

/// Two that say different things under the same clocks.
fn collisions() -> Vec<Class> {
    let text = |text: &str| raw::alone(1, 0, [raw::text("text", text)]);
    let server = raw::alone(SERVER.0, 0, [raw::text("text", "forged")]);
    vec![
        class("other content under known clocks", [text("AAAA"), text("BBBB")]),
        class("other content, and more of it", [text("AAAA"), text("BBBBCC")]),
        class(
            "other content, split",
            [text("AAAA"), raw::alone(1, 0, [raw::text("text", "AA"), raw::text_after((1, 1), "BBCC")])],
        ),
        class("garbage over another's clocks", [text("AAAA"), raw::alone(1, 0, [raw::gc(100)])]),
        class(
            "garbage before another's first words",
            [raw::alone(2, 0, [raw::gc(1_000)]), raw::alone(2, 3, [raw::text("text", "lost")])],
        ),
        class("the server's own id", [server]),
        class(
            "another's work without its end, then other work there",
            [raw::alone(1, 0, [raw::text("text", "AB")]), raw::alone(1, 1, [raw::text("map", "X")])],
        ),
    ]
}

/// Neighbours and parents that don't fit.
fn unfit() -> Vec<Class> {
    let words = raw::alone(1, 0, [raw::text("text", "words"), raw::array("list"), raw::text("map", "x")]);
    let on_words = |one: Vec<u8>| [words.clone(), raw::alone(2, 0, [one, raw::text("text", "more")])];
    let both = |left: raw::Id, right: raw::Id| {
        let mut out = vec![0xc4];
        [left.0, left.1, right.0, right.1].into_iter().for_each(|number| write_var_uint(&mut out, number));
        write_var_bytes(&mut out, b"x");
        out
    };
    let typed = |kind: u8| [&[7, 1][..], &[4], b"list", &[kind]].concat();
    vec![
        class("a text as parent", on_words(raw::text_in((1, 0), "x"))),
        class("half of a text as parent", on_words(raw::text_in((1, 3), "x"))),
        class("neighbours of two lists", on_words(both((1, 0), (1, 6)))),
        class("neighbours in the wrong order", on_words(both((1, 3), (1, 1)))),
        class("the same neighbour twice", on_words(both((1, 2), (1, 2)))),
        class("a hook", [raw::alone(1, 0, [[typed(5), vec![1, b'h']].concat()])]),
        class("a type of no kind", [raw::alone(1, 0, [typed(9)])]),
        class("a link", [raw::alone(1, 0, [[typed(7), vec![0, 1, 0, 1, 0]].concat()])]),
        class("an embed that isn't JSON", [raw::alone(1, 0, [raw::embed("text", "undefined")])]),
        class("text without a length", [raw::alone(1, 0, [raw::text("text", "")])]),
        class("no values", [raw::alone(1, 0, [raw::values("list", 0, &[])])]),
        class("flags on garbage", [raw::alone(1, 0, [vec![0x80, 1]])]),
        class("bytes that follow", [[raw::alone(1, 0, [raw::text("text", "x")]), vec![0]].concat()]),
    ]
}

/// What yrs would keep for later, without an end.
fn pending() -> Vec<Class> {
    let far = |at: u64| raw::alone(1, 10 * at + 5, [raw::text("text", "x")]);
    let megabyte = |at: u64| raw::alone(at, 1, [raw::text("text", &"x".repeat(1 << 20))]);
    vec![
        class("4,000 far ahead", (0..4_000).map(far)),
        class("4,000 deletes far ahead", (0..4_000).map(|at| raw::update(&[], &[(1, 10 * at + 5, 1)]))),
        class("20 MB ahead", (1..=20).map(megabyte)),
        class(
            "a Skip, and what stands behind it",
            [raw::alone(1, 0, [raw::text("text", "a"), raw::skip(5), raw::text("text", "b")])],
        ),
    ]
}

/// What isn't an update.
fn other_frames() -> Vec<Class> {
    let mut awareness = vec![1];
    write_var_bytes(&mut awareness, &unhex("80e59a77"));
    let vector = sync::sync_step_1(&unhex("80e59a77"));
    vec![
        Class { name: "a state vector of 250 million clients", messages: vec![vector] },
        Class { name: "awareness of 250 million clients", messages: vec![awareness.into()] },
        Class { name: "nothing but types of frames", messages: vec![vec![9; 100_000].into()] },
        Class { name: "a frame that promises 2^53 bytes", messages: vec![unhex("0002ffffffffffffff0f").into()] },
    ]
}
