//! The user whose rights a function runs with, if not the executor's.
//!
//! The rights of a thread, and of what it starts, can be changed alone. So a function with a `user` keeps the fast way
//! to spawn: its thread takes the user's groups for ever, and the user itself while it spawns (and, where root may not do
//! it, while it sets a bound).

use std::ffi::CString;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use nix::unistd::{User, getgrouplist};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::instance::StartError;
use crate::isolation::no_user_switch;

/// A user with its groups.
#[derive(Debug, Clone)]
pub(super) struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// Whether this process could start functions with the rights of the user `name`, and if not, why. Blocks.
///
/// # Errors
/// Why not, in a sentence.
pub fn check_user(name: &str) -> Result<(), String> {
    let account = Account::find(name).map_err(|error| error.to_string())?;
    match no_user_switch().filter(|_| account.is_another()) {
        Some(why) => Err(account.refused(why).to_string()),
        None => Ok(()),
    }
}

// === impl Account ===

impl Account {
    /// Looks a user up. Blocks.
    pub(super) fn find(name: &str) -> Result<Self, StartError> {
        let unknown = || StartError::NoUser(name.to_owned());
        let user = User::from_name(name).ok().flatten().ok_or_else(unknown)?;
        let c_name = CString::new(name).map_err(|_| unknown())?;
        let groups = getgrouplist(&c_name, user.gid).map_err(|_| unknown())?;
        Ok(Self {
            name: name.to_owned(),
            uid: Uid::from_raw(user.uid.as_raw()),
            gid: Gid::from_raw(user.gid.as_raw()),
            groups: groups
                .iter()
                .map(|group| Gid::from_raw(group.as_raw()))
                .collect(),
        })
    }

    /// Whether it is not the executor's own.
    pub(super) fn is_another(&self) -> bool {
        self.uid != geteuid()
    }

    /// Gives the calling thread the user's groups, for ever.
    pub(super) fn take_groups(&self) -> Result<(), StartError> {
        set_thread_groups(&self.groups).map_err(|error| self.failed("setgroups", error))?;
        set_thread_res_gid(self.gid, self.gid, self.gid)
            .map_err(|error| self.failed("setresgid", error))
    }

    /// Does something as the user. A program that is started meanwhile keeps nothing of the executor's rights.
    /// Meanwhile, processes of the user may signal this thread, and so kill the executor, unless their Landlock domain
    /// forbids it, or, where they were started from this very thread and so are in its domain, their filter of system
    /// calls: do nothing but what takes these rights.
    pub(super) fn act<T>(&self, act: impl FnOnce() -> T) -> Result<T, StartError> {
        set_thread_res_uid(self.uid, self.uid, Uid::ROOT)
            .map_err(|error| self.failed("setresuid", error))?;
        let done = act();
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
            .expect("a thread whose saved user is root can be root again");
        Ok(done)
    }

    /// Makes the user the owner of its scratch directory and what is in it. `top` is the data directory: the folders
    /// from there on are opened for passing through, not for looking into; those above have to be open.
    pub(super) fn own(&self, scratch: &Path, top: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(scratch)? {
            chown(
                entry?.path(),
                Some(self.uid.as_raw()),
                Some(self.gid.as_raw()),
            )?;
        }
        chown(scratch, Some(self.uid.as_raw()), Some(self.gid.as_raw()))?;
        for folder in scratch.ancestors().skip(1) {
            let about = std::fs::metadata(folder)?;
            // Who is in the folder's group is judged by the group's rights alone.
            let needed = if self.is_in(about.gid()) {
                0o011
            } else {
                0o001
            };
            if folder.starts_with(top) && about.mode() & needed != needed {
                let mode = about.mode() & 0o7777 | needed;
                std::fs::set_permissions(folder, Permissions::from_mode(mode))?;
            }
            if !self.may_pass(folder)? {
                let (name, folder) = (&self.name, folder.display());
                return Err(io::Error::other(format!(
                    "the user `{name}` may not pass through {folder}"
                )));
            }
        }
        Ok(())
    }

    fn failed(&self, call: &str, error: Errno) -> StartError {
        let needs = match error {
            Errno::PERM => "; it takes root with CAP_SETUID and CAP_SETGID",
            _ => "",
        };
        self.refused(format!("{call}: {error}{needs}"))
    }

    fn refused(&self, why: String) -> StartError {
        StartError::NotAsUser {
            user: self.name.clone(),
            why,
        }
    }

    fn is_in(&self, group: u32) -> bool {
        self.groups.iter().any(|one| one.as_raw() == group)
    }

    fn may_pass(&self, folder: &Path) -> io::Result<bool> {
        let about = std::fs::metadata(folder)?;
        let bit = if about.uid() == self.uid.as_raw() {
            0o100
        } else if self.is_in(about.gid()) {
            0o010
        } else {
            0o001
        };
        Ok(self.uid.is_root() || about.mode() & bit != 0)
    }
}
