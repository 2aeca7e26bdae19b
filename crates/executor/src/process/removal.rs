//! Removing what a function left, whatever it left: folders without rights, and folders in folders without end.
//!
//! Whoever goes down into a tree holds a descriptor and a piece of the stack for each level, and a function can make more
//! levels than there are of either. So nothing goes down here: what is in a folder of the top is moved up beside it.

use std::cell::Cell;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, chmod, fchmod, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::path::Arg;
use tokio::time::Instant;

/// How long one removal may take: somebody may be filling what is emptied.
const PATIENCE: Duration = Duration::from_secs(300);

/// Names that are tried for what is moved up.
const MAX_NAMES: u32 = 1000;

/// The top of a tree that is being removed.
struct Top {
    dir: OwnedFd,
    /// What the names of folders that were moved up begin with: nobody can have made them before.
    prefix: String,
    /// How many were moved up: the next one's name.
    moved: Cell<u64>,
    until: Instant,
}

/// Removes a directory with everything in it that can be removed. Symlinks are removed, never followed. Blocks.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR) => return Ok(unlinkat(CWD, path, AtFlags::empty())?),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let top = Top {
        dir: open(CWD, path)?,
        prefix: format!(".tripline-{:016x}-", u64::from_ne_bytes(random)),
        moved: Cell::default(),
        until: Instant::now() + PATIENCE,
    };
    top.empty()?;
    Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

// === impl Top ===

impl Top {
    fn empty(&self) -> io::Result<()> {
        loop {
            let (mut is_empty, mut goes_on, moved) = (true, false, self.moved.get());
            // Opened anew: what was moved up may be behind the place that the last look came to.
            let looked = self.each(&open(&self.dir, c".")?, |name| {
                is_empty = false;
                let removed = self.remove(name);
                goes_on |= removed.is_ok();
                removed
            });
            goes_on |= self.moved.get() != moved;
            match looked {
                Ok(()) if is_empty => return Ok(()),
                Err(error) if !goes_on || Instant::now() > self.until => return Err(error),
                _ => {}
            }
        }
    }

    /// Removes an entry of the top; if it is a folder, at least what is in it.
    fn remove(&self, name: &CStr) -> io::Result<()> {
        match unlinkat(&self.dir, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => self.take_apart(name),
            removed => gone(removed),
        }
    }

    /// Empties a folder at the top, and removes it. If something came into it meanwhile, the next look finds it.
    fn take_apart(&self, name: &CStr) -> io::Result<()> {
        let dir = match open(&self.dir, name) {
            // Somebody has put something else in its place.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            opened => opened?,
        };
        self.each(&dir, |inner| {
            match unlinkat(&dir, inner, AtFlags::empty()) {
                Err(Errno::ISDIR) => self.move_up(&dir, inner),
                removed => gone(removed),
            }
        })?;
        match unlinkat(&self.dir, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(()),
            removed => gone(removed),
        }
    }

    fn move_up(&self, from: &OwnedFd, name: &CStr) -> io::Result<()> {
        let mut is_open = false;
        for _ in 0..MAX_NAMES {
            let number = self.moved.replace(self.moved.get() + 1);
            let free = format!("{}{number}", self.prefix);
            match renameat(from, name, &self.dir, free.as_str()) {
                Err(Errno::ACCESS) if !is_open => {
                    // Its own rights have to allow it another folder above.
                    drop(open(from, name)?);
                    is_open = true;
                }
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                moved => return gone(moved),
            }
        }
        Err(io::Error::other("no name is free for what is in it"))
    }

    /// Does something for each entry of a folder; what fails keeps nothing else from it. The first failure.
    fn each(&self, dir: &OwnedFd, mut act: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<()> {
        let mut first = Ok(());
        let mut room = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(dir, &mut room);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                // It was removed meanwhile.
                Err(Errno::NOENT) => break,
                entry => entry?,
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if Instant::now() > self.until {
                return Err(io::Error::other("it is filled as fast as it is emptied"));
            }
            first = first.and(act(name));
        }
        first
    }
}

