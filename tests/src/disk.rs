//! A disk of one test's own, whose power can be cut: a file system in a file, mounted over a loop device.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::{eventually, skipped};

/// Shuts a file system down without writing its log: ioctl `FS_IOC_SHUTDOWN` with `FS_SHUTDOWN_FLAGS_NOLOGFLUSH`. What
/// was not flushed is gone, as after a loss of power; until it is mounted again every call fails, as on a dead disk.
const SHUT_DOWN: &str = "
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))
";

/// A file system on a disk of its own. It is unmounted when it is dropped.
pub struct Disk {
    /// Holds the image; behind a small `tmpfs` where the disk shall not keep what it takes.
    folder: TempDir,
    at: PathBuf,
    behind: Option<PathBuf>,
}

// === impl Disk ===

impl Disk {
    /// An ext4 of so many MiB, mounted at `at`, which is made; `None` was reported as skipped.
    pub fn mount(test: &str, mib: u64, at: &Path) -> Option<Self> {
        Self::on(test, mib, None, at)
    }

    /// The same, on a disk that has room for only `real` MiB of what it promises: writes succeed, and their flush fails.
    pub fn mount_promising(test: &str, mib: u64, real: u64, at: &Path) -> Option<Self> {
        Self::on(test, mib, Some(real), at)
    }

    fn on(test: &str, mib: u64, real: Option<u64>, at: &Path) -> Option<Self> {
        if !geteuid().is_root() {
            skipped(test, "file systems are mounted by root only");
            return None;
        }
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let mut disk = Self {
            behind: None,
            at: at.to_owned(),
            folder,
        };
        if let Some(real) = real {
            let size = format!("size={real}m");
            let behind = disk.folder.path().to_owned();
            run(Command::new("mount")
                .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
                .arg(&behind));
            disk.behind = Some(behind);
        }
        let image = disk.image();
        let file = fs::File::create(&image).expect("the folder is ours");
        file.set_len(mib << 20).expect("a file can have holes");
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-E", "lazy_itable_init=1,nodiscard"])
            .arg(&image);
        match make.output() {
            Ok(made) => assert!(made.status.success(), "{made:?}"),
            Err(error) => {
                skipped(test, &format!("no mkfs.ext4: {error}"));
                return None;
            }
        }
        fs::create_dir_all(at).expect("the folder is ours");
        if let Err(error) = disk.try_mount() {
            skipped(test, &format!("no loop device can be mounted: {error}"));
            return None;
        }
        // A hub keeps its data to itself.
        fs::set_permissions(at, Permissions::from_mode(0o700)).expect("it is mounted");
        Some(disk)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn try_mount(&self) -> Result<(), String> {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(self.image()).arg(&self.at);
        let done = mount.output().map_err(|error| error.to_string())?;
        match done.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
        }
    }

    /// Cuts the power: what was not flushed is lost, and nothing works until [`Disk::repair`].
    pub fn cut_power(&self) {
        run(Command::new("python3")
            .args(["-c", SHUT_DOWN])
            .arg(&self.at));
    }

    /// Mounts it again with what it kept. Nobody may have a file of it open for long.
    pub async fn repair(&self) {
        eventually("nobody uses the disk", async || {
            unmount(&self.at).status.success().then_some(())
        })
        .await;
        self.try_mount().expect("it can be mounted again");
    }

    /// Gives a disk that promised too much room for this many MiB: what it is asked to keep from now on it keeps.
    pub fn enlarge(&self, real: u64) {
        let behind = self.behind.as_ref().expect("it promised too much");
        let options = format!("remount,size={real}m");
        run(Command::new("mount").args(["-o", &options]).arg(behind));
    }

    /// Mounts it anew with these options, such as `ro`, unless somebody keeps it from that.
    pub fn try_remount(&self, options: &str) -> bool {
        let options = format!("remount,{options}");
        let mut mount = Command::new("mount");
        let done = mount.args(["-o", &options]).arg(&self.at).output();
        done.expect("mount can be run").status.success()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: also while a test that failed has left somebody behind.
        let lazy = |at: &Path| {
            let _not_mounted = Command::new("umount").arg("--lazy").arg(at).output();
        };
        lazy(&self.at);
        self.behind.iter().for_each(|behind| lazy(behind));
    }
}

fn unmount(at: &Path) -> Output {
    let mut command = Command::new("umount");
    command.arg(at).output().expect("umount can be run")
}

fn run(command: &mut Command) {
    let done = command.output().expect("it can be run");
    assert!(done.status.success(), "{command:?}: {done:?}");
}
