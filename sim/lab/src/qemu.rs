//! The command line of QEMU.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::LabError;
use crate::sysroot::Sysroot;

/// The name of the program, also in a build folder of QEMU's own.
const PROGRAM: &str = "qemu-system-x86_64";

/// A machine to start.
#[derive(Debug)]
pub(crate) struct Machine {
    /// A sysroot with QEMU, or a folder that has it in itself, in `bin` or in `build`.
    pub(crate) qemu: PathBuf,
    /// Who ends it when the lab is killed.
    pub(crate) parent: Parent,
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
    /// A shared object that brings a device, with its arguments.
    pub(crate) plugin: Option<(PathBuf, Vec<String>)>,
    /// Devices, as QEMU's option has them.
    pub(crate) devices: Vec<String>,
    pub(crate) iommu: Iommu,
    /// The IOMMU remaps interrupts, too, where that is a choice.
    pub(crate) remapping: bool,
    /// The file with a table for the firmware.
    pub(crate) table: Option<PathBuf>,
    pub(crate) processors: u32,
    pub(crate) memory_mib: u32,
    /// Added to the kernel's parameters.
    pub(crate) parameters: Vec<String>,
    /// Added to the command line.
    pub(crate) more: Vec<String>,
    /// Where the kernel's console goes as a file.
    pub(crate) log: PathBuf,
    /// The socket of the second serial port, on which the guest talks to the lab.
    pub(crate) port: PathBuf,
    /// The console is shown on this process's terminal, too.
    pub(crate) console: bool,
}

/// Who starts QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The lab, which listens.
    Lab,
    /// A person at a terminal.
    Hand,
}

/// Who sees to it that a lab that is killed takes its guest along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// QEMU itself.
    Qemu,
    /// setpriv(1), for a QEMU that cannot.
    Setpriv,
}

/// What stands between devices and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Iommu {
    /// All that shared virtual addressing needs.
    Shared,
    /// The same without page requests.
    NoPageRequests,
    /// What a QEMU of Debian 12 has: translations by device and address, no PASIDs.
    Mapped,
    /// Nothing.
    None,
}

impl Machine {
    /// The call that starts it.
    pub(crate) fn command(&self) -> Result<Command, LabError> {
        let mut command = self.program()?;
        command.args(self.arguments(By::Lab));
        if self.parent == Parent::Qemu {
            return Ok(command);
        }
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        Ok(wrapped)
    }

    /// A shell script that starts it by hand, with the console on the terminal. What only the lab hears is lost.
    pub(crate) fn script(&self) -> Result<String, LabError> {
        let mut command = self.program()?;
        command.args(self.arguments(By::Hand));
        let mut script = "#!/bin/sh\n".to_owned();
        for (name, value) in command.get_envs() {
            let name = name.to_string_lossy();
            script.push_str(&match value {
                Some(value) => format!("export {name}={}\n", quoted(value)),
                None => format!("unset {name}\n"),
            });
        }
        script.push_str("exec");
        for word in [command.get_program()].into_iter().chain(command.get_args()) {
            let start = if word.as_encoded_bytes().starts_with(b"-") { " \\\n  " } else { " " };
            script.push_str(start);
            script.push_str(&quoted(word));
        }
        script.push('\n');
        Ok(script)
    }

    fn program(&self) -> Result<Command, LabError> {
        let sysroot = Sysroot::at(&self.qemu);
        let packaged = format!("usr/bin/{PROGRAM}");
        if let Ok(mut command) = sysroot.command(&packaged) {
            for folder in ["usr/share/qemu", "usr/share/seabios"] {
                command.arg("-L").arg(self.qemu.join(folder));
            }
            command.env("QEMU_MODULE_DIR", self.qemu.join("usr/lib/x86_64-linux-gnu/qemu"));
            return Ok(command);
        }
        let places = ["", "bin", "build", "usr/bin"].map(|folder| self.qemu.join(folder).join(PROGRAM));
        places.iter().find(|place| place.is_file()).map(Command::new).ok_or_else(|| {
            LabError::bad_file(&self.qemu, format!("it has no {PROGRAM}, nor has bin, build or usr/bin in it"))
        })
    }

