//! All that is on a disk: directories, files, and the volumes of snapshots.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::content::Content;
use super::entries::{Entries, Entry};
use super::keys::Keys;
use crate::support::random::Random;

/// A clone shares what isn't changed.
#[derive(Clone, Debug)]
pub struct Disk {
    directories: BTreeMap<PathBuf, Arc<Entries>>,
    files: BTreeMap<u64, Arc<Content>>,
    pub volumes: BTreeMap<u32, Arc<Keys>>,
}

impl Default for Disk {
    fn default() -> Self {
        let directories = BTreeMap::from([(PathBuf::from("/"), Arc::default())]);
        Self { directories, files: BTreeMap::new(), volumes: BTreeMap::new() }
    }
}

impl Disk {
    /// What may be there after a power cut.
    pub fn after_cut(&self, random: &mut Random) -> Self {
        let mut directories: BTreeMap<PathBuf, Arc<Entries>> = BTreeMap::new();
        for (path, entries) in &self.directories {
            let is_named = path.parent().is_none_or(|parent| {
                let name = path.file_name().unwrap_or_default();
                directories.get(parent).is_some_and(|entries| entries.now.contains_key(name))
            });
            if is_named {
                directories.insert(path.clone(), Arc::new(entries.after_cut(random)));
            }
        }
        let names = directories.values().flat_map(|entries| entries.now.values());
        let files = names.filter_map(|entry| if let Entry::File(file) = entry { Some(*file) } else { None });
        let files = files.map(|file| (file, Arc::new(self.files[&file].after_cut(random)))).collect();
        let volumes = self.volumes.iter().map(|(number, keys)| (*number, Arc::new(keys.after_cut(random)))).collect();
        Self { directories, files, volumes }
    }

    /// The disk without the files of this ending.
    pub fn without(&self, ending: &str) -> Self {
        let mut disk = self.clone();
        for entries in disk.directories.values_mut().map(Arc::make_mut) {
            let names: Vec<_> =
                entries.now.keys().filter(|name| name.to_string_lossy().ends_with(ending)).cloned().collect();
            names.iter().for_each(|name| entries.remove(name));
        }
        disk
    }

    /// What is in a directory, for who looks now.
    pub fn directory(&mut self, path: &Path) -> io::Result<&mut Entries> {
        self.directories.get_mut(path).map(Arc::make_mut).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether there's something of this name.
    pub fn exists(&self, path: &Path) -> bool {
        let (directory, name) = split(path);
        let is_named = |entries: &Arc<Entries>| entries.now.contains_key(name);
        self.directories.contains_key(path) || self.directories.get(directory).is_some_and(is_named)
    }

    /// The file of this name.
    pub fn find(&self, path: &Path) -> io::Result<u64> {
        let (directory, name) = split(path);
        match self.directories.get(directory).and_then(|entries| entries.now.get(name)) {
            Some(Entry::File(file)) => Ok(*file),
            Some(Entry::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub fn file(&mut self, file: u64) -> &mut Content {
        Arc::make_mut(self.files.entry(file).or_default())
    }

    /// What a reader sees of it.
    pub fn bytes(&self, file: u64) -> &[u8] {
        self.files.get(&file).map_or(&[], |content| &content.now)
    }

    pub fn create(&mut self, path: &Path) -> io::Result<u64> {
        if let Ok(file) = self.find(path) {
            self.file(file).set_len(0);
            return Ok(file);
        }
        let (directory, name) = split(path);
        let file = self.files.last_key_value().map_or(1, |(last, _)| last + 1);
        self.directory(directory)?.put(name, Entry::File(file));
        self.files.insert(file, Arc::default());
        Ok(file)
    }

    pub fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        if self.exists(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (directory, name) = split(path);
        self.directory(directory)?.put(name, Entry::Directory);
        self.directories.insert(path.to_owned(), Arc::default());
        Ok(())
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        let (directory, name) = split(path);
        self.directory(directory)?.remove(name);
        Ok(())
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.find(from)?;
        let ((directory, from), (other, to)) = (split(from), split(to));
        assert_eq!(directory, other, "a file stays in its directory");
        self.directory(directory)?.rename(from, to, Entry::File(file));
        Ok(())
    }
}

fn split(path: &Path) -> (&Path, &OsStr) {
    (path.parent().unwrap_or(path), path.file_name().unwrap_or_default())
}
