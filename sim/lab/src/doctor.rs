//! What is missing here, with what mends it.

use crate::cache::Cache;
use crate::edition::Edition;
use crate::engine;
use crate::error::LabError;
use crate::host::Host;
use crate::kernel_source::KernelSource;
use crate::kit::Kit;
use crate::namespace;
use crate::own_kernel::OwnKernel;

/// One thing that the lab needs.
struct Check {
    what: &'static str,
    /// How it is, or what is wrong.
    finding: Result<String, LabError>,
}

/// Prints all findings, and says whether everything is in order.
pub(crate) fn examine(cache: &Cache) -> bool {
    let host = Host::look();
    let kits: Vec<Kit> = Edition::ALL.into_iter().filter_map(|edition| Kit::load(cache, edition)).collect();
    let fetched: Vec<String> = kits.iter().map(|kit| contents(cache, kit)).collect();
    let packages = match fetched.as_slice() {
        // With a full cache nothing more is needed from the system.
        [_, ..] => Ok(host.name.clone()),
        [] => host
            .check()
            .and_then(|_| crate::apt::machine_mirrors())
            .map(|mirrors| format!("{}, {}", host.name, mirrors.join(", "))),
    };
    let checks = [
        Check { what: "packages", finding: packages },
        Check {
            what: "cache",
            finding: Ok(format!(
                "{}: {}",
                cache.path("").display(),
                match fetched.as_slice() {
                    [] => "empty; `sva-lab fetch` fills it, and so does the first run".to_owned(),
                    fetched => fetched.join("; "),
                }
            )),
        },
        Check {
            what: "namespace",
            finding: namespace::check().map(|()| "can be made (to build kernel modules)".to_owned()),
        },
        Check { what: "engine", finding: engine::whereabouts(cache) },
    ];
    for check in &checks {
        match &check.finding {
            Ok(text) => println!("ok       {:<10} {text}", check.what),
            Err(error) => {
                println!("MISSING  {:<10} {}", check.what, error.to_string().replace('\n', "\n                    "))
            }
        }
    }
    checks.iter().all(|check| check.finding.is_ok())
}

/// What of a kit is in the cache.
fn contents(cache: &Cache, kit: &Kit) -> String {
    let drivers = if KernelSource::is_there(cache, kit) { ", with the sources of its drivers" } else { "" };
    let own = if OwnKernel::is_built(cache, kit) { ", and the lab's own kernel" } else { "" };
    format!("QEMU {}, Linux {} ({}){drivers}{own}", kit.qemu_version, kit.kernel_release, kit.suite)
}
