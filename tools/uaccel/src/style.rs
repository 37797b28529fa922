//! Colours, used sparingly: everything is readable without them.

use std::io::{self, IsTerminal as _, Stdout};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// Headings.
pub const HEAD: Style = Style::new().bold();
/// What is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What is not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is to be known.
pub const NOTE: Style = AnsiColor::Yellow.on_default().bold();
/// What explains.
pub const DIM: Style = Style::new().dimmed();

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR says otherwise.
    #[default]
    Auto,
    /// Also into a file or a pipe.
    Always,
    /// Not at all.
    Never,
}

impl Color {
    /// Standard output, which drops colours where they are not wanted.
    #[must_use]
    pub fn stdout(self) -> AutoStream<Stdout> {
        let choice = match self {
            Self::Auto if !io::stdout().is_terminal() && !asked_for_by_environment() => ColorChoice::Never,
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::AlwaysAnsi,
            Self::Never => ColorChoice::Never,
        };
        AutoStream::new(io::stdout(), choice)
    }
}

fn asked_for_by_environment() -> bool {
    std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0")
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
