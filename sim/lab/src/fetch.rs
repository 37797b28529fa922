//! Brings the packages of a kit into the cache.

use std::path::{Path, PathBuf};

use crate::apt::{Archive, Version, Wanted};
use crate::cache::{Cache, CacheLock};
use crate::edition::Edition;
use crate::error::LabError;
use crate::kernel_source;
use crate::kit::Kit;
use crate::loadable;
use crate::namespace;
use crate::offer::Offer;
use crate::own_kernel;
use crate::package;
use crate::progress::Progress;
use crate::sysroot::Sysroot;

/// What building kernels and their modules takes, beside a kernel's headers. Those bring the compiler itself, which is
/// the one that built the kernel, and leave the assembler out.
const TOOLS: [&str; 22] = [
    "bash",
    "bc",
    "binutils",
    "bison",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "flex",
    "grep",
    "gzip",
    "libc6-dev",
    "libelf-dev",
    "lz4",
    "make",
    "mawk",
    "perl-base",
    "python3-minimal",
    "sed",
    "tar",
    "xz-utils",
    "zlib1g-dev",
];

/// Gives the cache's kit, and fetches it if it is not there, or anew if `renew`.
pub(crate) fn fetch(cache: &Cache, edition: Edition, renew: bool, progress: &Progress) -> Result<Kit, LabError> {
    if let Some(kit) = Kit::load(cache, edition).filter(|_| !renew) {
        return Ok(kit);
    }
    let lock = cache.lock(progress)?;
    cache.sweep(&lock)?;
    // Another run may have done it while this one waited.
    if let Some(kit) = Kit::load(cache, edition).filter(|_| !renew) {
        return Ok(kit);
    }
    let offer = Offer::choose(cache, edition, progress)?;
    let kit = bring(cache, &lock, edition, &offer, progress)?;
    kit.store(cache, &lock)?;
    offer.archive.clear()?;
    prune(cache, &lock)?;
    Ok(kit.resolved(|path| cache.path(path)))
}

/// Takes away what no kit of the cache names any longer.
fn prune(cache: &Cache, lock: &CacheLock) -> Result<(), LabError> {
    let kits: Vec<Kit> = Edition::ALL.into_iter().filter_map(|edition| Kit::load(cache, edition)).collect();
    let named = |path: &Path, name: &str| path.file_name().is_some_and(|own| own == name);
    let any = |is: &dyn Fn(&Kit) -> bool| kits.iter().any(is);
    let sysroot = |name: &str| any(&|kit| named(&kit.qemu, name) || named(&kit.toolchain, name));
    cache.prune("sysroots", sysroot, lock)?;
    cache.prune("kernels", |name| any(&|kit| named(&kit.kernel, name)), lock)?;
    cache.prune("busybox", |name| any(&|kit| named(&kit.busybox, name)), lock)?;
    cache.prune(loadable::FOLDER, |name| any(&|kit| kit.kernel_release == name), lock)?;
    cache.prune(kernel_source::FOLDER, |name| any(&|kit| kernel_source::is_of(name, &kit.kernel_release)), lock)?;
    // Those of other fragments may be another branch's.
    cache.prune(own_kernel::FOLDER, |name| any(&|kit| own_kernel::is_of(name, kit)), lock)
}

fn bring(
    cache: &Cache,
    _lock: &CacheLock,
    edition: Edition,
    offer: &Offer,
    progress: &Progress,
) -> Result<Kit, LabError> {
    let archive = &offer.archive;
    let release = named(archive, "linux-headers-amd64", &offer.kernel, "linux-headers-")?;
    let qemu = sysroot(
        cache,
        archive,
        &format!("qemu-{}", offer.qemu.without_epoch()),
        &[format!("qemu-system-x86={}", offer.qemu)],
        "usr/bin/qemu-system-x86_64",
        progress,
    )?;
    let mut tools = vec![format!("linux-headers-{release}={}", offer.kernel)];
    tools.extend(TOOLS.map(str::to_owned));
    let toolchain = sysroot(cache, archive, &format!("builder-{release}"), &tools, "usr/bin/make", progress)?;
    let kernel = kernel(cache, offer, &release, progress)?;
    if edition.takes_engine() {
        let toolchain = Sysroot::at(cache.path(&toolchain));
        kernel_source::bring(cache, archive, &offer.kernel, &release, &toolchain, progress)?;
    }
    let busybox = busybox(cache, archive, progress)?;
    Ok(Kit {
        edition,
        suite: archive.suite().to_owned(),
        qemu_version: offer.qemu.to_string(),
        qemu,
        kernel_version: offer.kernel.to_string(),
        kernel_release: release,
        kernel,
        toolchain,
        busybox,
    })
}

