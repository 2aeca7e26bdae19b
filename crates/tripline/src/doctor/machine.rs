//! The machine: clock, data directory, disk, limits, and addresses.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::process::Command;
use tokio::time::Instant;
use tripline_journal::{JournalOptions, OpenError, would_open};
use tripline_listener::TlsFiles;
use tripline_model::{Clock, Timestamp};

use super::{Checks, Finding, Verdict};
use crate::clock::SystemClock;
use crate::config::{Config, Runs};
use crate::serve::refuse_exposed_key;

/// Writes that are timed.
const SYNCS: usize = 20;
/// A disk that takes longer for one of them makes every receipt slow.
const SLOW_SYNC: Duration = Duration::from_millis(20);
/// Below the first the journal soon takes no more events, below the second very soon.
const FREE: (u64, u64) = (1 << 30, 100 << 20);
/// Descriptors that the executor holds for one run: pipes, the process, and its control groups.
const FILES_OF_RUN: u64 = 16;
/// 2025-01-01. The hub is younger.
const BORN_MS: i64 = 1_735_689_600_000;

/// Begins the checks that need a configuration.
pub(super) fn checks(config: &Arc<Config>, data_dir: &Path, checks: &mut Checks) {
    let data_dir = data_dir.to_owned();
    let finding = user(config);
    checks.add("user", async { finding });
    let dir = data_dir.clone();
    checks.add_blocking("data directory", move || directory(&dir));
    let (dir, max_journal) = (data_dir.clone(), config.hub.max_journal_bytes);
    checks.add_blocking("journal size", move || journal(&dir, max_journal));
    let dir = data_dir.clone();
    checks.add_blocking("disk sync", move || disk(&dir));
    let connections = u64::from(config.gateway.bounds.max_connections);
    checks.add_blocking("open files", move || open_files(connections));
    let programs = config.functions.iter();
    let programs = programs.filter(|function| matches!(function.runs, Runs::Program(_)));
    let runs = programs.map(|one| u64::from(one.function.concurrency.get()));
    let runs = runs.sum();
    checks.add_blocking("open files of the executor", move || files_of_runs(runs));
    for (name, tls) in [
        ("gateway", &config.gateway.tls),
        ("admin", &config.admin.tls),
    ] {
        if let Some(tls) = tls {
            let files = tls.files(&config.folder);
            checks.add(format!("{name} certificate"), certificate(name, files));
        }
    }
    for (name, address) in [
        ("gateway address", config.gateway.listen),
        ("admin address", config.admin.listen),
    ] {
        let dir = data_dir.clone();
        checks.add_blocking(name, move || listener(address, &dir));
    }
}

/// Whether the wall clock can be believed.
pub(super) async fn clock() -> Finding {
    let now = SystemClock.now();
    let mend = "set the clock, and let it be set by NTP (`timedatectl set-ntp true`)";
    if now < Timestamp::from_millis(BORN_MS) {
        return Finding::bad(format!("it says {now}: that is in the past"), mend);
    }
    let mut ask = Command::new("timedatectl");
    ask.args(["show", "--property=NTPSynchronized", "--value"])
        .kill_on_drop(true);
    match ask.output().await {
        Ok(output) if output.status.success() && output.stdout.starts_with(b"no") => {
            Finding::doubtful(format!("it says {now}, and nobody sets it"), mend)
        }
        // Without systemd nobody can be asked in a way that holds everywhere.
        _ => Finding::good(format!("it says {now}")),
    }
}

/// Whose rights functions get.
fn user(config: &Config) -> Finding {
    if !rustix::process::geteuid().is_root() {
        return Finding::good("functions run without root's rights");
    }
    let as_root = config.functions.iter().filter(
        |function| matches!(&function.runs, Runs::Program(program) if program.user.is_none()),
    );
    let names: Vec<_> = as_root.map(|one| one.function.name.to_string()).collect();
    if names.is_empty() {
        return Finding::good("every function has a user of its own");
    }
    let what = format!("with root's rights run: {}", names.join(", "));
    Finding::doubtful(
        what,
        "run the hub as a user of its own, or give functions a `user`",
    )
}

