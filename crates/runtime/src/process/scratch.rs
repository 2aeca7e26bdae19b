//! The scratch directory of one invocation.

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tripline_model::RequestId;

use crate::StartError;

/// A directory that belongs to one invocation.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

// === impl Scratch ===

impl Scratch {
    /// Makes it, open to this user only. It must not exist yet: nothing is handed from one run to another.
    pub(super) fn make(root: &Path, id: RequestId) -> Result<Self, StartError> {
        let root = std::path::absolute(root).map_err(StartError::Scratch)?;
        let path = root.join(id.to_string());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .and_then(|()| DirBuilder::new().mode(0o700).create(&path))
            .map_err(StartError::Scratch)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it and what is in it. Nothing of the run may be alive any more.
    pub(super) async fn remove(&self) {
        let path = self.0.clone();
        let removed = tokio::task::spawn_blocking(move || remove_tree(&path)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(path = %self.0.display(), %error, "a scratch directory could not be removed");
        }
    }
}

/// Removes a directory with everything in it. Symlinks are removed, never followed.
pub(super) fn remove_tree(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            open_up(path)?;
            std::fs::remove_dir_all(path)
        }
        other => other,
    }
}

/// Gives this user every right to the directories below, which the function may have taken away.
fn open_up(dir: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // The type of the entry itself: a symlink to a directory is not one.
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
