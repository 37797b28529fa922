//! The action `run`: everything brought together for one boot.

use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::boot::{self, End, Limits, Report};
use crate::cache::Cache;
use crate::cli::RunArgs;
use crate::driver::{self, Driver};
use crate::edition::Edition;
use crate::engine;
use crate::error::LabError;
use crate::fetch::fetch;
use crate::initramfs::{self, Contents, Extra};
use crate::kernel::Kernel;
use crate::kernel_log;
use crate::kernel_source::KernelSource;
use crate::kit::Kit;
use crate::module::{self, Sources};
use crate::progress::Progress;
use crate::qemu::{Iommu, Machine, Parent};
use crate::slots::Slots;

/// The program succeeded, but the kernel complained.
pub(crate) const COMPLAINED: u8 = 120;
/// The time was over, as timeout(1) has it.
pub(crate) const TIMED_OUT: u8 = 124;
/// The lab itself failed, as env(1) and timeout(1) have it.
pub(crate) const FAILED: u8 = 125;

/// How long a guest may take to come up, at each attempt. It needs some 5 s; but where processors are short, the kernel of
/// an emulated machine can measure its timers wrong as it starts, and then does nothing but serve them. Nothing of the
/// program has run by then, so starting anew hides nothing of its.
const BOOTS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
const LAST_BOOT: Duration = Duration::from_secs(240);

/// Variables that a program gets without being asked for.
const PASSED: [&str; 3] = ["RUST_", "CARGO_", "UACCEL_"];

/// Runs the program, and gives the exit code.
pub(crate) fn run(cache: &Cache, edition: Edition, arguments: &RunArgs, progress: &Progress) -> Result<u8, LabError> {
    if arguments.shell && !io::stdin().is_terminal() {
        // A serial line has no end of input: the shell would wait for ever.
        return Err(LabError::NoTerminal);
    }
    let kit = fetch(cache, edition, false, progress)?;
    let kernel = Kernel::choose(cache, &kit, arguments.kernel.as_ref(), progress)?;
    let drivers = drivers(edition, arguments);
    let plugin = plugin(cache, edition, arguments, progress)?;
    // Sockets have short names only, so this is not in the cache.
    let folder = tempfile::Builder::new().prefix("sva-lab-").tempdir().map_err(LabError::io("write to", "TMPDIR"))?;
    let kept = match &arguments.keep {
        Some(kept) => {
            fs::create_dir_all(kept).map_err(LabError::io("create", kept))?;
            fs::canonicalize(kept).map_err(LabError::io("find", kept))?
        }
        None => folder.path().to_owned(),
    };
    let Brought { modules: mut brought, nodes } = brought(cache, &kit, &kernel, &drivers, arguments, progress)?;
    let mut wanted = arguments.load.clone();
    if !matches!(kernel, Kernel::Foreign(_)) {
        wanted.extend(module::needs(&brought)?);
    }
    let mut modules = kernel.gather(cache, &kit, &wanted, folder.path(), progress)?;
    modules.append(&mut brought);
    let machine = machine(arguments, &kit, kernel.image(&kit), plugin, &drivers, &kept, folder.path())?;
    let (mut command, mut extras) = (arguments.command.clone(), arguments.files.clone());
    if let Some(script) = &arguments.script {
        command = vec!["sh".to_owned(), SCRIPT.to_owned()];
        extras.push(Extra::new(script, SCRIPT));
    }
    let input = arguments.input.as_deref().map(input).transpose()?;
    let contents = Contents {
        busybox: &kit.busybox.join("busybox"),
        modules: &modules,
        nodes: &nodes,
        command: &command,
        extras: &extras,
        input: input.as_deref(),
        environment: environment(&arguments.environment)?,
    };
    initramfs::write(contents, &machine.initramfs)?;
    if arguments.keep.is_some() {
        let script = kept.join("qemu.sh");
        fs::write(&script, machine.script()?).map_err(LabError::io("write", &script))?;
    }
    let interrupted = on_interrupt();
    let report = up(&machine, arguments, &interrupted, progress)?;
    let complaints = kernel_log::complaints(&report.console, &arguments.allow);
    for complaint in &complaints {
        progress.warn(&format!("the kernel complained: {complaint}"));
    }
    if !complaints.is_empty() && !arguments.verbose && arguments.keep.is_none() {
        progress.say("--keep DIR keeps the whole console, --verbose shows it");
    }
    Ok(match report.end {
        End::NotUp => return Err(LabError::NotUp { seconds: LAST_BOOT.as_secs(), console: report.tail() }),
        End::Died => return Err(LabError::GuestDied { console: report.tail() }),
        End::TimedOut => {
            progress.warn(&format!("ended after {} s (--timeout)", arguments.timeout().as_secs()));
            TIMED_OUT
        }
        End::Signal(signal) => {
            progress.warn(&format!("the program was ended by signal {signal}"));
            u8::try_from(signal).map_or(FAILED, |signal| 128 | signal)
        }
        End::Code(0) if !complaints.is_empty() => COMPLAINED,
        End::Code(code) => u8::try_from(code).unwrap_or(FAILED),
    })
}

