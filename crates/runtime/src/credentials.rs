//! Where the temporary keys of a function's role come from.

use async_trait::async_trait;
use tripline_executor::protocol;
use tripline_model::FunctionName;

/// Gives temporary keys for the roles of functions.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// Fresh keys for the function's role; `None` if it has none.
    ///
    /// # Errors
    /// Why there are none, in words for people and without secrets. The function is not started without them.
    async fn keys(&self, function: &FunctionName) -> Result<Option<protocol::Credentials>, String>;
}
