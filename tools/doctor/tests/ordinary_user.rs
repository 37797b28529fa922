//! The program as somebody who is not root. Alone in its file: a program that is copied while another test starts a process is busy.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

#[test]
fn an_ordinary_user_can_run_it() {
    // A copy where others may go: the build's folder may be root's.
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("uaccel-doctor");
    fs::copy(env!("CARGO_BIN_EXE_uaccel-doctor"), &program).expect("a copy");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), open).expect("permissions");
    let own = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").expect("this process"));
    let mut command = Command::new(&program);
    if own == 0 {
        command.uid(65534).gid(65534);
    }
    let output = command.arg("--json").output().expect("the program runs");
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{:?}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let lines = report["findings"].as_array().expect("findings");
    // Who asks is known, and need not be root.
    assert!(lines.iter().any(|line| line["check"] == "memory.locked" && line["status"] != "unknown"), "{report}");
}
