//! Who may have what.

use crate::{
    keys,
    problem::{Problem, Refusal},
    route::{Access, Scope},
};

use super::{Asked, Site};

impl Site {
    /// Lets a request in, or says why not. Only the routes of the table come here: whatever isn't in it is refused before.
    pub(super) async fn admit(&self, access: Access, asked: &Asked<'_>) -> Result<(), Problem> {
        let scope = match access {
            Access::Public => return Ok(()),
            Access::Key(scope) => scope,
            Access::Off => {
                return Err(Problem::new(
                    Refusal::UnknownRoute,
                    "this path is switched off",
                ));
            }
        };
        let refused = self.admit_with_key(scope, asked);
        let Err((problem, delay)) = refused else {
            return Ok(());
        };
        self.metrics.authentication_failures.inc();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        Err(problem)
    }

    fn admit_with_key(
        &self,
        scope: Scope,
        asked: &Asked<'_>,
    ) -> Result<(), (Problem, Option<std::time::Duration>)> {
        let Some(store) = &self.keys else {
            let detail = "this path takes an API key, and this server has no key file: make a key with `inferometer keys new` and name its file";
            return Err((Problem::new(Refusal::MissingKey, detail), None));
        };
        let Some(key) = keys::presented(asked.headers) else {
            let detail = "this path takes an API key: send it as `X-API-Key: …` or `Authorization: Bearer …`";
            return Err((Problem::new(Refusal::MissingKey, detail), None));
        };
        let Some(grant) = store.check(key) else {
            tracing::debug!(client = %asked.client, "a wrong key");
            let Some((delay, again)) = store.failed(asked.client) else {
                let detail = "the API key is not one of this server's";
                return Err((Problem::new(Refusal::WrongKey, detail), None));
            };
            let detail = "the API key is not one of this server's, and too many like it have come from this client";
            let problem = Problem::new(Refusal::Slowed, detail).retry_after(again);
            return Err((problem, Some(delay)));
        };
        if grant.allows(scope) {
            return Ok(());
        }
        tracing::debug!(
            key = grant.name(),
            scope = scope.name(),
            "a key without the scope"
        );
        let detail = format!("the API key lacks the scope {}", scope.name());
        Err((Problem::new(Refusal::Scope, detail), None))
    }
}
