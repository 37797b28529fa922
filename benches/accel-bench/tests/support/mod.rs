//! What the tests of this folder share: running the program, and checking JSON against the schema.
#![allow(dead_code, reason = "every test file is a program of its own and uses a part")]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// The program, in a defined environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accel-bench"));
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "UACCEL_DEVICE", "UACCEL_DEVD"] {
        command.env_remove(variable);
    }
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

/// What it wrote to standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What it wrote to standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// The JSON object that the program writes with these arguments, checked against the schema.
pub(crate) fn json(arguments: &[&str], code: i32) -> Value {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    let value: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let schema: Value = serde_json::from_str(include_str!("../../report.schema.json")).expect("the schema is JSON");
    check(&value, &schema, &schema, "$");
    value
}

/// Panics where a value breaks a rule of its schema. Knows the keywords that the schema uses, and refuses others.
fn check(value: &Value, rule: &Value, schema: &Value, at: &str) {
    const KNOWN: [&str; 13] = [
        "$schema",
        "$defs",
        "$ref",
        "title",
        "description",
        "type",
        "const",
        "enum",
        "minimum",
        "required",
        "properties",
        "additionalProperties",
        "items",
    ];
    let rule = rule.as_object().unwrap_or_else(|| panic!("{at}: a rule is an object"));
    for keyword in rule.keys() {
        assert!(KNOWN.contains(&keyword.as_str()), "{at}: this test does not know the keyword {keyword}");
    }
    if let Some(reference) = rule.get("$ref").and_then(Value::as_str) {
        let target = schema
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{at}: {reference} leads nowhere"));
        return check(value, target, schema, at);
    }
    if let Some(expected) = rule.get("type") {
        let allowed = expected.as_array().cloned().unwrap_or_else(|| vec![expected.clone()]);
        assert!(
            allowed.iter().filter_map(Value::as_str).any(|kind| is(value, kind)),
            "{at}: {value} is not of type {expected}"
        );
    }
    if let Some(expected) = rule.get("const") {
        assert_eq!(value, expected, "{at}");
    }
    if let Some(allowed) = rule.get("enum").and_then(Value::as_array) {
        assert!(allowed.contains(value), "{at}: {value} is not one of {allowed:?}");
    }
    if let (Some(least), Some(number)) = (rule.get("minimum").and_then(Value::as_f64), value.as_f64()) {
        assert!(number >= least, "{at}: {number} is below {least}");
    }
    if let Some(object) = value.as_object() {
        for name in rule.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            assert!(object.contains_key(name), "{at}: '{name}' is missing");
        }
        for (name, member) in object {
            let at = format!("{at}.{name}");
            match (rule.get("properties").and_then(|properties| properties.get(name)), rule.get("additionalProperties"))
            {
                (Some(rule), _) => check(member, rule, schema, &at),
                (None, Some(Value::Bool(false))) => panic!("{at} is not in the schema"),
                (None, Some(rule @ Value::Object(_))) => check(member, rule, schema, &at),
                (None, _) => {}
            }
        }
    }
    if let (Some(elements), Some(rule)) = (value.as_array(), rule.get("items")) {
        elements
            .iter()
            .enumerate()
            .for_each(|(index, element)| check(element, rule, schema, &format!("{at}[{index}]")));
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// A directory that goes with its value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("accel-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
