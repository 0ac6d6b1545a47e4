//! What honest clients send: where hostile updates begin.

use y_mesh::wire::sync::{Frame, Frames};

use super::support::client::Client;
use super::support::random::Random;

/// Updates of two who edit together, in an order in which each stands on those before it.
pub fn sequence(random: &mut Random) -> Vec<Vec<u8>> {
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
