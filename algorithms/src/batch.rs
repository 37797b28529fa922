//! Many jobs at once, with the queue kept full.

use std::collections::HashMap;

use uaccel_runtime::{Answer, Error, Fallback, Outcome, Refused, Runtime, Scope, Ticket, Work};

/// Jobs passed to the device with one doorbell.
const DOORBELL: usize = 16;

/// Something that can be done by one job.
pub(crate) trait Item {
    /// The job. Asked for again if it has to be done again.
    fn work(&mut self) -> Work<'_>;

    /// Bytes the job is charged for.
    fn len(&self) -> usize;

    /// Room for the output, where it depends on the data how much is needed.
    fn room(&self) -> usize {
        0
    }
}

/// Does every item, in any order, on one leased queue; the answers come in the order of the items.
///
/// What the policy gives to the CPU, and what the device failed at, goes through [`Runtime::run`], which knows and counts.
pub(crate) fn run_all<T: Item>(runtime: &Runtime, items: &mut [T]) -> Vec<Result<Outcome, Error>> {
    let mut results: Vec<Option<Result<Outcome, Error>>> = items.iter().map(|_| None).collect();
    let small = match runtime.fallback() {
        Fallback::Auto { below } => below,
        _ => 0,
    };
    let for_device = |item: &T| item.len() as u64 >= small;
    let todo: Vec<usize> = (0..items.len()).filter(|index| for_device(&items[*index])).collect();
    // One job needs no queue of its own.
    if todo.len() > 1
        && let Ok(mut lease) = runtime.lease()
    {
        let lent = &mut *items;
        // Whatever is not answered then, for any reason, is done one by one.
        let _ = lease.scope(|scope| Round::new(&mut results).run(scope, lent, &todo));
    }
    let limit = runtime.granted().max_transfer;
    let again = |item: &T, result: &Option<Result<Outcome, Error>>| match result {
        None => true,
        // Which brings them together.
        Some(Err(Error::NotInPieces { .. })) => true,
        _ if runtime.fallback() == Fallback::Never => false,
        // The room was clamped to what the device takes.
        Some(Err(Error::OutputTooSmall { .. })) => item.room() as u64 > limit,
        Some(Err(error)) => error.is_device_failure(),
        Some(Ok(_)) => false,
    };
    let finished = items.iter_mut().zip(results).map(|(item, result)| {
        if again(item, &result) {
            return runtime.run(item.work());
        }
        result.unwrap_or(Err(Error::QueueFull))
    });
    finished.collect()
}

/// One scope's worth of jobs.
struct Round<'r> {
    results: &'r mut [Option<Result<Outcome, Error>>],
    tickets: HashMap<Ticket, usize>,
    built: usize,
}

impl<'r> Round<'r> {
    fn new(results: &'r mut [Option<Result<Outcome, Error>>]) -> Self {
        Self { results, tickets: HashMap::new(), built: 0 }
    }

    /// Builds, submits and answers the items of `todo`, as far as the queue takes them.
    fn run<'env, T: Item>(
        mut self,
        scope: &mut Scope<'_, 'env>,
        items: &'env mut [T],
        todo: &[usize],
    ) -> Result<(), Error> {
        let submitted = self.submit_all(scope, items, todo);
        let Self { tickets, results, .. } = &mut self;
        let finished = scope.finish(|answer| note(tickets, results, &answer));
        submitted.and(finished)
    }

    fn submit_all<'env, T: Item>(
        &mut self,
        scope: &mut Scope<'_, 'env>,
        items: &'env mut [T],
        todo: &[usize],
    ) -> Result<(), Error> {
        let mut todo = todo.iter().copied().peekable();
        for (index, item) in items.iter_mut().enumerate() {
            if todo.next_if_eq(&index).is_none() {
                continue;
            }
            let mut work = item.work();
            loop {
                match scope.push(work) {
                    Ok(ticket) => {
                        self.tickets.insert(ticket, index);
                        break;
                    }
                    Err(Refused { error: Error::QueueFull, work: refused }) => {
                        if !self.make_room(scope)? {
                            return Ok(());
                        }
                        work = refused;
                    }
                    Err(refused) => {
                        self.results[index] = Some(Err(refused.error));
                        break;
                    }
                }
            }
            self.built += 1;
            if self.built >= DOORBELL {
                self.submit(scope)?;
                let Self { tickets, results, .. } = self;
                scope.poll(|answer| note(tickets, results, &answer));
            }
        }
        Ok(())
    }

    /// Waits for an answer; `false` if there is none to wait for.
    fn make_room(&mut self, scope: &mut Scope<'_, '_>) -> Result<bool, Error> {
        self.submit(scope)?;
        let Self { tickets, results, .. } = self;
        Ok(scope.wait(|answer| note(tickets, results, &answer)) != 0)
    }

    fn submit(&mut self, scope: &mut Scope<'_, '_>) -> Result<(), Error> {
        self.built = 0;
        scope.submit().map(|_| ())
    }
}

fn note(tickets: &mut HashMap<Ticket, usize>, results: &mut [Option<Result<Outcome, Error>>], answer: &Answer<'_>) {
    if let Some(index) = tickets.remove(&answer.ticket()) {
        results[index] = Some(answer.outcome());
    }
}
