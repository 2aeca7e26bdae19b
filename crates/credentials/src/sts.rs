//! One role at one service.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::Credentials as LongLived;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tripline_config::{Secret, is_hazardous};
use tripline_executor::protocol::{Credentials, Value};

/// What a role is called where the service needs a name and the configuration has none. MinIO ignores it.
const NO_ARN: &str = "arn:aws:iam::000000000000:role/tripline";

/// What the service shows as the session.
const SESSION: &str = "tripline";

/// The longest reason that is passed on, in characters.
const WHY_CHARS: usize = 500;

/// A role's settings.
#[derive(Debug, Clone)]
pub struct RoleSettings {
    /// The service's address: scheme, host, port.
    pub endpoint: String,
    /// For the signature.
    pub region: String,
    /// The hub's own key there.
    pub access_key: Secret,
    /// Its secret. It stays here.
    pub secret_key: Secret,
    /// The role's name, where the service wants one.
    pub arn: Option<String>,
    /// An IAM policy in JSON: what the credentials may do at most.
    pub policy: Option<String>,
    /// How long credentials are asked to be valid.
    pub duration: Duration,
}

/// Why no credentials were had. Never holds a key.
#[derive(Debug, thiserror::Error)]
pub enum StsError {
    /// The service did not give any.
    #[error("{endpoint} gave no credentials for the role: {why}")]
    Refused {
        /// Who was asked.
        endpoint: String,
        /// Its words, or what went wrong on the way.
        why: String,
    },
    /// The service gave credentials that have ended already: by its clock, or by ours.
    #[error("the credentials that {endpoint} gave for the role have expired already")]
    Expired {
        /// Who was asked.
        endpoint: String,
    },
    /// The service gave credentials that are valid for longer than was asked for.
    #[error(
        "the credentials that {endpoint} gave for the role are valid for {} min instead of the {} min that it was asked for: \
         they are not used; let it keep to the asked time, or set this machine's clock",
        left.as_secs() / 60, asked.as_secs() / 60
    )]
    TooLong {
        /// Who was asked.
        endpoint: String,
        /// How long they are valid, by our clock.
        left: Duration,
        /// How long they were to be.
        asked: Duration,
    },
    /// The signature names both in a header.
    #[error("the {what} of the role holds a space, a line end or what is not ASCII")]
    Unsendable {
        /// Which setting.
        what: &'static str,
    },
}

/// Asks for the credentials of one role.
pub(crate) struct Service {
    client: Client,
    settings: RoleSettings,
}

// === impl Service ===

impl Service {
    pub(crate) fn new(settings: RoleSettings) -> Result<Self, StsError> {
        let (access, secret) = (settings.access_key.expose(), settings.secret_key.expose());
        // The SDK panics when it cannot write the header of the signature.
        for (what, text) in [("access key", access), ("region", &settings.region)] {
            if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(StsError::Unsendable { what });
            }
        }
        let long_lived = LongLived::new(access, secret, None, None, "tripline");
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_timeout(Duration::from_secs(15))
            .build();
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(long_lived)
            .endpoint_url(&settings.endpoint)
            .region(Region::new(settings.region.clone()))
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts)
            .build();
        let client = Client::from_conf(config);
        Ok(Self { client, settings })
    }

    /// New credentials.
    pub(crate) async fn ask(&self) -> Result<Credentials, StsError> {
        let seconds = i32::try_from(self.settings.duration.as_secs()).unwrap_or(i32::MAX);
        let answer = self
            .client
            .assume_role()
            .role_arn(self.settings.arn.as_deref().unwrap_or(NO_ARN))
            .role_session_name(SESSION)
            .duration_seconds(seconds)
            .set_policy(self.settings.policy.clone())
            .send()
            .await
            .map_err(|error| self.refused(&words(&error)))?;
        let credentials = answer.credentials;
        let credentials = credentials.ok_or_else(|| self.refused("its answer has none"))?;
        Ok(Credentials {
            access_key: credentials.access_key_id,
            secret_key: Value::new(credentials.secret_access_key),
            session_token: Value::new(credentials.session_token),
            expires_ms: credentials.expiration.secs().saturating_mul(1000),
        })
    }

    pub(crate) fn expired(&self) -> StsError {
        StsError::Expired {
            endpoint: self.settings.endpoint.clone(),
        }
    }

    pub(crate) fn too_long(&self, left: Duration) -> StsError {
        StsError::TooLong {
            endpoint: self.settings.endpoint.clone(),
            left,
            asked: self.settings.duration,
        }
    }

    /// How long credentials are asked to be valid.
    pub(crate) fn duration(&self) -> Duration {
        self.settings.duration
    }

    /// The words are the service's own: whatever it repeats of the request, the credentials are taken out.
    fn refused(&self, why: &str) -> StsError {
        let mut why = why.to_owned();
        for secret in [&self.settings.access_key, &self.settings.secret_key] {
            why = why.replace(secret.expose(), "(..)");
        }
        let plain = why.chars().filter(|char| !is_hazardous(*char));
        StsError::Refused {
            endpoint: self.settings.endpoint.clone(),
            why: plain.take(WHY_CHARS).collect(),
        }
    }
}

/// What the service said, or else what went wrong on the way, down to its cause.
fn words(error: &(impl Error + ProvideErrorMetadata)) -> String {
    if let Some(code) = error.code() {
        return format!("{code}: {}", error.message().unwrap_or("no reason given"));
    }
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}
