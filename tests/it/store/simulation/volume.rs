//! Volumes of snapshots on the disk that isn't there.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use y_mesh::store::disk::{Volume, VolumeError, Volumes};

use super::keys::Keys;
use super::{Call, Simulation};

impl Volumes for Simulation {
    fn numbers(&self) -> io::Result<Vec<u32>> {
        self.look(Call::VolumeRead, |state| Ok(state.disk.volumes.keys().copied().collect()))
    }

    fn open(&self, number: u32) -> Result<Arc<dyn Volume>, VolumeError> {
        self.change(Call::VolumeOpen, |state| {
            state.disk.volumes.entry(number).or_default();
            Ok(())
        })?;
        Ok(Arc::new(Open { simulation: self.clone(), number }))
    }

    fn remove(&self, number: u32) -> io::Result<()> {
        self.change(Call::VolumeRemove, |state| {
            state.disk.volumes.remove(&number);
            Ok(())
        })
    }
}

struct Open {
    simulation: Simulation,
    number: u32,
}

impl Open {
    fn change(&self, work: impl Fn(&mut Keys)) -> Result<(), VolumeError> {
        Ok(self.simulation.change(Call::Volume, |state| {
            work(Arc::make_mut(state.disk.volumes.get_mut(&self.number).ok_or(io::ErrorKind::NotFound)?));
            Ok(())
        })?)
    }

    fn look<T>(&self, work: impl FnOnce(&Keys) -> T) -> io::Result<T> {
        self.simulation.look(Call::VolumeRead, |state| {
            let keys = state.disk.volumes.get(&self.number).ok_or(io::ErrorKind::NotFound)?;
            Ok(work(keys))
        })
    }
}

impl Volume for Open {
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), VolumeError> {
        self.change(|keys| keys.insert(key, value))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, VolumeError> {
        Ok(self.look(|keys| keys.now.get(key).cloned())?)
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.simulation.perform_interlude();
        self.change(Keys::flush)
    }

    fn bytes(&self) -> io::Result<u64> {
        let bytes = |keys: &Keys| keys.now.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() as u64;
        self.look(bytes)
    }
}