fn directory(dir: &Path) -> Finding {
    let shown = dir.display();
    let found = match fs::metadata(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return absent(dir),
        Err(error) => {
            return Finding::bad(
                format!("{shown}: {error}"),
                "let the hub's user look into it",
            );
        }
    };
    if !found.is_dir() {
        return Finding::bad(format!("{shown} is no folder"), "set `data_dir` in [hub]");
    }
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me && me != 0 {
        let what = format!("{shown} belongs to user {}, not to {me}", found.uid());
        return Finding::bad(what, "run this and the hub as the same user, or `chown` it");
    }
    let mode = found.permissions().mode();
    let is_empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if mode & 0o022 != 0 && !is_empty {
        let what = format!("others can write into {shown}, and there is something in it");
        let mend =
            format!("look what it is, then run `chmod 700 {shown}`: the hub refuses it as it is");
        return Finding::bad(what, mend);
    }
    if let Err(error) = Trial::new(dir) {
        return Finding::bad(
            format!("{shown} cannot be written: {error}"),
            "let the hub's user write there",
        );
    }
    match would_open(dir) {
        // A hub runs on it, which has opened it.
        Ok(()) | Err(OpenError::Locked { .. }) => {}
        Err(error) => {
            let more =
                format!("the hub refuses it as it is; `tripline journal check {shown}` says more");
            return Finding::bad(error.to_string(), error.help().unwrap_or(more));
        }
    }
    let is_open = mode & 0o066 != 0;
    let well = if is_open {
        format!("others can look into {shown}, until the hub starts and shuts them out")
    } else {
        format!("{shown} is the hub's alone")
    };
    let room = room(dir, &well);
    if room.verdict != Verdict::Good {
        return room;
    }
    if is_open {
        return Finding::doubtful(room.what, format!("chmod 700 {shown}"));
    }
    // What is wrong for root is wrong for the hub, too; only what is good may not be.
    if me == 0 && found.uid() != 0 {
        let what = format!(
            "{shown} belongs to user {0}, and this looked with root's rights: the hub may find less than this did",
            found.uid()
        );
        let mend = format!(
            "run this as the hub is run (`sudo -u '#{}' …`)",
            found.uid()
        );
        return Finding::doubtful(what, mend);
    }
    room
}

/// There is none yet: the hub makes it, if it may.
fn absent(dir: &Path) -> Finding {
    let above = dir.ancestors().skip(1).find(|folder| folder.is_dir());
    let above = above.unwrap_or(Path::new("."));
    match Trial::new(above) {
        Ok(_) => room(above, &format!("{} will be made", dir.display())),
        Err(error) => Finding::bad(
            format!(
                "{} is not there, and cannot be made: {error}",
                dir.display()
            ),
            format!(
                "make it as a folder that belongs to the hub's user (`install -d -m 700 {}`)",
                dir.display()
            ),
        ),
    }
}

fn room(dir: &Path, well: &str) -> Finding {
    let disk = match rustix::fs::statvfs(dir) {
        Ok(disk) => disk,
        Err(error) => {
            return Finding::doubtful(format!("{well}; free space is not known: {error}"), "");
        }
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let what = format!("{well}; {} MiB free", free >> 20);
    let mend = format!(
        "make room, or set `data_dir` to a larger disk: a hub that starts takes no events before it has {} MiB free",
        room_to_start() >> 20
    );
    match free {
        free if free < FREE.1 => Finding::bad(what, mend),
        free if free < FREE.0 => Finding::doubtful(what, mend),
        _ => Finding::good(what),
    }
}

/// Whether the journal reaches its bound before the disk is full: only then old records make room in time.
fn journal(dir: &Path, most: u64) -> Finding {
    let there =
        ["journal.db", "journal.db-wal", "reserve"].map(|name| fs::metadata(dir.join(name)));
    let there: u64 = there.into_iter().flatten().map(|file| file.len()).sum();
    let place = dir.ancestors().find(|folder| folder.is_dir());
    let disk = match rustix::fs::statvfs(place.unwrap_or(Path::new("."))) {
        Ok(disk) => disk,
        Err(error) => return Finding::doubtful(format!("free space is not known: {error}"), ""),
    };
    let room = there.saturating_add(disk.f_bavail.saturating_mul(disk.f_frsize));
    journal_in(room, most)
}

/// The same, with so much room for the journal and what is kept free beside it.
fn journal_in(room: u64, most: u64) -> Finding {
    let beside = room_to_start();
    let what = format!(
        "`max_journal` is {} MiB, and the disk has {} MiB for it",
        most >> 20,
        room.saturating_sub(beside) >> 20
    );
    if most.saturating_add(beside) <= room {
        return Finding::good(what);
    }
    // A smaller journal is of no use: see what is said of the data directory.
    let mend = match room.saturating_sub(beside) >> 20 {
        0 => format!(
            "set `data_dir` to a disk with more room: {} MiB are kept free beside the journal",
            beside >> 20
        ),
        left => format!(
            "set `max_journal` in [hub] to {left} MiB or less, and leave room for logs: on a full disk no event is taken \
             until old records have made room"
        ),
    };
    Finding::doubtful(what, mend)
}

/// Bytes of which a journal keeps half as a reserve for ends, and needs the other half to take events.
fn room_to_start() -> u64 {
    JournalOptions::default().reserve_bytes * 2
}

/// How long a small write takes to be on disk: what every receipt waits for.
fn disk(dir: &Path) -> Finding {
    let place = dir
        .ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("."));
    let times = Trial::new(place).and_then(|mut trial| {
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            let begun = Instant::now();
            trial.file.write_all(&[7; 4096])?;
            trial.file.sync_data()?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        Ok(times)
    });
    match times {
        Err(error) => Finding::bad(
            format!("{}: {error}", place.display()),
            "see `data directory`",
        ),
        Ok(times) => {
            let (median, worst) = (times[SYNCS / 2], times[SYNCS - 1]);
            let what = format!("{median:.1?} for a small write, {worst:.1?} at worst of {SYNCS}");
            if median > SLOW_SYNC {
                Finding::doubtful(
                    what,
                    "every receipt waits for one: put `data_dir` on a local SSD",
                )
            } else {
                Finding::good(what)
            }
        }
    }
}

