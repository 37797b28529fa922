//! Where the socket is.

use std::env;
use std::path::PathBuf;

/// The variable that names the socket, for server and clients.
pub const VARIABLE: &str = "UACCEL_DEVD";

/// Where the socket is unless somebody says so: `$UACCEL_DEVD`, else `$XDG_RUNTIME_DIR/uaccel/devd.sock`, else `/run/uaccel/devd.sock`.
#[must_use]
pub fn default_socket() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set(VARIABLE)
        .or_else(|| set("XDG_RUNTIME_DIR").map(|folder| folder.join("uaccel/devd.sock")))
        .unwrap_or_else(|| PathBuf::from("/run/uaccel/devd.sock"))
}
