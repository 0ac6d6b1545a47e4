//! How a server goes down without hurting anybody: WebSockets close a few at a time, so that their clients don't all
//! come back elsewhere in the same moment; then the node saves what it has.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::connections::Connections;
use crate::node::Node;

/// Time between two slices.
const PACE: Duration = Duration::from_millis(100);
/// Connections in a slice, if there's time enough for slices so small.
const SLICE_MIN: usize = 100;

/// Closes the connections and shuts the node down, all within `Timing::drain_max`.
pub(super) async fn drain(node: &Node, connections: &Connections) {
    let timing = &node.config().timing;
    let deadline = Instant::now() + timing.drain_max;
    close(&connections.stops(), timing.drain_spread.min(timing.drain_max)).await;
    for name in node.shutdown(deadline.duration_since(Instant::now())).await {
        tracing::warn!(document = %name, "not done in time; what of it wasn't acknowledged may be lost");
    }
    if timeout_at(deadline, connections.empty()).await.is_err() {
        tracing::warn!("connections were still open at the deadline; they're cut off");
    }
}

async fn close(stops: &[CancellationToken], spread: Duration) {
    for (at, slice) in stops.chunks(slice_of(stops.len(), spread)).enumerate() {
        if at > 0 {
            sleep(PACE).await;
        }
        slice.iter().for_each(CancellationToken::cancel);
    }
}

/// How many to close at once, so that all are closed within `spread`.
fn slice_of(count: usize, spread: Duration) -> usize {
    let slices = (spread.as_millis() / PACE.as_millis()).max(1) as usize;
    count.div_ceil(slices).max(SLICE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_close_at_once_and_many_within_the_time() {
        let seconds = Duration::from_secs;
        assert_eq!(slice_of(1, seconds(5)), 100);
        assert_eq!(slice_of(5_000, seconds(5)), 100);
        assert_eq!(slice_of(10_000, seconds(5)), 200);
        assert_eq!(slice_of(10_000, Duration::ZERO), 10_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slice_closes_before_the_next() {
        let stops: Vec<_> = (0..250).map(|_| CancellationToken::new()).collect();
        let start = Instant::now();
        let count = || stops.iter().filter(|stop| stop.is_cancelled()).count();
        let mut closing = std::pin::pin!(close(&stops, Duration::from_secs(5)));
        assert!(futures_util::poll!(&mut closing).is_pending());
        assert_eq!(count(), 100);
        closing.await;
        assert_eq!((count(), start.elapsed()), (250, 2 * PACE));
    }
}
