//! What files and processes a function reaches, by Landlock: all files but the data directory, in which there is only its
//! scratch, and no process but those it started. Symbolic links are followed to what they name before that is looked up,
//! so they lead nowhere that could not be reached without them.
//!
//! This keeps functions apart that err, and those of an ordinary user that are hostile. A hostile one that runs as root has
//! other ways, such as reading the disk itself.
//!
//! Landlock can allow a folder with all that is in it, not all but one. So what lies beside each folder on the way from
//! `/` to the data directory is allowed, not these folders themselves: what is in them when the rules are made can be
//! used, and nothing can be made directly in them. Other mounts of the file system that has the data directory in it
//! would be a way around.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};
use rustix::fs::{FileType, Mode, OFlags, RawDir, Stat};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tripline_model::lock;

use super::seccomp;

/// Rights that are known today; those that the kernel does not know are left out by the crate.
const RIGHTS: ABI = ABI::V10;

/// The kernel's settings, control groups among them: a function must not lift its own limits.
const SETTINGS: &str = "/sys";

/// The rules for one function.
pub(crate) struct Ruleset {
    /// `None` where the kernel has no Landlock.
    rules: Option<RulesetCreated>,
    /// See [`super::seccomp`].
    signal_filter: bool,
    way: Vec<Folder>,
}

/// A folder on the way to the data directory, as it was.
struct Folder {
    path: PathBuf,
    /// `None` if it had just changed: what came next could have the same time.
    changed: Mutex<Option<Changed>>,
    entries: Vec<(Vec<u8>, u64)>,
}

type Changed = (i64, u64);

/// File systems take the time of a change from a clock that ticks at least as often.
const MTIME_GRANULARITY: Duration = Duration::from_millis(20);

/// The version of Landlock's interface that the kernel has; really tried, on a thread that is given up for it.
pub(super) fn landlock_abi() -> Option<u32> {
    let tried = thread::Builder::new()
        .name("landlock-probe".to_owned())
        .spawn(|| {
            let rules = created().ok()?;
            let status = rules.restrict_self().ok()?;
            match status.landlock {
                LandlockStatus::Available {
                    effective_abi,
                    kernel_abi,
                } => Some(kernel_abi.map_or(effective_abi as u32, i32::unsigned_abs)),
                _none => None,
            }
        });
    tried.ok()?.join().ok()?
}

// === impl Ruleset ===

impl Ruleset {
    /// `no_new_privs` alone, for kernels that have nothing else.
    pub(super) fn without_landlock() -> Self {
        Self {
            rules: None,
            signal_filter: false,
            way: Vec::new(),
        }
    }

    /// All but `data`, with `scratch` in it. A working directory that holds `data` can be listed, `data` with it: programs
    /// look for their parts by listing the directory they are in.
    pub(super) fn new(data: &Path, working_dir: &Path, scratch: &Path) -> io::Result<Self> {
        let data = fs::canonicalize(data)?;
        let mut rules = created()?;
        let mut way = Vec::new();
        let mut steps: Vec<&Path> = data.ancestors().collect();
        steps.reverse();
        for (folder, next) in steps.iter().zip(steps.iter().skip(1)) {
            let seen = Folder::read(folder)?;
            for (name, _inode) in &seen.entries {
                let path = folder.join(as_path(name));
                if path != **next {
                    rules = allowed(rules, &path)?;
                }
            }
            way.push(seen);
        }
        let working_dir = fs::canonicalize(working_dir);
        if let Some(listed) = working_dir.ok().filter(|dir| data.starts_with(dir)) {
            rules = with_rule(rules, path_only(&listed)?, AccessFs::ReadDir.into())?;
        }
        let scratch = path_only(&fs::canonicalize(scratch)?)?;
        rules = with_rule(rules, scratch, AccessFs::from_all(RIGHTS))?;
        Ok(Self {
            rules: Some(rules),
            signal_filter: false,
            way,
        })
    }

    /// Whether signals to the thread that is restricted are refused, too.
    pub(super) fn with_signal_filter(self, signal_filter: bool) -> Self {
        Self {
            signal_filter,
            ..self
        }
    }

    /// Restricts the calling thread, and all processes that it starts, for ever. Use a fresh thread.
    pub(crate) fn restrict_this_thread(&self) -> io::Result<()> {
        match &self.rules {
            Some(rules) => {
                rules
                    .try_clone()?
                    .restrict_self()
                    .map_err(io::Error::other)?;
                give_up_rights()?;
            }
            None => nix::sys::prctl::set_no_new_privs()?,
        }
        if self.signal_filter {
            seccomp::refuse_signals_to_this_thread()?;
        }
        Ok(())
    }

