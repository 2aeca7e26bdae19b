//! Starting one process of a function.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, prlimit};
use tokio::net::unix::pipe;

use super::account::Account;
use super::credentials::write_credentials;
use super::environment::{self, EXECUTOR, MARK};
use super::scratch::{self, Scratch};
use super::spawned::{Parts, Pipes};
use super::spawners::Spawners;
use super::{Spawned, Surroundings, family, program};
use crate::instance::StartError;
use crate::isolation::Groups;
use crate::protocol::{Credentials, FunctionSpec, Isolation};

/// Starts processes of functions. One per starter; it keeps the threads that functions are started from.
pub(crate) struct Launcher {
    surroundings: Surroundings,
    spawners: Spawners,
}

/// A process that is to be started.
pub(crate) struct SpawnRequest {
    pub(crate) spec: Arc<FunctionSpec>,
    /// The run or instance: a file name no other process of the function has or had.
    pub(crate) name: String,
    /// Variables beside the function's own, which they override. `PATH`, `TRIPLINE_SCRATCH`, `TRIPLINE_EXECUTOR` and
    /// `TRIPLINE_CREDENTIALS_FILE` need not be named.
    pub(crate) variables: Vec<(String, OsString)>,
    /// Credentials that lie in their file from the start.
    pub(crate) credentials: Option<Credentials>,
    /// Whether it is told where that file is: credentials may come later, too.
    pub(crate) has_role: bool,
    /// What it reads; `None` is `/dev/null`.
    pub(crate) stdin: Option<Bytes>,
    /// Bytes of stdout that are kept as its result; 0 for none.
    pub(crate) keep_stdout: usize,
}

/// What the function's thread needs to start the process.
struct Prepared {
    request: SpawnRequest,
    /// See [`Launcher::mark_of`].
    mark: String,
    surroundings: Surroundings,
    scratch: PathBuf,
    groups: Groups,
}

/// A process that was started.
struct Started {
    child: Child,
    /// Why it was killed at once, if it was: it could not be put within its bounds.
    unbounded: Option<String>,
}

/// The process's ends of its pipes.
struct Ends {
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
}

// === impl Launcher ===

impl Launcher {
    pub(crate) fn new(surroundings: Surroundings) -> Self {
        if let Err(error) = family::become_subreaper() {
            tracing::warn!(%error, "orphans of functions cannot be adopted");
        }
        let spawners = Spawners::new(surroundings.isolation.clone());
        Self {
            surroundings,
            spawners,
        }
    }

    /// Starts a process in a new scratch directory. What it writes goes to its [`Tap`](super::Tap): attach an output.
    pub(crate) async fn spawn(&self, request: SpawnRequest) -> Result<Spawned, StartError> {
        let spec = request.spec.clone();
        for name in [&spec.name, &request.name] {
            if !scratch::is_file_name(name) {
                return Err(StartError::Unpassable(format!("the name {name:?}")));
            }
        }
        if spec.isolation == Isolation::Required {
            let isolation = &self.surroundings.isolation;
            isolation.check(&spec).map_err(StartError::NotIsolated)?;
        }
        let scratch_root = self.surroundings.dir.join("scratch").join(&spec.name);
        let scratch = self.surroundings.scratches.take(&scratch_root).await;
        let scratch = scratch.map_err(StartError::Scratch)?;
        let mark = format!("{MARK}={}", self.mark_of(&request)).into_bytes();
        let keep_stdout = request.keep_stdout;
        family::add_mark(&mark);
        match self.spawn_in(&scratch_root, &scratch, request).await {
            Ok((started, groups, pipes)) => Ok(Spawned::new(Parts {
                child: started.child,
                unbounded: started.unbounded,
                groups,
                mark,
                scratch,
                pipes,
                keep_stdout,
                scratch_bytes: spec.limits.scratch_bytes,
            })),
            Err(error) => {
                family::remove_mark(&mark);
                scratch.give_up(false).await;
                Err(error)
            }
        }
    }

    /// A name that no other tree of processes on this machine has.
    fn mark_of(&self, request: &SpawnRequest) -> String {
        let executor = &self.surroundings.executor_id;
        format!("{executor}/{}/{}", request.spec.name, request.name)
    }

    async fn spawn_in(
        &self,
        scratch_root: &Path,
        scratch: &Scratch,
        request: SpawnRequest,
    ) -> Result<(Started, Groups, Pipes), StartError> {
        if let Some(credentials) = &request.credentials {
            write_credentials(scratch.path(), credentials).map_err(StartError::Scratch)?;
        }
        let pipes = Pipes::new(request.stdin.clone());
        let (pipes, ends) = pipes.map_err(StartError::Spawn)?;
        let isolation = &self.surroundings.isolation;
        let groups = isolation.groups(&request.name, &request.spec.limits);
        let spec = request.spec.clone();
        let prepared = Prepared {
            mark: self.mark_of(&request),
            request,
            surroundings: self.surroundings.clone(),
            scratch: scratch.path().to_owned(),
            groups: groups.map_err(StartError::Spawn)?,
        };
        let act = move |account: Option<&Account>| prepared.start(ends, account);
        let (groups, started) = self.spawners.act(&spec, scratch_root, act).await?;
        Ok((started?, groups, pipes))
    }
}

