//! Steps in guests, several at a time: a guest is one processor's work, mostly, and waits besides.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::output::{self, Output};
use crate::step::{Report, Step};

/// The most at a time. Tests in guests wait for each other within bounds of time, which a machine that is full would pass.
const MOST: usize = 2;

/// Runs these steps, each as soon as there is a lane for it, in their order. Says in that order what came of each.
pub(crate) fn run(steps: &[&'static Step]) -> Vec<Report> {
    let lanes = thread::available_parallelism().map_or(1, usize::from).min(MOST);
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    // Relaxed: a number, and nothing else that it would have to order.
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(step) = steps.get(at) else { break };
                    let report = run_one(step);
                    reports.lock().unwrap_or_else(PoisonError::into_inner).push((at, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|(at, _)| *at);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// Runs a step with its output in a file, and shows that when it has ended.
fn run_one(step: &Step) -> Report {
    let logged = output::log(step.name).and_then(|path| Ok((File::create(&path)?, path)));
    let (file, path) = match logged {
        Ok(logged) => logged,
        Err(error) => return Report::failed(format!("there is no place for its output: {error}")),
    };
    println!("{}\n     begins; what it says is in {}", step.headline(), path.display());
    let mut output = Output::File(file);
    output.say(&format!("\n{}", step.headline()));
    let report = step.run(&mut output);
    if let Err(error) = output::show(&path) {
        eprintln!("{} cannot be shown: {error}", path.display());
    }
    report.logged_to(path)
}
