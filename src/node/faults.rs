//! What the node knows of faults: what is in flight, what is suspected, what is never taken again; and who may use yrs when.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::hashes::Hashes;
use super::watchdog::{InHand, Watched};
use crate::config::Limits;
use crate::document::WallTime;
use crate::id::{DocName, Identity, MessageHash};
use crate::store::faults::Folder;
use crate::store::faults::marks::{self, InFlight, Mark, Marks};
use crate::store::faults::quarantine::{Quarantine, Quarantined, Room};
use crate::store::faults::suspects::Suspects;
use crate::store::{Store, StoreError};

/// Held by whoever uses yrs: together with others, or alone, so that what ends the process then is surely to blame.
pub(crate) type Turnstile = Arc<RwLock<()>>;

pub(crate) struct Faults {
    turnstile: Turnstile,
    kept: Option<Kept>,
    suspects: Mutex<Suspects>,
    has_suspects: AtomicBool,
    refused: Mutex<Refused>,
    refused_count: AtomicUsize,
    cannot_mark: AtomicBool,
    frames_max: usize,
    pub watched: Arc<Watched>,
}

/// What outlives the process.
struct Kept {
    folder: Folder,
    marks: Arc<Marks>,
    quarantine: Quarantine,
}

/// Hashes of what is never taken again; of more than there's room for, the oldest are forgotten.
#[derive(Debug)]
struct Refused {
    hashes: BTreeSet<MessageHash>,
    order: VecDeque<MessageHash>,
    max: usize,
}

impl Refused {
    fn add(&mut self, hash: MessageHash) {
        if self.max > 0 && self.hashes.insert(hash) {
            self.order.push_back(hash);
        }
        while self.order.len() > self.max {
            if let Some(oldest) = self.order.pop_front() {
                self.hashes.remove(&oldest);
            }
        }
    }
}

/// How a document may be loaded.
#[derive(Debug)]
pub(crate) enum Loading {
    /// Like any other.
    Freely,
    /// The process ended while it was loaded: nobody else may use yrs meanwhile.
    Alone,
    /// Not at all, until somebody removes this file.
    Refused(PathBuf),
}

impl Faults {
    /// Reads what the process before has left, and begins anew.
    pub fn open(store: &dyn Store, limits: &Limits) -> Result<Self, StoreError> {
        let refused = Refused { hashes: BTreeSet::new(), order: VecDeque::new(), max: limits.refused_max };
        let faults = Self {
            turnstile: Arc::default(),
            kept: None,
            suspects: Mutex::default(),
            has_suspects: AtomicBool::new(false),
            refused: Mutex::new(refused),
            refused_count: AtomicUsize::new(0),
            cannot_mark: AtomicBool::new(false),
            frames_max: limits.message_frames_max,
            watched: Arc::default(),
        };
        match store.folder() {
            Some(folder) => faults.with_kept(folder, limits),
            None => Ok(faults),
        }
    }

    fn with_kept(mut self, folder: Folder, limits: &Limits) -> Result<Self, StoreError> {
        let room = Room { files_max: limits.quarantine_files_max, bytes_max: limits.quarantine_bytes_max };
        let (quarantine, hashes) = Quarantine::open(&folder, room)?;
        hashes.into_iter().for_each(|hash| self.refuse(hash));
        let mut suspects = Suspects::read(&folder)?;
        for what in marks::found(&folder)? {
            match what {
                InFlight::Messages { document, hashes } => {
                    tracing::warn!(%document, messages = hashes.len(), "the process ended while these were in flight");
                    hashes.into_iter().for_each(|hash| suspects.add(hash));
                }
                InFlight::Load(document) => {
                    tracing::warn!(%document, "the process ended while this was loaded");
                    suspects.documents.insert(document);
                }
            }
        }
        // What ended the process while it was applied alone lies in the quarantine already.
        suspects.messages.retain(|hash| !self.holds_refused(*hash));
        suspects.documents.retain(|name| !quarantine.holds_document(name));
        suspects.write(&folder, true)?;
        let marks = Marks::create(&folder)?;
        self.note(&suspects);
        self.suspects = Mutex::new(suspects);
        self.kept = Some(Kept { folder, marks, quarantine });
        Ok(self)
    }

