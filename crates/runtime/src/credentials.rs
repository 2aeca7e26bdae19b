//! Where the temporary credentials of a function's role come from.

use async_trait::async_trait;
use tripline_executor::protocol;
use tripline_model::FunctionName;

/// Gives temporary credentials for the roles of functions.
#[async_trait]
pub trait CredentialProvider: Send + Sync + 'static {
    /// Fresh credentials for the function's role; `None` if it has none.
    ///
    /// # Errors
    /// Why there are none, in words for people and without secrets. The function is not started without them.
    async fn credentials(
        &self,
        function: &FunctionName,
    ) -> Result<Option<protocol::Credentials>, String>;
}
