//! The devices of the kernel's uacce framework.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use uaccel_queue::{Bus, DeviceInfo, Transport, TransportError};

use super::node::Nodes;
use super::parts::PartedTransport;
use super::refusal::{isolated, refusal};
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
            return Err(isolated(device, &entry.driver()));
        }
        let layout =
            entry.layout().map_err(|source| TransportError::System { call: "read of a uacce region size", source })?;
        let open = |kind| {
            let node = self.nodes.open(&entry.node, layout).map_err(|error| refusal(device, error))?;
            UacceTransport::start(entry.clone(), node, kind)
        };
        let kinds = entry.kinds();
        let transport: Arc<dyn Transport> = if kinds.is_empty() {
            Arc::new(open(None)?)
        } else {
            // If one cannot be had, those before it go back.
            let queues = kinds.iter().map(|kind| open(Some(*kind))).collect::<Result<_, _>>()?;
            Arc::new(PartedTransport::new(queues)?)
        };
        tracing::info!(device, hardware_queues = kinds.len().max(1), "uacce queue opened");
        Ok(transport)
    }
}