/// The machine to start; `kept` is the folder for what may be of interest afterwards, `passing` for the rest.
fn machine(
    arguments: &RunArgs,
    kit: &Kit,
    kernel: PathBuf,
    plugin: Option<(PathBuf, Vec<String>)>,
    drivers: &[Driver],
    kept: &Path,
    passing: &Path,
) -> Result<Machine, LabError> {
    let devices = match (arguments.devices.as_slice(), &plugin) {
        ([], Some(_)) => drivers.iter().map(|driver| driver.device().to_owned()).collect(),
        (devices, _) => devices.to_vec(),
    };
    let Slots { devices, table } = Slots::of(devices, drivers);
    let table = match table.body().filter(|_| !arguments.no_reset_method) {
        Some(body) => {
            let file = kept.join("ssdt.aml");
            fs::write(&file, body).map_err(LabError::io("write", &file))?;
            Some(file)
        }
        None => None,
    };
    let mut parameters: Vec<String> =
        drivers.iter().flat_map(|driver| driver.parameters()).map(|&parameter| parameter.to_owned()).collect();
    // Whoever says something else comes last, and is heard.
    parameters.extend(arguments.parameters.iter().cloned());
    Ok(Machine {
        qemu: arguments.qemu.clone().unwrap_or_else(|| kit.qemu.clone()),
        parent: if kit.edition == Edition::Newest || arguments.qemu.is_some() { Parent::Qemu } else { Parent::Setpriv },
        kernel,
        initramfs: kept.join("root.cpio"),
        devices,
        plugin,
        iommu: match (arguments.no_iommu, arguments.no_svm, kit.edition) {
            (true, _, _) => Iommu::None,
            (false, _, Edition::Bookworm) => Iommu::Mapped,
            (false, true, Edition::Newest) => Iommu::NoPageRequests,
            (false, false, Edition::Newest) => Iommu::Shared,
        },
        remapping: drivers.iter().any(|driver| driver.remaps_interrupts()),
        table,
        processors: arguments.smp,
        memory_mib: arguments.memory,
        parameters,
        more: arguments.qemu_words.clone(),
        log: kept.join("console.log"),
        port: passing.join("port"),
        console: arguments.verbose || arguments.shell,
    })
}

/// Boots until the guest comes to its program, whatever becomes of that.
fn up(
    machine: &Machine,
    arguments: &RunArgs,
    interrupted: &AtomicBool,
    progress: &Progress,
) -> Result<Report, LabError> {
    let attempt = |boot| {
        let limits = Limits { time: arguments.timeout(), boot, interrupted };
        boot::run(machine, &limits, arguments.verbose)
    };
    for boot in BOOTS {
        let report = attempt(boot)?;
        if report.end != End::NotUp {
            return Ok(report);
        }
        progress.warn(&format!("the guest did not come up within {} s, and is started anew", boot.as_secs()));
    }
    attempt(LAST_BOOT)
}

/// Where a script lies in the guest.
const SCRIPT: &str = "/etc/sva-lab.sh";

fn input(path: &Path) -> Result<Vec<u8>, LabError> {
    if path != Path::new("-") {
        return fs::read(path).map_err(LabError::io("read", path));
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).map_err(LabError::io("read", "stdin"))?;
    Ok(bytes)
}

fn plugin(
    cache: &Cache,
    edition: Edition,
    arguments: &RunArgs,
    progress: &Progress,
) -> Result<Option<(PathBuf, Vec<String>)>, LabError> {
    if arguments.plugin.is_none() && !has_engine(edition, arguments) {
        return Ok(None);
    }
    let path = match &arguments.plugin {
        // QEMU takes a name without a slash for one in the system's folders.
        Some(path) => fs::canonicalize(path).map_err(LabError::io("find", path))?,
        None => engine::find(cache, progress)?,
    };
    let mut options = arguments.plugin_options.clone();
    if arguments.trace {
        options.push("trace=on".to_owned());
    }
    Ok(Some((path, options)))
}

/// Whether the machine has the engine.
fn has_engine(edition: Edition, arguments: &RunArgs) -> bool {
    edition.takes_engine() && !arguments.no_engine
}

