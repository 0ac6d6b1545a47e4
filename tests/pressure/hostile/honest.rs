//! What honest clients send: where hostile updates begin.

use std::sync::OnceLock;

use y_mesh::wire::sync::{Frame, Frames};

use super::support::client::Client;
use super::support::corpus::{self, Scenario};
use super::support::random::Random;

/// Of a recorded history, so many updates at most: documents are to stay small.
const UPDATES_MAX: usize = 16;
/// Larger ones are left out for the same reason.
const BYTES_MAX: usize = 1_000;

/// Updates in an order in which each stands on those before it.
pub fn sequence(random: &mut Random) -> Vec<Vec<u8>> {
    if random.percent(50) { recorded(random) } else { made(random) }
}

/// The beginning of something that real clients sent.
fn recorded(random: &mut Random) -> Vec<Vec<u8>> {
    static CORPUS: OnceLock<Vec<Scenario>> = OnceLock::new();
    let corpus = CORPUS.get_or_init(corpus::all);
    let scenario = &corpus[random.below(corpus.len())];
    let small = scenario.updates.iter().take_while(|(_, update)| update.len() <= BYTES_MAX);
    small.take(UPDATES_MAX).map(|(_, update)| update.to_vec()).collect()
}

/// Updates of two who edit together.
fn made(random: &mut Random) -> Vec<Vec<u8>> {
    let mut people = [Client::new(1), Client::new(2)];
    let mut updates = Vec::new();
    for _ in 0..3 + random.below(8) {
        let who = random.below(2);
        let messages = people[who].edit_randomly(random);
        for message in &messages {
            updates.extend(Frames::of(message).map_while(Result::ok).filter_map(update));
            // The other one doesn't always see it before it edits, and then sees nothing more of it.
            if random.percent(80) && !people[1 - who].is_missing_something() {
                people[1 - who].take(message);
            }
        }
    }
    updates
}

fn update(frame: Frame<'_>) -> Option<Vec<u8>> {
    match frame {
        Frame::Update(update) => Some(update.to_vec()),
        _ => None,
    }
}
