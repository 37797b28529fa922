//! What QEMU calls when it loads the plug-in.

use core::ffi::{CStr, c_char, c_int, c_void};
use std::io::{self, Write};

use crate::device::{self, HisiZipDevice, WarpDevice};
use crate::ffi::{Version, VersionError, functions};
use crate::options::{Options, OptionsError};

/// The plug-in interface of QEMU that this is for (`qemu/qemu-plugin.h`). QEMU 11.1 is the first to have this number, and refuses plug-ins with a smaller one.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the name QEMU looks for")]
pub static qemu_plugin_version: c_int = 7;

/// Why the plug-in cannot be used.
#[derive(Debug, thiserror::Error)]
enum InstallError {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(
        "this build has libraries in it that cannot be combined with QEMU's licence; build it alone: \
         cargo build --release -p uaccel-qemu"
    )]
    Licence,
    #[error("the plug-in is loaded already; several devices need only one")]
    Twice,
    #[error("option {0} is not text")]
    NotText(c_int),
    #[error("this QEMU lacks {}: it is older than 11.1, or keeps its functions to itself", .0.join(", "))]
    Functions(&'static [&'static str]),
    #[error(transparent)]
    Version(#[from] VersionError),
}

/// Called by QEMU: 0 if the plug-in is to be used.
///
/// # Safety
/// `argv` must point to `argc` C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    _id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { install(argc, argv) } {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "uaccel-qemu: {error}");
            1
        }
    }
}

/// # Safety
/// As [`qemu_plugin_install`].
unsafe fn install(argc: c_int, argv: *const *const c_char) -> Result<(), InstallError> {
    // Built in one go with the rest of the workspace it gets the units of the rest.
    if !uaccel_units::GPLV2_COMPATIBLE {
        return Err(InstallError::Licence);
    }
    let mut arguments = Vec::new();
    for index in 0..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: the caller's promise.
        let argument = unsafe { CStr::from_ptr(*argv.add(index)) };
        arguments
            .push(argument.to_str().map_err(|_| InstallError::NotText(c_int::try_from(index).unwrap_or(c_int::MAX)))?);
    }
    let options = Options::parse(arguments)?;
    let functions = functions().map_err(InstallError::Functions)?;
    let version = Version::of(functions)?;
    version.check(functions)?;
    if !version.is_known() {
        let _ = writeln!(
            io::stderr(),
            "uaccel-qemu: QEMU {version} is not one this plug-in was tested with; its classes are laid out as expected, and answers are checked"
        );
    }
    if !device::prepare::<WarpDevice>(functions, version, options) {
        return Err(InstallError::Twice);
    }
    device::register::<WarpDevice>(functions);
    device::register::<HisiZipDevice>(functions);
    Ok(())
}
