//! Checks on a Tokio runtime.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::task::AbortHandle;

use super::{CheckResult, Verdict, component::Component, metrics::Outcome, record::timed_out};
use crate::scheduler::outcome::panic_message;

/// The future of a check; the message of a panic if there is none.
pub(super) fn make<F>(check: &mut impl FnMut() -> F) -> Result<F, String> {
    catch_unwind(AssertUnwindSafe(check)).map_err(|payload| panic_message(&*payload))
}

/// One check. The error is for the scheduler, which counts it.
pub(super) async fn run<R, F>(
    component: Arc<Component>,
    timeout: Duration,
    made: Result<F, String>,
) -> Result<(), String>
where
    R: CheckResult,
    F: Future<Output = R> + Send + 'static,
{
    let checking = component.begin();
    let found = match made {
        Ok(future) => within(timeout, future).await,
        Err(message) => Err(message),
    };
    match found {
        Ok(Some(verdict)) => checking.finish(verdict, None),
        Ok(None) => checking.finish(timed_out(timeout), Some(Outcome::TimedOut)),
        Err(message) => {
            let verdict = Verdict::unhealthy(format!("the check {message}"));
            checking.finish(verdict, Some(Outcome::Panicked));
            return Err(message);
        }
    }
    Ok(())
}

/// What `future` finds in its time; the message if it panics.
async fn within<R, F>(timeout: Duration, future: F) -> Result<Option<Verdict>, String>
where
    R: CheckResult,
    F: Future<Output = R> + Send + 'static,
{
    // A task of the runtime's own: its panic ends there.
    let check = tokio::spawn(async move { future.await.verdict() });
    let _abort = AbortOnDrop(check.abort_handle());
    match tokio::time::timeout(timeout, check).await {
        Ok(Ok(verdict)) => Ok(Some(verdict)),
        Ok(Err(error)) => Err(error.try_into_panic().map_or_else(
            |error| error.to_string(),
            |payload| panic_message(&*payload),
        )),
        Err(_elapsed) => Ok(None),
    }
}

/// No check goes on that nobody waits for.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
