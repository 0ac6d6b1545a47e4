//! F5: a session whose outbox is full is behind. Nobody waits for it, and nothing is lost to it.

use std::time::Duration;

use bytes::Bytes;
use y_mesh::document::{CloseCode, Event};
use y_mesh::wire::sync;
use y_mesh::{ClientId, Config, SessionId};

use crate::support::client::Client;
use crate::support::frames::{awareness, kinds};
use crate::support::world::{World, client};

const ROOMY: usize = 1 << 20;

/// A world with a client that writes and one whose outbox takes few messages.
struct Pair {
    world: World,
    fast: SessionId,
    ada: Client,
    slow: SessionId,
    ben: Client,
}

impl Pair {
    fn new(messages_max: usize) -> Self {
        Self::with(messages_max, |_| {})
    }

    fn with(messages_max: usize, configure: impl FnOnce(&mut Config)) -> Self {
        let mut world = World::with(configure);
        let (mut ada, mut ben) = (Client::new(1), Client::new(2));
        let fast = world.connect(&mut ada);
        let slow = world.join_slow(messages_max, ROOMY);
        world.open(slow, &mut ben);
        let mut pair = Self { world, fast, ada, slow, ben };
        pair.show();
        pair
    }

    /// Both show themselves, and everybody sees it.
    fn show(&mut self) {
        let shows = self.ada.presence.set(Some("{}"));
        self.world.say(self.fast, [shows]);
        self.settle();
        let shows = self.ben.presence.set(Some("{}"));
        self.world.say(self.slow, [shows]);
        self.settle();
    }

    /// Ada writes something in each of so many turns, and nobody but she reads.
    fn write(&mut self, turns: usize) {
        for turn in 0..turns {
            let messages = self.ada.write(&format!("{turn} "));
            self.world.say(self.fast, messages);
            self.world.settle(&mut [(self.fast, &mut self.ada)]);
        }
    }

    fn settle(&mut self) {
        self.world.settle(&mut [(self.fast, &mut self.ada), (self.slow, &mut self.ben)]);
    }

    fn ends_equal(mut self) {
        self.settle();
        assert_eq!(self.ben.content(), self.world.content());
        assert_eq!(self.ada.content(), self.world.content());
        assert!(!self.ben.is_missing_something());
        assert_eq!(self.world.acknowledged(self.slow), (self.ben.sent, 0));
        assert_eq!(self.world.acknowledged(self.fast), (self.ada.sent, 0));
        if self.ben.clock() > 0 {
            assert_eq!(self.ben.presence.all(), self.ada.presence.all());
        }
        assert_eq!((self.world.is_behind(self.slow), self.world.closed(self.slow)), (false, None));
    }
}

#[test]
fn f5_updates_that_overflow_come_as_one_diff() {
    let mut pair = Pair::new(2);
    pair.write(5);
    assert!(pair.world.is_behind(pair.slow) && !pair.world.is_behind(pair.fast));
    let before = pair.world.pop_all(pair.slow);
    assert_eq!(kinds(&before), ["update", "update"]);
    before.iter().for_each(|message| drop(pair.ben.take(message)));
    pair.world.drained(pair.slow);
    let after = pair.world.pop_all(pair.slow);
    assert_eq!(kinds(&after).iter().filter(|kind| **kind == "step 2").count(), 1);
    after.iter().for_each(|message| drop(pair.ben.take(message)));
    assert_eq!(pair.ben.text(), pair.ada.text());
    pair.ends_equal();
}

#[test]
fn f5_deletes_that_overflow_arrive() {
    let mut pair = Pair::new(1);
    pair.write(3);
    for _ in 0..3 {
        let messages = pair.ada.delete(0, 1);
        pair.world.say(pair.fast, messages);
        pair.world.turn();
    }
    pair.ends_equal();
}

#[test]
fn f5_several_updates_of_one_turn_that_overflow_arrive() {
    let mut world = World::with(|config| config.limits.merge_updates_max = 1);
    let (mut ada, mut ben) = (Client::new(1), Client::new(2));
    let fast = world.connect(&mut ada);
    let slow = world.join_slow(2, ROOMY);
    world.open(slow, &mut ben);
    for _ in 0..5 {
        world.say(fast, ada.write("more "));
    }
    world.turn();
    assert!(world.is_behind(slow));
    let mut pair = Pair { world, fast, ada, slow, ben };
    pair.settle();
    pair.show();
    pair.ends_equal();
}