    fn suspects(&self) -> MutexGuard<'_, Suspects> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, suspects: &Suspects) {
        self.has_suspects.store(!suspects.messages.is_empty() || !suspects.documents.is_empty(), Ordering::Release);
    }

    /// How many messages and documents are suspected.
    pub fn suspected(&self) -> usize {
        let suspects = self.suspects();
        suspects.messages.len() + suspects.documents.len()
    }

    pub fn turnstile(&self) -> Turnstile {
        self.turnstile.clone()
    }

    /// Lets yrs be used, beside others. Nothing is awaited while this is held.
    pub fn together(&self) -> RwLockReadGuard<'_, ()> {
        self.turnstile.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets yrs be used while nobody else does.
    pub fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.turnstile.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something is in flight, until what is given back is dropped.
    pub fn mark(&self, what: &InFlight) -> Option<Mark> {
        match self.kept.as_ref()?.marks.set(what) {
            Ok(mark) => Some(mark),
            Err(error) => {
                // Once is enough: whatever the reason, it would be told with every turn.
                if !self.cannot_mark.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "what is in flight can't be marked; a crash will not be known for what it is");
                }
                None
            }
        }
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, what has this hash isn't taken.
    pub fn refuse(&self, hash: MessageHash) {
        let mut refused = self.refused();
        refused.add(hash);
        self.refused_count.store(refused.hashes.len(), Ordering::Release);
    }

    fn holds_refused(&self, hash: MessageHash) -> bool {
        self.refused().hashes.contains(&hash)
    }

    /// Whether a message, or one of its updates, is never to be taken.
    pub fn refuses(&self, hashes: &Hashes) -> bool {
        self.refused_count.load(Ordering::Acquire) > 0 && {
            let refused = self.refused();
            hashes.all().any(|hash| refused.hashes.contains(&hash))
        }
    }

    /// Whether a message was in flight when the process ended.
    pub fn suspects_message(&self, hash: MessageHash) -> bool {
        self.has_suspects.load(Ordering::Acquire) && self.suspects().messages.contains(&hash)
    }

    /// How a document may be loaded.
    pub fn loading(&self, name: &DocName) -> Loading {
        if let Some(kept) = self.kept.as_ref().filter(|kept| kept.quarantine.holds_document(name)) {
            return Loading::Refused(kept.quarantine.path_of_document(name));
        }
        let is_suspect = self.has_suspects.load(Ordering::Acquire) && self.suspects().documents.contains(name);
        if is_suspect { Loading::Alone } else { Loading::Freely }
    }

    /// A message that yrs has failed over: it's kept, and refused from now on if it would change something. Says whether it would.
    pub fn quarantine(&self, document: &DocName, it: &InHand, at: WallTime, why: &str) -> bool {
        let hash = Hashes::of(&it.message, self.frames_max).map(|hashes| hashes.whole);
        if let Some(hash) = hash {
            self.refuse(hash);
            self.clear(|suspects| suspects.messages.retain(|suspect| *suspect != hash));
        }
        self.keep(hash.unwrap_or_else(|| Hashes::of_bytes(&it.message)), document, it, at, why);
        hash.is_some()
    }

    /// Before a suspect is applied alone: if the process ends over it, it's in the quarantine already.
    pub fn begin_alone(&self, document: &DocName, it: &InHand, hash: MessageHash, at: WallTime) {
        self.keep(hash, document, it, at, "the process ended twice while it was applied, the second time alone");
    }

    /// The hashes of a message, if anybody asks for them and it would change something.
    pub fn hashes(&self, message: &[u8]) -> Option<Hashes> {
        let is_asked_for = self.kept.is_some() || self.refused_count.load(Ordering::Acquire) > 0;
        is_asked_for.then(|| Hashes::of(message, self.frames_max)).flatten()
    }

    /// A message whose only update is one that nobody ever takes: the next time, its hash is enough.
    pub fn remember(&self, message: &[u8]) {
        if let Some(hashes) = Hashes::of(message, self.frames_max).filter(|hashes| hashes.each.is_empty()) {
            self.refuse(hashes.whole);
        }
    }

    fn keep(&self, hash: MessageHash, document: &DocName, it: &InHand, at: WallTime, why: &str) {
        let Some(kept) = &self.kept else { return };
        let file = Quarantined {
            at,
            document: document.clone(),
            identity: it.identity.clone(),
            why: why.to_owned(),
            message: Some(it.message.clone()),
        };
        match kept.quarantine.put_message(hash, &file) {
            Ok(()) => {}
            Err(error) => {
                let path = kept.quarantine.path_of_message(hash);
                tracing::error!(%error, path = %path.display(), "a message can't be kept in the quarantine");
            }
        }
    }

    /// A suspect was applied alone, and nothing happened.
    pub fn acquit(&self, hash: MessageHash) {
        self.lift(|quarantine| quarantine.remove_message(hash));
        self.clear(|suspects| suspects.messages.retain(|suspect| *suspect != hash));
    }

    /// Before a suspected document is loaded alone.
    pub fn begin_load_alone(&self, name: &DocName, at: WallTime) {
        let Some(kept) = &self.kept else { return };
        let file = Quarantined {
            at,
            document: name.clone(),
            identity: Identity::anonymous(),
            why: "the process ended twice while it was loaded, the second time alone".into(),
            message: None,
        };
        if let Err(error) = kept.quarantine.put_document(&file) {
            tracing::error!(document = %name, %error, "a suspected document can't be marked before it's loaded");
        }
    }

    /// A suspected document was loaded, and the process goes on.
    pub fn acquit_document(&self, name: &DocName) {
        self.lift(|quarantine| quarantine.remove_document(name));
        self.clear(|suspects| suspects.documents.retain(|suspect| suspect != name));
    }

    fn clear(&self, change: impl FnOnce(&mut Suspects)) {
        if !self.has_suspects.load(Ordering::Acquire) {
            return;
        }
        let mut suspects = self.suspects();
        let before = suspects.clone();
        change(&mut suspects);
        self.note(&suspects);
        if let Some(kept) = self.kept.as_ref().filter(|_| *suspects != before)
            && let Err(error) = suspects.write(&kept.folder, false)
        {
            tracing::warn!(%error, "who isn't suspected any more can't be kept; they're suspected again at the next start");
        }
    }

    fn lift(&self, lift: impl FnOnce(&Quarantine) -> io::Result<()>) {
        if let Some(Err(error)) = self.kept.as_ref().map(|kept| lift(&kept.quarantine)) {
            tracing::error!(%error, "what is innocent can't be let out of the quarantine; it's refused at the next start");
        }
    }
}