    fn arguments(&self, by: By) -> Vec<OsString> {
        let mut line = Line::default();
        line.add(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        if by == By::Lab && self.parent == Parent::Qemu {
            line.add(["-run-with", "exit-with-parent=on"]);
        }
        // 5-level paging is beyond the emulated IOMMU.
        line.add(["-machine", "q35", "-accel", "tcg", "-cpu", "max,la57=off"]);
        line.add(["-smp", &self.processors.to_string(), "-m", &format!("{}M", self.memory_mib)]);
        if let Some((path, options)) = &self.plugin {
            let mut value = doubled(path);
            for option in options {
                value.push(",");
                value.push(option);
            }
            line.add_value("-plugin", value);
        }
        // It must come before the devices that it serves.
        let iommu = match self.iommu {
            Iommu::Shared => "intel-iommu,scalable-mode=on,fsts=on,svm=on,device-iotlb=on,pasid-bits=16",
            Iommu::NoPageRequests => "intel-iommu,scalable-mode=on,fsts=on,device-iotlb=on,pasid-bits=16",
            // As wide as a process's addresses, so that they can be used as they are.
            Iommu::Mapped => "intel-iommu,intremap=on,device-iotlb=on,aw-bits=48",
            Iommu::None => "",
        };
        if !iommu.is_empty() {
            let remapping = if self.remapping && self.iommu != Iommu::Mapped { ",intremap=on" } else { "" };
            line.add(["-device", &format!("{iommu}{remapping}")]);
        }
        if let Some(table) = &self.table {
            let mut value = OsString::from("sig=SSDT,rev=2,data=");
            value.push(doubled(table));
            line.add_value("-acpitable", value);
        }
        for device in &self.devices {
            line.add(["-device", device]);
        }
        line.add_value("-kernel", self.kernel.clone().into_os_string());
        line.add_value("-initrd", self.initramfs.clone().into_os_string());
        // Whether the timer works is not to be judged by the time of a machine that may be short of processors. And addresses are not chosen by chance, so that no mapping of a
        // program comes to lie across a boundary of 1 GiB: to forget such a range Linux 7.3 sends an invalidation of more pages than QEMU's IOMMU takes at a time, which
        // refuses it, and what was mapped there before stays visible to devices. (The project's plug-in mends that where it is loaded, sim/qemu/src/invalidations.rs.)
        let mut parameters = "console=ttyS0 panic=-1 no_timer_check norandmaps".to_owned();
        for parameter in &self.parameters {
            parameters.push(' ');
            parameters.push_str(parameter);
        }
        line.add(["-append", &parameters]);
        let shown = self.console || by == By::Hand;
        let mut console = OsString::from(if shown { "stdio,signal=off" } else { "null" });
        console.push(",id=console,logfile=");
        console.push(doubled(&self.log));
        line.add_value("-chardev", console);
        let mut port = OsString::from("null,id=port");
        if by == By::Lab {
            port = OsString::from("socket,id=port,path=");
            port.push(doubled(&self.port));
        }
        line.add_value("-chardev", port);
        line.add(["-serial", "chardev:console", "-serial", "chardev:port"]);
        line.add(self.more.iter().map(String::as_str));
        line.0
    }
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn add<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        self.0.extend(words.into_iter().map(OsString::from));
    }

    fn add_value(&mut self, option: &str, value: OsString) {
        self.0.push(OsString::from(option));
        self.0.push(value);
    }
}

/// A path inside an option: QEMU takes two commas for one that does not separate.
fn doubled(path: &Path) -> OsString {
    match path.to_str() {
        Some(text) => OsString::from(text.replace(',', ",,")),
        None => path.as_os_str().to_owned(),
    }
}

