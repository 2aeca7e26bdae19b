//! The environment of a function's process. Nothing of the executor's own environment is passed on.
//!
//! | variable | value |
//! |---|---|
//! | `PATH` | a constant, unless the function's own `env` sets it |
//! | `PYTHONUNBUFFERED` | 1, unless the function's own `env` sets it |
//! | `TMPDIR` | its scratch directory, unless the function's own `env` sets it |
//! | the function's own `env` | as in the config; it replaces none of the following |
//! | `AWS_ACCESS_KEY_ID` `AWS_SECRET_ACCESS_KEY` `AWS_SESSION_TOKEN` | credentials of the function's role, if it has one; not in a warm instance |
//! | `TENCENTCLOUD_SECRETID` `TENCENTCLOUD_SECRETKEY` `TENCENTCLOUD_SESSIONTOKEN` | the same credentials; in a warm instance those it was started with |
//! | `TRIPLINE_CREDENTIALS_FILE` | a file with the credentials, which is replaced when they are renewed |
//! | variables of the run or instance | `CE_ID` and so on: whoever asks for the process says which |
//! | `TRIPLINE_SCRATCH` | a directory for this process alone, emptied at its end |
//! | `TRIPLINE_PROCESS` | the run or instance: the mark by which what it started is found |
//! | `TRIPLINE_EXECUTOR` | the executor's id: how others find what a dead executor left running |

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::credentials::credentials_file;
use super::launch::SpawnRequest;
use crate::instance::StartError;
use crate::protocol::Credentials;

/// `PATH` where the function sets none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Name of the variable that holds the scratch directory.
const SCRATCH: &str = "TRIPLINE_SCRATCH";

/// Name of the variable that names the run or instance. No two trees of processes share its value.
pub(super) const MARK: &str = "TRIPLINE_PROCESS";

/// Name of the variable that holds the executor's id.
pub(super) const EXECUTOR: &str = "TRIPLINE_EXECUTOR";

/// Gives `command` its environment, all but the marks.
pub(super) fn set(
    command: &mut Command,
    request: &SpawnRequest,
    scratch: &Path,
) -> Result<(), StartError> {
    command
        .env_clear()
        .env("PATH", PATH)
        // Python holds back what it prints into a pipe: nobody could follow it, a kill would lose it, and what a warm
        // instance printed for one event would be found in the log of another.
        .env("PYTHONUNBUFFERED", "1")
        .env("TMPDIR", scratch);
    for (name, value) in &request.spec.env {
        set_one(command, name, value.expose().as_ref())?;
    }
    if request.has_role {
        command.env("TRIPLINE_CREDENTIALS_FILE", credentials_file(scratch));
    }
    for (name, value) in &request.variables {
        set_one(command, name, value)?;
    }
    command.env(SCRATCH, scratch);
    Ok(())
}

/// The credentials under the names that the SDKs of both vendors look for.
pub(super) fn credential_variables(credentials: &Credentials) -> [(&'static str, &str); 6] {
    let id = credentials.access_key.as_str();
    let key = credentials.secret_key.expose();
    let token = credentials.session_token.expose();
    [
        ("AWS_ACCESS_KEY_ID", id),
        ("AWS_SECRET_ACCESS_KEY", key),
        ("AWS_SESSION_TOKEN", token),
        ("TENCENTCLOUD_SECRETID", id),
        ("TENCENTCLOUD_SECRETKEY", key),
        ("TENCENTCLOUD_SESSIONTOKEN", token),
    ]
}

/// Never shows the value: it may be a secret.
fn set_one(command: &mut Command, name: &str, value: &OsStr) -> Result<(), StartError> {
    let passable = !name.is_empty() && !name.contains(['=', '\0']);
    if !passable || value.as_encoded_bytes().contains(&0) {
        return Err(StartError::Unpassable(format!("the variable {name:?}")));
    }
    command.env(name, value);
    Ok(())
}
