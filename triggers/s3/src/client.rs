//! The two interfaces of the object store that we use: listings through the SDK, the Listen stream by hand.

use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::EncodingType;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tripline_config::Secret;
use tripline_model::Timestamp;

use crate::config::Config;
use crate::dialect::{bare_etag, form_decode};
use crate::event::Listed;
use crate::failure::StoreError;
use crate::identity::ObjectState;
use crate::record::good_key;

/// Everything that SigV4 wants escaped in a query.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A `Date` has whole seconds, and servers renew it once a second (versitygw's lags by so much).
const DATE_ERRS_MS: i64 = 1_999;

/// How long the store's clock is waited for.
const CLOCK_WITHIN: Duration = Duration::from_secs(10);

/// A bucket, with the credentials to look into it.
pub(crate) struct Bucket {
    client: Client,
    stream: reqwest::Client,
    config: Config,
    credentials: Credentials,
}

/// Where a listing goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    token: Option<String>,
    key_marker: Option<String>,
    version_marker: Option<String>,
}

/// Part of a listing.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Listed>,
    /// `None`: this was the last page.
    pub(crate) next: Option<Place>,
}

// === impl Page ===

impl Page {
    /// A page with the place of the next one, if there are `more`. Without one that leads on, nobody knows what is
    /// missing: what would seem to be the end is not.
    fn of(objects: Vec<Listed>, more: bool, next: Option<Place>) -> Result<Self, StoreError> {
        if more && next.is_none() {
            let what = "the bucket cannot be listed";
            let why = "the store says that there is more, and not where it goes on".to_owned();
            return Err(StoreError::because(what, why));
        }
        let next = next.filter(|_| more);
        Ok(Self { objects, next })
    }
}

// === impl Bucket ===

