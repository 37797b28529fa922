//! Tasks of the repository. `cargo xtask test` runs every test there is; `cargo xtask test --only NAME` one kind of them.

mod lab;
mod lanes;
mod output;
mod step;
mod steps;

use std::process::ExitCode;

use output::Output;
use step::{Outcome, Report, Step};

const USAGE: &str = "\
Usage: cargo xtask <task>

Tasks:
  test [--only NAME]...   every test there is, or the named kinds
  guest ARGUMENTS...      a program in the lab's guest: the arguments of `sva-lab run`
  lint                    formatting, clippy and documentation, warnings denied
  list                    the kinds of test, with what they prove";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => {
            for step in steps::TESTS.iter().chain(steps::PARTS).chain(steps::LINTS) {
                println!("{:<14} {}", step.name, step.proves);
            }
            ExitCode::SUCCESS
        }
        ["guest", ..] => lab::run(&arguments[1..]),
        ["lint"] => run(steps::LINTS.iter().collect()),
        ["test"] => run(steps::TESTS.iter().collect()),
        ["test", options @ ..] => match chosen(options) {
            Ok(steps) => run(steps),
            Err(message) => usage(&message),
        },
        [] => usage("a task is missing"),
        [other, ..] => usage(&format!("there is no task '{other}'")),
    }
}

fn usage(message: &str) -> ExitCode {
    eprintln!("{message}\n\n{USAGE}");
    ExitCode::from(2)
}

fn chosen(options: &[&str]) -> Result<Vec<&'static Step>, String> {
    let (pairs, rest) = options.as_chunks::<2>();
    if let [odd] = rest {
        return Err(format!("'{odd}' stands alone"));
    }
    let mut steps: Vec<&'static Step> = Vec::new();
    for [option, name] in pairs {
        if *option != "--only" {
            return Err(format!("there is no option '{option}'"));
        }
        // Each has one file for its output.
        if steps.iter().any(|step| step.name == *name) {
            return Err(format!("'{name}' is named twice"));
        }
        let mut all = steps::TESTS.iter().chain(steps::PARTS);
        let step = all.find(|step| step.name == *name);
        steps.push(step.ok_or_else(|| format!("there is no kind of test '{name}'; see `cargo xtask list`"))?);
    }
    Ok(steps)
}

/// Names the steps that CI may skip.
const SKIP_VARIABLE: &str = "UACCEL_MAY_SKIP";

fn may_be_skipped(name: &str) -> bool {
    std::env::var(SKIP_VARIABLE).is_ok_and(|names| names.split(',').any(|allowed| allowed.trim() == name))
}

/// Runs steps that may run beside each other, or a single one.
fn run_together(steps: &[&'static Step]) -> Vec<Report> {
    match steps {
        [step] => {
            println!("\n{}", step.headline());
            vec![step.run(&mut Output::Own)]
        }
        _ => lanes::run(steps),
    }
}

/// Lines of the output of a step that failed that are shown once more.
const SHOWN_AGAIN: usize = 40;

/// Shows how the output of steps ends that failed beside others: it was shown, but steps that came later said more since.
fn show_failures(results: &[(&Step, Report)]) {
    for (step, result) in results {
        if let (Outcome::Failed(_), Some(path)) = (&result.outcome, &result.log) {
            match output::end(path, SHOWN_AGAIN) {
                Ok(text) => print!("\n==== {} failed; its last lines again\n{text}", step.name),
                Err(error) => eprintln!("{} cannot be shown: {error}", path.display()),
            }
        }
    }
}

/// Runs all steps, also after a failure, and says at the end what came of each.
fn run(steps: Vec<&'static Step>) -> ExitCode {
    let results: Vec<(&Step, Report)> = steps
        .chunk_by(|one, other| one.is_in_guest() && other.is_in_guest())
        .flat_map(|steps| std::iter::zip(steps.iter().copied(), run_together(steps)))
        .collect();
    show_failures(&results);
    println!("\n{:-<72}", "");
    for (step, result) in &results {
        println!("{:<14} {result}", step.name);
    }
    let count = |wanted: fn(&Outcome) -> bool| results.iter().filter(|(_, result)| wanted(&result.outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    println!("steps: {passed} passed, {failed} failed, {skipped} skipped");
    let forbidden = results.iter().any(|(step, result)| {
        matches!(result.outcome, Outcome::Skipped(_)) && std::env::var_os("CI").is_some() && !may_be_skipped(step.name)
    });
    if forbidden {
        println!("In CI a skipped step is a failure, unless {SKIP_VARIABLE} names it (several with commas).");
    }
    if failed == 0 && !forbidden { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: &[&str]) -> Result<Vec<&'static str>, String> {
        chosen(options).map(|steps| steps.iter().map(|step| step.name).collect())
    }

    #[test]
    fn kinds_are_run_in_the_order_in_which_they_are_named() {
        assert_eq!(names(&["--only", "guest", "--only", "devd"]), Ok(vec!["guest", "devd"]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (options, said) in [
            (&["--only"][..], "stands alone"),
            (&["--but", "guest"], "no option '--but'"),
            (&["--only", "gest"], "no kind of test 'gest'"),
            (&["--only", "guest", "--only", "docs", "--only", "guest"], "'guest' is named twice"),
        ] {
            assert!(names(options).is_err_and(|message| message.contains(said)), "{options:?}");
        }
    }
}
