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

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, chmod, fchmod, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

/// Looks at the top at most: somebody may be adding to it.
const MAX_LOOKS: usize = 1 << 20;

/// Names that are tried for what is moved up.
const MAX_NAMES: u64 = 1000;

/// The top of a tree that is being removed.
struct Top {
    dir: OwnedFd,
    /// How many folders were moved up: the next one's name.
    moved: Cell<u64>,
}

/// Removes a directory with everything in it. Symlinks are removed, never followed.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR) => return Ok(unlinkat(CWD, path, AtFlags::empty())?),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let top = Top {
        dir: open(CWD, path)?,
        moved: Cell::default(),
    };
    top.empty()?;
    Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

// === impl Top ===

impl Top {
    fn empty(&self) -> io::Result<()> {
        for _ in 0..MAX_LOOKS {
            let mut is_empty = true;
            // Opened anew: what was moved up may be behind the place that the last look came to.
            each(&open(&self.dir, c".")?, |name| {
                is_empty = false;
                match unlinkat(&self.dir, name, AtFlags::empty()) {
                    Err(Errno::ISDIR) => self.take_apart(name),
                    removed => gone(removed),
                }
            })?;
            if is_empty {
                return Ok(());
            }
        }
        Err(io::Error::other("it fills as fast as it is emptied"))
    }

    /// Empties a folder at the top, and removes it. If something came into it meanwhile, the next look finds it.
    fn take_apart(&self, name: &CStr) -> io::Result<()> {
        let dir = open(&self.dir, name)?;
        each(&dir, |inner| {
            match unlinkat(&dir, inner, AtFlags::empty()) {
                Err(Errno::ISDIR) => self.move_up(&dir, inner),
                removed => gone(removed),
            }
        })?;
        match unlinkat(&self.dir, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            removed => gone(removed),
        }
    }

    fn move_up(&self, from: &OwnedFd, name: &CStr) -> io::Result<()> {
        for _ in 0..MAX_NAMES {
            let number = self.moved.replace(self.moved.get() + 1);
            let free = format!(".tripline-{number}");
            match renameat(from, name, &self.dir, free.as_str()) {
                Err(Errno::ACCESS) => {
                    // Its own rights have to allow it another folder above.
                    drop(open(from, name)?);
                    return gone(renameat(from, name, &self.dir, free.as_str()));
                }
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                moved => return gone(moved),
            }
        }
        Err(io::Error::other("no name is free for what is in it"))
    }
}

/// Opens a folder, which is given every right of its user: the function may have taken them away.
fn open(at: impl AsFd, name: impl Arg + Copy) -> io::Result<OwnedFd> {
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

fn each(dir: &OwnedFd, mut act: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(dir, &mut room);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            act(name)?;
        }
    }
    Ok(())
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
    fn whatever_is_in_it_goes_and_nothing_else() {
        let above = tempfile::tempdir().unwrap();
        let (path, other) = (above.path().join("tree"), above.path().join("other"));
        fs::create_dir_all(path.join("a/b/c")).unwrap();
        fs::create_dir_all(path.join(".tripline-0/full")).unwrap();
        fs::write(path.join(".tripline-1"), "in the way").unwrap();
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
