//! A bar on the terminal while something is measured.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar on standard error; nothing at all where that is no terminal.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar of so many steps, if it is wanted and standard error is a terminal.
    #[must_use]
    pub fn new(steps: usize, wanted: bool) -> Self {
        if !wanted || !io::stderr().is_terminal() {
            return Self::none();
        }
        let bar = ProgressBar::new(steps as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// No bar.
    #[must_use]
    pub fn none() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Says what is being done.
    pub fn begin(&self, what: String) {
        self.0.set_message(what);
    }

    /// One step is done.
    pub fn step(&self) {
        self.0.inc(1);
    }

    /// Takes the bar away while `write` writes to what may be the same terminal.
    pub fn aside<R>(&self, write: impl FnOnce() -> R) -> R {
        self.0.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
