//! Every bound and every interval, each with its unit, its reason and its relation to the others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one document, session or node may use at most. A bound that is reached closes or slows the one
/// who reached it, and nobody else.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message from a client, a first SyncStep2 with all its offline work included (W2).
    pub message_bytes_max: usize,
    /// Bytes of a state vector in a SyncStep1: about 100,000 client ids.
    pub state_vector_bytes_max: usize,
    /// Frames in one message. Clients send one; a few servers' relays send two.
    pub message_frames_max: usize,
    /// Client ids in one update: yrs recurses once for each, some hundred bytes of stack deep.
    pub update_clients_max: u64,
    /// Shared types in one document.
    pub document_types_max: u64,
    /// How deep shared types may nest: yrs deletes them recursively, and so do many who read a document.
    pub type_depth_max: u32,
    /// Structs in one update, and ranges in its delete set: yrs takes some 200 bytes for each.
    pub update_structs_max: u64,
    /// How deep arrays and objects may nest in one value of an update: yrs decodes them recursively.
    pub value_depth_max: usize,
    /// Updates merged into one message at the end of a turn (F7): clients apply it in one transaction, without a pause.
    pub merge_updates_max: usize,

    /// Messages that wait in a document's mailbox; also the most that one turn takes.
    pub mailbox_messages_max: usize,
    /// Bytes of messages of more than 64 KiB that wait in a document's mailbox. At least one of the greatest size must fit.
    pub mailbox_bytes_max: usize,
    /// Bytes that wait in all mailboxes of the node: of messages of more than 64 KiB, and as much again of others, so that these
    /// don't wait for those. When it's reached, all wait: it's what bounds the node's memory.
    pub inbound_bytes_max: usize,
    /// Bytes of messages of more than 64 KiB that haven't come whole yet, in all connections of the node. About half is kept for
    /// those that began first, so that they come to an end; when the rest is used up, the others wait, and who stalls meanwhile is
    /// sent away.
    pub unfinished_bytes_max: usize,
    /// Bytes that wait of one session, each message counting at least 4 KiB: so much is handled at once of what it sends. A longer
    /// message waits alone.
    pub session_mail_bytes_max: usize,
    /// Bytes that a session may send at once before others go ahead.
    pub session_bytes_burst: u64,
    /// Bytes that it may send in a second from then on.
    pub session_bytes_per_second: u64,
    /// Messages that wait for a session's socket before it is behind (F5).
    pub outbox_messages_max: usize,
    /// Bytes that wait for a session's socket before it is behind. An empty outbox takes one message of any size.
    pub outbox_bytes_max: usize,
    /// Bytes of diffs larger than an outbox that a document's sessions have in theirs. Who needs one more gets the whole document
    /// instead, which is the same bytes for all.
    pub answers_bytes_max: usize,
    /// Bytes of answers, each at least 64 KiB and half of the document, that a session may have at once (S2).
    pub answer_burst_bytes: u64,
    /// Bytes of answers that a session may have in a second from then on. A client asks once, when it connects.
    pub answer_bytes_per_second: u64,
    /// Bytes of documents that are encoded for answers in a second, for all sessions of a document: a few hundredths of what
    /// a core can.
    pub encoded_bytes_per_second: u64,
    /// Bytes of records and snapshots that wait for the store's writer.
    pub store_queue_bytes_max: usize,
    /// Bytes that stay free for the store: with less, nothing is taken that would have to be kept (D5). What waits for the writer,
    /// a snapshot that is being made, and the segment that records are copied to before others are freed must all find room
    /// in it. With 0 it isn't looked at.
    pub disk_reserve_bytes: u64,

    /// Awareness entries of a document (A5).
    pub awareness_entries_max: usize,
    /// Bytes of one awareness state (A5).
    pub awareness_state_bytes_max: usize,
    /// Bytes of all awareness states of a document (A5): no more than an outbox takes, for they're sent together to who joins.
    pub awareness_bytes_max: usize,
    /// Awareness entries that a session may bring besides its own (A5): its sibling tabs', and those of other providers.
    pub awareness_entries_per_session_max: usize,
    /// How many a second of these may be of clients that nobody knew, after that many at once (A5).
    pub awareness_new_per_second: u64,
    /// Messages a second that tell all who is here and where, after that many at once (A6): carets that move smoothly.
    pub awareness_messages_per_second: u64,
    /// What a second of these may bring back from all sessions together (A6): stock clients send on each entry that they hear.
    pub awareness_echoes_per_second: u64,

    /// Sessions of one document.
    pub sessions_per_document_max: usize,
    /// Documents open at once.
    pub documents_open_max: usize,
    /// Documents in one answer to a listing.
    pub list_max: usize,

    /// Records since the last snapshot after which the next one is made.
    pub compact_after_records: u64,
    /// Bytes since the last snapshot after which the next one is made, if they are also more than that snapshot has.
    pub compact_after_bytes: u64,

    /// Backups that are taken at the same time: each has a document in memory.
    pub backups_max: usize,

    /// Faults of one document within `Timing::fault_window`: with more, nobody is served there for `Timing::fault_rest`.
    pub document_faults_max: usize,
    /// Messages whose bytes are known as never to be taken, by their hashes: 16 bytes each, some more in memory.
    pub refused_max: usize,
    /// Files in the quarantine. They're read at the start.
    pub quarantine_files_max: usize,
    /// Bytes of all files in the quarantine. At least one message of the greatest size must fit.
    pub quarantine_bytes_max: u64,

    /// Connections of the node.
    pub connections_max: usize,
    /// Connections from one address (one /64 of IPv6). Loopback is exempt: a proxy on the same machine looks like one address.
    pub connections_per_address_max: usize,
    /// Bytes of an HTTP request's head.
    pub head_bytes_max: usize,
    /// Bytes of an HTTP request's body.
    pub body_bytes_max: usize,
    /// Connections that the kernel holds for us until they are accepted: with 128, a reconnect storm waits a second for its retries.
    pub backlog: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 16 << 20,
            state_vector_bytes_max: 1 << 20,
            message_frames_max: 1_000,
            update_clients_max: 100_000,
            document_types_max: 500_000,
            type_depth_max: 256,
            update_structs_max: 1_000_000,
            value_depth_max: 64,
            merge_updates_max: 64,
            mailbox_messages_max: 256,
            mailbox_bytes_max: 32 << 20,
            inbound_bytes_max: 256 << 20,
            unfinished_bytes_max: 128 << 20,
            session_mail_bytes_max: 512 << 10,
            session_bytes_burst: 4 << 20,
            session_bytes_per_second: 1 << 20,
            outbox_messages_max: 1_024,
            outbox_bytes_max: 1 << 20,
            answers_bytes_max: 8 << 20,
            answer_burst_bytes: 1 << 20,
            answer_bytes_per_second: 4 << 20,
            encoded_bytes_per_second: 16 << 20,
            store_queue_bytes_max: 64 << 20,
            disk_reserve_bytes: 256 << 20,
            awareness_entries_max: 1_000,
            awareness_state_bytes_max: 16 << 10,
            awareness_bytes_max: 1 << 20,
            awareness_entries_per_session_max: 64,
            awareness_new_per_second: 2,
            awareness_messages_per_second: 20,
            awareness_echoes_per_second: 10_000,
            sessions_per_document_max: 10_000,
            documents_open_max: 100_000,
            list_max: 1_000,
            compact_after_records: 10_000,
            compact_after_bytes: 256 << 10,
            backups_max: 2,
            document_faults_max: 5,
            refused_max: 10_000,
            quarantine_files_max: 1_000,
            quarantine_bytes_max: 64 << 20,
            connections_max: 10_000,
            connections_per_address_max: 200,
            head_bytes_max: 16 << 10,
            body_bytes_max: 64 << 10,
            backlog: 4_096,
        }
    }
}

