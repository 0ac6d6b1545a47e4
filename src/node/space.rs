//! The store's free space, looked at again and again: a disk that fills up is noticed before it's full (D5).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use super::Shared;
use crate::store::{Store, StoreError};

/// What a look at the store's space has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// The store knows no bound.
    Unbounded,
    /// So many bytes are free.
    Free(u64),
    /// It can't be said.
    Unknown,
}

/// Looks again and again, until the node stops.
pub(crate) async fn watch(shared: Weak<Shared>, mut last: Space) {
    while last != Space::Unbounded {
        // Held only while it's looked: nobody else keeps a store that the node has let go of.
        let Some(now) = shared.upgrade() else { return };
        let (interval, mut stopping) = (now.config.timing.space_interval, now.stopping.subscribe());
        drop(now);
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stops| *stops) => return,
            () = tokio::time::sleep(interval) => {}
        }
        let Some(now) = shared.upgrade() else { return };
        let looking = now.blocking.clone().spawn_blocking(move || look(&now, last));
        let Ok(space) = looking.await else { return };
        last = space;
    }
}

/// Looks once, and tells everybody what it means. Blocks.
pub(crate) fn look(shared: &Arc<Shared>, last: Space) -> Space {
    let space = match ask(&*shared.store) {
        Ok(space) => space.map_or(Space::Unbounded, Space::Free),
        Err(why) => {
            if last != Space::Unknown {
                tracing::warn!(%why, "the store's free space can't be found out; it counts as enough");
            }
            Space::Unknown
        }
    };
    if let Space::Free(bytes) = space {
        shared.metrics.set_space(bytes);
    }
    tell(shared, space);
    space
}

fn ask(store: &dyn Store) -> Result<Option<u64>, String> {
    // A store that panics can't say it either.
    match catch_unwind(AssertUnwindSafe(|| store.space())) {
        Ok(space) => space.map_err(|error: StoreError| error.to_string()),
        Err(_) => Err("it panicked".to_owned()),
    }
}

fn tell(shared: &Shared, space: Space) {
    let reserve = shared.config.limits.disk_reserve_bytes;
    let was_low = *shared.low.borrow();
    let low = is_low(space, was_low, reserve);
    if low == was_low {
        return;
    }
    match low {
        true => tracing::warn!(?space, reserve, "the store's disk is almost full; no changes are taken"),
        false => tracing::warn!(?space, reserve, "the store's disk has space again; changes are taken"),
    }
    shared.metrics.store_low.set(i64::from(low));
    shared.low.send_replace(low);
}

/// What was low stays so until a tenth more than the reserve is free: else what is won back would be used up at once.
fn is_low(space: Space, was_low: bool, reserve: u64) -> bool {
    let wanted = if was_low { reserve.saturating_add(reserve / 10) } else { reserve };
    matches!(space, Space::Free(bytes) if bytes < wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d5_what_was_low_stays_so_until_a_tenth_more_is_free() {
        for (free, was_low, low) in
            [(100, false, false), (99, false, true), (100, true, true), (109, true, true), (110, true, false)]
        {
            assert_eq!(is_low(Space::Free(free), was_low, 100), low, "{free} {was_low}");
        }
    }

    #[test]
    fn d5_without_a_reserve_or_a_bound_nothing_is_low() {
        assert!(!is_low(Space::Free(0), true, 0));
        assert!(!is_low(Space::Unbounded, true, 100) && !is_low(Space::Unknown, true, 100));
    }
}
