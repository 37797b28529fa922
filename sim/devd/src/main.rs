//! The program: command line in, exit code out.

mod cli;
mod query;
mod signals;

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;
use uaccel_devd::{Daemon, Listener};

use cli::{Action, Cli, ServeArgs};
use signals::{Demand, Signals};

/// The device still used memory of a client when the time was over.
const NOT_QUIET: u8 = 3;

fn main() -> ExitCode {
    // SAFETY: nothing has opened a file yet, and this is the only call.
    let passed = unsafe { Listener::activated() };
    let cli = Cli::parse();
    let outcome = match &cli.action {
        Some(Action::Status { json, socket }) => status(*json, &socket.path()),
        None => passed.map_err(Into::into).and_then(|passed| serve(&cli.serve, passed)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("uaccel-devd: {}", chain(&*error));
        ExitCode::FAILURE
    })
}

/// Serves until a signal ends it.
fn serve(arguments: &ServeArgs, passed: Option<Listener>) -> Result<ExitCode, Box<dyn Error>> {
    log(arguments)?;
    let signals = Signals::catch()?;
    let config = arguments.config()?;
    let limit = raise_descriptor_limit();
    tracing::debug!(?limit, "descriptors");
    let daemon = match passed {
        Some(listener) => Daemon::serve(config, listener)?,
        None => Daemon::start(config)?,
    };
    let number = loop {
        match signals.wait()? {
            Demand::End(number) => break number,
            Demand::Reload => match arguments.plan() {
                Ok(plan) => {
                    daemon.set_plan(&plan);
                    tracing::info!("plan read again");
                }
                Err(error) => tracing::error!(error = chain(&error), "the plan stays as it was"),
            },
        }
    };
    tracing::info!(signal = number, within = ?arguments.drain, "ending");
    // Who asks twice does not want to wait.
    std::thread::Builder::new().name("devd-signals".to_owned()).spawn(move || {
        while let Ok(demand) = signals.wait() {
            if let Demand::End(number) = demand {
                std::process::exit(i32::from(number) + 128);
            }
        }
    })?;
    let left = daemon.shutdown(arguments.drain);
    if left != 0 {
        tracing::warn!(clients = left, "ending while the device may still use memory of clients");
        // Not by returning: no thread that is held up is waited for. The kernel closes their connections when the last one is gone.
        let _ = io::stderr().flush();
        std::process::exit(i32::from(NOT_QUIET));
    }
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}

fn status(json: bool, socket: &std::path::Path) -> Result<ExitCode, Box<dyn Error>> {
    let text = query::fetch(socket)?;
    let text = if json { text + "\n" } else { query::describe(&text)? };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn log(arguments: &ServeArgs) -> Result<(), Box<dyn Error>> {
    let wanted = arguments.log.clone().or_else(|| std::env::var("RUST_LOG").ok());
    let filter = EnvFilter::builder().parse(wanted.unwrap_or_else(|| "info".to_owned()))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init()
        .map_err(|error| error as Box<dyn Error>)
}

/// Every client takes descriptors: as many as the system allows are needed.
fn raise_descriptor_limit() -> nix::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// An error with what caused it.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(cause) => format!("{error}: {}", chain(cause)),
    }
}
