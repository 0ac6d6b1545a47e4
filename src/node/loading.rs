//! How a document gets from the store into memory, and what is noted meanwhile.

use std::sync::Arc;

use super::faults::Loading;
use super::watchdog::Beat;
use super::{LoadError, Shared, drawn_client};
use crate::document::{Document, Stored};
use crate::id::{DocName, Seq};
use crate::store::faults::marks::InFlight;

impl Shared {
    /// Loads and opens a document on a thread that may block and has a large stack.
    pub(super) async fn load(self: &Arc<Self>, name: DocName) -> Result<(Document, Seq), LoadError> {
        let shared = self.clone();
        let loading = self.blocking.spawn_blocking(move || shared.load_marked(&name));
        loading.await.map_err(|_| LoadError::Panicked)?
    }

    /// Under a mark: should it end the process, that's known at the next start.
    fn load_marked(&self, name: &DocName) -> Result<(Document, Seq), LoadError> {
        match self.faults.loading(name) {
            Loading::Refused(path) => Err(LoadError::Quarantined(path)),
            Loading::Freely => {
                let _mark = self.faults.mark(&InFlight::Load(name.clone()));
                let stored = self.stored(name)?;
                let _together = self.faults.together();
                self.opened(name, &stored)
            }
            Loading::Alone => self.load_alone(name),
        }
    }

    /// The process ended while it was loaded: now nobody else uses yrs meanwhile.
    fn load_alone(&self, name: &DocName) -> Result<(Document, Seq), LoadError> {
        tracing::warn!(document = %name, "a document that was being loaded when the process ended is loaded alone");
        let _alone = self.faults.alone();
        self.faults.begin_load_alone(name, self.clock.now().wall);
        let opened = self.stored(name).and_then(|stored| self.opened(name, &stored));
        // Whether it can be loaded or not, it didn't end the process.
        self.faults.acquit_document(name);
        self.metrics.suspects.set(self.faults.suspected() as i64);
        opened
    }

    fn stored(&self, name: &DocName) -> Result<Stored, LoadError> {
        let mut stored = self.store.load(name)?;
        stored.durability.get_or_insert(self.durability);
        Ok(stored)
    }

    fn opened(&self, name: &DocName, stored: &Stored) -> Result<(Document, Seq), LoadError> {
        let beat = Beat::of(name.clone());
        self.faults.watched.add(&beat);
        let _busy = beat.begin(None);
        if let Some(planted) = self.planted {
            stored.tail.iter().for_each(|(_, record)| planted(&record.update));
        }
        let mut document = Document::open(stored, drawn_client(), self.config.clone(), self.clock.now())?;
        document.plant(self.planted);
        Ok((document, stored.last_seq()))
    }
}
