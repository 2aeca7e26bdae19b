//! The file with the credentials of a function's role, in the form of the AWS SDKs' `credential_process`. A function
//! that runs longer than its credentials reads the file again.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, fchown, fstat, open, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};
use serde::Serialize;
use tripline_model::Timestamp;

use crate::protocol::Credentials;

/// Name of the file in the scratch directory.
const NAME: &str = "credentials.json";

/// Name of the file while it is written.
const NEW: &str = ".credentials.json.new";

/// What the SDKs read.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: String,
}

/// The path of the file.
pub(super) fn credentials_file(scratch: &Path) -> PathBuf {
    scratch.join(NAME)
}

/// Writes the credentials into a scratch directory, in place of those that are there: a reader sees the old or the new.
/// Only the directory's owner can read them. The function may have put anything into the directory: no link is
/// followed.
pub(crate) fn write_credentials(scratch: &Path, credentials: &Credentials) -> io::Result<()> {
    let document = Document {
        version: 1,
        access_key_id: &credentials.access_key,
        secret_access_key: credentials.secret_key.expose(),
        session_token: credentials.session_token.expose(),
        expiration: Timestamp::from_millis(credentials.expires_ms).to_string(),
    };
    let text = serde_json::to_vec(&document)?;
    let only_dir = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = open(scratch, only_dir, Mode::empty())?;
    match unlinkat(&dir, NEW, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let only_new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(&dir, NEW, only_new, Mode::RUSR | Mode::WUSR)?;
    let owner = fstat(&dir)?;
    if owner.st_uid != geteuid().as_raw() {
        let (user, group) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
        fchown(&file, Some(user), Some(group))?;
    }
    File::from(file).write_all(&text)?;
    renameat(&dir, NEW, &dir, NAME)?;
    Ok(())
}
