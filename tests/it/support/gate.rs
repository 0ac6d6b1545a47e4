//! A store that holds appends back until it's told to let them go.

use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::watch;
use y_mesh::{Durability, StoreError};

use super::watched::{Call, Watched};

/// Clones are the same gate. It's shut at first.
#[derive(Clone)]
pub struct Gate {
    verdict: Arc<(Mutex<Option<Verdict>>, Condvar)>,
    held: Arc<watch::Sender<bool>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Go,
    Fail,
}

impl Gate {
    pub fn shut() -> Self {
        Self { verdict: Arc::default(), held: Arc::new(watch::channel(false).0) }
    }

    /// The store behind it. It says that what it has outlives a kill.
    pub fn store(&self) -> Watched {
        let gate = self.clone();
        let look = move |call: Call<'_>| if call == Call::Append { gate.pass() } else { Ok(()) };
        Watched::new(look).with_durability(Durability::Local)
    }

    fn pass(&self) -> Result<(), StoreError> {
        self.held.send_replace(true);
        let (verdict, changed) = &*self.verdict;
        let verdict = changed.wait_while(verdict.lock().unwrap(), |verdict| verdict.is_none()).unwrap();
        match *verdict {
            Some(Verdict::Fail) => Err(std::io::Error::other("the disk is gone").into()),
            _ => Ok(()),
        }
    }

    /// Waits until an append is held back.
    pub async fn holds(&self) {
        self.held.subscribe().wait_for(|held| *held).await.unwrap();
    }

    pub fn open(&self) {
        self.say(Verdict::Go);
    }

    /// All that is held back fails.
    pub fn fail(&self) {
        self.say(Verdict::Fail);
    }

    fn say(&self, verdict: Verdict) {
        *self.verdict.0.lock().unwrap() = Some(verdict);
        self.verdict.1.notify_all();
    }
}
