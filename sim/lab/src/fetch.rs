//! Finds the first suite whose QEMU and kernel are new enough, and brings their packages into the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::apt::{Archive, Version, Wanted, machine_mirrors};
use crate::cache::{Cache, CacheLock};
use crate::error::LabError;
use crate::host::Host;
use crate::kit::Kit;
use crate::namespace;
use crate::progress::Progress;
use crate::sysroot::Sysroot;

/// The first QEMU whose virtual IOMMU has PASIDs, ATS and page requests together.
const QEMU: (u32, u32) = (11, 1);
/// The first kernel that is known to let a process share its page tables with a device on this IOMMU.
const KERNEL: (u32, u32) = (7, 3);

/// A suite and those that it rests on, in the order in which they are tried.
const SUITES: [(&str, &[&str]); 3] = [("trixie-backports", &["trixie"]), ("sid", &[]), ("forky", &[])];

/// What a suite offers.
struct Offer {
    archive: Archive,
    qemu: Version,
    kernel: Version,
}

/// Gives the cache's kit, and fetches it if it is not there, or anew if `renew`.
pub(crate) fn fetch(cache: &Cache, renew: bool, progress: &Progress) -> Result<Kit, LabError> {
    if let Some(kit) = Kit::load(cache).filter(|_| !renew) {
        return Ok(kit);
    }
    let lock = cache.lock(progress)?;
    cache.sweep(&lock)?;
    // Another run may have done it while this one waited.
    if let Some(kit) = Kit::load(cache).filter(|_| !renew) {
        return Ok(kit);
    }
    let host = Host::look();
    let keyring = host.check()?;
    let mirrors = machine_mirrors()?;
    let offer = choose(cache, &host, &mirrors, keyring, progress)?;
    let kit = bring(cache, &lock, &offer, progress)?;
    kit.store(cache, &lock)?;
    offer.archive.clear()?;
    cache.prune("sysroots", &[&kit.qemu, &kit.toolchain], &lock)?;
    cache.prune("kernels", &[&kit.kernel], &lock)?;
    cache.prune("busybox", &[&kit.busybox], &lock)?;
    Ok(kit.resolved(|path| cache.path(path)))
}

fn choose(
    cache: &Cache,
    host: &Host,
    mirrors: &[String],
    keyring: &str,
    progress: &Progress,
) -> Result<Offer, LabError> {
    let mut found = Vec::new();
    let mut failure = None;
    for (suite, below) in host.first_own(SUITES) {
        for mirror in mirrors {
            let archive = Archive::new(cache.path("apt").join(suite), mirror, keyring, suite, below)?;
            if let Err(error) = progress.step(&format!("look into Debian {suite}"), || archive.update()) {
                progress.say(&format!("{suite} cannot be had from here"));
                failure = Some(error);
                continue;
            }
            let qemu = archive.newest("qemu-system-x86")?;
            let kernel = archive.newest("linux-image-amd64")?;
            match (qemu, kernel) {
                (Some(qemu), Some(kernel)) if qemu.release() >= QEMU && kernel.release() >= KERNEL => {
                    progress.say(&format!("{suite} has QEMU {qemu} and Linux {kernel}"));
                    return Ok(Offer { archive, qemu, kernel });
                }
                (qemu, kernel) => {
                    let said =
                        |version: Option<Version>| version.map_or("none".to_owned(), |version| version.to_string());
                    found.push(format!("  {suite}: QEMU {}, Linux {}", said(qemu), said(kernel)));
                }
            }
            break;
        }
    }
    match failure {
        Some(error) if found.is_empty() => Err(error),
        _ => Err(LabError::TooOld {
            what: "both QEMU and Linux",
            least: format!("{}.{} and {}.{}", QEMU.0, QEMU.1, KERNEL.0, KERNEL.1),
            found: found.join("\n"),
        }),
    }
}

fn bring(cache: &Cache, _lock: &CacheLock, offer: &Offer, progress: &Progress) -> Result<Kit, LabError> {
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
    // The compiler itself comes with the headers, which name the one that built the kernel; they leave the assembler out.
    let mut tools = vec![format!("linux-headers-{release}={}", offer.kernel)];
    tools.extend(
        ["binutils", "make", "coreutils", "bash", "sed", "grep", "mawk", "dash", "findutils", "tar", "xz-utils"]
            .map(str::to_owned),
    );
    let toolchain = sysroot(cache, archive, &format!("toolchain-{release}"), &tools, "usr/bin/make", progress)?;
    let kernel = kernel(cache, offer, &release, &Sysroot::at(cache.path(&toolchain)), progress)?;
    let busybox = busybox(cache, archive, progress)?;
    Ok(Kit {
        suite: archive.suite().to_owned(),
        qemu_version: offer.qemu.to_string(),
        qemu,
        kernel_release: release,
        kernel,
        toolchain,
        busybox,
    })
}

