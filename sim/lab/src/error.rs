//! What can go wrong, each with the values that say where.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A failure of the lab itself, never of the program that runs in it.
#[derive(Debug, Error)]
pub(crate) enum LabError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot start `{tool}`: {source}")]
    Start { tool: String, source: io::Error },
    #[error("`{tool}` failed ({status}):\n{output}")]
    Tool { tool: String, status: String, output: String },
    #[error("{tool} is missing; {cure}")]
    Missing { tool: &'static str, cure: &'static str },
    #[error("this is not Debian ({system}); build the container of sim/lab/Containerfile and run sva-lab there")]
    NotDebian { system: String },
    #[error("the packages are for x86-64, this machine is {found}")]
    Processor { found: &'static str },
    #[error("the machine's apt configuration names no mirror of Debian (looked into {looked})")]
    NoMirror { looked: String },
    #[error("no suite has {what} {least} or later:\n{found}")]
    TooOld { what: &'static str, least: String, found: String },
    #[error(
        "Debian has no Linux {version} any longer, the one in the cache; `sva-lab fetch --renew` brings the newest"
    )]
    Superseded { version: String },
    #[error("the lab's own kernel is built from Linux 7.3 or later, and this kit has {release}; leave --kit out")]
    NoOwnKernel { release: String },
    #[error("the drivers that the lab builds are for Linux 7.3 or later, and this kit has {release}; leave --kit out")]
    NoDrivers { release: String },
    #[error("the kernel has no module {name}, nor is it built in (looked into {})", folder.display())]
    NoModule { name: String, folder: PathBuf },
    #[error("what modules the kernel {} has is not known here; give them with --modules", .0.display())]
    ForeignModules(PathBuf),
    #[error("`{package}` has no dependency {wanted}")]
    Metapackage { package: String, wanted: String },
    #[error("{package} holds no {file}")]
    Incomplete { package: String, file: String },
    #[error("the cache's path {} has a colon, which a library path cannot carry; choose another with --cache", .0.display())]
    Colon(PathBuf),
    #[error("there is no home and no XDG_CACHE_HOME; choose a cache with --cache")]
    NoCache,
    #[error("{} is not usable: {reason}", path.display())]
    BadFile { path: PathBuf, reason: String },
    #[error("{} needs `{library}`, which is in none of: {searched}", program.display())]
    LibraryMissing { program: PathBuf, library: String, searched: String },
    #[error("'{0}' is not UTF-8; the guest is given its command as text")]
    NotText(String),
    #[error("no user namespace can be made here: {reason}\n{cure}")]
    NoNamespace { reason: String, cure: String },
    #[error("{0}")]
    Engine(String),
    #[error("this sva-lab was built without the kernel module's sources; name them with --module")]
    NoModuleSources,
    #[error("the guest ended before the program did; its last lines:\n{console}")]
    GuestDied { console: String },
    #[error("the guest did not come up within {seconds} s; its last lines:\n{console}")]
    NotUp { seconds: u64, console: String },
    #[error("inside the guest: {0}")]
    Guest(String),
    #[error("a shell needs a terminal to talk to; for commands from a file there is --script")]
    NoTerminal,
    #[error("interrupted")]
    Interrupted,
}

impl LabError {
    /// For `map_err`: an input or output error while doing `action` to `path`.
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// For `map_err`: a tool that could not be started.
    pub(crate) fn start(tool: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let tool = tool.into();
        move |source| Self::Start { tool, source }
    }

    /// A file whose content does not do.
    pub(crate) fn bad_file(path: impl AsRef<Path>, reason: impl ToString) -> Self {
        Self::BadFile { path: path.as_ref().to_owned(), reason: reason.to_string() }
    }
}