// === impl Prepared ===

impl Prepared {
    /// On the function's thread. The groups come back in any case: they are to be removed by somebody who may.
    fn start(self, ends: Ends, account: Option<&Account>) -> (Groups, Result<Started, StartError>) {
        let started = self.spawn(ends, account).map(|(child, bounded)| {
            let added = self.groups.add(Pid::from_child(&child));
            let unbounded = match (bounded, added) {
                (Err(bounded), Err(added)) => Some(format!("{bounded}; {added}")),
                (bounded, added) => bounded.and(added).err().map(|error| error.to_string()),
            };
            let unbounded = unbounded.filter(|why| self.may_not_be(&child, why));
            Started { child, unbounded }
        });
        (self.groups, started)
    }

    /// A process could not be put within its bounds: says whether it was killed for that. It may have begun, so it
    /// counts as started.
    fn may_not_be(&self, child: &Child, why: &str) -> bool {
        let spec = &self.request.spec;
        let function = &spec.name;
        tracing::error!(
            function,
            why,
            "a process could not be put within its bounds"
        );
        let required = spec.isolation == Isolation::Required;
        if required {
            let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
        }
        required
    }

    /// The program is looked for here, too: where its folder hangs, other functions go on.
    fn command(&self, ends: Ends) -> Result<Command, StartError> {
        let spec = &self.request.spec;
        let (program, arguments) = program::resolve(spec)?;
        let mut command = Command::new(program);
        // No uid, gid or pre_exec here: they push the standard library from posix_spawn to fork.
        command
            .args(arguments)
            .current_dir(&spec.working_dir)
            .process_group(0)
            .stdin(ends.stdin)
            .stdout(ends.stdout)
            .stderr(ends.stderr);
        environment::set(&mut command, &self.request, &self.scratch)?;
        command
            .env(EXECUTOR, &self.surroundings.executor_id)
            .env(MARK, &self.mark);
        Ok(command)
    }

    /// Starts it, and sets the bounds by process.
    fn spawn(
        &self,
        ends: Ends,
        account: Option<&Account>,
    ) -> Result<(Child, io::Result<()>), StartError> {
        let mut command = self.command(ends)?;
        let isolation = &self.surroundings.isolation;
        if let Some(account) = account {
            let owned = account.own(&self.scratch, isolation.data_dir());
            owned.map_err(StartError::Scratch)?;
        }
        let inside = self.groups.enter().map_err(StartError::Spawn)?;
        let spawned = match account {
            None => command.spawn(),
            Some(account) => account.act(|| command.spawn())?,
        };
        let child = spawned.map_err(StartError::Spawn)?;
        let pid = Pid::from_child(&child);
        family::add_child(pid);
        // What follows may wait for the process, which must not wait for this thread then.
        drop(inside);
        let as_user = |pid, resource, bound| match account {
            None => Err(Errno::PERM),
            Some(account) => account
                .act(|| prlimit(Some(pid), resource, bound))
                .unwrap_or(Err(Errno::PERM)),
        };
        // Before it is moved, which may take long: what it starts meanwhile has them too.
        let bounded = isolation.bound(&self.groups, pid, &self.request.spec.limits, &as_user);
        Ok((child, bounded))
    }
}

// === impl Pipes ===

impl Pipes {
    /// With the other ends. What can fail with them fails here, before the process is there.
    fn new(data: Option<Bytes>) -> io::Result<(Self, Ends)> {
        let (stdout, out) = io::pipe()?;
        let (stderr, err) = io::pipe()?;
        let (stdin, read) = feeding(data)?;
        let pipes = Self {
            stdin,
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
        };
        let ends = Ends {
            stdin: read,
            stdout: out.into(),
            stderr: err.into(),
        };
        Ok((pipes, ends))
    }
}

/// What has to be written to stdin still, and its other end. What fits into the pipe is written at once, before there
/// is a reader.
fn feeding(data: Option<Bytes>) -> io::Result<(Option<(pipe::Sender, Bytes)>, Stdio)> {
    let Some(mut data) = data.filter(|data| !data.is_empty()) else {
        return Ok((None, Stdio::null()));
    };
    let (read, mut write) = io::pipe()?;
    fcntl_setfl(&write, OFlags::NONBLOCK)?;
    match write.write(&data) {
        Ok(count) => drop(data.split_to(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    let rest = match data.is_empty() {
        true => None,
        false => Some((pipe::Sender::from_owned_fd(write.into())?, data)),
    };
    Ok((rest, read.into()))
}
