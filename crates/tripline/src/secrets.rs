//! Secrets out of the environment and out of files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
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
                let bytes =
                    read(&self.folder.join(path)).map_err(|source| SecretError::Unreadable {
                        reference: reference.clone(),
                        source,
                    })?;
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

/// No more of a file than is needed to see that it is too long for a secret.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = MAX_SECRET_BYTES as u64 + 3;
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_its_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "s3cret\n").unwrap();
        let secrets = HostSecrets {
            folder: folder.path().to_owned(),
        };
        let found = secrets.resolve(&SecretRef::File("token".into())).unwrap();
        assert_eq!(found.expose(), "s3cret");
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
