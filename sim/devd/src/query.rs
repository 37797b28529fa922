//! Asking a running server.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uaccel_devd::Status;
use uaccel_devd_protocol::{Channel, ChannelError, Reply, Request};

/// How long a server is waited for. It answers at once unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(5);
/// A report is never longer.
const LONGEST: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("no server answers at {path}; start one with: uaccel-devd --socket {path}", path = .path.display())]
    Nobody { path: PathBuf, source: ChannelError },
    #[error("the server's answer is of no use: {0}")]
    Answer(String),
    #[error("the report cannot be read")]
    Read(#[source] io::Error),
}

/// The report of the server at `socket`, as text.
pub(crate) fn fetch(socket: &Path) -> Result<String, QueryError> {
    let nobody = |source| QueryError::Nobody { path: socket.to_owned(), source };
    let channel = Channel::connect(socket, PATIENCE).map_err(nobody)?;
    channel.send(&Request::Status.encode(1), &[], PATIENCE).map_err(nobody)?;
    let packet = channel.receive(PATIENCE).map_err(nobody)?;
    let unfit = |error: &dyn std::fmt::Display| QueryError::Answer(error.to_string());
    let (_, reply) = Reply::decode(&packet.bytes, packet.descriptors.len()).map_err(|error| unfit(&error))?;
    match (reply, packet.descriptors.into_iter().next()) {
        (Reply::Status { len }, Some(file)) => {
            let mut text = String::new();
            File::from(file).take(len.min(LONGEST)).read_to_string(&mut text).map_err(QueryError::Read)?;
            Ok(text)
        }
        (Reply::Refused { text, .. }, _) => Err(QueryError::Answer(text)),
        (other, _) => Err(QueryError::Answer(format!("{other:?}"))),
    }
}

/// The report for people.
pub(crate) fn describe(text: &str) -> Result<String, QueryError> {
    use std::fmt::Write as _;

    let status: Status = serde_json::from_str(text).map_err(|error| QueryError::Answer(error.to_string()))?;
    let mut out = String::new();
    let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs();
    let Status { version, pid, socket, uptime_ns, devices, clients, .. } = &status;
    // Writing to a string cannot fail.
    let _ = writeln!(out, "uaccel-devd {version}, process {pid}, up {} s, {}", seconds(*uptime_ns), socket.display());
    for device in devices {
        let _ = writeln!(
            out,
            "device {} ({}): {} of {} queues open, {} workers, {} lanes, {} jobs, {} bytes, {} faults",
            device.name,
            device.interface,
            device.queues_open,
            device.queues,
            device.workers,
            device.lanes,
            device.jobs,
            device.bytes,
            device.faults
        );
    }
    for client in clients {
        let _ = writeln!(
            out,
            "client {} (PASID {}, user {}, {}): {} queues, {} windows, {}, {} jobs, {} bytes, {} faults{}",
            client.pid,
            client.pasid,
            client.uid,
            client.command,
            client.queues,
            client.windows,
            client.access,
            client.jobs,
            client.bytes,
            client.faults,
            if client.blocked { ", blocked" } else { "" }
        );
    }
    Ok(out)
}
