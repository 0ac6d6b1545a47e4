//! What the node does about a document that never comes to an end.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Weak};

use super::Shared;
use super::watchdog::{self, Stuck};

/// Starts the watchdog. It stops when what is given back is dropped.
pub(super) fn watch(shared: &Arc<Shared>) -> io::Result<Sender<()>> {
    let timing = &shared.config.timing;
    let looks = timing.handle_max.as_nanos() / timing.watchdog_interval.as_nanos().max(1);
    let looks = u32::try_from(looks).unwrap_or(u32::MAX);
    let (watching, stop) = mpsc::channel();
    let weak = Arc::downgrade(shared);
    let watched = Arc::downgrade(&shared.faults.watched);
    watchdog::start(watched, timing.watchdog_interval, looks, stop, move |stuck| on_stuck(&weak, stuck))?;
    Ok(watching)
}

fn on_stuck(shared: &Weak<Shared>, stuck: Stuck) {
    let Some(shared) = shared.upgrade() else { return };
    tracing::error!(document = %stuck.document, "the document does one thing for ever; the process must be started anew");
    if let Some(message) = &stuck.message {
        let now = shared.clock.now();
        shared.faults.quarantine(&stuck.document, message, now.wall, "it was applied for ever, as the watchdog saw it");
        shared.metrics.quarantined.inc();
    }
    shared.metrics.stuck.set(1);
    // The first one is enough: whoever waits is about to start anew.
    shared.stuck.send_if_modified(|known| {
        let is_first = known.is_none();
        known.get_or_insert(stuck);
        is_first
    });
}