/// Opens a folder, which is given every right of its user: the function may have taken them away.
fn open(at: impl AsFd, name: impl Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let itself = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let readable = itself | OFlags::RDONLY;
    let dir = match openat(&at, name, readable, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let unread = openat(&at, name, itself | OFlags::PATH, Mode::empty())?;
            chmod(format!("/proc/self/fd/{}", unread.as_raw_fd()), Mode::RWXU)?;
            openat(&at, name, readable, Mode::empty())?
        }
        opened => opened?,
    };
    // An error: it is another user's, and what that means shows when it is emptied.
    let _ = fchmod(&dir, Mode::RWXU);
    Ok(dir)
}

/// What is not there any more need not be removed.
fn gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn deep(path: &Path, levels: usize) {
        fs::create_dir(path).unwrap();
        let mut dir = open(CWD, path).unwrap();
        for _ in 0..levels {
            rustix::fs::mkdirat(&dir, "d", Mode::RWXU).unwrap();
            dir = open(&dir, "d").unwrap();
        }
    }

    #[test]
    fn what_no_path_can_name_is_too_much() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("deep");
        deep(&path, 5_000);
        assert!(super::super::scratch::used_bytes(&path, 1 << 40) > 1 << 40);
        remove_tree(&path).unwrap();
    }

    #[test]
    fn more_levels_than_there_are_descriptors_or_stack() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("deep");
        deep(&path, 20_000);
        let small = std::thread::Builder::new().stack_size(64 << 10);
        let removal = small.spawn({
            let path = path.clone();
            move || remove_tree(&path)
        });
        removal.unwrap().join().unwrap().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_cannot_be_removed_keeps_nothing_else() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("tree");
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::create_dir_all(path.join("z/y")).unwrap();
        for file in ["a/1", "a/b/2", "z/3", "4"] {
            fs::write(path.join(file), "").unwrap();
        }
        let top = Top {
            dir: open(CWD, path.as_path()).unwrap(),
            prefix: "moved-".to_owned(),
            moved: Cell::default(),
            until: Instant::now() + PATIENCE,
        };
        let mut seen = 0;
        let failed = top.each(&top.dir, |_| {
            seen += 1;
            Err(io::Error::other(format!("the {seen}.")))
        });
        assert_eq!(
            (seen, failed.unwrap_err().to_string()),
            (3, "the 1.".to_owned())
        );
        // Names that are taken are passed over.
        fs::create_dir_all(path.join("moved-0/full")).unwrap();
        fs::write(path.join("moved-1"), "").unwrap();
        top.empty().unwrap();
        assert!(fs::read_dir(&path).unwrap().next().is_none());
    }

    #[test]
    fn whatever_is_in_it_goes_and_nothing_else() {
        let above = tempfile::tempdir().unwrap();
        let (path, other) = (above.path().join("tree"), above.path().join("other"));
        fs::create_dir_all(path.join("a/b/c")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "").unwrap();
        symlink(&other, path.join("a/link")).unwrap();
        symlink(&other, path.join("link")).unwrap();
        for number in 0..300 {
            fs::create_dir_all(path.join(format!("wide/{number}/x"))).unwrap();
            fs::write(path.join(format!("wide/{number}/file")), "").unwrap();
        }
        for closed in ["a/b/c", "a/b", "a", "wide"] {
            fs::set_permissions(path.join(closed), PermissionsExt::from_mode(0o000)).unwrap();
        }
        remove_tree(&path).unwrap();
        assert!(!path.exists() && other.join("kept").exists());
        // It is gone already; and a link in its place is not followed.
        remove_tree(&path).unwrap();
        symlink(&other, &path).unwrap();
        remove_tree(&path).unwrap();
        assert!(fs::symlink_metadata(&path).is_err() && other.join("kept").exists());
    }
}