#[test]
fn f5_overflow_at_the_join() {
    let mut pair = Pair::new(1);
    pair.write(1);
    let shows = pair.ada.presence.set(Some("{}"));
    pair.world.say(pair.fast, [shows]);
    pair.world.leave(pair.slow);
    pair.settle();
    pair.slow = pair.world.join_slow(1, ROOMY);
    assert!(pair.world.is_behind(pair.slow), "awareness is one message too many");
    pair.ben = Client::new(3);
    pair.ben.write("offline ");
    let opening = pair.ben.open();
    pair.world.say(pair.slow, opening);
    pair.ends_equal();
}

#[test]
fn f5_overflow_while_the_first_sync_step_2_is_due() {
    for messages_max in 1..4 {
        let mut pair = Pair::new(1);
        pair.write(4);
        pair.world.leave(pair.slow);
        pair.slow = pair.world.join_slow(messages_max, ROOMY);
        pair.ben = Client::new(3);
        let opening = pair.ben.open();
        pair.world.say(pair.slow, opening);
        pair.write(4);
        assert!(pair.world.is_behind(pair.slow));
        pair.ends_equal();
    }
}

#[test]
fn f5_a_first_sync_step_2_larger_than_the_outbox_arrives() {
    let mut pair = Pair::new(1);
    let messages = pair.ada.write(&"long ".repeat(1_000));
    pair.world.say(pair.fast, messages);
    pair.settle();
    pair.world.leave(pair.slow);
    pair.ben = Client::new(3);
    pair.slow = pair.world.join_slow(100, 100);
    let opening = pair.ben.open();
    pair.world.say(pair.slow, opening);
    pair.world.turn();
    assert!(pair.world.is_behind(pair.slow));
    pair.ends_equal();
}

#[test]
fn f5_awareness_that_overflows_comes_anew() {
    let mut pair = Pair::new(1);
    for clock in 1..5 {
        let shows = pair.ada.presence.set(Some(&clock.to_string()));
        pair.world.say(pair.fast, [shows]);
        pair.world.settle(&mut [(pair.fast, &mut pair.ada)]);
    }
    assert!(pair.world.is_behind(pair.slow));
    pair.settle();
    assert_eq!(pair.ben.presence.others()[&ClientId(1)], "4");
    pair.ends_equal();
}

#[test]
fn f5_who_left_while_a_session_was_behind_is_gone_for_it_too() {
    let mut pair = Pair::new(1);
    let mut cleo = Client::new(3);
    let third = pair.world.connect(&mut cleo);
    let shows = cleo.presence.set(Some("{}"));
    pair.world.say(third, [shows]);
    pair.settle();
    assert!(pair.ben.presence.others().contains_key(&ClientId(3)));
    pair.write(3);
    assert!(pair.world.is_behind(pair.slow));
    pair.world.leave(third);
    pair.settle();
    assert!(!pair.ada.presence.others().contains_key(&ClientId(3)));
    assert!(!pair.ben.presence.others().contains_key(&ClientId(3)), "no ghost stays");
    pair.ends_equal();
}

#[test]
fn f5_twice_in_a_row() {
    let mut pair = Pair::new(2);
    for _ in 0..3 {
        pair.write(5);
        assert!(pair.world.is_behind(pair.slow));
        // The socket takes what there is, and is slow again before the diff is through.
        pair.world.pop_all(pair.slow).iter().for_each(|message| drop(pair.ben.take(message)));
        pair.world.drained(pair.slow);
        pair.write(5);
        assert!(pair.world.is_behind(pair.slow));
    }
    pair.ends_equal();
}

#[test]
fn f5_overflow_right_at_the_diff_keeps_what_the_session_is_known_to_have() {
    let mut pair = Pair::new(1);
    let shows = pair.ada.presence.set(Some("{}"));
    pair.world.say(pair.fast, [shows]);
    pair.settle();
    pair.write(3);
    let shows = pair.ada.presence.set(Some("[]"));
    pair.world.say(pair.fast, [shows]);
    pair.world.turn();
    pair.world.pop_all(pair.slow).iter().for_each(|message| drop(pair.ben.take(message)));
    pair.world.drained(pair.slow);
    assert!(pair.world.is_behind(pair.slow), "the diff fits, awareness doesn't");
    pair.ends_equal();
}

#[test]
fn f5_sync_step_1_while_behind_is_answered_when_the_outbox_is_empty() {
    let mut pair = Pair::new(1);
    pair.write(3);
    assert!(pair.world.is_behind(pair.slow));
    let (answers, question) = (pair.ben.answers, sync::sync_step_1(&pair.ben.state()));
    pair.world.say(pair.slow, [question]);
    assert_eq!(pair.world.pop_all(pair.slow).len(), 1, "nothing is added");
    pair.settle();
    assert!(pair.ben.answers > answers);
    pair.ends_equal();
}

