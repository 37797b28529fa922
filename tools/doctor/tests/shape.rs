//! The shape of a report in JSON, which programs rely on: its fields, its words, and the names of its checks.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::machine;
use serde_json::Value;
use uaccel_doctor::{DaemonSocket, Manner, Recording, Report, SCHEMA_VERSION, SocketState};

/// Every check there is. A name that goes, or means something else, is a new version of the shape.
const CHECKS: &[&str] = &[
    "accelerator.found",
    "accelerator.sharing",
    "devd.socket",
    "group.company",
    "group.reach",
    "hisilicon.driver",
    "idxd.device",
    "idxd.driver",
    "idxd.node",
    "idxd.queue",
    "idxd.sharing",
    "idxd.submission",
    "iommu.acs-override",
    "iommu.interrupts",
    "iommu.page-requests",
    "iommu.page-tables",
    "iommu.present",
    "iommu.scalable-mode",
    "iommu.unit",
    "iommu.width",
    "kernel.configuration",
    "kernel.idxd",
    "kernel.iommufd",
    "kernel.release",
    "kernel.sva",
    "kernel.uacce",
    "kernel.vfio",
    "kernel.vfio-cdev",
    "kernel.vfio-pci",
    "kernel.vfio-type1",
    "memory.locked",
    "qat.device",
    "uacce.device",
    "uacce.driver",
    "uacce.isolated",
    "uacce.node",
    "uacce.queues",
    "uacce.sharing",
    "vfio.bound",
    "vfio.container-node",
    "vfio.device-node",
    "vfio.group",
    "vfio.group-node",
    "vfio.iommufd-node",
    "vfio.no-iommu",
    "vfio.unsafe-interrupts",
];

/// Every recording, each looked at in different manners.
fn reports() -> Vec<(String, Value)> {
    let folder = common::path("x").with_file_name("");
    let mut reports = Vec::new();
    for entry in fs::read_dir(folder).expect("the recordings") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        let recording = machine(name.strip_suffix(".json").expect("a recording"));
        let socket = DaemonSocket {
            path: "/x".to_owned(),
            named_by: Some("--socket".to_owned()),
            owner: None,
            state: SocketState::Dead,
        };
        let with_daemon = Recording { daemon: Some(socket), ..recording.clone() };
        let all = Manner { open: true, all: true, devices: vec!["0000:00:02.0".to_owned(), "0000:ff:00.0".to_owned()] };
        for (recording, manner) in [(&recording, Manner::default()), (&with_daemon, all)] {
            let report = serde_json::to_value(Report::of(recording, &manner)).expect("JSON");
            reports.push((format!("{name}, {manner:?}"), report));
        }
    }
    assert!(reports.len() >= 20, "recordings are missing");
    reports
}

fn fields(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

fn are_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|texts| texts.iter().all(is_text))
}

#[test]
fn every_report_has_the_same_fields_and_words() {
    assert_eq!(SCHEMA_VERSION, 1);
    for (what, report) in reports() {
        assert_eq!(fields(&report), ["findings", "roads", "schema_version"], "{what}");
        assert_eq!(report["schema_version"], 1);
        let findings = report["findings"].as_array().expect("findings");
        assert!(!findings.is_empty(), "{what}");
        for finding in findings {
            assert_eq!(fields(finding), ["advice", "check", "commands", "status", "subject", "why"], "{what}");
            assert!(is_text(&finding["why"]) && are_texts(&finding["commands"]), "{finding}");
            for optional in ["subject", "advice"] {
                assert!(finding[optional].is_null() || is_text(&finding[optional]), "{finding}");
            }
            let status = finding["status"].as_str().expect("a status");
            assert!(["pass", "fail", "warn", "absent", "unknown"].contains(&status), "{finding}");
            if status == "fail" {
                let mended =
                    is_text(&finding["advice"]) || finding["commands"].as_array().is_some_and(|all| !all.is_empty());
                assert!(mended, "{what}: nothing is said of what mends it: {finding}");
            }
        }
        let roads = report["roads"].as_array().expect("roads");
        let names: Vec<_> = roads.iter().map(|road| road["road"].as_str().expect("a name")).collect();
        assert_eq!(names, ["uacce", "idxd", "vfio-iommufd", "vfio-type1"], "{what}");
        for road in roads {
            assert_eq!(fields(road), ["address_mode", "devices", "road"], "{what}");
            assert!(are_texts(&road["devices"]), "{road}");
            let mode = road["address_mode"].as_str().expect("a mode");
            assert!(["shared", "on-demand-pinned", "identity-pinned", "bounced"].contains(&mode), "{road}");
        }
    }
}

#[test]
fn every_check_has_one_of_the_names_that_do_not_change() {
    let mut seen = BTreeSet::new();
    for (what, report) in reports() {
        for finding in report["findings"].as_array().expect("findings") {
            let check = finding["check"].as_str().expect("a name").to_owned();
            assert!(CHECKS.contains(&check.as_str()), "{what}: {check}");
            seen.insert(check);
        }
    }
    assert!(CHECKS.is_sorted());
    assert!(seen.len() * 2 > CHECKS.len(), "the recordings show most of them: {seen:?}");
}
