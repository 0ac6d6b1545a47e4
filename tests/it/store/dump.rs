//! Documents as bytes: what is written is read, and what isn't whole is noticed, whatever the bytes are.

use y_mesh::document::{Stored, Tombstone};
use y_mesh::store::dump::{self, Decoder, DumpError, Encoded, Item};
use y_mesh::store::{Durability, MemoryStore, Store};
use y_mesh::{ClientId, DocName, Seq};

use super::{Place, append, filled, name, rounds};
use crate::support::random::Random;
use crate::support::watched::Watched;

/// A document of every kind: with and without each thing that may be kept.
fn documents(random: &mut Random) -> Vec<(DocName, Stored)> {
    let document = |number: usize| {
        let clients = (0..number as u64).map(|client| ClientId(client << 40)).collect();
        let tombstone = Tombstone { incarnation: number as u32, through: Seq(number as u64 * 3), clients };
        let mut stored = Stored {
            exists: number & 1 > 0,
            durability: [None, Some(Durability::Memory), Some(Durability::Local)][number % 3],
            tombstone: (number & 2 > 0).then_some(tombstone),
            snapshot: (number & 4 > 0).then(|| (Seq(1_000 + number as u64), filled(1, random.below(40_000)))),
            tail: Vec::new(),
        };
        let (name, first) = (name(&format!("dör {number}/x")), stored.floor().0 + 1);
        let tail = (first..first + random.below(6) as u64).map(|seq| append(&name, seq, random.below(30_000)));
        stored.tail = tail.map(|append| (append.seq, append.record)).collect();
        (name, stored)
    };
    (0..24).map(document).collect()
}

fn dumped(documents: &[(DocName, Stored)]) -> Vec<u8> {
    let items = documents.iter().map(|(name, stored)| Encoded::document(name, stored));
    let items = items.chain([Encoded::damaged(&name("lost"), "it's gone"), Encoded::end(documents.len() as u64, 1)]);
    let parts = items.flat_map(|item| item.parts);
    [dump::head()].into_iter().chain(parts).flat_map(|part| part.to_vec()).collect()
}

/// All that a dump holds, fed in pieces of this size.
fn read(dump: &[u8], piece: usize) -> Result<Vec<Item>, DumpError> {
    let (mut decoder, mut items) = (Decoder::default(), Vec::new());
    for piece in dump.chunks(piece) {
        decoder.feed(piece);
        while let Some(item) = decoder.item()? {
            items.push(item);
        }
    }
    decoder.finish()?;
    Ok(items)
}

#[test]
fn what_is_written_is_read_in_pieces_of_any_size() {
    let documents = documents(&mut Random::new(1));
    let dump = dumped(&documents);
    for piece in [1, 7, 4_096, dump.len()] {
        let mut items = read(&dump, piece).unwrap().into_iter();
        for ((name, stored), item) in documents.iter().zip(&mut items) {
            let encoded = Encoded::document(name, stored);
            let (name, stored, bytes) = (name.clone(), stored.clone(), encoded.bytes());
            assert_eq!(item, Item::Document { name, stored, fingerprint: encoded.fingerprint, bytes });
        }
        let rest: Vec<_> = items.collect();
        let damaged = Item::Damaged { name: name("lost"), why: "it's gone".into() };
        assert_eq!(rest, [damaged, Item::End { documents: 24, damaged: 1 }]);
    }
}

#[test]
fn a_fingerprint_tells_every_difference() {
    let documents = documents(&mut Random::new(2));
    let of = |name: &DocName, stored: &Stored| Encoded::document(name, stored).fingerprint;
    for (at, (name, stored)) in documents.iter().enumerate() {
        let differs = |change: &dyn Fn(&mut Stored)| {
            let mut other = stored.clone();
            change(&mut other);
            assert_ne!(of(name, &other), of(name, stored));
        };
        assert_ne!(of(&documents[(at + 1) % documents.len()].0, stored), of(name, stored));
        differs(&|stored| stored.exists ^= true);
        differs(&|stored| stored.durability = if stored.durability.is_some() { None } else { Some(Durability::Local) });
        differs(&|stored| match &mut stored.tombstone {
            Some(tombstone) => tombstone.clients.push(ClientId(9)),
            none => *none = Some(Tombstone { incarnation: 0, through: Seq(0), clients: Vec::new() }),
        });
        differs(&|stored| {
            stored.snapshot = if stored.snapshot.is_some() { None } else { Some((Seq(0), filled(0, 0))) }
        });
        differs(&|stored| match stored.tail.pop() {
            Some((seq, mut record)) => {
                record.at.0 += 1;
                stored.tail.push((seq, record));
            }
            None => stored.tail.push((Seq(1), append(name, 1, 0).record)),
        });
    }
}

#[test]
fn a_dump_that_is_cut_off_anywhere_is_noticed() {
    let documents = &documents(&mut Random::new(3))[..6];
    let dump = dumped(documents);
    let everywhere = (0..2_000).map(|number| number * dump.len() / 2_000);
    for length in everywhere.chain(dump.len() - 100..dump.len()) {
        let cut = read(&dump[..length], 4_096);
        assert!(matches!(cut, Err(DumpError::CutOff(_))), "cut off at {length}: {:?}", cut.map(|items| items.len()));
    }
}

