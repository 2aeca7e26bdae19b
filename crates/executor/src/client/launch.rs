//! Starting a new executor.

use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use uuid::{NoContext, Uuid};

use super::connection::{Connection, join};
use super::find::{Folder, blocking};
use super::link::Link;
use super::sweep::sweep;
use super::{ClientError, ExecutorsConfig};

/// Time for a new executor to answer.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two looks whether it does.
const LAUNCH_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Variables of the hub that an executor gets; it hands none of them on by itself.
const VARIABLES: [&str; 3] = ["PATH", "LANG", "TZ"];

/// Bytes at the end of a log that are shown.
const LOG_TAIL: u64 = 2048;

/// An executor that was started and answers.
pub(super) struct Launched {
    pub(super) link: Link,
    pub(super) connection: Connection,
    pub(super) child: Child,
}

/// The arguments of the program for a new executor.
pub fn executor_args(dir: &Path, id: &str, release: &str) -> Vec<OsString> {
    let mut args = vec![OsString::from("executor"), "--dir".into(), dir.into()];
    args.extend(["--id", id, "--release", release].map(OsString::from));
    args
}

/// Starts an executor and waits until it answers. One that does not is ended, and its folder removed.
pub(super) async fn launch(config: &ExecutorsConfig) -> Result<Launched, ClientError> {
    let id = new_id(config).to_string();
    let path = config.data_dir.join("executors").join(&id);
    let folder = Folder { id, path };
    let made = blocking({
        let path = folder.path.clone();
        move || make(&path)
    });
    let log = made.await.map_err(|source| ClientError::Folder {
        path: folder.path.clone(),
        source,
    })?;
    let spawned = command(config, &folder, log).and_then(|mut command| command.spawn());
    let mut child = match spawned {
        Ok(child) => child,
        Err(source) => {
            let _empty = sweep(&folder, None).await;
            return Err(ClientError::Program {
                program: config.program.clone(),
                source,
            });
        }
    };
    match ready(config, &folder, &mut child).await {
        Ok((connection, link)) => Ok(Launched {
            link,
            connection,
            child,
        }),
        Err(why) => {
            // It may be gone already; then there is nothing to kill.
            let _ = child.kill().await;
            let log = tail(&folder).await;
            // What is left, if anything, the next start of a hub finds.
            let _left = sweep(&folder, None).await;
            Err(ClientError::NotReady { why, log })
        }
    }
}

/// Waits until a new executor answers; an error says what it did instead.
async fn ready(
    config: &ExecutorsConfig,
    folder: &Folder,
    child: &mut Child,
) -> Result<(Connection, Link), String> {
    let answers = async {
        loop {
            match join(folder, &config.release).await {
                Ok((connection, welcome)) => {
                    return Ok((connection, Link::new(folder.clone(), welcome)));
                }
                Err(error) if error.is_passing() => tokio::time::sleep(LAUNCH_POLL_INTERVAL).await,
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    tokio::select! {
        answered = tokio::time::timeout(LAUNCH_TIMEOUT, answers) => answered.unwrap_or_else(|_| {
            Err(format!("did not answer within {} s", LAUNCH_TIMEOUT.as_secs()))
        }),
        ended = child.wait() => Err(match ended {
            Ok(status) => format!("ended ({status})"),
            Err(error) => format!("cannot be watched ({error})"),
        }),
    }
}

/// The command of an executor. It leaves the hub's session by itself, and no Ctrl-C meant for the hub reaches it then.
fn command(config: &ExecutorsConfig, folder: &Folder, log: std::fs::File) -> io::Result<Command> {
    let dir = std::path::absolute(&folder.path)?;
    let mut command = Command::new(&config.program);
    command
        .args(executor_args(&dir, &folder.id, &config.release))
        .env_clear()
        .envs(
            VARIABLES
                .iter()
                .filter_map(|name| Some((*name, std::env::var_os(name)?))),
        )
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

fn new_id(config: &ExecutorsConfig) -> Uuid {
    let millis = u64::try_from(config.clock.now().as_millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1000, nanos))
}

/// Makes the folder and the log in it.
fn make(path: &Path) -> io::Result<std::fs::File> {
    std::fs::DirBuilder::new().mode(0o700).create(path)?;
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.open(path.join("log"))
}

/// The end of an executor's log, fit for a terminal.
async fn tail(folder: &Folder) -> String {
    let path = folder.path.join("log");
    let read = blocking(move || {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
        let mut end = Vec::new();
        file.take(LOG_TAIL).read_to_end(&mut end)?;
        Ok(end)
    });
    let text = match read.await {
        Ok(end) if end.is_empty() => return "(nothing)".to_owned(),
        Ok(end) => String::from_utf8_lossy(&end).trim_end().to_owned(),
        Err(error) => return format!("(unreadable: {error})"),
    };
    let fit = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(fit).collect()
}
