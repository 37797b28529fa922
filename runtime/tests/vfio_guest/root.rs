//! What only root may do: it is done before the tests become an ordinary user's, and by a shell that stays root's.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, getuid, setgid, setuid};

use crate::bench::FUNCTION;
use crate::guest::jobs::eventually;

/// The user that the tests are.
const USER: u32 = 1000;
/// What that user may lock; tests of the limit lower it.
pub(crate) const LOCKED: u64 = 256 << 20;

/// A shell of root's.
struct Shell {
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// The engine, as it was found and handed over.
pub(crate) struct Handed {
    /// Its name on its bus.
    pub(crate) id: String,
    shell: Mutex<Shell>,
}

/// Hands the engine over, once, and becomes the user.
pub(crate) fn handed() -> &'static Handed {
    static HANDED: OnceLock<Handed> = OnceLock::new();
    HANDED.get_or_init(|| {
        assert!(getuid().is_root(), "these tests begin as root");
        let id = engine();
        let mut process = Command::new("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let handed = Handed { id, shell: Mutex::new(Shell { _process: process, input, output }) };
        handed.bind();
        setrlimit(Resource::RLIMIT_MEMLOCK, LOCKED, LOCKED).expect("root sets limits");
        setgid(Gid::from_raw(USER)).expect("root becomes anybody");
        setuid(Uid::from_raw(USER)).expect("root becomes anybody");
        assert!(fs::write("/proc/sys/kernel/sysrq", "0").is_err(), "an ordinary user from here on");
        handed
    })
}

impl Handed {
    /// Runs a line of shell as root, and gives what it says.
    pub(crate) fn run(&self, line: &str) -> String {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(shell.input, "{line}; echo; echo done").expect("the shell is there");
        let mut said = String::new();
        while !said.ends_with("\ndone\n") {
            assert!(shell.output.read_line(&mut said).expect("the shell is there") > 0, "the shell has ended: {said}");
        }
        said.trim_end_matches("\ndone\n").trim_end().to_owned()
    }

    /// The engine's folder in sysfs.
    pub(crate) fn folder(&self) -> PathBuf {
        Path::new("/sys/bus/pci/devices").join(&self.id)
    }

    /// The node of its group.
    pub(crate) fn group(&self) -> PathBuf {
        let link = fs::read_link(self.folder().join("iommu_group")).expect("an IOMMU");
        Path::new("/dev/vfio").join(link.file_name().expect("a number"))
    }

    /// Binds it to VFIO's driver, and gives its nodes to the user.
    pub(crate) fn bind(&self) {
        let folder = self.folder();
        let said = self.run(&format!(
            "(echo {id} > {folder}/driver/unbind; echo vfio-pci > {folder}/driver_override && echo {id} > /sys/bus/pci/drivers_probe) 2>/dev/null",
            id = self.id,
            folder = folder.display()
        ));
        eventually(&format!("VFIO's driver has the engine ({said})"), || folder.join("vfio-dev").is_dir());
        let group = self.group();
        eventually("its group has a node", || group.exists());
        // Nodes of its own, and iommufd, are not in every kernel.
        self.run(&format!(
            "chown {USER}:{USER} {} /dev/vfio/devices/* /dev/iommu; chmod 666 /dev/vfio/vfio; chmod 1777 /tmp",
            group.display()
        ));
    }

    /// Takes it from VFIO's driver. Returns when whoever had it open has given it back.
    pub(crate) fn unbind(&self) {
        self.run(&format!("echo {} > {}/driver/unbind", self.id, self.folder().display()));
    }
}

/// The name of the device on its bus.
fn engine() -> String {
    let devices = fs::read_dir("/sys/bus/pci/devices").expect("a PCI bus");
    let is = |path: &Path, file: &str, value: &str| {
        fs::read_to_string(path.join(file)).is_ok_and(|text| text.trim_end() == value)
    };
    let (vendor, device) = FUNCTION;
    let found =
        devices.flatten().find(|entry| is(&entry.path(), "vendor", vendor) && is(&entry.path(), "device", device));
    found.expect("a device").file_name().to_string_lossy().into_owned()
}
