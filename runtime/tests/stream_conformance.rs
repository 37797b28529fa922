//! The suite's tests of streams on a device whose streams are another library's: they ask for nothing that a good device does not do.

mod journal;

use std::sync::Arc;

use journal::{JOURNAL, Journal};
use uaccel_conformance::{Backend, conformance};
use uaccel_queue::{Bus, Driver};

struct Journaled(Journal);

impl Backend for Journaled {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.0.clone())
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.0.clone())
    }

    fn device(&self) -> String {
        JOURNAL.to_owned()
    }
}

conformance!(streams_by_another_library, Journaled(Journal::default()));