#[test]
fn a_document_that_is_left_out_or_doubled_is_noticed() {
    let documents = documents(&mut Random::new(4));
    let parts = |item: Encoded| item.parts.concat();
    let first = parts(Encoded::document(&documents[0].0, &documents[0].1));
    for count in [0, 2] {
        let dump = [dump::head().to_vec(), first.repeat(count), parts(Encoded::end(1, 0))].concat();
        assert_eq!(read(&dump, 99).unwrap_err(), DumpError::Count { came: count as u64, said: 1 });
    }
    let more = [dump::head().to_vec(), parts(Encoded::end(0, 0)), first].concat();
    assert!(matches!(read(&more, 99), Err(DumpError::Changed { .. })));
}

#[test]
fn who_gives_up_is_heard() {
    let dump = [dump::head().to_vec(), Encoded::stopped("the store failed").parts.concat()].concat();
    assert_eq!(read(&dump, 5).unwrap(), [Item::Stopped { why: "the store failed".into() }]);
}

#[test]
fn what_is_no_dump_or_of_another_version_is_said() {
    assert_eq!(read(b"<html>", 3).unwrap_err(), DumpError::Foreign);
    assert_eq!(read(b"ymeshdmp\x02\0\0\0", 99).unwrap_err(), DumpError::Version(2));
}

#[test]
fn changed_bytes_are_noticed_wherever_they_are() {
    let mut random = Random::new(5);
    let dump = dumped(&documents(&mut random)[..8]);
    for round in 0..rounds("YMESH_DAMAGE_ROUNDS", 1_000) {
        let mut changed = dump.clone();
        let at = random.below(changed.len());
        changed[at] ^= 1 << random.below(8);
        assert!(read(&changed, 1 + random.below(9_000)).is_err(), "round {round}: a change at {at} isn't noticed");
    }
}

/// An item whose length and hash are right, whatever its content is.
fn item(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut item = vec![kind];
    item.extend((content.len() as u64).to_le_bytes());
    item.extend(crc32c::crc32c(&item).to_le_bytes());
    item.extend(content);
    item.extend(blake3::hash(&item).as_bytes());
    item
}

#[test]
fn hostile_contents_with_right_hashes_are_read_or_refused() {
    let mut random = Random::new(6);
    let documents = documents(&mut random);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..rounds("YMESH_DAMAGE_ROUNDS", 1_000) {
        let (name, stored) = &documents[random.below(documents.len())];
        let encoded = Encoded::document(name, stored).parts.concat();
        let mut content = encoded[13..encoded.len() - 32].to_vec();
        for _ in 0..1 + random.below(3) {
            // Lengths and counts are mostly in front.
            let near = [8, 64, content.len()][random.below(3)].min(content.len());
            let at = random.below(near);
            content[at] = [0, 1, 0x7f, 0xff, random.below(256) as u8][random.below(5)];
        }
        if random.percent(10) {
            content.truncate(random.below(content.len()));
        }
        let kind = 1 + random.below(5) as u8;
        match read(&[&dump::head()[..], &item(kind, &content)].concat(), 4_096) {
            Ok(_) | Err(DumpError::CutOff(_)) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(taken > 10 && refused > 10, "{taken} were taken and {refused} refused");
}

#[test]
fn lengths_and_counts_that_lie_cost_nothing() {
    let name = [&3_u32.to_le_bytes()[..], b"doc"].concat();
    let most = u64::MAX.to_le_bytes();
    let lies: [Vec<u8>; 5] = [
        u32::MAX.to_le_bytes().to_vec(),
        [&name[..], &[1, 0, 1, 0, 0, 0, 0], &[0; 8], &most].concat(),
        [&name[..], &[1, 0, 0, 1], &[0; 8], &most].concat(),
        [&name[..], &[1, 0, 0, 0], &most].concat(),
        // A position that nobody could count on from.
        [&name[..], &[1, 0, 0, 1], &most, &[0; 8], &[0; 8]].concat(),
    ];
    for lie in lies {
        let read = read(&[&dump::head()[..], &item(1, &lie)].concat(), 4_096);
        assert_eq!(read.unwrap_err(), DumpError::Changed { item: 1, what: "the content" });
    }
    let mut front = vec![1];
    front.extend((1_u64 << 40).to_le_bytes());
    front.extend(crc32c::crc32c(&front).to_le_bytes());
    let read = read(&[&dump::head()[..], &front].concat(), 4_096);
    assert_eq!(read.unwrap_err(), DumpError::Changed { item: 1, what: "the front" });
}

#[test]
fn all_names_of_which_something_is_kept_are_listed_once() {
    let place = Place::new("kept");
    let stores: [Box<dyn Store>; 3] =
        [Box::new(MemoryStore::new()), Box::new(place.open(4_096).unwrap()), Box::new(Watched::kept())];
    for store in stores {
        let names: Vec<_> = (0..9).map(|number| name(&format!("doc {number}"))).collect();
        for (number, name) in names.iter().enumerate() {
            store.append(&[append(name, 1, 9)]).unwrap();
            if number % 3 > 0 {
                store.delete(name, Seq(2), &[ClientId(1)]).unwrap();
            }
        }
        let mut listed: Vec<DocName> = Vec::new();
        while let page = store.kept(listed.last(), 4).unwrap()
            && !page.is_empty()
        {
            assert!(page.len() <= 4);
            listed.extend(page);
        }
        assert_eq!(listed, names, "{}", store.name());
    }
}