/// The rest of the name of the package that a metapackage stands for.
pub(crate) fn named(archive: &Archive, package: &str, version: &Version, prefix: &str) -> Result<String, LabError> {
    archive
        .depends(package, version)?
        .iter()
        .find_map(|name| name.strip_prefix(prefix).map(str::to_owned))
        .ok_or_else(|| LabError::Metapackage { package: package.to_owned(), wanted: format!("{prefix}…") })
}

/// A sysroot of packages and all that they need; `proof` is a file that has to be in it. The path is relative to the cache.
fn sysroot(
    cache: &Cache,
    archive: &Archive,
    name: &str,
    packages: &[String],
    proof: &str,
    progress: &Progress,
) -> Result<PathBuf, LabError> {
    let path = Path::new("sysroots").join(name);
    if cache.path(&path).exists() {
        return Ok(path);
    }
    let files = archive.download(name, &Wanted::Closure(packages), progress)?;
    let staged = cache.staging()?;
    progress.step(&format!("unpack {} packages", files.len()), || {
        Sysroot::unpack(staged.path(), &files)?.file(proof)?;
        namespace::prepare(staged.path())
    })?;
    cache.publish(staged, &path)?;
    Ok(path)
}

/// The kernel's image.
fn kernel(cache: &Cache, offer: &Offer, release: &str, progress: &Progress) -> Result<PathBuf, LabError> {
    let path = Path::new("kernels").join(release);
    if cache.path(&path).exists() {
        return Ok(path);
    }
    let archive = &offer.archive;
    // Newer packages of the kernel are split: `linux-image` then only names `linux-binary`, which has the image.
    let image = format!("linux-image-{release}");
    let split = format!("linux-binary-{release}");
    let name = if archive.depends(&image, &offer.kernel)?.contains(&split) { split } else { image };
    let version = &offer.kernel;
    let set = format!("linux-{release}");
    let files = archive.download(&set, &Wanted::Alone(&[format!("{name}={version}")]), progress)?;
    let staged = cache.staging()?;
    let vmlinuz = staged.path().join("vmlinuz");
    // Newer packages have the image beside the modules.
    let places = [format!("usr/lib/modules/{release}/vmlinuz"), format!("boot/vmlinuz-{release}")];
    package::one_file(staged.path(), package::named(&files, &name)?, &places, &vmlinuz)?;
    cache.publish(staged, &path)?;
    Ok(path)
}

fn busybox(cache: &Cache, archive: &Archive, progress: &Progress) -> Result<PathBuf, LabError> {
    let version = archive.newest("busybox-static")?.ok_or_else(|| LabError::Incomplete {
        package: archive.suite().to_owned(),
        file: "busybox-static".to_owned(),
    })?;
    let path = Path::new("busybox").join(version.without_epoch());
    if cache.path(&path).exists() {
        return Ok(path);
    }
    let name = format!("busybox-{}", version.without_epoch());
    let files = archive.download(&name, &Wanted::Alone(&[format!("busybox-static={version}")]), progress)?;
    let staged = cache.staging()?;
    let [package] = files.as_slice() else {
        return Err(LabError::Incomplete { package: name, file: "single package".to_owned() });
    };
    package::one_file(staged.path(), package, &["usr/bin/busybox".to_owned()], &staged.path().join("busybox"))?;
    cache.publish(staged, &path)?;
    Ok(path)
}
