//! What a machine said, written down.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::daemon_socket::DaemonSocket;
use crate::node::Node;
use crate::tree::{Gap, Keep, Tree};

/// The only version of recordings there is.
pub const VERSION: u32 = 1;

/// Everything that an examination asked of a machine, with the answers; to be mailed, kept as a test, or examined elsewhere.
///
/// It holds what was looked at and nothing else: no names of machines or people, no serial numbers, and of long files
/// the lines that matter. What was not asked for is taken as absent when it is examined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// [`VERSION`].
    pub version: u32,
    /// Which machine it is of, and how it came about.
    pub origin: String,
    /// What files held, as far as it was let through.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The names in folders.
    #[serde(default)]
    pub folders: BTreeMap<String, Vec<String>>,
    /// Where symbolic links lead to.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Who may open nodes.
    #[serde(default)]
    pub nodes: BTreeMap<String, Node>,
    /// Nodes that were opened, with what came of it: `ok`, or the name of the error.
    #[serde(default)]
    pub opened: BTreeMap<String, String>,
    /// The socket of `uaccel-devd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<DaemonSocket>,
    /// What is there and would not speak.
    #[serde(default)]
    pub gaps: BTreeMap<String, Gap>,
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// It is no recording.
    #[error("no recording: {0}")]
    Syntax(#[from] serde_json::Error),
    /// It was made by a later version.
    #[error("a recording of version {0}; this program reads version {VERSION}")]
    Version(u32),
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// If it is none, or one of another version.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let recording: Self = serde_json::from_str(text)?;
        if recording.version != VERSION {
            return Err(RecordingError::Version(recording.version));
        }
        Ok(recording)
    }

    /// The answer, or why there is none.
    fn answer<T>(&self, path: &str, answer: Option<T>) -> Result<T, Gap> {
        answer.ok_or_else(|| self.gaps.get(path).cloned().unwrap_or(Gap::Absent))
    }
}

impl Tree for Recording {
    fn read(&self, path: &str, _keep: Keep) -> Result<Vec<u8>, Gap> {
        // It went through `keep` when it was written down.
        self.answer(path, self.files.get(path).map(|text| text.clone().into_bytes()))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Gap> {
        self.answer(path, self.folders.get(path).cloned())
    }

    fn link(&self, path: &str) -> Result<String, Gap> {
        self.answer(path, self.links.get(path).cloned())
    }

    fn node(&self, path: &str) -> Result<Node, Gap> {
        self.answer(path, self.nodes.get(path).cloned())
    }

    fn open(&self, path: &str) -> Result<(), Gap> {
        match self.opened.get(path).map(String::as_str) {
            Some("ok") => Ok(()),
            Some("denied") => Err(Gap::Denied),
            Some(error) => Err(Gap::Failed(error.to_owned())),
            None => Err(Gap::Absent),
        }
    }

    fn daemon(&self, _ask: bool) -> Option<DaemonSocket> {
        self.daemon.clone()
    }
}

/// A tree that writes down what it answers.
#[derive(Debug)]
pub struct Recorder<T> {
    tree: T,
    recording: RefCell<Recording>,
}

impl<T: Tree> Recorder<T> {
    /// Writes down what `tree` answers from now on.
    pub fn new(tree: T, origin: String) -> Self {
        let recording = Recording { version: VERSION, origin, ..Recording::default() };
        Self { tree, recording: RefCell::new(recording) }
    }

    /// What was asked and answered until now.
    pub fn into_recording(self) -> Recording {
        self.recording.into_inner()
    }

    fn note<A>(&self, path: &str, answer: Result<A, Gap>, note: impl FnOnce(&mut Recording, &A)) -> Result<A, Gap> {
        let mut recording = self.recording.borrow_mut();
        match &answer {
            Ok(answer) => note(&mut recording, answer),
            // What is missing in a recording is absent.
            Err(Gap::Absent) => {}
            Err(gap) => {
                recording.gaps.insert(path.to_owned(), gap.clone());
            }
        }
        answer
    }
}

impl<T: Tree> Tree for Recorder<T> {
    fn read(&self, path: &str, keep: Keep) -> Result<Vec<u8>, Gap> {
        self.note(path, self.tree.read(path, keep), |recording, bytes| {
            recording.files.insert(path.to_owned(), String::from_utf8_lossy(bytes).into_owned());
        })
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Gap> {
        self.note(path, self.tree.list(path), |recording, names| {
            recording.folders.insert(path.to_owned(), names.clone());
        })
    }

    fn link(&self, path: &str) -> Result<String, Gap> {
        self.note(path, self.tree.link(path), |recording, target| {
            recording.links.insert(path.to_owned(), target.clone());
        })
    }

    fn node(&self, path: &str) -> Result<Node, Gap> {
        self.note(path, self.tree.node(path), |recording, node| {
            recording.nodes.insert(path.to_owned(), node.clone());
        })
    }

    fn open(&self, path: &str) -> Result<(), Gap> {
        let answer = self.tree.open(path);
        let word = match &answer {
            Ok(()) => "ok".to_owned(),
            Err(Gap::Absent) => return answer,
            Err(Gap::Denied) => "denied".to_owned(),
            Err(Gap::Failed(error)) => error.clone(),
        };
        self.recording.borrow_mut().opened.insert(path.to_owned(), word);
        answer
    }

    fn daemon(&self, ask: bool) -> Option<DaemonSocket> {
        let socket = self.tree.daemon(ask);
        self.recording.borrow_mut().daemon.clone_from(&socket);
        socket
    }
}