/// The drivers that the machine is made for: those asked for, else those of its devices.
fn drivers(edition: Edition, arguments: &RunArgs) -> Vec<Driver> {
    let mut drivers = arguments.drivers.clone();
    if drivers.is_empty() {
        drivers.extend(arguments.devices.iter().filter_map(|words| Driver::of_device(words)));
    }
    if drivers.is_empty() && has_engine(edition, arguments) {
        drivers.push(Driver::Warp);
    }
    let mut once = Vec::new();
    drivers.into_iter().for_each(|driver| {
        if !once.contains(&driver) {
            once.push(driver)
        }
    });
    once
}

/// Modules that are no part of the kernel.
#[derive(Default)]
struct Brought {
    modules: Vec<PathBuf>,
    /// With what the paths of the device nodes start that they have to bring.
    nodes: Vec<String>,
}

/// The modules that are built for the run, or given.
fn brought(
    cache: &Cache,
    kit: &Kit,
    kernel: &Kernel,
    drivers: &[Driver],
    arguments: &RunArgs,
    progress: &Progress,
) -> Result<Brought, LabError> {
    let mut brought = Brought::default();
    if let Some(folder) = &arguments.modules {
        brought.modules = module::in_folder(folder)?;
    } else if matches!(kernel, Kernel::Foreign(_)) || arguments.no_module {
        // Nothing is known that it could take, or nothing is wanted.
    } else if let Some(folder) = &arguments.module {
        let built = module::build(cache, kit, kernel.own(), sources(folder)?, progress)?;
        brought.modules = module::in_folder(&built)?;
    } else {
        if !drivers.is_empty() && !kit.edition.takes_engine() {
            return Err(LabError::NoDrivers { release: kit.kernel_release.clone() });
        }
        for driver in drivers {
            let source = driver.is_of_kernel().then(|| KernelSource::find(cache, kit, progress)).transpose()?;
            let built = module::build(cache, kit, kernel.own(), driver.sources(source.as_ref())?, progress)?;
            for module in module::in_folder(&built)? {
                // Each has uacce beside it.
                if !brought.modules.iter().any(|other| other.file_name() == module.file_name()) {
                    brought.modules.push(module);
                }
            }
            brought.nodes.extend(driver.node().map(str::to_owned));
        }
    }
    Ok(brought)
}

/// The sources in a folder, with the Warp engine's header if they have none.
pub(crate) fn sources(folder: &Path) -> Result<Sources, LabError> {
    let mut sources = Sources::in_folder(folder)?;
    for (name, content) in driver::warp_headers() {
        sources.add(name, content);
    }
    Ok(sources)
}

fn environment(asked: &[String]) -> Result<Vec<(String, String)>, LabError> {
    let mut environment: Vec<(String, String)> = vec![
        ("PATH".to_owned(), "/bin:/usr/bin:/usr/local/bin".to_owned()),
        ("HOME".to_owned(), "/".to_owned()),
        ("TMPDIR".to_owned(), "/tmp".to_owned()),
        ("TERM".to_owned(), std::env::var("TERM").unwrap_or_else(|_| "linux".to_owned())),
    ];
    environment.extend(std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        is_passed(&name).then_some((name, value))
    }));
    for variable in asked {
        match variable.split_once('=') {
            Some((name, value)) => environment.push((name.to_owned(), value.to_owned())),
            None => {
                if let Some(value) = std::env::var_os(variable) {
                    let value = value.into_string().map_err(|_| LabError::NotText(format!("${variable}")))?;
                    environment.push((variable.clone(), value));
                }
            }
        }
    }
    Ok(environment)
}

/// Whether a variable is the program's without being asked for. Cargo's tokens (`CARGO_REGISTRY_TOKEN`) are nobody's but cargo's.
fn is_passed(name: &str) -> bool {
    PASSED.iter().any(|start| name.starts_with(start)) && !name.ends_with("_TOKEN")
}

fn on_interrupt() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    // Without a handler the signal ends this process, and QEMU with it. Relaxed: nothing else is passed on with it.
    let _ = ctrlc::set_handler(move || set.store(true, Ordering::Relaxed));
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_tells_its_tests_is_passed_but_no_secret_of_its() {
        assert!(["RUST_LOG", "CARGO_MANIFEST_DIR", "UACCEL_DEVICE"].into_iter().all(is_passed));
        assert!(!["CARGO_REGISTRY_TOKEN", "CARGO_REGISTRIES_OURS_TOKEN", "HOME"].into_iter().any(is_passed));
    }
}
