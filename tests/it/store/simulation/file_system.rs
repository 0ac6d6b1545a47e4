//! Files on the disk that isn't there.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use y_mesh::store::file_system::{Access, FileHandle, FileLock, FileSystem};

use super::{Call, Simulation};

impl Simulation {
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