/// How long things may take, and how often they happen. As text they're seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timing {
    /// A session that was sent nothing for so long gets an empty awareness frame. y-websocket hangs up after
    /// 30 s without a message and doesn't see pings, so this and a round trip must stay below 30 s (F6).
    #[serde(with = "seconds")]
    pub quiet_max: Duration,
    /// An awareness entry that isn't renewed for so long is removed; clients renew every 15 s (A4).
    #[serde(with = "seconds")]
    pub awareness_expiry: Duration,
    /// At least this long between two questions (SyncStep1) to the same session for what is missing.
    #[serde(with = "seconds")]
    pub ask_interval: Duration,
    /// At least this long, and again as long for every 50 sessions, between two rounds in which those who stayed are made
    /// to announce themselves anew for those who came back (A1).
    #[serde(with = "seconds")]
    pub recall_interval: Duration,
    /// A session that is behind for so long is closed (F5).
    #[serde(with = "seconds")]
    pub behind_max: Duration,
    /// A document's turn ends when it has lasted so long, with what has been handled until then. Others wait meanwhile.
    #[serde(with = "seconds")]
    pub turn_max: Duration,
    /// What a session may use of a thread's time in a second, each message at least 20 us, before others go ahead: some thousand
    /// edits. While others wait it's less, down to a thirtieth.
    #[serde(with = "seconds")]
    pub session_time: Duration,
    /// What it may use of it at once.
    #[serde(with = "seconds")]
    pub session_time_burst: Duration,
    /// A message that has waited so long before it's handled has waited: then those who use more than their share are slowed, for
    /// a second. Less than anybody notices.
    #[serde(with = "seconds")]
    pub wait_max: Duration,
    /// What all in the node who use more than their share may use together in a second, while others wait.
    #[serde(with = "seconds")]
    pub slowed_time: Duration,
    /// A session that uses more than its share for so long, while others wait, is closed. A client that has so much to say says it
    /// in one message when it comes back.
    #[serde(with = "seconds")]
    pub flood_max: Duration,
    /// What a document may use in a second before it's one of those of which no more work at once than there are cores.
    #[serde(with = "seconds")]
    pub document_time: Duration,
    /// A document that nobody has open for so long is retired.
    #[serde(with = "seconds")]
    pub idle_max: Duration,
    /// A load that takes longer closes the sessions that wait for it (S3).
    #[serde(with = "seconds")]
    pub load_max: Duration,
    /// A question to the access hook that takes longer can't be answered now.
    #[serde(with = "seconds")]
    pub authorize_max: Duration,
    /// The store's free space is looked at so often. What can come between two looks must be less than the reserve.
    #[serde(with = "seconds")]
    pub space_interval: Duration,

    /// The watchdog looks so often at what documents are doing.
    #[serde(with = "seconds")]
    pub watchdog_interval: Duration,
    /// A document that does one thing for so many of the watchdog's looks, as this has intervals, will do it for ever: the node
    /// is given up. Counted in looks and not in time, for a process that is frozen, or a machine that sleeps, does nothing wrong.
    #[serde(with = "seconds")]
    pub handle_max: Duration,
    /// Faults of a document are counted over so long.
    #[serde(with = "seconds")]
    pub fault_window: Duration,
    /// Nobody is served for so long where there were too many.
    #[serde(with = "seconds")]
    pub fault_rest: Duration,

    /// A WebSocket ping goes out so often.
    #[serde(with = "seconds")]
    pub ping_interval: Duration,
    /// Of a message of more than 64 KiB, as much again must come within so long.
    #[serde(with = "seconds")]
    pub step_max: Duration,
    /// A peer of whom nothing was heard for so long, not even an answer to a ping, is closed.
    #[serde(with = "seconds")]
    pub silence_max: Duration,
    /// A write to a socket that makes no progress for so long ends it.
    #[serde(with = "seconds")]
    pub write_max: Duration,
    /// The head of a request must be there by then, also on a connection that is kept alive.
    #[serde(with = "seconds")]
    pub head_max: Duration,
    /// A whole request, body and answer, must be done by then.
    #[serde(with = "seconds")]
    pub request_max: Duration,
    /// When the node drains, the sockets are closed in slices over this long.
    #[serde(with = "seconds")]
    pub drain_spread: Duration,
    /// When the node drains, what isn't done by then is given up.
    #[serde(with = "seconds")]
    pub drain_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            quiet_max: s(20),
            awareness_expiry: s(30),
            ask_interval: s(1),
            recall_interval: s(1),
            behind_max: s(120),
            turn_max: Duration::from_millis(2),
            session_time: Duration::from_millis(100),
            session_time_burst: Duration::from_millis(250),
            wait_max: Duration::from_millis(2),
            slowed_time: Duration::from_millis(10),
            flood_max: s(30),
            document_time: Duration::from_millis(250),
            idle_max: s(30),
            load_max: s(30),
            authorize_max: s(10),
            space_interval: s(1),
            watchdog_interval: s(1),
            handle_max: s(10),
            fault_window: s(60),
            fault_rest: s(10),
            ping_interval: s(20),
            step_max: s(20),
            silence_max: s(45),
            write_max: s(60),
            head_max: s(5),
            request_max: s(8),
            drain_spread: s(5),
            drain_max: s(25),
        }
    }
}

