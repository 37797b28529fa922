//! What Debian's suites offer, seen through the mirrors of this machine.

use crate::apt::{Archive, Version, machine_mirrors};
use crate::cache::Cache;
use crate::edition::{Edition, Suite};
use crate::error::LabError;
use crate::host::Host;
use crate::kit::Kit;
use crate::progress::Progress;

/// A suite with a QEMU and a kernel that do.
pub(crate) struct Offer {
    pub(crate) archive: Archive,
    pub(crate) qemu: Version,
    pub(crate) kernel: Version,
}

impl Offer {
    /// The first suite whose QEMU and kernel are new enough for `edition`.
    pub(crate) fn choose(cache: &Cache, edition: Edition, progress: &Progress) -> Result<Self, LabError> {
        let host = Host::look();
        let mut found = Vec::new();
        let mut failure = None;
        for suite in host.first_own(edition.suites()) {
            let archive = match open(cache, &host, suite, progress) {
                Ok(archive) => archive,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let qemu = archive.newest("qemu-system-x86")?;
            let kernel = archive.newest("linux-image-amd64")?;
            let name = archive.suite();
            match (qemu, kernel) {
                (Some(qemu), Some(kernel))
                    if qemu.release() >= edition.least_qemu() && kernel.release() >= edition.least_kernel() =>
                {
                    progress.say(&format!("{name} has QEMU {qemu} and Linux {kernel}"));
                    return Ok(Self { archive, qemu, kernel });
                }
                (qemu, kernel) => {
                    let said =
                        |version: Option<Version>| version.map_or("none".to_owned(), |version| version.to_string());
                    found.push(format!("  {name}: QEMU {}, Linux {}", said(qemu), said(kernel)));
                }
            }
        }
        match failure {
            Some(error) if found.is_empty() => Err(error),
            _ => {
                let (qemu, kernel) = (edition.least_qemu(), edition.least_kernel());
                Err(LabError::TooOld {
                    what: "both QEMU and Linux",
                    least: format!("{}.{} and {}.{}", qemu.0, qemu.1, kernel.0, kernel.1),
                    found: found.join("\n"),
                })
            }
        }
    }

    /// The suite that a kit came from, for what was not fetched with it; it still has to have the kit's kernel.
    pub(crate) fn of_kit(cache: &Cache, kit: &Kit, progress: &Progress) -> Result<Archive, LabError> {
        let suites = kit.edition.suites();
        let suite = suites.iter().find(|(name, _)| *name == kit.suite);
        let &suite = suite.ok_or_else(|| LabError::Superseded { version: kit.kernel_version.clone() })?;
        let archive = open(cache, &Host::look(), suite, progress)?;
        let image = format!("linux-image-{}", kit.kernel_release);
        match archive.newest(&image)? {
            Some(version) if version.to_string() == kit.kernel_version => Ok(archive),
            _ => Err(LabError::Superseded { version: kit.kernel_version.clone() }),
        }
    }
}

/// A suite by the first mirror that has it.
fn open(cache: &Cache, host: &Host, (suite, below): Suite, progress: &Progress) -> Result<Archive, LabError> {
    let keyring = host.check()?;
    let mut failure = None;
    for mirror in machine_mirrors()? {
        let archive = Archive::new(cache.path("apt").join(suite), &mirror, keyring, suite, below)?;
        match progress.step(&format!("look into Debian {suite}"), || archive.update()) {
            Ok(()) => return Ok(archive),
            Err(error) => failure = Some(error),
        }
    }
    progress.say(&format!("{suite} cannot be had from here"));
    Err(failure.unwrap_or_else(|| LabError::NoMirror { looked: "its sources".to_owned() }))
}