/// A word as a shell takes it.
fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./,=:+".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            qemu: "/qemu".into(),
            parent: Parent::Qemu,
            kernel: "/k,1/vmlinuz".into(),
            initramfs: "/root.cpio".into(),
            plugin: Some(("/a,b/engine.so".into(), vec!["trace=on".into()])),
            devices: vec!["warp".into()],
            iommu: Iommu::Shared,
            remapping: false,
            table: None,
            processors: 3,
            memory_mib: 512,
            parameters: vec!["quiet".into()],
            more: vec!["-d".into(), "guest_errors".into()],
            log: "/log".into(),
            port: "/port".into(),
            console: false,
        }
    }

    fn line(machine: &Machine) -> String {
        let words: Vec<String> =
            machine.arguments(By::Lab).into_iter().map(|word| word.into_string().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn the_iommu_comes_before_the_device_and_is_left_out_when_asked() {
        let mut machine = machine();
        let text = line(&machine);
        let iommu = text.find("intel-iommu").unwrap();
        assert!(iommu < text.find("-device warp").unwrap(), "{text}");
        assert!(text.contains("svm=on"));
        machine.iommu = Iommu::NoPageRequests;
        let text = line(&machine);
        assert!(text.contains("device-iotlb=on") && !text.contains("svm=on"), "{text}");
        machine.iommu = Iommu::Mapped;
        let text = line(&machine);
        assert!(text.contains("aw-bits=48") && !text.contains("scalable-mode"), "{text}");
        machine.iommu = Iommu::None;
        assert!(!line(&machine).contains("iommu"));
    }

    #[test]
    fn interrupts_are_remapped_and_firmware_has_a_table_when_asked() {
        let mut machine = machine();
        let text = line(&machine);
        assert!(!text.contains("intremap") && !text.contains("acpitable"), "{text}");
        (machine.remapping, machine.table) = (true, Some("/a,b/table".into()));
        for iommu in [Iommu::Shared, Iommu::NoPageRequests, Iommu::Mapped] {
            machine.iommu = iommu;
            let text = line(&machine);
            assert_eq!(text.matches("intremap=on").count(), 1, "{text}");
            assert!(text.contains("-acpitable sig=SSDT,rev=2,data=/a,,b/table"), "{text}");
        }
    }

    #[test]
    fn commas_in_paths_are_doubled_inside_options_only() {
        let text = line(&machine());
        assert!(text.contains("-plugin /a,,b/engine.so,trace=on"), "{text}");
        assert!(text.contains("-kernel /k,1/vmlinuz"), "{text}");
        assert!(text.ends_with("-d guest_errors"), "{text}");
    }

    #[test]
    fn a_qemu_that_cannot_watch_its_parent_is_wrapped_and_not_told_to() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(PROGRAM), "").unwrap();
        let words = |parent| {
            let command = Machine { qemu: folder.path().to_owned(), parent, ..machine() }.command().unwrap();
            let words = [command.get_program()].into_iter().chain(command.get_args());
            words.map(|word| word.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        let (itself, wrapped) = (words(Parent::Qemu), words(Parent::Setpriv));
        assert!(itself.contains("exit-with-parent=on") && !itself.contains("setpriv"), "{itself}");
        assert!(
            !wrapped.contains("exit-with-parent") && wrapped.starts_with("setpriv --pdeathsig KILL -- "),
            "{wrapped}"
        );
    }

    #[test]
    fn a_script_quotes_what_a_shell_would_take_apart() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(PROGRAM), "").unwrap();
        let machine = Machine { qemu: folder.path().to_owned(), initramfs: "/it's here".into(), ..machine() };
        let script = machine.script().unwrap();
        assert!(script.contains("-append 'console=ttyS0 panic=-1"), "{script}");
        assert!(script.contains(r"-initrd '/it'\''s here'"), "{script}");
        assert!(script.contains("stdio") && !script.contains("socket"), "{script}");
    }

    #[test]
    fn a_folder_without_qemu_is_named() {
        let error = machine().command().unwrap_err().to_string();
        assert!(error.contains("/qemu") && error.contains(PROGRAM), "{error}");
    }
}