/// All of it together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// Sizes and counts.
    pub limits: Limits,
    /// Durations.
    pub timing: Timing,
}

/// Greater counts can't be counted with: tokio's semaphores and channels have three bits of each for themselves.
const COUNT_MAX: usize = usize::MAX >> 3;

/// Why a configuration can't work. Change the value that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(&'static str);

impl Config {
    /// Checks the relations between the values.
    ///
    /// # Errors
    /// Names the first relation that doesn't hold.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let (limits, timing) = (&self.limits, &self.timing);
        let relations = [
            (
                limits.mailbox_bytes_max >= limits.message_bytes_max,
                "a mailbox must hold one message: raise mailbox_bytes_max",
            ),
            (
                limits.inbound_bytes_max >= limits.mailbox_bytes_max,
                "inbound_bytes_max must be at least mailbox_bytes_max",
            ),
            (limits.inbound_bytes_max <= u32::MAX as usize, "inbound_bytes_max must be below 4 GiB"),
            (limits.session_mail_bytes_max >= 64 << 10, "session_mail_bytes_max must be at least 64 KiB"),
            (
                limits.session_mail_bytes_max <= limits.inbound_bytes_max,
                "inbound_bytes_max must be at least session_mail_bytes_max",
            ),
            (
                limits.unfinished_bytes_max >= limits.message_bytes_max.saturating_add(128 << 10),
                "unfinished_bytes_max must hold one message and 128 KiB",
            ),
            (limits.mailbox_messages_max > 0, "mailbox_messages_max must not be 0"),
            (limits.mailbox_messages_max <= COUNT_MAX, "mailbox_messages_max is too large"),
            (limits.store_queue_bytes_max <= COUNT_MAX, "store_queue_bytes_max is too large"),
            (limits.backups_max <= COUNT_MAX, "backups_max is too large"),
            (limits.outbox_messages_max > 0, "outbox_messages_max must not be 0"),
            (limits.merge_updates_max > 0, "merge_updates_max must not be 0"),
            (limits.answer_burst_bytes > 0, "answer_burst_bytes must not be 0"),
            (limits.answer_bytes_per_second > 0, "answer_bytes_per_second must not be 0"),
            (limits.encoded_bytes_per_second > 0, "encoded_bytes_per_second must not be 0"),
            (limits.store_queue_bytes_max > 0, "store_queue_bytes_max must not be 0"),
            (limits.head_bytes_max >= 8 << 10, "head_bytes_max must be at least 8 KiB"),
            (!timing.quiet_max.is_zero(), "quiet_max must not be 0"),
            (!timing.space_interval.is_zero(), "space_interval must not be 0"),
            (!timing.watchdog_interval.is_zero(), "watchdog_interval must not be 0"),
            (timing.handle_max >= 2 * timing.watchdog_interval, "handle_max must be at least two of watchdog_interval"),
            (
                limits.quarantine_bytes_max >= limits.message_bytes_max as u64,
                "the quarantine must hold one message: raise quarantine_bytes_max",
            ),
            (timing.quiet_max <= Duration::from_secs(27), "quiet_max must leave 3 s: clients hang up after 30 s"),
            (timing.silence_max > timing.ping_interval, "silence_max must be longer than ping_interval"),
            (limits.message_frames_max > 0, "message_frames_max must not be 0"),
            (timing.drain_max >= timing.drain_spread, "drain_max must be at least drain_spread"),
        ];
        match relations.into_iter().find(|(holds, _)| !holds) {
            Some((_, broken)) => Err(InvalidConfig(broken)),
            None => Ok(()),
        }
    }
}

/// Durations as seconds, which is how people write them.
mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_together() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn what_cant_be_counted_is_refused() {
        for set in [
            |limits: &mut Limits| limits.mailbox_messages_max = usize::MAX,
            |limits: &mut Limits| limits.store_queue_bytes_max = usize::MAX,
            |limits: &mut Limits| limits.backups_max = usize::MAX,
        ] {
            let mut config = Config::default();
            set(&mut config.limits);
            assert!(config.check().is_err());
        }
    }

    #[test]
    fn a_quiet_time_that_clients_would_not_survive_is_refused() {
        let mut config = Config::default();
        config.timing.quiet_max = Duration::from_secs(30);
        assert!(config.check().is_err());
    }
}
