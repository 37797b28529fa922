//! What the guest is to do, as it finds it in its root.

use serde::{Deserialize, Serialize};

/// The file with the errand.
pub(crate) const ERRAND: &str = "/etc/sva-lab.json";

/// The folder that the program runs in.
pub(crate) const WORK: &str = "/lab";

/// Modules to load, and a program to run.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Errand {
    /// Paths of kernel modules, in the order of loading.
    pub(crate) modules: Vec<String>,
    /// With what the paths of device nodes start without which there is no use in running the program.
    pub(crate) nodes: Vec<String>,
    /// The program and its arguments; a shell on the console if there is none.
    pub(crate) command: Vec<String>,
    /// What it reads as its input; nothing if it is none.
    pub(crate) input: Option<String>,
    /// Its environment.
    pub(crate) environment: Vec<(String, String)>,
}
