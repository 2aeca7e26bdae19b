//! The roles of all functions.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tripline_executor::protocol;
use tripline_model::{Clock, FunctionName, Timestamp};
use tripline_runtime::CredentialProvider;

use crate::sts::Service;
use crate::{RoleSettings, StsError};

/// For how long a refusal is repeated to those who ask again: those who waited for it, above all.
const REFUSAL_TTL: Duration = Duration::from_secs(1);

/// How far the service's clock may be ahead of ours. A service that checks signatures refuses a request whose time is
/// further from its own, so no such service is shut out.
const CLOCKS_APART: Duration = Duration::from_secs(15 * 60);

/// The roles of all functions. Credentials are shared by the runs of a function until half of their life is over, so
/// that the service is asked seldom and no run begins with credentials that are about to end.
pub struct Roles {
    roles: HashMap<FunctionName, Role>,
    clock: Arc<dyn Clock>,
}

struct Role {
    service: Service,
    /// Held while the service is asked: the others wait for that answer instead of asking, too.
    newest: Mutex<Option<Answer>>,
}

struct Answer {
    credentials: Result<protocol::Credentials, String>,
    /// When it is given to everybody. It has a beginning, because clocks are set back.
    stands: Range<Timestamp>,
}

// === impl Roles ===

impl Roles {
    /// Roles of these functions. Asks nobody yet.
    ///
    /// # Errors
    /// A role's settings cannot be used.
    pub fn new(
        roles: impl IntoIterator<Item = (FunctionName, RoleSettings)>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StsError> {
        let role = |(name, settings)| {
            let service = Service::new(settings)?;
            let newest = Mutex::default();
            Ok((name, Role { service, newest }))
        };
        let roles = roles.into_iter().map(role).collect::<Result<_, _>>()?;
        Ok(Self { roles, clock })
    }

    async fn ask(&self, function: &FunctionName, service: &Service) -> Answer {
        let given = service.ask().await;
        let now = self.clock.now();
        let credentials = given.and_then(|credentials| valid(credentials, now, service));
        match credentials {
            Ok((credentials, left)) => {
                tracing::debug!(%function, valid_for = ?left, "new credentials for the function's role");
                let stands = now..now.plus(left / 2);
                Answer {
                    credentials: Ok(credentials),
                    stands,
                }
            }
            Err(error) => Answer {
                credentials: Err(error.to_string()),
                stands: now..now.plus(REFUSAL_TTL),
            },
        }
    }
}

/// Credentials that are valid now, and for how long. To say of credentials that live longer than was asked for that they end
/// earlier would not end them: whoever has them could use them all that time. So those are handed to nobody.
fn valid(
    mut credentials: protocol::Credentials,
    now: Timestamp,
    service: &Service,
) -> Result<(protocol::Credentials, Duration), StsError> {
    let left = Timestamp::from_millis(credentials.expires_ms).since(now);
    let asked = service.duration();
    if left.is_zero() {
        return Err(service.expired());
    }
    if left > asked + CLOCKS_APART {
        return Err(service.too_long(left));
    }
    // What is left beyond that is the service's clock: by ours, they end when the time that was asked for is over.
    let left = left.min(asked);
    credentials.expires_ms = now.plus(left).as_millis();
    Ok((credentials, left))
}

#[async_trait]
impl CredentialProvider for Roles {
    async fn credentials(
        &self,
        function: &FunctionName,
    ) -> Result<Option<protocol::Credentials>, String> {
        let Some(role) = self.roles.get(function) else {
            return Ok(None);
        };
        let mut newest = role.newest.lock().await;
        let now = self.clock.now();
        let answer = match newest.take() {
            Some(answer) if answer.stands.contains(&now) => answer,
            _ => self.ask(function, &role.service).await,
        };
        newest.insert(answer).credentials.clone().map(Some)
    }
}

#[cfg(test)]
mod tests;
