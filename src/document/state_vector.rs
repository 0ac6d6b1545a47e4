//! State vectors: how much of each client's work somebody has.

use std::collections::BTreeMap;

use crate::id::{ClientId, Clock};
use crate::wire::Malformed;
use crate::wire::lib0::{Reader, write_var_uint};

/// For each client, one more than the last clock. Encoded as varUint(n), then n times varUint(client) varUint(clock).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateVector(BTreeMap<ClientId, Clock>);

impl StateVector {
    /// Reads one; nothing may follow it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut clocks = BTreeMap::new();
        for _ in 0..reader.count(2)? {
            let client = ClientId(reader.var_uint()?);
            clocks.insert(client, reader.var_u32()?);
        }
        if reader.is_empty() { Ok(Self(clocks)) } else { Err(reader.fail("bytes follow the state vector")) }
    }

    /// The bytes, with the clients in order, so that equal vectors have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + self.0.len() * 8);
        write_var_uint(&mut out, self.0.len() as u64);
        for (client, clock) in &self.0 {
            write_var_uint(&mut out, client.0);
            write_var_uint(&mut out, u64::from(*clock));
        }
        out
    }

    /// How much there is of a client's work.
    pub fn get(&self, client: ClientId) -> Clock {
        self.0.get(&client).copied().unwrap_or(0)
    }

    /// There is at least so much of a client's work.
    pub fn raise(&mut self, client: ClientId, clock: Clock) {
        if clock > 0 {
            let known = self.0.entry(client).or_default();
            *known = (*known).max(clock);
        }
    }

    /// There is at most so much of a client's work.
    pub fn lower(&mut self, client: ClientId, clock: Clock) {
        if self.get(client) > clock {
            if clock == 0 {
                self.0.remove(&client)
            } else {
                self.0.insert(client, clock)
            };
        }
    }

    /// What is both here and there.
    #[must_use]
    pub fn within(&self, there: &Self) -> Self {
        let both = self.0.iter().map(|(client, clock)| (*client, (*clock).min(there.get(*client))));
        Self(both.filter(|(_, clock)| *clock > 0).collect())
    }

    /// Whether all of `other` is there.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(client, clock)| self.get(*client) >= *clock)
    }

    /// For how many clients there is work.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody's work is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All clients and their clocks, in order.
    pub fn iter(&self) -> impl Iterator<Item = (ClientId, Clock)> + '_ {
        self.0.iter().map(|(client, clock)| (*client, *clock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_vector_survives_a_round_trip() {
        let mut vector = StateVector::default();
        vector.raise(ClientId(9), 300);
        vector.raise(ClientId(1 << 52), 1);
        assert_eq!(StateVector::decode(&vector.encode()), Ok(vector));
        assert_eq!(StateVector::default().encode(), [0]);
    }

    #[test]
    fn w4_a_state_vector_with_a_false_count_is_malformed() {
        assert!(StateVector::decode(&[200, 1, 1, 1]).is_err());
        assert!(StateVector::decode(&[1, 1, 1, 1]).is_err());
    }
}