    /// Whether the folders on the way to the data directory are as they were: otherwise new files there would be out of
    /// reach, and a new ruleset (and thread) is needed. Reads those that changed, which may take its time.
    pub(crate) fn is_current(&self) -> bool {
        self.way.iter().all(Folder::is_current)
    }

    /// Whether nothing happened in these folders since they were read, for certain. A look at each, and cheap.
    pub(crate) fn is_untouched(&self) -> bool {
        self.way.iter().all(Folder::is_untouched)
    }
}

// === impl Folder ===

impl Folder {
    fn read(path: &Path) -> io::Result<Self> {
        // Before the entries: what changes meanwhile shows as changed.
        let changed = settled(changed(path)?);
        let folder = File::open(path)?;
        let mut buffer = Vec::with_capacity(16 * 1024);
        let mut list = RawDir::new(&folder, buffer.spare_capacity_mut());
        let mut entries = Vec::new();
        while let Some(entry) = list.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                entries.push((name.to_vec(), entry.ino()));
            }
        }
        entries.sort();
        Ok(Self {
            path: path.to_owned(),
            changed: Mutex::new(changed),
            entries,
        })
    }

    fn is_untouched(&self) -> bool {
        changed(&self.path).is_ok_and(|now| Some(now) == *lock(&self.changed))
    }

    /// Busy folders such as `/tmp` change all the time: only other entries count.
    fn is_current(&self) -> bool {
        if self.is_untouched() {
            return true;
        }
        match Self::read(&self.path) {
            Ok(now) if now.entries == self.entries => {
                *lock(&self.changed) = *lock(&now.changed);
                true
            }
            _other_or_unreadable => false,
        }
    }
}

/// Root keeps its rights to files and users, but not those over the whole machine: with them the kernel lets it read other
/// processes' environments past Landlock, and lift its limits. Programs it starts cannot get them back: `no_new_privs`.
fn give_up_rights() -> io::Result<()> {
    let given_up = CapabilitySet::SYS_ADMIN
        | CapabilitySet::PERFMON
        | CapabilitySet::BPF
        | CapabilitySet::SYS_MODULE
        | CapabilitySet::SYS_RAWIO
        | CapabilitySet::SYS_BOOT;
    let mut sets = capabilities(None)?;
    for set in [
        &mut sets.effective,
        &mut sets.permitted,
        &mut sets.inheritable,
    ] {
        set.remove(given_up);
    }
    Ok(set_capabilities(None, sets)?)
}

fn created() -> io::Result<RulesetCreated> {
    landlock::Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RIGHTS))
        .and_then(|rules| rules.scope(Scope::from_all(RIGHTS)))
        .and_then(landlock::Ruleset::create)
        .map_err(io::Error::other)
}

/// Allows an entry with all that is in it. Links are no files; what is gone meanwhile needs no rule.
fn allowed(rules: RulesetCreated, path: &Path) -> io::Result<RulesetCreated> {
    let Ok(file) = path_only(path) else {
        return Ok(rules);
    };
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    let rights = match kind {
        FileType::Symlink => return Ok(rules),
        FileType::Directory if path == Path::new(SETTINGS) => AccessFs::from_read(RIGHTS),
        FileType::Directory => AccessFs::from_all(RIGHTS),
        _file => AccessFs::from_file(RIGHTS),
    };
    with_rule(rules, file, rights)
}

fn with_rule(
    rules: RulesetCreated,
    file: OwnedFd,
    rights: BitFlags<AccessFs>,
) -> io::Result<RulesetCreated> {
    rules
        .add_rule(PathBeneath::new(file, rights))
        .map_err(io::Error::other)
}

fn path_only(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn changed(path: &Path) -> io::Result<Changed> {
    let about: Stat = rustix::fs::stat(path)?;
    #[allow(clippy::unnecessary_cast, reason = "the type differs by architecture")]
    Ok((about.st_mtime as i64, about.st_mtime_nsec as u64))
}

/// The time of a change after which a further one has another time.
fn settled(changed: Changed) -> Option<Changed> {
    let (seconds, nanos) = (
        u64::try_from(changed.0).ok()?,
        u32::try_from(changed.1).ok()?,
    );
    let at = UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock of the file system, which is the kernel's"
    )]
    let age = SystemTime::now().duration_since(at).ok()?;
    (age > MTIME_GRANULARITY).then_some(changed)
}

fn as_path(name: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(name))
}
