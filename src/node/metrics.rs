//! What the node counts, in Prometheus' terms.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, AtomicI64>;
type NoLabels = [(&'static str, &'static str); 0];

/// Counters and gauges of one node. Cheap to count with, from anywhere.
pub struct Metrics {
    registry: Registry,
    /// WebSocket connections.
    pub connections: Level,
    /// Documents that are open.
    pub documents: Level,
    /// Sessions of all documents.
    pub sessions: Level,
    /// Sessions whose outbox is full.
    pub behind: Level,
    /// Messages from clients.
    pub messages_in: Count,
    /// Bytes of messages from clients.
    pub bytes_in: Count,
    /// Messages to clients.
    pub messages_out: Count,
    /// Bytes of messages to clients.
    pub bytes_out: Count,
    /// Documents that had to be dropped and loaded anew after a fault.
    pub faults: Count,
    /// Documents that were let go of after a fault, in memory, for nothing of them may be run again.
    pub leaked: Count,
    /// Messages that were put into the quarantine.
    pub quarantined: Count,
    /// Messages and documents that were in flight when the process ended, and weren't taken alone yet.
    pub suspects: Level,
    /// Whether a document does one thing for ever: 1 or 0.
    pub stuck: Level,
    /// Whether the store's disk is almost full: 1 or 0.
    pub store_low: Level,
    /// Bytes that are free for the store; nothing if it knows no bound.
    space: Family<NoLabels, Level>,
    refusals: Family<ReasonLabel, Count>,
    refusals_by_rule: Family<RuleLabel, Count>,
    closes: Family<CodeLabel, Count>,
    handle: Histogram,
    load: Histogram,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RuleLabel {
    rule: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabel {
    code: u16,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("ymesh"),
            connections: Level::default(),
            documents: Level::default(),
            sessions: Level::default(),
            behind: Level::default(),
            messages_in: Count::default(),
            bytes_in: Count::default(),
            messages_out: Count::default(),
            bytes_out: Count::default(),
            faults: Count::default(),
            leaked: Count::default(),
            quarantined: Count::default(),
            suspects: Level::default(),
            stuck: Level::default(),
            store_low: Level::default(),
            space: Family::default(),
            refusals: Family::default(),
            refusals_by_rule: Family::default(),
            closes: Family::default(),
            handle: Histogram::new(exponential_buckets(0.000_01, 4.0, 10)),
            load: Histogram::new(exponential_buckets(0.000_1, 4.0, 10)),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let to = &mut self.registry;
        to.register("connections", "WebSocket connections", self.connections.clone());
        to.register("documents_open", "Documents that are open", self.documents.clone());
        to.register("sessions", "Sessions of all documents", self.sessions.clone());
        to.register("sessions_behind", "Sessions whose outbox is full", self.behind.clone());
        to.register("messages_received", "Messages from clients", self.messages_in.clone());
        to.register_with_unit("received", "Bytes of messages from clients", Unit::Bytes, self.bytes_in.clone());
        to.register("messages_sent", "Messages to clients", self.messages_out.clone());
        to.register_with_unit("sent", "Bytes of messages to clients", Unit::Bytes, self.bytes_out.clone());
        to.register("document_faults", "Documents dropped and loaded anew after a fault", self.faults.clone());
        to.register("documents_leaked", "Documents let go of in memory after a fault", self.leaked.clone());
        to.register("messages_quarantined", "Messages that a document failed over", self.quarantined.clone());
        to.register("suspects", "What was in flight when the process ended", self.suspects.clone());
        to.register("stuck", "Whether a document does one thing for ever", self.stuck.clone());
        to.register("store_low", "Whether the store's disk is almost full", self.store_low.clone());
        to.register_with_unit("store_space", "Bytes that are free for the store", Unit::Bytes, self.space.clone());
        to.register("refusals", "Refused or skipped: frames, requests, connections", self.refusals.clone());
        to.register("refusals_by_rule", "Refused or skipped in documents", self.refusals_by_rule.clone());
        to.register("sessions_closed", "Sessions that the server has closed", self.closes.clone());
        to.register_with_unit("handle", "Time in the core for one turn", Unit::Seconds, self.handle.clone());
        to.register_with_unit("load", "Time to load a document", Unit::Seconds, self.load.clone());
    }

    /// Counts something that was refused.
    pub fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts something that was refused for a rule of the core.
    pub(crate) fn refused_by(&self, reason: &'static str, rule: &'static str) {
        self.refused(reason);
        self.refusals_by_rule.get_or_create(&RuleLabel { rule }).inc();
    }

    /// Counts a session that the server has closed.
    pub fn closed(&self, code: u16) {
        self.closes.get_or_create(&CodeLabel { code }).inc();
    }

    pub(crate) fn set_space(&self, bytes: u64) {
        self.space.get_or_create(&[]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn handled(&self, took: Duration) {
        self.handle.observe(took.as_secs_f64());
    }

    pub(crate) fn loaded(&self, took: Duration) {
        self.load.observe(took.as_secs_f64());
    }

    /// The text that Prometheus scrapes (OpenMetrics 1.0).
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a string can't fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}
