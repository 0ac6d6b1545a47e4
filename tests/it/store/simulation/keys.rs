//! What a volume of snapshots holds: for who reads it, and on the disk.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::support::random::Random;

type Values = BTreeMap<Vec<u8>, Bytes>;

#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// What a reader sees.
    pub now: Values,
    durable: Values,
    /// The keys that were inserted since.
    dirty: Vec<Vec<u8>>,
}

impl Keys {
    pub fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.now.insert(key.to_vec(), Bytes::copy_from_slice(value));
        self.dirty.push(key.to_vec());
    }

    pub fn flush(&mut self) {
        self.dirty.clear();
        self.durable = self.now.clone();
    }

    /// What may be there after a power cut: what was inserted is there or isn't, or is damaged.
    pub fn after_cut(&self, random: &mut Random) -> Self {
        let chance = random.pick(&[0, 20, 50, 80, 100]);
        let mut values = self.durable.clone();
        for key in &self.dirty {
            if random.percent(chance) {
                let value = &self.now[key];
                let damaged = || value.iter().map(|byte| byte ^ 1).collect();
                values.insert(key.clone(), if random.percent(80) { value.clone() } else { damaged() });
            }
        }
        Self { now: values.clone(), durable: values, dirty: Vec::new() }
    }
}
