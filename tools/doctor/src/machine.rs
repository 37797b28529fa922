//! Everything that several checks look at.

use crate::function::Function;
use crate::host::Host;
use crate::iommu_unit::IommuUnit;
use crate::kernel::Kernel;
use crate::kind::Family;
use crate::person::Person;
use crate::tree::{Gap, Tree};

/// A machine, looked at.
pub(crate) struct Machine<'a> {
    /// Its files.
    pub(crate) tree: &'a dyn Tree,
    /// The machine around the kernel.
    pub(crate) host: Host,
    /// Its kernel.
    pub(crate) kernel: Kernel,
    /// Who asks, if `/proc` says so.
    pub(crate) person: Option<Person>,
    /// Functions on its PCI buses.
    pub(crate) functions: Vec<Function>,
    /// Its IOMMUs.
    pub(crate) iommus: Vec<IommuUnit>,
    /// Whether nodes are opened for a moment.
    pub(crate) opens: bool,
    /// Whether things that no accelerator needs are shown as well.
    pub(crate) shows_all: bool,
    /// Functions that are wanted for VFIO, whatever they are.
    wanted: Vec<String>,
}

/// How to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Open nodes for a moment: the only way to know that the kernel lets it.
    pub open: bool,
    /// Show all groups, and not only those with accelerators.
    pub all: bool,
    /// Addresses of functions to look at for VFIO, whatever they are.
    pub devices: Vec<String>,
}

impl<'a> Machine<'a> {
    /// Looks at the machine.
    #[must_use]
    pub(crate) fn look(tree: &'a dyn Tree, manner: &Manner) -> Self {
        let kernel = Kernel::look(tree);
        Self {
            host: Host::look(tree),
            person: Person::look(tree),
            functions: Function::all(tree),
            iommus: IommuUnit::all(tree, &kernel),
            kernel,
            tree,
            opens: manner.open,
            shows_all: manner.all,
            wanted: manner.devices.clone(),
        }
    }

    /// Functions that are accelerators with work for this framework, and those that were named.
    pub(crate) fn accelerators(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| self.is_accelerator(function))
    }

    fn is_accelerator(&self, function: &Function) -> bool {
        self.is_wanted(function)
            || function.kind.is_some_and(|kind| !matches!(kind.family, Family::Neural | Family::QatVirtual))
    }

    fn is_wanted(&self, function: &Function) -> bool {
        self.wanted.contains(&function.address)
    }

    /// Functions of one family.
    pub(crate) fn family(&self, is: fn(Family) -> bool) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(move |function| function.kind.is_some_and(|kind| is(kind.family)))
    }

    /// Functions that go through VFIO: those that it has, and those that no other way leads to.
    pub(crate) fn for_vfio(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| {
            // A bridge may be bound to VFIO to make a group viable; nobody opens it.
            let only_way = function.kind.is_some_and(|kind| kind.family == Family::Edu);
            !function.is_bridge() && (function.is_vfio() || self.is_wanted(function) || only_way)
        })
    }

    /// Whether a function needs the kernel's uacce: HiSilicon's, and the Warp engine unless VFIO has it.
    pub(crate) fn for_uacce(&self) -> impl Iterator<Item = &Function> {
        self.family(|family| matches!(family, Family::Warp | Family::HiSilicon(_)))
            .filter(|function| !function.is_vfio() && !self.is_wanted(function))
    }

    /// Addresses that were named and that no function has.
    pub(crate) fn not_found(&self) -> impl Iterator<Item = &str> {
        self.wanted
            .iter()
            .map(String::as_str)
            .filter(|wanted| !self.functions.iter().any(|found| found.address == *wanted))
    }

    /// The IOMMU that a function is behind.
    #[must_use]
    pub(crate) fn iommu_of(&self, function: &Function) -> Option<&IommuUnit> {
        let name = function.iommu.as_ref()?;
        self.iommus.iter().find(|unit| unit.name == *name)
    }

    /// Whether a parameter of a module is set.
    #[must_use]
    pub(crate) fn is_set(&self, module: &str, parameter: &str) -> bool {
        self.tree
            .text(&format!("/sys/module/{module}/parameters/{parameter}"))
            .is_ok_and(|value| value == "Y" || value == "1")
    }

    /// Whether `person` may open a node, and if nodes are opened: what came of it.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn opens(&self, path: &str) -> Result<Opened, NotOpened> {
        let node = self.tree.node(path).map_err(|gap| match gap {
            Gap::Absent => NotOpened::Absent,
            gap => NotOpened::Failed(gap.to_string()),
        })?;
        match node.lets(self.person.as_ref()) {
            Some(false) => return Err(NotOpened::Denied(node.owners())),
            None => return Ok(Opened::Unknown),
            Some(true) => {}
        }
        if !self.opens {
            return Ok(Opened::Permitted);
        }
        match self.tree.open(path) {
            Ok(()) => Ok(Opened::Tried),
            Err(Gap::Denied) => Err(NotOpened::Forbidden),
            Err(gap) => Err(NotOpened::Failed(gap.to_string())),
        }
    }
}

/// How far a node is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It was opened.
    Tried,
    /// Its permissions allow it; nobody tried.
    Permitted,
    /// Nobody knows who asks.
    Unknown,
}

/// Why a node is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// It is not there.
    Absent,
    /// Its permissions, which are these, forbid it.
    Denied(String),
    /// Its permissions allow it, and something else forbids it: the device cgroup of a container, mostly, or a security module.
    Forbidden,
    /// The kernel said so, by the name of the error.
    Failed(String),
}

impl std::fmt::Debug for Machine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("kernel", &self.kernel.release).finish_non_exhaustive()
    }
}
