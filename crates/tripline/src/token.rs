//! The admin token: made at the first start, kept in a file that only its owner can read, found by the CLI by itself.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tripline_config::Secret;

/// The file's name in the data directory.
pub(crate) const TOKEN_FILE: &str = "admin.token";
/// Where the hub listens, for the CLI: `{"url": "http://127.0.0.1:8081", "gateway": "http://127.0.0.1:8080"}`.
pub(crate) const ADDRESS_FILE: &str = "admin.json";

/// The token of this data directory, made if there is none.
///
/// # Errors
/// The file cannot be read or made, or others can read it.
pub(crate) fn load_or_make(data_dir: &Path) -> io::Result<Secret> {
    let path = data_dir.join(TOKEN_FILE);
    match fs::metadata(&path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let shown = path.display();
            let message = format!("{shown} can be read by others: run `chmod 600 {shown}`");
            Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
        }
        Ok(_) => {
            let text = fs::read_to_string(&path)?;
            match text.trim() {
                "" => make(&path),
                token => Ok(Secret::new(token.to_owned())),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path),
        Err(error) => Err(error),
    }
}

/// Leaves the addresses where the CLI looks for them.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_addresses(data_dir: &Path, admin: &str, gateway: &str) -> io::Result<()> {
    let text = serde_json::json!({ "url": admin, "gateway": gateway }).to_string();
    let path = data_dir.join(ADDRESS_FILE);
    if fs::read_to_string(&path).is_ok_and(|there| there.trim_end() == text) {
        return Ok(());
    }
    match replace(&path, &text, 0o644) {
        // A hub without this file works, and on a full disk it is needed to make room.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            tracing::warn!(path = %path.display(), %error, "commands need `--admin` to find this hub");
            Ok(())
        }
        written => written,
    }
}

fn make(path: &Path) -> io::Result<Secret> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("tripline_{digits}");
    replace(path, &token, 0o600)?;
    Ok(Secret::new(token))
}

/// Writes beside the file and renames, so that nobody reads half of it.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut beside = PathBuf::from(path);
    beside.set_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&beside)?;
    // An older file keeps its mode when it is opened; this one may hold a secret.
    file.set_permissions(Permissions::from_mode(mode))?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_make(dir.path()).unwrap();
        let again = load_or_make(dir.path()).unwrap();
        assert_eq!(first.expose(), again.expose());
        assert_eq!(first.expose().len(), "tripline_".len() + 64);
        let mode = fs::metadata(dir.path().join(TOKEN_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_token_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        load_or_make(dir.path()).unwrap();
        let path = dir.path().join(TOKEN_FILE);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = load_or_make(dir.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
