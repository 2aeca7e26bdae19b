//! Credentials for a function's role: at the start, and again before they end.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tripline_executor::protocol;
use tripline_model::{FunctionName, RequestId};

use super::Remote;

/// How long a provider may take.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(30);

/// The shortest time between two attempts.
const MIN_RENEWAL_INTERVAL: Duration = Duration::from_secs(5);

// === impl Remote ===

impl Remote {
    /// Credentials for the function's role; `None` if it has none.
    pub(super) async fn credentials(
        &self,
        function: &FunctionName,
    ) -> Result<Option<protocol::Credentials>, String> {
        let Some(provider) = &self.credential_provider else {
            return Ok(None);
        };
        let credentials = timeout(CREDENTIALS_TIMEOUT, provider.credentials(function)).await;
        credentials.unwrap_or_else(|_| Err(format!("none came within {CREDENTIALS_TIMEOUT:?}")))
    }

    /// Gives a run new credentials each time two thirds of the life of the last ones are over. Where that fails it is
    /// tried again when two thirds of the rest are over, and so on.
    pub(super) async fn renew_credentials(
        &self,
        id: RequestId,
        function: &FunctionName,
        mut expires_ms: Option<i64>,
    ) -> Infallible {
        if self.credential_provider.is_none() {
            return std::future::pending().await;
        }
        while let Some(end) = expires_ms {
            let left = end.saturating_sub(self.clock.now().as_millis());
            if let Ok(left) = u64::try_from(left) {
                sleep(MIN_RENEWAL_INTERVAL.max(Duration::from_millis(left) * 2 / 3)).await;
            } else if end > 0 {
                sleep(MIN_RENEWAL_INTERVAL).await;
            }
            match self.credentials(function).await {
                Ok(Some(credentials)) => {
                    expires_ms = Some(credentials.expires_ms);
                    self.link.renew(id, credentials);
                }
                Ok(None) => expires_ms = None,
                // From now on the end of the old ones is in the future, or over.
                Err(error) => {
                    tracing::warn!(request_id = %id, error, "the credentials of the function's role could not be renewed");
                    expires_ms = Some(end.max(1));
                }
            }
        }
        std::future::pending().await
    }
}
