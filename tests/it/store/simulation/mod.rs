//! A disk that isn't there: it knows what was synced, so that it can say what a power cut leaves, and its calls fail when
//! they're told to.

mod content;
mod disk;
mod entries;
mod keys;
mod volume;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use y_mesh::store::file_system::{Access, FileHandle, FileLock, FileSystem};

pub use disk::Disk;

use crate::support::random::Random;

/// Who has this has the disk, as a running system sees it.
#[derive(Clone, Debug)]
pub struct Simulation(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    disk: Disk,
    locked: BTreeSet<PathBuf>,
    calls: Vec<Call>,
    /// The disk before each call that changes something, if they're wanted.
    moments: Vec<Disk>,
    keeps_moments: bool,
    fault: Option<Fault>,
    /// The calls that failed.
    failed: Vec<Call>,
    interlude: Interlude,
}

/// What is done while a volume of snapshots is flushed.
#[derive(Default)]
struct Interlude(Option<Box<dyn FnOnce() + Send>>);

impl Debug for Interlude {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Interlude")
    }
}

/// A call that fails.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which one: they're counted from 0.
    pub call: usize,
    pub kind: io::ErrorKind,
    /// Decides what is done all the same.
    pub seed: u64,
    /// From this call on, all those fail that take space.
    pub is_full: bool,
}

impl Fault {
    /// Whether a call fails.
    fn strikes(&self, number: usize, call: Call) -> bool {
        number == self.call || self.is_full && number > self.call && call.takes_space()
    }
}

/// What is asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Create,
    Open,
    Read,
    Write,
    SetLen,
    Sync,
    SyncDirectory,
    Rename,
    Remove,
    CreateDirectory,
    List,
    Exists,
    Lock,
    Volume,
    VolumeOpen,
    VolumeRead,
}

impl Call {
    /// Whether it changes what is on the disk, or is about what is on it.
    pub fn is_change(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::List | Self::Exists | Self::Lock | Self::VolumeRead)
    }

    /// Whether it's the volumes of snapshots that are asked.
    pub fn is_about_snapshots(self) -> bool {
        matches!(self, Self::Volume | Self::VolumeOpen | Self::VolumeRead)
    }

    fn takes_space(self) -> bool {
        matches!(self, Self::Create | Self::Write | Self::SetLen | Self::CreateDirectory | Self::Volume)
    }
}

