//! What is missing here, with what mends it.

use crate::cache::Cache;
use crate::engine;
use crate::error::LabError;
use crate::host::Host;
use crate::kit::Kit;
use crate::namespace;

/// One thing that the lab needs.
struct Check {
    what: &'static str,
    /// How it is, or what is wrong.
    finding: Result<String, LabError>,
}

/// Prints all findings, and says whether everything is in order.
pub(crate) fn examine(cache: &Cache) -> bool {
    let host = Host::look();
    let kit = Kit::load(cache);
    let fetched = kit.map(|kit| format!("QEMU {}, Linux {} ({})", kit.qemu_version, kit.kernel_release, kit.suite));
    let packages = match &fetched {
        // With a full cache nothing more is needed from the system.
        Some(_) => Ok(host.name.clone()),
        None => host
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
                fetched.unwrap_or_else(|| "empty; `sva-lab fetch` fills it, and so does the first run".to_owned())
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