#[test]
fn f5_sync_step_1_of_a_session_that_lost_everything_while_behind_is_answered_with_all() {
    let mut pair = Pair::new(1);
    pair.write(3);
    pair.ben = Client::new(4);
    let opening = pair.ben.open();
    pair.world.say(pair.slow, opening);
    pair.world.pop_all(pair.slow);
    pair.settle();
    assert_eq!(pair.ben.text(), pair.ada.text());
}

#[test]
fn f5_acknowledgements_owed_to_a_session_that_is_behind_are_not_lost() {
    let mut pair = Pair::new(1);
    pair.world.syncs = false;
    let messages = [pair.ben.write("mine "), pair.ben.write("too ")].concat();
    pair.world.say(pair.slow, messages);
    pair.world.turn();
    pair.write(3);
    assert!(pair.world.is_behind(pair.slow));
    assert_eq!(pair.world.acknowledged(pair.slow).0, pair.ben.sent - 2);
    pair.world.sync();
    pair.world.syncs = true;
    pair.ends_equal();
}

#[test]
fn f5_a_session_that_is_behind_can_still_write() {
    let mut pair = Pair::new(1);
    pair.write(3);
    let messages = pair.ben.insert(0, "from behind ");
    pair.world.say(pair.slow, messages);
    pair.world.settle(&mut [(pair.fast, &mut pair.ada)]);
    assert!(pair.ada.text().contains("from behind"));
    pair.ends_equal();
}

#[test]
fn f5_a_refusal_in_words_is_not_lost_to_a_session_that_is_behind() {
    let mut pair = Pair::new(1);
    pair.write(3);
    let right = Ok(client(y_mesh::document::Access::Read));
    pair.world.event(Event::Reauthorized { session: pair.slow, right });
    let messages = pair.ben.write("refused");
    pair.world.say(pair.slow, messages);
    pair.settle();
    assert_eq!(pair.ben.denied.len(), 1);
}

#[test]
fn f5_who_reconnects_and_is_behind_at_once_shows_itself_anew() {
    let mut pair = Pair::new(1);
    let shows = pair.ben.presence.set(Some("{}"));
    pair.world.say(pair.slow, [shows]);
    pair.settle();
    // The connection breaks; the server doesn't know yet. Whoever is here hasn't heard a newer clock.
    let clock = pair.ben.clock();
    pair.slow = pair.world.join_slow(1, ROOMY);
    let opening = pair.ben.open();
    pair.world.say(pair.slow, opening);
    assert!(pair.world.is_behind(pair.slow));
    pair.settle();
    assert_eq!(pair.ben.clock(), clock + 1);
    pair.ends_equal();
}

#[test]
fn f5_behind_for_too_long_is_closed() {
    let mut pair = Pair::new(1);
    pair.write(3);
    pair.world.pass(Duration::from_millis(119_999));
    assert_eq!(pair.world.closed(pair.slow), None);
    pair.world.pass(Duration::from_millis(1));
    assert_eq!(pair.world.closed(pair.slow), Some(CloseCode::Later));
    assert_eq!(pair.world.closed(pair.fast), None);
}

#[test]
fn f5_who_catches_up_in_time_has_all_the_time_again() {
    let mut pair = Pair::with(1, |config| config.timing.behind_max = Duration::from_secs(12));
    for _ in 0..3 {
        pair.write(3);
        pair.world.pass(Duration::from_secs(10));
        assert!(pair.world.is_behind(pair.slow));
        pair.settle();
    }
    pair.ends_equal();
}

#[test]
fn f5_who_was_behind_is_told_in_time_that_the_server_lives() {
    let mut world = World::new();
    let mut ben = Client::new(2);
    let slow = world.join_slow(1, ROOMY);
    world.open(slow, &mut ben);
    // Its own echoes overflow its outbox, and nobody else is there to wake the document.
    for _ in 0..3 {
        world.say(slow, ben.write("x"));
        world.turn();
    }
    assert!(world.is_behind(slow));
    world.pass(Duration::from_secs(21));
    world.settle(&mut [(slow, &mut ben)]);
    let before = ben.keep_alives;
    for _ in 0..3 {
        world.pass(Duration::from_secs(20));
        world.exchange(slow, &mut ben);
    }
    assert_eq!(ben.keep_alives, before + 3);
}

#[test]
fn f5_nobody_waits_and_memory_is_bounded_while_a_session_is_behind() {
    let mut pair = Pair::new(1);
    pair.write(200);
    let taken = pair.world.pop_all(pair.slow);
    assert_eq!(taken.len(), 1);
    taken.iter().for_each(|message| drop(pair.ben.take(message)));
    assert_eq!(pair.ada.text(), pair.world.text());
    pair.world.say(pair.slow, [awareness(&[]), Bytes::from_static(&[3])]);
    assert_eq!(pair.world.pop(pair.slow), None, "nothing is sent to who is behind");
    pair.ends_equal();
}
