//! A snapshot's bytes as they're kept: compressed, if that makes them fewer.

use super::segment::Pointer;

/// Bytes of the largest snapshot that is kept.
pub const SNAPSHOT_BYTES_MAX: u64 = u32::MAX as u64;
/// What LZ4 makes of a byte, at most.
const GROWTH_MAX: u64 = 255;

/// The bytes to keep of a snapshot.
pub fn pack(snapshot: &[u8]) -> Vec<u8> {
    let compressed = lz4_flex::block::compress(snapshot);
    if compressed.len() < snapshot.len() { compressed } else { snapshot.to_vec() }
}

/// The snapshot that these bytes were kept of, if they're whole. What is allocated for it is bounded by the bytes that
/// are there.
pub fn unpack(packed: Vec<u8>, pointer: &Pointer) -> Option<Vec<u8>> {
    let snapshot = match pointer.len {
        len if len == packed.len() as u64 => packed,
        len if len > SNAPSHOT_BYTES_MAX || len / GROWTH_MAX > packed.len() as u64 => return None,
        len => decompress(&packed, len as usize)?,
    };
    (*blake3::hash(&snapshot).as_bytes() == pointer.hash).then_some(snapshot)
}

fn decompress(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut snapshot = vec![0; len];
    let written = lz4_flex::block::decompress_into(packed, &mut snapshot).ok()?;
    (written == len).then_some(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Seq;

    fn pointer(snapshot: &[u8], packed: &[u8]) -> Pointer {
        Pointer {
            generation: 1,
            through: Seq(1),
            len: snapshot.len() as u64,
            hash: *blake3::hash(snapshot).as_bytes(),
            volume: 1,
            packed: packed.len() as u64,
        }
    }

    /// Bytes that can't be compressed, and as many that can.
    fn samples() -> impl Iterator<Item = Vec<u8>> {
        let mut state = 1u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        [0, 1, 20, 3_584, 70_000].into_iter().flat_map(move |len| [(0..len).map(|_| random()).collect(), vec![7; len]])
    }

    #[test]
    fn what_is_kept_is_never_more_than_the_snapshot_and_gives_it_back() {
        for snapshot in samples() {
            let packed = pack(&snapshot);
            assert!(packed.len() <= snapshot.len());
            let pointer = pointer(&snapshot, &packed);
            assert!(unpack(packed, &pointer) == Some(snapshot));
        }
        assert!(pack(&vec![7; 70_000]).len() < 1_000);
    }

    #[test]
    fn what_was_changed_is_nothing() {
        for snapshot in samples().filter(|snapshot| snapshot.len() > 1) {
            let packed = pack(&snapshot);
            let pointer = pointer(&snapshot, &packed);
            for at in (0..packed.len()).step_by(1 + packed.len() / 50) {
                let mut changed = packed.clone();
                changed[at] ^= 1;
                // A flipped bit may still mean the same bytes.
                assert!(unpack(changed, &pointer).is_none_or(|unpacked| unpacked == snapshot));
                assert_eq!(unpack(packed[..at].to_vec(), &pointer), None);
            }
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_never_allocated() {
        let packed = pack(&[7; 70_000]);
        for len in [u64::MAX, SNAPSHOT_BYTES_MAX + 1, SNAPSHOT_BYTES_MAX, 1 << 30, 80_000] {
            let pointer = Pointer { len, ..pointer(&[7; 70_000], &packed) };
            assert_eq!(unpack(packed.clone(), &pointer), None);
        }
    }
}
