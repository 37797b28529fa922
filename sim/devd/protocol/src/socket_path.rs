//! Where the socket is.

use std::env;
use std::path::PathBuf;

/// The environment variable that names the socket, for daemon and clients.
pub const SOCKET_VARIABLE: &str = "UACCEL_DEVD";

/// The socket that [`SOCKET_VARIABLE`] names, if it is set and not empty.
#[must_use]
pub fn named_socket() -> Option<PathBuf> {
    path_from(SOCKET_VARIABLE)
}

/// Where the socket is unless the program says so: `$UACCEL_DEVD`, else `$XDG_RUNTIME_DIR/uaccel/devd.sock`, else `/run/uaccel/devd.sock`.
#[must_use]
pub fn default_socket() -> PathBuf {
    named_socket()
        .or_else(|| path_from("XDG_RUNTIME_DIR").map(|folder| folder.join("uaccel/devd.sock")))
        .unwrap_or_else(|| PathBuf::from("/run/uaccel/devd.sock"))
}

fn path_from(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
