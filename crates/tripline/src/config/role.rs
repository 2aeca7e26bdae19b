//! `role` of a function: temporary credentials from a security token service.

use std::time::Duration;

use tripline_config::{SecretRef, Table};

use super::url;

/// Where a function's credentials come from, and what they allow.
#[derive(Debug, Clone)]
pub struct RoleConfig {
    /// The service that is asked, such as MinIO's own address. `sts`.
    pub sts: http::Uri,
    /// The hub's key there. `access_key`.
    pub access_key: SecretRef,
    /// Its secret; it never reaches the function. `secret_key`.
    pub secret_key: SecretRef,
    /// The role's name where the service wants one. `arn`.
    pub arn: Option<String>,
    /// What the credentials may do, as an IAM policy in JSON; at most what the hub's own key may. `policy`.
    pub policy: Option<String>,
    /// For the signature. `region`, default `us-east-1`.
    pub region: String,
    /// How long credentials are valid. `duration`, from 15 minutes to 6 hours, default `1h`.
    pub duration: Duration,
}

const SHORTEST: Duration = Duration::from_secs(15 * 60);
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// Services take no longer one.
const MAX_POLICY_BYTES: usize = 2048;

/// Reads `role = { … }`.
pub(super) fn read(table: &mut Table<'_>) -> Option<RoleConfig> {
    let sts = url::read_endpoint(table, "sts", "http://127.0.0.1:9000");
    let (access_key, secret_key) = (table.required("access_key"), table.required("secret_key"));
    let (arn, policy) = (table.optional("arn"), table.optional::<String>("policy"));
    let region = table.or("region", "us-east-1".to_owned());
    let duration = table.or("duration", Duration::from_secs(3600));
    if !(SHORTEST..=LONGEST).contains(&duration) {
        let message = "credentials are valid from 15m to 6h";
        let help = "for longer runs they are renewed while the function runs".to_owned();
        table.error("duration", message, Some(help));
    }
    if let Some(text) = &policy
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
    {
        let help = "an IAM policy: '''{\"Version\":\"2012-10-17\",\"Statement\":[…]}'''".to_owned();
        table.error("policy", format!("this is not JSON: {error}"), Some(help));
    }
    if policy
        .as_ref()
        .is_some_and(|policy| policy.len() > MAX_POLICY_BYTES)
    {
        let help =
            "say it with fewer statements, or give the hub's own key fewer rights".to_owned();
        let message = format!("a policy has at most {MAX_POLICY_BYTES} characters");
        table.error("policy", message, Some(help));
    }
    if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_graphic()) {
        let help = "such as \"us-east-1\": ASCII without spaces".to_owned();
        table.error("region", "this is not a region", Some(help));
    }
    table.finish();
    Some(RoleConfig {
        sts: sts?,
        access_key: access_key?,
        secret_key: secret_key?,
        arn,
        policy,
        region,
        duration,
    })
}
