//! Cleaning up after a life of the hub that ended without doing so.

use std::path::Path;

use tripline_model::RequestId;

use super::{scratch, tree};

/// Ends every process that an earlier life of the hub `hub_id` left running, and removes their scratch directories.
/// Call it before anything is started, and only while holding the data directory's lock. Says how many processes
/// could not be ended.
pub async fn sweep_leftovers(hub_id: &str, scratch_root: &Path) -> usize {
    let left = tree::kill_marked(&format!("TRIPLINE_HUB={hub_id}")).await;
    let root = scratch_root.to_owned();
    let removed = tokio::task::spawn_blocking(move || remove_scratch(&root)).await;
    if let Ok(Err(error)) = removed {
        let path = scratch_root.display();
        tracing::warn!(%path, %error, "scratch directories of an earlier life could not be removed");
    }
    left
}

/// Removes what looks like a scratch directory and nothing else.
fn remove_scratch(root: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let is_id = name
            .to_str()
            .is_some_and(|text| text.parse::<RequestId>().is_ok());
        if is_id && entry.file_type()?.is_dir() {
            scratch::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}