impl Bucket {
    pub(crate) fn open(
        config: &Config,
        access_key: &Secret,
        secret_key: &Secret,
    ) -> Result<Self, StoreError> {
        let (access, secret) = (access_key.expose(), secret_key.expose());
        // It stands in a header; the SDK would panic.
        if !access.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "it holds a space, a line end or what is not ASCII";
            return Err(StoreError::because(
                "the access key cannot be sent",
                why.to_owned(),
            ));
        }
        let credentials = Credentials::new(access, secret, None, None, "tripline.toml");
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(60))
            .operation_attempt_timeout(Duration::from_secs(60))
            .operation_timeout(Duration::from_secs(180))
            .build();
        let settings = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(credentials.clone())
            .endpoint_url(config.endpoint.as_str())
            .region(Region::new(config.region.clone()))
            .force_path_style(true)
            .http_client(http)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts)
            .build();
        // One process, one TLS: it may be set already, by the binary or by another trigger.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // No total timeout: the stream has no end. The heartbeat bounds each wait.
        let stream = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|err| StoreError::new("the HTTP client cannot be built", &err))?;
        let (client, config) = (Client::from_conf(settings), config.clone());
        Ok(Self {
            client,
            stream,
            config,
            credentials,
        })
    }

    /// The SDK's client, to put objects with.
    #[cfg(test)]
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What the store's own clock shows, by which `LastModified` is set. Every answer has it, also to a request
    /// without credentials. `None` if there is none in it.
    pub(crate) async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let ask = self.stream.head(self.config.endpoint.clone());
        let answer = ask.timeout(CLOCK_WITHIN).send().await.map_err(|err| {
            let what = "the store cannot be asked for its time";
            StoreError::unanswered(what, err).at(self.config.endpoint())
        })?;
        let date = answer.headers().get(http::header::DATE);
        let date = date.and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let millis = date.and_then(|date| date.secs().checked_mul(1000)?.checked_add(DATE_ERRS_MS));
        Ok(millis.map(Timestamp::from_millis))
    }

    /// Whether objects of the bucket have (or had) versions. Stores that do not know the question have none.
    pub(crate) async fn is_versioned(&self) -> Result<bool, StoreError> {
        let asked = self
            .client
            .get_bucket_versioning()
            .bucket(&self.config.bucket);
        match asked.send().await {
            Ok(answer) => Ok(answer.status.is_some()),
            Err(SdkError::ServiceError(refused))
                if does_not_know(refused.raw().status().as_u16()) =>
            {
                Ok(false)
            }
            Err(err) => Err(self.asked("the bucket cannot be asked for versioning", &err)),
        }
    }

    /// A page of current objects, in order of their keys.
    pub(crate) async fn objects(&self, place: Place) -> Result<Page, StoreError> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.config.bucket)
            .set_prefix(Some(self.config.prefix.clone()).filter(|prefix| !prefix.is_empty()))
            .encoding_type(EncodingType::Url)
            .set_continuation_token(place.token.clone());
        let answer = request.send().await;
        let answer = answer.map_err(|err| self.asked("the bucket cannot be listed", &err))?;
        let escaped = answer.encoding_type == Some(EncodingType::Url);
        let (more, token) = (
            answer.is_truncated == Some(true),
            answer.next_continuation_token,
        );
        let objects = answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| {
                let size = object.size;
                let state = state(
                    object.key?,
                    None,
                    object.e_tag,
                    object.last_modified,
                    escaped,
                )?;
                Some(listed(state, size))
            });
        let objects = objects.collect();
        let token = token.filter(|token| !token.is_empty() && place.token.as_ref() != Some(token));
        let next = token.map(|token| Place {
            token: Some(token),
            ..Place::default()
        });
        Page::of(objects, more, next).map_err(|err| self.of_bucket(err))
    }

    /// A page of all versions of all objects, in order of their keys.
    pub(crate) async fn versions(&self, place: Place) -> Result<Page, StoreError> {
        let request = self
            .client
            .list_object_versions()
            .bucket(&self.config.bucket)
            .set_prefix(Some(self.config.prefix.clone()).filter(|prefix| !prefix.is_empty()))
            .encoding_type(EncodingType::Url)
            .set_key_marker(place.key_marker.clone())
            .set_version_id_marker(place.version_marker.clone());
        let answer = request.send().await;
        let answer = answer.map_err(|err| self.asked("the versions cannot be listed", &err))?;
        let escaped = answer.encoding_type == Some(EncodingType::Url);
        let more = answer.is_truncated == Some(true);
        let objects = answer
            .versions
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| {
                let version = object
                    .version_id
                    .filter(|id| !matches!(id.as_str(), "" | "null"));
                let size = object.size;
                let state = state(
                    object.key?,
                    version,
                    object.e_tag,
                    object.last_modified,
                    escaped,
                )?;
                Some(listed(state, size))
            });
        let objects = objects.collect();
        let key_marker = answer.next_key_marker.filter(|key| !key.is_empty());
        let version_marker = answer.next_version_id_marker.filter(|id| !id.is_empty());
        // The marker is escaped like the keys, and wanted unescaped.
        let next = key_marker.and_then(|key| {
            if escaped {
                form_decode(&key)
            } else {
                Some(key)
            }
        });
        let next = next.map(|key| Place {
            token: None,
            key_marker: Some(key),
            version_marker,
        });
        let next = next.filter(|next| *next != place);
        Page::of(objects, more, next).map_err(|err| self.of_bucket(err))
    }

    /// Asks for the Listen stream. The answer's head comes with the first line. An error does not name the bucket: whoever
    /// listens does, as there is more that can end the stream.
    pub(crate) async fn listen(
        &self,
        heartbeat: Duration,
        now: Timestamp,
    ) -> Result<reqwest::Response, StoreError> {
        let url = self.listen_url(heartbeat);
        let request = self.signed(&url, now)?;
        let request = reqwest::Request::try_from(request)
            .map_err(|err| StoreError::new("the Listen request cannot be built", &err))?;
        let answer = self.stream.execute(request).await;
        let answer = answer.map_err(|err| {
            let what = "the Listen stream cannot be opened";
            StoreError::unanswered(what, err)
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let hint = match answer.status() {
            StatusCode::FORBIDDEN => "check the credentials; they need ListenBucketNotification",
            StatusCode::NOT_FOUND => "no such bucket, or a store that has no such stream",
            _ => "only MinIO and its kin have one",
        };
        let why = format!("{} ({hint})", answer.status());
        Err(StoreError::because("the Listen stream was refused", why))
    }

    fn asked<E>(&self, what: &'static str, err: &SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.of_bucket(StoreError::asked(what, err, &self.credentials))
    }

    fn of_bucket(&self, err: StoreError) -> StoreError {
        err.at(&self.place())
    }

    /// Which bucket, where, in words: a hub may have many.
    pub(crate) fn place(&self) -> String {
        let (bucket, endpoint) = (&self.config.bucket, self.config.endpoint());
        format!("bucket `{bucket}` at {endpoint}")
    }

    fn listen_url(&self, heartbeat: Duration) -> String {
        let config = &self.config;
        let mut query = vec![("ping", heartbeat.as_secs().to_string())];
        query.extend(
            config
                .events
                .to_subscribe()
                .into_iter()
                .map(|name| ("events", name)),
        );
        query.push(("prefix", config.prefix.clone()));
        query.push(("suffix", config.suffix.clone()));
        let query: Vec<String> = query
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, RESERVED)))
            .collect();
        format!("{}{}?{}", config.endpoint, config.bucket, query.join("&"))
    }

    fn signed(&self, url: &str, now: Timestamp) -> Result<http::Request<Vec<u8>>, StoreError> {
        let failed = |err: &dyn Error| StoreError::new("the Listen request cannot be signed", err);
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.config.region)
            .name("s3")
            .time(UNIX_EPOCH + Duration::from_millis(millis))
            .settings(settings)
            .build()
            .map_err(|err| failed(&err))?
            .into();
        let mut request = http::Request::get(url)
            .body(Vec::new())
            .map_err(|err| failed(&err))?;
        let plain = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[]));
        let signed = sign(plain.map_err(|err| failed(&err))?, &params);
        let (instructions, _) = signed.map_err(|err| failed(&err))?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// Statuses by which stores say that they have no such feature.
fn does_not_know(status: u16) -> bool {
    matches!(status, 405 | 501)
}

fn state(
    key: String,
    version_id: Option<String>,
    etag: Option<String>,
    modified: Option<aws_sdk_s3::primitives::DateTime>,
    escaped: bool,
) -> Option<ObjectState> {
    let key = if escaped { form_decode(&key)? } else { key };
    Some(ObjectState {
        version_id,
        etag: etag.as_deref().map_or("", bare_etag).to_owned(),
        modified: Timestamp::from_millis(modified?.to_millis().ok()?),
        key: Some(key).filter(|key| good_key(key))?,
    })
}

fn listed(state: ObjectState, size: Option<i64>) -> Listed {
    let size = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    Listed { state, size }
}
