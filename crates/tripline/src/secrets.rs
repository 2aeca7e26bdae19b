//! Secrets out of the environment and out of files.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{DumpableBehavior, geteuid, set_dumpable_behavior};
use tripline_config::{Secret, SecretError, SecretRef, Secrets};

/// No secret is longer.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Resolves secrets; files are relative to the configuration's folder.
#[derive(Debug, Clone)]
pub(crate) struct HostSecrets {
    /// The configuration's folder.
    pub(crate) folder: PathBuf,
}

/// Keeps this process's memory and environment from others of the same user, functions among them: no core files, no
/// tracing, no reading through `/proc`.
pub(crate) fn hide_memory() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "other processes of this user can read this one's memory");
    }
}

impl Secrets for HostSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let not_text = || SecretError::NotText(reference.clone());
        let text = match reference {
            SecretRef::Env(name) => match std::env::var_os(name) {
                Some(value) => value.into_string().map_err(|_| not_text())?,
                None => return Err(SecretError::NotSet(reference.clone())),
            },
            SecretRef::File(path) => {
                let path = self.folder.join(path);
                let (bytes, of) = read(&path).map_err(|source| SecretError::Unreadable {
                    reference: reference.clone(),
                    source,
                })?;
                if is_exposed_and_ours(&of) {
                    let reference = reference.clone();
                    return Err(SecretError::Exposed { reference, path });
                }
                let text = String::from_utf8(bytes).map_err(|_| not_text())?;
                // Editors and `echo` end a file with a line end that nobody means.
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
        };
        if text.is_empty() {
            return Err(SecretError::Empty(reference.clone()));
        }
        if text.len() > MAX_SECRET_BYTES {
            let (reference, limit_bytes) = (reference.clone(), MAX_SECRET_BYTES);
            return Err(SecretError::TooLarge {
                reference,
                limit_bytes,
            });
        }
        Ok(Secret::new(text))
    }
}

// === impl HostSecrets ===

impl HostSecrets {
    /// Whether a secret that can be had is in a file of somebody else's that others can get at: what is mounted by a
    /// secret store often is, in a place where nobody else is.
    pub(crate) fn is_doubtful(&self, reference: &SecretRef) -> bool {
        match reference {
            SecretRef::Env(_) => false,
            SecretRef::File(path) => {
                fs::metadata(self.folder.join(path)).is_ok_and(|of| is_exposed(&of))
            }
        }
    }
}

/// Whether the file is this user's, and others can get at it; not where it cannot be looked at.
pub(crate) fn is_exposed_file_of_ours(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|of| is_exposed_and_ours(&of))
}

/// What to do about a secret that cannot be had.
pub(crate) fn mend(error: &SecretError) -> &'static str {
    match error {
        SecretError::Exposed { .. } => "do so, and use a new secret: others may have read this one",
        SecretError::Unreadable { .. } => "correct the path, or let the hub's user read the file",
        SecretError::NotSet(reference)
        | SecretError::Empty(reference)
        | SecretError::NotText(reference)
        | SecretError::TooLarge { reference, .. } => match reference {
            SecretRef::Env(_) => "set it where the hub is started",
            SecretRef::File(_) => "write the secret into it, and nothing else",
        },
    }
}

fn is_exposed_and_ours(of: &Metadata) -> bool {
    is_exposed(of) && of.uid() == geteuid().as_raw()
}

/// Whether who is neither its owner nor of its group can do anything with it. A pipe is nobody's to look into.
fn is_exposed(of: &Metadata) -> bool {
    of.is_file() && of.mode() & 0o007 != 0
}

/// No more of a file than is needed to see that it is too long for a secret, and what is known of the file.
fn read(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let mut bytes = Vec::new();
    let limit = MAX_SECRET_BYTES as u64 + 3;
    let file = File::open(path)?;
    let of = file.metadata()?;
    file.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes, of))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown};

    use tempfile::TempDir;

    use super::*;

    fn in_a_file(mode: u32) -> (TempDir, HostSecrets) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "s3cret\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let secrets = HostSecrets {
            folder: folder.path().to_owned(),
        };
        (folder, secrets)
    }

    #[test]
    fn a_file_without_its_last_line_end() {
        let (_folder, secrets) = in_a_file(0o600);
        let found = secrets.resolve(&SecretRef::File("token".into())).unwrap();
        assert_eq!(found.expose(), "s3cret");
    }

    #[test]
    fn a_file_of_ours_that_others_can_get_at_is_refused() {
        let token = SecretRef::File("token".into());
        for good in [0o600, 0o400, 0o640] {
            let (_folder, secrets) = in_a_file(good);
            assert!(secrets.resolve(&token).is_ok(), "{good:o}");
            assert!(!secrets.is_doubtful(&token), "{good:o}");
        }
        for exposed in [0o644, 0o604, 0o602] {
            let (folder, secrets) = in_a_file(exposed);
            let error = secrets.resolve(&token).unwrap_err().to_string();
            let path = folder.path().join("token");
            let mend = format!("file `token`: run `chmod 600 {}`", path.display());
            assert!(error.ends_with(&mend), "{error}");
        }
    }

    #[test]
    fn a_file_of_others_is_read_whatever_they_let_others_do() {
        // Only root can give a file away; nobody else has need of it, for this one is root's.
        let (folder, mut secrets) = in_a_file(0o644);
        let mut of_others = SecretRef::File("token".into());
        if geteuid().is_root() {
            chown(folder.path().join("token"), Some(65_534), None).unwrap();
        } else {
            secrets.folder = PathBuf::from("/etc");
            of_others = SecretRef::File("passwd".into());
        }
        assert!(secrets.resolve(&of_others).is_ok());
        assert!(secrets.is_doubtful(&of_others));
    }

    #[test]
    fn no_more_is_read_than_a_secret_may_have() {
        let secrets = HostSecrets {
            folder: PathBuf::from("/dev"),
        };
        let endless = secrets.resolve(&SecretRef::File("zero".into()));
        assert!(matches!(endless, Err(SecretError::TooLarge { .. })));
    }

    #[test]
    fn what_is_missing_is_named() {
        let secrets = HostSecrets {
            folder: PathBuf::from("/nonexistent"),
        };
        let unset = SecretRef::Env("TRIPLINE_TEST_NEVER_SET".to_owned());
        let error = secrets.resolve(&unset).unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable `TRIPLINE_TEST_NEVER_SET` is not set"
        );
        assert!(secrets.resolve(&SecretRef::File("token".into())).is_err());
    }
}
