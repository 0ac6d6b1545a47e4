//! What is asked of the disk, and what of it fails.

use std::io;

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
    pub fn strikes(&self, number: usize, call: Call) -> bool {
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
    VolumeRemove,
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
