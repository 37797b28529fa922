//! The program: command line in, exit code out. Inside the guest it is the first process.
#![forbid(unsafe_code)]

mod apt;
mod boot;
mod cache;
mod cli;
mod cpio;
mod doctor;
mod driver;
mod edition;
mod elf;
mod engine;
mod error;
mod fetch;
mod guest;
mod host;
mod initramfs;
mod kernel;
mod kernel_log;
mod kernel_source;
mod kit;
mod loadable;
mod module;
mod namespace;
mod offer;
mod own_kernel;
mod package;
mod progress;
mod qemu;
mod run;
mod slots;
mod ssdt;
mod sysroot;
mod tool;

use std::process::ExitCode;

use clap::Parser as _;

use cache::Cache;
use cli::{Action, Cli};
use error::LabError;
use kernel_source::KernelSource;
use own_kernel::OwnKernel;
use progress::Progress;

fn main() -> ExitCode {
    if std::process::id() == 1 && std::env::args_os().next().is_some_and(|name| name == guest::INIT) {
        guest::run();
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    match act(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("sva-lab: {error}");
            ExitCode::from(run::FAILED)
        }
    }
}

fn act(cli: &Cli) -> Result<u8, LabError> {
    let progress = if cli.quiet { Progress::silent() } else { Progress::new() };
    let cache = || Cache::open(cli.cache.as_deref());
    match &cli.action {
        Action::Fetch { renew, kernel } => {
            let cache = cache()?;
            let kit = fetch::fetch(&cache, cli.kit, *renew, &progress)?;
            println!("QEMU {}, Linux {} ({})", kit.qemu_version, kit.kernel_release, kit.suite);
            if kit.edition.takes_engine() {
                KernelSource::find(&cache, &kit, &progress)?;
            }
            if kernel.is_some() {
                println!("{}", OwnKernel::find(&cache, &kit, &progress)?.image().display());
            }
            Ok(0)
        }
        Action::BuildModule { folder, kernel } => {
            let cache = cache()?;
            let kit = fetch::fetch(&cache, cli.kit, false, &progress)?;
            let own = kernel.as_ref().map(|_| OwnKernel::find(&cache, &kit, &progress)).transpose()?;
            let built = module::build(&cache, &kit, own.as_ref(), run::sources(folder)?, &progress)?;
            println!("{}", built.display());
            Ok(0)
        }
        Action::Run(arguments) => run::run(&cache()?, cli.kit, arguments, &progress),
        Action::Doctor => Ok(if doctor::examine(&cache()?) { 0 } else { 1 }),
    }
}
