//! Removing what a function left, whatever it left: folders without rights, and folders in folders without end.
//!
//! Whoever goes down into a tree holds a descriptor and a piece of the stack for each level, and a function can make more
//! levels than there are of either. So nothing goes down here: what is in a folder of the top is moved up beside it. What
//! cannot be moved, because a subvolume begins there, is a top of its own; few of them lie in each other. What is mounted
//! somewhere in the tree may be anybody's, and is left as it is.

use std::cell::Cell;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RawDir, ResolveFlags, chmod, fchmod, openat, openat2, renameat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::path::Arg;
use tokio::time::Instant;

/// How long one removal may take: somebody may be filling what is emptied.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(300);

/// Names that are tried for what is moved up.
const MAX_NAMES: u32 = 1000;

/// Tops within tops, each with its descriptors and its piece of the stack.
const MAX_TOPS: u32 = 8;

/// `renameat`; tests have others.
type Rename = fn(&OwnedFd, &CStr, &OwnedFd, &str) -> rustix::io::Result<()>;

/// The top of a tree that is being removed.
struct Top {
    dir: OwnedFd,
    /// What the names of folders that were moved up begin with: nobody can have made them before.
    prefix: String,
    /// The next one's name.
    next: Cell<u64>,
    /// Whether something was moved up in this look.
    moved: Cell<bool>,
    /// How many tops this one lies in.
    above: u32,
    until: Instant,
    rename: Rename,
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
    let prefix = format!(".tripline-{:016x}-", u64::from_ne_bytes(random));
    let rename: Rename = |from, name, to, free| renameat(from, name, to, free);
    Top::new(open(CWD, path)?, prefix, rename).empty()?;
    Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

// === impl Top ===

impl Top {
    fn new(dir: OwnedFd, prefix: String, rename: Rename) -> Self {
        Self {
            dir,
            prefix,
            next: Cell::default(),
            moved: Cell::default(),
            above: 0,
            until: Instant::now() + REMOVAL_TIMEOUT,
            rename,
        }
    }