fn open_files(connections: u64) -> Finding {
    // Beside connections: the journal, logs, the executor, and what triggers hold.
    let needed = connections + 512;
    let soft = getrlimit(Resource::Nofile).current;
    let mend = format!(
        "`ulimit -n {needed}` where the hub is started, `LimitNOFILE=` under systemd, or fewer `max_connections`"
    );
    enough_files(soft, needed, mend)
}

/// The executor is started by the hub, and takes all that it may have.
fn files_of_runs(runs: u64) -> Finding {
    let needed = runs.saturating_mul(FILES_OF_RUN) + 128;
    let hard = getrlimit(Resource::Nofile).maximum;
    let mend = format!(
        "`ulimit -Hn {needed}` where the hub is started, `LimitNOFILE=` under systemd, or less `concurrency`: runs that find none left fail"
    );
    enough_files(hard, needed, mend)
}

fn enough_files(limit: Option<u64>, needed: u64, mend: String) -> Finding {
    let shown = limit.map_or("any number".to_owned(), |limit| limit.to_string());
    let what = format!("{shown} may be open, about {needed} are needed");
    match limit {
        Some(limit) if limit < needed => Finding::doubtful(what, mend),
        _ => Finding::good(what),
    }
}

fn listener(address: SocketAddr, data_dir: &Path) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::good(format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_held(data_dir) => {
            Finding::good(format!(
                "{address} is taken, and a hub runs on this data directory"
            ))
        }
        Err(error) => Finding::bad(
            format!("{address}: {error}"),
            format!(
                "end what listens there (`ss -ltnp 'sport = :{}'`), or set another `listen`",
                address.port()
            ),
        ),
    }
}

/// Whether certificate and key can be used.
async fn certificate(name: &'static str, files: TlsFiles) -> Finding {
    let checked = match refuse_exposed_key(name, &files) {
        Ok(()) => files.check(name).await,
        exposed => exposed,
    };
    match checked {
        Ok(()) => Finding::good(format!("{} and its key are good", files.cert.display())),
        Err(error) => Finding::bad(
            error.to_string(),
            "correct `tls`, or let the hub's user read its files",
        ),
    }
}

/// Whether a hub holds the directory.
fn is_held(data_dir: &Path) -> bool {
    let lock = File::options()
        .read(true)
        .write(true)
        .open(data_dir.join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

/// A file of its own that goes when this is dropped.
struct Trial {
    file: File,
    path: PathBuf,
}

// === impl Trial ===

impl Trial {
    fn new(folder: &Path) -> io::Result<Self> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let path = folder.join(format!(
            ".tripline-doctor-{:016x}",
            u64::from_ne_bytes(bytes)
        ));
        let file = File::create_new(&path)?;
        Ok(Self { file, path })
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // Nothing can be done about one that stays; it is small and says whose it is.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
