//! What the user sees while waiting: one line per step, with a bar on a terminal.

use std::fs;
use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// How often a bar looks at the folder that fills up.
const LOOK: Duration = Duration::from_millis(200);

/// Says what is going on, on the error output, so that the program's own output stays clean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    speaks: bool,
    terminal: bool,
}

impl Progress {
    /// On the error output.
    pub(crate) fn new() -> Self {
        Self { speaks: true, terminal: stderr().is_terminal() }
    }

    /// Nothing at all.
    pub(crate) fn silent() -> Self {
        Self { speaks: false, terminal: false }
    }

    /// One line.
    pub(crate) fn say(&self, line: &str) {
        if self.speaks {
            eprintln!("sva-lab: {line}");
        }
    }

    /// One line that is said even if nothing else is.
    pub(crate) fn warn(&self, line: &str) {
        eprintln!("sva-lab: {line}");
    }

    /// A step, said before and after, the latter with how long it took.
    pub(crate) fn step<T, E>(&self, what: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let begun = Instant::now();
        let spinner = self.terminal.then(|| {
            let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
            spinner.enable_steady_tick(LOOK);
            spinner
        });
        let result = work();
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        if result.is_ok() {
            self.say(&format!("{what}: {:.1} s", begun.elapsed().as_secs_f64()));
        }
        result
    }

    /// As [`Progress::step`], for long work of some `total` pieces: it calls what it is given for each piece that is done.
    pub(crate) fn pieces<T, E>(
        &self,
        what: &str,
        total: u64,
        work: impl FnOnce(&mut dyn FnMut()) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let bar = if self.terminal { ProgressBar::new(total) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos} of some {len}, {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        let mut done = 0;
        let result = work(&mut || {
            done += 1;
            bar.inc(1);
            // Without a terminal: what shows in a log that it goes on.
            if !self.terminal && done * 10 / total > (done - 1) * 10 / total {
                self.say(&format!("{what}: {done} of some {total}, {:.0} s", begun.elapsed().as_secs_f64()));
            }
        });
        bar.finish_and_clear();
        if result.is_ok() {
            self.say(&format!("{what}: {:.1} s", begun.elapsed().as_secs_f64()));
        }
        result
    }

    /// As [`Progress::step`], for a download of `total` bytes into the folders `into`.
    pub(crate) fn download<T, E>(
        &self,
        what: &str,
        total: u64,
        into: &[&Path],
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let what = format!("{what}, {}", HumanBytes(total));
        if !self.terminal {
            return self.step(&what, work);
        }
        let begun = Instant::now();
        let bar = ProgressBar::new(total).with_message(what.clone());
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}, {bytes_per_sec}") {
            bar.set_style(style);
        }
        let folders: Vec<PathBuf> = into.iter().map(|&folder| folder.to_owned()).collect();
        let before = size(&folders);
        let (done, ends) = channel::<()>();
        let result = thread::scope(|scope| {
            let shown = &bar;
            scope.spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = ends.recv_timeout(LOOK) {
                    shown.set_position(size(&folders).saturating_sub(before));
                }
            });
            let result = work();
            drop(done);
            result
        });
        bar.finish_and_clear();
        if result.is_ok() {
            self.say(&format!("{what}: {:.1} s", begun.elapsed().as_secs_f64()));
        }
        result
    }
}

/// The bytes of the files in `folders`, not deeper.
fn size(folders: &[PathBuf]) -> u64 {
    folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().filter_map(|entry| entry.metadata().ok()))
        .filter(fs::Metadata::is_file)
        .map(|data| data.len())
        .sum()
}
