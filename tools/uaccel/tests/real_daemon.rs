//! The tool beside a real daemon, which runs in the test's own process.

mod support;

use support::{Folder, json, program, run, stdout};
use uaccel_devd::{Daemon, DaemonConfig};
use uaccel_runtime::{Runtime, Work};

#[test]
fn its_devices_are_listed_and_described_and_its_clients_seen() {
    let folder = Folder::new("real");
    // The usual place, if the folder is that of the session.
    let socket = folder.0.join("uaccel/devd.sock");
    let daemon = Daemon::start(DaemonConfig::new(&socket)).expect("the daemon starts");
    let at = socket.to_str().expect("text");

    let list_in = |session: &Folder| {
        let output = program().arg("list").env("XDG_RUNTIME_DIR", session.text()).output().expect("the program starts");
        stdout(&output)
    };
    assert!(list_in(&folder).contains("devd:warp0"), "a daemon at the usual place is listed: {}", list_in(&folder));
    assert!(!list_in(&Folder::new("real-none")).contains("devd"), "without one nobody is looked for");

    let list = json(&["list", "--json", "--socket", at, "--root", folder.text()]);
    let device = list["devices"].as_array().expect("devices").iter().find(|device| device["name"] == "devd:warp0");
    let device = device.unwrap_or_else(|| panic!("no devd:warp0 in {list}"));
    assert_eq!(
        (&device["usable"], &device["simulated"], &device["bus"]),
        (&true.into(), &true.into(), &"devd".into()),
        "{device}"
    );

    let info = json(&["info", "devd:warp0", "--json", "--socket", at]);
    assert_eq!((&info["wakes"], &info["address_mode"]), (&true.into(), &"shared".into()));
    assert!(info["algorithms"].as_array().is_some_and(|algorithms| !algorithms.is_empty()));

    let runtime = Runtime::builder().devd(&socket).device("devd:warp0").build().expect("a client");
    let (source, mut destination) = (vec![7; 5000], vec![0; 5000]);
    runtime.run(Work::copy(&source, &mut destination)).expect("a copy");
    assert_eq!(source, destination);
    let look = json(&["top", "--once", "--json", "--socket", at, "--root", folder.text()]);
    let client = &look["daemon"]["clients"][0];
    assert_eq!(client["pid"], std::process::id());
    assert!(client["jobs"].as_u64() >= Some(1) && client["queues"].as_u64() >= Some(1), "{client}");
    let text = stdout(&run(&["top", "--once", "--socket", at, "--root", folder.text()]));
    assert!(text.contains("warp0") && text.contains(&std::process::id().to_string()), "{text}");

    let socket_line = |arguments: &[&str]| {
        let output = run(&[&["doctor", "--json", "--socket", at, "--root", folder.text()], arguments].concat());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        let lines = report["findings"].as_array().expect("findings");
        let line = lines.iter().find(|line| line["check"] == "devd.socket").expect("a line about the socket").clone();
        assert_eq!(line["subject"], at);
        (output.status.code(), line["status"].clone(), line["why"].as_str().expect("text").to_owned())
    };
    let (code, status, why) = socket_line(&[]);
    assert!(code == Some(0) && status == "pass" && why.contains("listens"), "{why}");
    let (code, status, why) = socket_line(&["--open"]);
    assert!(code == Some(0) && status == "pass" && why.contains("answers, with 1 device"), "{why}");

    drop(runtime);
    drop(daemon);
    let (code, status, why) = socket_line(&[]);
    assert!(code == Some(1) && status == "fail" && why.contains("--socket asks for one"), "{why}");
    let list = json(&["list", "--json", "--socket", at, "--root", folder.text()]);
    let gone = list["devices"].as_array().expect("devices").iter().find(|device| device["name"] == "devd");
    let gone = gone.unwrap_or_else(|| panic!("no devd in {list}"));
    assert_eq!(gone["usable"], false);
    assert!(gone["cure"].as_str().is_some_and(|cure| cure.contains("uaccel-devd")), "{gone}");
}
