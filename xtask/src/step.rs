//! One kind of test: commands, run one after the other.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::lab;
use crate::output::Output;

/// One kind of test.
pub(crate) struct Step {
    /// What users call it.
    pub(crate) name: &'static str,
    /// What it proves.
    pub(crate) proves: &'static str,
    /// What it runs.
    pub(crate) commands: &'static [Call],
    /// Says why it cannot run here, if so.
    pub(crate) missing: fn() -> Option<String>,
}

/// A call of cargo.
pub(crate) struct Call {
    /// The first arguments, where several calls share them.
    pub(crate) before: &'static [&'static str],
    /// The other arguments.
    pub(crate) arguments: &'static [&'static str],
    /// Variables beside those of the environment.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Where what is built runs, if not here: in the lab's guest, with these options of `sva-lab run`.
    pub(crate) guest: Option<&'static [&'static str]>,
}

/// A call of cargo with nothing special.
pub(crate) const fn cargo(arguments: &'static [&'static str]) -> Call {
    Call { before: &[], arguments, environment: &[], guest: None }
}

/// A call of cargo that runs what it builds in the lab's guest.
pub(crate) const fn in_guest(options: &'static [&'static str], arguments: &'static [&'static str]) -> Call {
    Call { guest: Some(options), ..cargo(arguments) }
}

/// What came of a step.
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// What came of a step, and how long it took.
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    took: Duration,
    /// The file with its output, if that went to one.
    pub(crate) log: Option<PathBuf>,
}

impl Step {
    /// Whether it runs in a guest: one processor's work, mostly.
    pub(crate) fn is_in_guest(&self) -> bool {
        self.commands.iter().any(|call| call.guest.is_some())
    }

    /// What stands above its output.
    pub(crate) fn headline(&self) -> String {
        format!("==== {}: {}", self.name, self.proves)
    }

    pub(crate) fn run(&self, output: &mut Output) -> Report {
        let begun = Instant::now();
        let outcome = match (self.missing)() {
            Some(reason) => {
                output.say(&format!("SKIPPED: {reason}"));
                Outcome::Skipped(reason)
            }
            None => {
                self.commands.iter().find_map(|call| call.run(output).err()).map_or(Outcome::Passed, Outcome::Failed)
            }
        };
        Report { outcome, took: begun.elapsed(), log: None }
    }
}

impl Report {
    /// A step that could not begin.
    pub(crate) fn failed(reason: String) -> Self {
        Self { outcome: Outcome::Failed(reason), took: Duration::ZERO, log: None }
    }

    /// The same, of a step whose output went to a file.
    pub(crate) fn logged_to(self, log: PathBuf) -> Self {
        Self { log: Some(log), ..self }
    }
}

impl Call {
    fn run(&self, output: &mut Output) -> Result<(), String> {
        let line = [self.before, self.arguments].concat().join(" ");
        let place = self.guest.map(|options| {
            format!("  (in the guest{}{})", if options.is_empty() { "" } else { ": " }, options.join(" "))
        });
        output.say(&format!("+ cargo {line}{}", place.unwrap_or_default()));
        let mut command = lab::cargo();
        if let Some(options) = self.guest {
            command.args(lab::runner(options)?);
        }
        command.args(self.before).args(self.arguments).envs(self.environment.iter().copied());
        let status = output
            .of(&mut command)
            .and_then(|command| command.status())
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("cargo {line}: {status}")) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs();
        match &self.outcome {
            Outcome::Passed => write!(f, "passed  {seconds:>4} s"),
            Outcome::Failed(reason) => write!(f, "FAILED  {seconds:>4} s  {reason}"),
            Outcome::Skipped(reason) => write!(f, "SKIPPED         {reason}"),
        }
    }
}
