//! The environment of an instance, beside the function's own variables and those of every function process: what the
//! clients of AWS Lambda's and of SCF's Runtime API look for.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::api::{CREDENTIALS_PATH, Endpoint};
use crate::protocol::{Credentials, FunctionSpec, Value, WorkerSpec};

const VERSION: &str = "$LATEST";

/// Where functions believe to be, unless their own variables say otherwise.
const REGION: &str = "local";

/// The variables of one instance. `credentials` are those of the run that it is started for, if there is one.
pub(super) fn variables(
    spec: &FunctionSpec,
    worker: &WorkerSpec,
    endpoint: &Endpoint,
    credentials: Option<&Credentials>,
) -> Vec<(String, OsString)> {
    let mut variables = Variables::default();
    let (name, port) = (spec.name.as_str(), endpoint.port.to_string());
    let memory = endpoint.memory_mib.to_string();
    let log_group = format!("/aws/lambda/{name}");
    variables.add("TRIPLINE_FUNCTION", name);
    if let Some(handler) = &worker.handler {
        variables.add("_HANDLER", handler);
    }
    variables.add_all([
        ("AWS_LAMBDA_RUNTIME_API", endpoint.authority.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", name),
        ("AWS_LAMBDA_FUNCTION_VERSION", VERSION),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &log_group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", &endpoint.instance),
        ("SCF_RUNTIME_API", "127.0.0.1"),
        ("SCF_RUNTIME_API_PORT", &port),
        ("SCF_FUNCTIONNAME", name),
        ("SCF_FUNCTIONVERSION", VERSION),
        ("SCF_NAMESPACE", "default"),
        ("TENCENTCLOUD_RUNENV", "SCF"),
    ]);
    for directory in ["LAMBDA_TASK_ROOT", "USER_CODE_ROOT"] {
        let path = spec.working_dir.clone().into_os_string();
        variables.0.insert(directory.to_owned(), path);
    }
    for region in ["AWS_REGION", "AWS_DEFAULT_REGION", "TENCENTCLOUD_REGION"] {
        let own = spec.env.get(region).map(Value::expose);
        variables.add(region, own.unwrap_or(REGION));
    }
    if has_role(worker, credentials) {
        add_role(&mut variables, endpoint, credentials);
    }
    variables.0.into_iter().collect()
}

/// Whether the function has a role, whose credentials its runs bring.
pub(super) fn has_role(worker: &WorkerSpec, credentials: Option<&Credentials>) -> bool {
    worker.role || credentials.is_some()
}

/// Credentials in AWS's variables could not be renewed in a living process: its SDKs ask the endpoint instead, and
/// again before the credentials expire. Tencent's have no such endpoint: beyond these credentials there is the file.
fn add_role(variables: &mut Variables, endpoint: &Endpoint, credentials: Option<&Credentials>) {
    let uri = format!("http://{}{CREDENTIALS_PATH}", endpoint.authority);
    variables.add("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri);
    let token = endpoint.credentials_token.hand_out();
    variables.add("AWS_CONTAINER_AUTHORIZATION_TOKEN", token);
    if let Some(credentials) = credentials {
        variables.add_all([
            ("TENCENTCLOUD_SECRETID", credentials.access_key.as_str()),
            ("TENCENTCLOUD_SECRETKEY", credentials.secret_key.expose()),
            (
                "TENCENTCLOUD_SESSIONTOKEN",
                credentials.session_token.expose(),
            ),
        ]);
    }
}

#[derive(Default)]
struct Variables(BTreeMap<String, OsString>);

// === impl Variables ===

impl Variables {
    fn add(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn add_all<const N: usize>(&mut self, all: [(&str, &str); N]) {
        for (name, value) in all {
            self.add(name, value);
        }
    }
}