impl Simulation {
    pub fn new(disk: Disk) -> Self {
        Self(Arc::new(Mutex::new(State { disk, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The disk as it is now.
    pub fn disk(&self) -> Disk {
        self.state().disk.clone()
    }

    /// The calls that were made.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// From now on, the disk is kept as it is before every change.
    pub fn keep_moments(&self) {
        self.state().keeps_moments = true;
    }

    /// The first of those that were kept since this was called last.
    pub fn take_moments(&self, count: usize) -> Vec<Disk> {
        let mut state = self.state();
        let moments = &mut state.moments;
        let rest = moments.split_off(count.min(moments.len()));
        std::mem::replace(moments, rest)
    }

    /// How often the disk was kept since then.
    pub fn moments(&self) -> usize {
        self.state().moments.len()
    }

    /// Has something be done when a volume of snapshots is flushed next.
    pub fn meanwhile(&self, interlude: impl FnOnce() + Send + 'static) {
        self.state().interlude.0 = Some(Box::new(interlude));
    }

    /// What waits for a flush isn't done any more.
    pub fn without_interlude(&self) {
        self.state().interlude.0 = None;
    }

    fn perform_interlude(&self) {
        let interlude = self.state().interlude.0.take();
        if let Some(interlude) = interlude {
            interlude();
        }
    }

    /// Makes a call fail.
    pub fn fail(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// From now on, no call fails.
    pub fn heal(&self) {
        let mut state = self.state();
        (state.fault, state.failed) = (None, Vec::new());
    }

    /// The calls that failed since it was healed last.
    pub fn failed(&self) -> Vec<Call> {
        self.state().failed.clone()
    }

    /// Does something, or something of it and fails.
    fn call<T>(
        &self,
        call: Call,
        work: impl FnOnce(&mut State) -> io::Result<T>,
        part: impl FnOnce(&mut State, &mut Random),
    ) -> io::Result<T> {
        let mut state = self.state();
        if state.keeps_moments && call.is_change() {
            let disk = state.disk.clone();
            state.moments.push(disk);
        }
        state.calls.push(call);
        let number = state.calls.len() - 1;
        match state.fault {
            Some(fault) if fault.strikes(number, call) => {
                state.failed.push(call);
                part(&mut state, &mut Random::new(fault.seed));
                Err(fault.kind.into())
            }
            _ => work(&mut state),
        }
    }

    fn look<T>(&self, call: Call, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.call(call, work, |_, _| {})
    }

    /// What fails is done all the same, or isn't.
    fn change<T>(&self, call: Call, work: impl Fn(&mut State) -> io::Result<T>) -> io::Result<T> {
        let part = |state: &mut State, random: &mut Random| {
            if random.percent(50) {
                let _ = work(state);
            }
        };
        self.call(call, &work, part)
    }

    fn handle(&self, file: u64) -> Arc<dyn FileHandle> {
        Arc::new(Handle { simulation: self.clone(), file })
    }
}

impl FileSystem for Simulation {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        self.change(Call::Create, |state| state.disk.create(path)).map(|file| self.handle(file))
    }

    fn open(&self, path: &Path, _: Access) -> io::Result<Arc<dyn FileHandle>> {
        self.look(Call::Open, |state| state.disk.find(path)).map(|file| self.handle(file))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.look(Call::Read, |state| {
            let file = state.disk.find(path)?;
            Ok(state.disk.bytes(file).to_vec())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Call::Rename, |state| state.disk.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(Call::Remove, |state| state.disk.remove(path))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.change(Call::CreateDirectory, |state| state.disk.create_directory(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.look(Call::List, |state| Ok(state.disk.directory(path)?.now.keys().cloned().collect()))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.look(Call::SyncDirectory, |state| {
            state.disk.directory(path)?.sync();
            Ok(())
        })
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.look(Call::Exists, |state| Ok(state.disk.exists(path)))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        self.look(Call::Lock, |state| {
            if !state.disk.exists(path) {
                state.disk.create(path)?;
            }
            let is_free = state.locked.insert(path.to_owned());
            let lock = || -> Box<dyn FileLock> { Box::new(Lock { simulation: self.clone(), path: path.to_owned() }) };
            Ok(is_free.then(lock))
        })
    }

    fn available_space(&self, _: &Path) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

#[derive(Debug)]
struct Lock {
    simulation: Simulation,
    path: PathBuf,
}

impl FileLock for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.simulation.state().locked.remove(&self.path);
    }
}

#[derive(Debug)]
struct Handle {
    simulation: Simulation,
    file: u64,
}

impl Handle {
    fn sync(&self, is_all: bool) -> io::Result<()> {
        self.simulation.call(
            Call::Sync,
            |state| {
                state.disk.file(self.file).sync(is_all);
                Ok(())
            },
            |state, random| state.disk.file(self.file).fail_to_sync(random),
        )
    }
}

impl FileHandle for Handle {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.simulation.look(Call::Read, |state| {
            let found = state.disk.bytes(self.file).get(offset as usize..).and_then(|rest| rest.get(..bytes.len()));
            bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.simulation.call(
            Call::Write,
            |state| {
                state.disk.file(self.file).write(bytes, offset as usize);
                Ok(())
            },
            |state, random| {
                state.disk.file(self.file).write(&bytes[..random.below(bytes.len() + 1)], offset as usize);
            },
        )
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.simulation.change(Call::SetLen, |state| {
            state.disk.file(self.file).set_len(len as usize);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(false)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(true)
    }
}