    fn empty(&self) -> io::Result<()> {
        loop {
            let (mut is_empty, mut goes_on) = (true, false);
            // Opened anew: what was moved up may be behind the place that the last look came to.
            let looked = self.each(&open(&self.dir, c".")?, |name| {
                is_empty = false;
                let removed = self.remove(name);
                goes_on |= removed.is_ok();
                removed
            });
            goes_on |= self.moved.take();
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

    /// Empties a folder at the top, and removes it.
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
        remove_emptied(&self.dir, name)
    }

    fn move_up(&self, from: &OwnedFd, name: &CStr) -> io::Result<()> {
        let mut is_open = false;
        for _ in 0..MAX_NAMES {
            let number = self.next.replace(self.next.get() + 1);
            let free = format!("{}{number}", self.prefix);
            match (self.rename)(from, name, &self.dir, &free) {
                Ok(()) => {
                    self.moved.set(true);
                    return Ok(());
                }
                Err(Errno::ACCESS) if !is_open => {
                    // Its own rights have to allow it another folder above.
                    drop(open(from, name)?);
                    is_open = true;
                }
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                Err(Errno::NOENT) => return Ok(()),
                Err(error) => return self.remove_there(from, name, error),
            }
        }
        Err(io::Error::other("no name is free for what is in it"))
    }

    /// Removes a folder that cannot be moved, as out of a subvolume, where it is.
    fn remove_there(&self, from: &OwnedFd, name: &CStr, why: Errno) -> io::Result<()> {
        if self.above == MAX_TOPS {
            return Err(why.into());
        }
        let top = Self {
            above: self.above + 1,
            until: self.until,
            ..Self::new(open(from, name)?, self.prefix.clone(), self.rename)
        };
        top.empty()?;
        remove_emptied(from, name)
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

/// Opens a folder, which is given every right of its user: the function may have taken them away. What is mounted in
/// another folder is refused.
fn open(at: impl AsFd, name: impl Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let dir = match open_as(&at, name, OFlags::RDONLY) {
        Err(Errno::ACCESS) => {
            let unread = open_as(&at, name, OFlags::PATH)?;
            chmod(format!("/proc/self/fd/{}", unread.as_raw_fd()), Mode::RWXU)?;
            open_as(&at, name, OFlags::RDONLY)?
        }
        opened => opened?,
    };
    // An error: it is another user's, and what that means shows when it is emptied.
    let _ = fchmod(&dir, Mode::RWXU);
    Ok(dir)
}

fn open_as(at: impl AsFd, name: impl Arg + Copy, how: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = how | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if at.as_fd().as_raw_fd() != CWD.as_raw_fd() {
        match openat2(&at, name, flags, Mode::empty(), ResolveFlags::NO_XDEV) {
            // Linux before 5.6, or a sandbox that does not know it.
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return opened,
        }
    }
    openat(at, name, flags, Mode::empty())
}

/// Removes a folder that was emptied. If something came into it meanwhile, the next look finds it.
fn remove_emptied(from: &OwnedFd, name: &CStr) -> io::Result<()> {
    match unlinkat(from, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(()),
        removed => gone(removed),
    }
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
    use std::process::Command;

    use tripline_skipped::skipped;

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
        let dir = open(CWD, path.as_path()).unwrap();
        let rename: Rename = |from, name, to, free| renameat(from, name, to, free);
        let top = Top::new(dir, "moved-".to_owned(), rename);
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
    fn what_cannot_be_moved_is_emptied_where_it_is() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("tree");
        let empty = |levels| {
            deep(&path, levels);
            for folder in ["", "d", "d/d", "d/d/d"] {
                fs::write(path.join(folder).join("file"), "").unwrap();
                fs::create_dir(path.join(folder).join("beside")).unwrap();
            }
            let dir = open(CWD, path.as_path()).unwrap();
            let top = Top {
                until: Instant::now() + Duration::from_secs(60),
                ..Top::new(dir, "moved-".to_owned(), |_, _, _, _| Err(Errno::XDEV))
            };
            let emptied = top.empty();
            assert!(Instant::now() < top.until, "it goes on for nothing");
            emptied
        };
        empty(10).unwrap();
        assert!(fs::read_dir(&path).unwrap().next().is_none());
        fs::remove_dir(&path).unwrap();
        // Too many levels for that: what lies beside them goes.
        empty(100).unwrap_err();
        let mut dir = path.clone();
        for _ in 0..MAX_TOPS {
            let left: Vec<_> = fs::read_dir(&dir).unwrap().flatten().collect();
            assert!(left.len() == 1 && left[0].file_name() == "d", "{left:?}");
            dir.push("d");
        }
    }

    #[test]
    fn what_is_mounted_in_it_is_left_as_it_is() {
        let above = tempfile::tempdir().unwrap();
        let (path, other) = (above.path().join("tree"), above.path().join("other"));
        let deep = path.join("a/mounted");
        fs::create_dir_all(path.join("z/y")).unwrap();
        fs::create_dir_all(other.join("kept/too")).unwrap();
        fs::create_dir_all(&deep).unwrap();
        let run = |words: &[&Path]| Command::new(words[0]).args(&words[1..]).status();
        let mounted = run(&["mount".as_ref(), "--bind".as_ref(), &other, &deep]);
        if !mounted.is_ok_and(|status| status.success()) {
            return skipped("a mount in a scratch directory", "nothing can be mounted");
        }
        let removed = remove_tree(&path);
        assert!(!path.join("z").exists());
        let kept = other.join("kept/too").exists();
        assert!(run(&["umount".as_ref(), &deep]).unwrap().success());
        assert!(removed.is_err() && kept, "{removed:?}");
        remove_tree(&path).unwrap();
        assert!(!path.exists());
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
