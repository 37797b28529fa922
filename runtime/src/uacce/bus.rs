//! The devices of the kernel's uacce framework.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use uaccel_queue::{Bus, DeviceInfo, Transport, TransportError};

use super::node::Nodes;
use super::sysfs::{Entry, Tree};
use super::transport::UacceTransport;
use crate::sys::uacce_node::KernelNodes;

/// The environment variable that names the folder in which `sys` and `dev` are looked for, if the program does not; `/` without it.
pub const ROOT_VARIABLE: &str = "UACCEL_ROOT";

/// The devices of the kernel's uacce framework. See the [module's page](super).
#[derive(Debug)]
pub struct UacceBus {
    tree: Tree,
    nodes: Arc<dyn Nodes>,
}

impl UacceBus {
    /// The bus of this machine, or of what [`ROOT_VARIABLE`] names.
    #[must_use]
    pub fn new() -> Self {
        let root = std::env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty());
        Self::at(root.unwrap_or_else(|| OsString::from("/")))
    }

    /// The bus with `sys` and `dev` in another folder.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { tree: Tree::new(root.into()), nodes: Arc::new(KernelNodes) }
    }

    /// The same with another kernel: `nodes` opens the nodes.
    #[must_use]
    pub fn with_nodes(self, nodes: Arc<dyn Nodes>) -> Self {
        Self { nodes, ..self }
    }
}

impl Default for UacceBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus for UacceBus {
    fn name(&self) -> &str {
        "uacce"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        self.tree.entries().iter().map(Entry::info).collect()
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        let none = || TransportError::NoSuchDevice { bus: self.name().to_owned(), device: device.to_owned() };
        let entry = self.tree.find(device).ok_or_else(none)?;
        // The kernel opens it all the same; not to use it is up to its users.
        if entry.is_isolated() {
            return Err(TransportError::Refused(format!("{device} has isolated itself after errors")));
        }
        let layout =
            entry.layout().map_err(|source| TransportError::System { call: "read of a uacce region size", source })?;
        let node = self.nodes.open(&entry.node, layout).map_err(|error| refusal(device, &entry.node, error))?;
        let transport = UacceTransport::start(device, node)?;
        tracing::info!(device, "uacce queue opened");
        Ok(Arc::new(transport))
    }
}

/// What the kernel means by refusing to open a node.
fn refusal(device: &str, node: &Path, error: io::Error) -> TransportError {
    let Some(errno) = error.raw_os_error() else {
        return TransportError::System { call: "open of a uacce node", source: error };
    };
    let why = match Errno::from_raw(errno) {
        Errno::EBUSY => return TransportError::Busy(device.to_owned()),
        // The class still shows it, and in the next moment will not.
        Errno::ENXIO | Errno::ENOENT => return TransportError::Gone,
        Errno::ENODEV => "no IOMMU shares this process's addresses with it, or it is isolated or gone",
        Errno::EOPNOTSUPP => "this kernel's IOMMU driver does not share a process's addresses",
        Errno::EINVAL => "the kernel cannot enable page requests for it, or it is being removed",
        Errno::ENOSPC => "there are no address space numbers (PASIDs) left",
        Errno::EOVERFLOW => "this process's address space number (PASID) is larger than it takes",
        Errno::EPERM => "its driver gives no queues at the moment",
        _ => return TransportError::System { call: "open of a uacce node", source: error },
    };
    tracing::warn!(device, node = %node.display(), %error, why, "open refused");
    TransportError::Refused(format!("{} cannot be opened: {why} ({})", node.display(), Errno::from_raw(errno)))
}