/// The rest of the name of the package that a metapackage stands for.
fn named(archive: &Archive, package: &str, version: &Version, prefix: &str) -> Result<String, LabError> {
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

/// The kernel's image, and uacce's source out of the source of the same kernel.
fn kernel(
    cache: &Cache,
    offer: &Offer,
    release: &str,
    toolchain: &Sysroot,
    progress: &Progress,
) -> Result<PathBuf, LabError> {
    let path = Path::new("kernels").join(release);
    if cache.path(&path).exists() {
        return Ok(path);
    }
    let archive = &offer.archive;
    // Newer packages of the kernel are split: `linux-image` then only names `linux-binary`, which has the image.
    let image = format!("linux-image-{release}");
    let split = format!("linux-binary-{release}");
    let package = if archive.depends(&image, &offer.kernel)?.contains(&split) { split } else { image };
    let source = named(archive, "linux-source", &offer.kernel, "linux-source-")?;
    let version = &offer.kernel;
    let packages = [format!("{package}={version}"), format!("linux-source-{source}={version}")];
    let files = archive.download(&format!("linux-{release}"), &Wanted::Alone(&packages), progress)?;
    let deb = |start: &str| {
        files
            .iter()
            .find(|file| file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(start.as_bytes())))
            .ok_or_else(|| LabError::Incomplete { package: start.to_owned(), file: "package".to_owned() })
    };
    let staged = cache.staging()?;
    let vmlinuz = staged.path().join("vmlinuz");
    // Newer packages have the image beside the modules.
    let places = [format!("usr/lib/modules/{release}/vmlinuz"), format!("boot/vmlinuz-{release}")];
    one_file(staged.path(), deb(&package)?, &places, &vmlinuz)?;
    let tree = format!("linux-source-{source}");
    progress.step("take uacce.c out of the kernel's source", || {
        let pressed = staged.path().join("source.tar.xz");
        out_of(deb(&tree)?, &format!("./usr/src/{tree}.tar.xz"), &pressed)?;
        let target = staged.path().join("uacce.c");
        out_of_pressed(toolchain, &pressed, &format!("{tree}/drivers/misc/uacce/uacce.c"), &target)?;
        fs::remove_file(&pressed).map_err(LabError::io("remove", &pressed))
    })?;
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
    one_file(staged.path(), package, &["usr/bin/busybox".to_owned()], &staged.path().join("busybox"))?;
    cache.publish(staged, &path)?;
    Ok(path)
}

/// Copies the first of `places` that a package has to `target`, by way of a folder inside `staging`.
fn one_file(staging: &Path, package: &Path, places: &[String], target: &Path) -> Result<(), LabError> {
    let unpacked = tempfile::tempdir_in(staging).map_err(LabError::io("write to", staging))?;
    let sysroot = Sysroot::unpack(unpacked.path(), &[package.to_owned()])?;
    let file = places
        .iter()
        .find_map(|place| sysroot.file(place).ok())
        .ok_or_else(|| LabError::Incomplete { package: package.display().to_string(), file: places.join(" nor ") })?;
    fs::copy(file, target).map_err(LabError::io("write", target))?;
    Ok(())
}

/// Writes one file of a package to `target`.
fn out_of(package: &Path, member: &str, target: &Path) -> Result<(), LabError> {
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(LabError::start("dpkg-deb"))?;
    let found = member_of(archive.stdout.take().map(Stdio::from), member, target);
    // It is cut off as soon as the member was found.
    let _ = archive.kill();
    let _ = archive.wait();
    found
}

/// Writes one file of an archive that is compressed with xz; the program for that need not be on this machine.
fn out_of_pressed(toolchain: &Sysroot, pressed: &Path, member: &str, target: &Path) -> Result<(), LabError> {
    let mut xz = toolchain
        .command("usr/bin/xz")?
        .args(["--decompress", "--stdout", "--threads=0"])
        .arg(pressed)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(LabError::start("xz"))?;
    let found = member_of(xz.stdout.take().map(Stdio::from), member, target);
    let _ = xz.kill();
    let _ = xz.wait();
    found
}

fn member_of(archive: Option<Stdio>, member: &str, target: &Path) -> Result<(), LabError> {
    let file = File::create(target).map_err(LabError::io("create", target))?;
    let status = Command::new("tar")
        .args(["--extract", "--to-stdout", "--occurrence=1", "--file=-"])
        .arg(member)
        .stdin(archive.unwrap_or_else(Stdio::null))
        .stdout(file)
        .stderr(Stdio::null())
        .status()
        .map_err(LabError::start("tar"))?;
    let size = fs::metadata(target).map_err(LabError::io("read", target))?.len();
    if size == 0 {
        return Err(LabError::Incomplete { package: format!("the archive ({status})"), file: member.to_owned() });
    }
    Ok(())
}
