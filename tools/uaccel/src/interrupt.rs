//! Ctrl-C: the first ends the measurement, the second the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::INTERRUPTED;

/// Whether somebody has asked to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// One that Ctrl-C (and a request to terminate) sets. At the second one the process ends at once.
    #[must_use]
    pub fn on_signal() -> Self {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        // It fails if there is a handler already, or none can be had: then the signal ends the process, as it always did.
        let _ = ctrlc::set_handler(move || {
            if flag.is_set() {
                std::process::exit(i32::from(INTERRUPTED));
            }
            flag.set();
        });
        interrupt
    }

    /// Asks to stop.
    pub fn set(&self) {
        // Relaxed: nothing else is passed on with it.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked to stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
