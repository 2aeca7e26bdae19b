//! What the hub leaves on the disk is its user's alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tripline_tests::Hub;

use super::guarded;

/// Everything below `folder` that others may do something with.
fn loose(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let Ok(about) = fs::symlink_metadata(&path) else {
            continue;
        };
        let mode = about.permissions().mode() & 0o777;
        if !about.is_symlink() && mode & 0o077 != 0 {
            found.push(format!("{mode:o} {}", path.display()));
        }
        if about.is_dir() {
            loose(&path, found);
        }
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_directory_and_all_in_it_is_the_hubs_alone() {
    let hub = guarded().await;
    let id = hub.invoke("work", "x").await;
    hub.ended(&id).await;
    let data = hub.path("data");
    assert_eq!(mode(&data), 0o700);
    for (name, right) in [
        ("admin.token", 0o600),
        ("journal.db", 0o600),
        ("lock", 0o600),
        ("logs", 0o700),
    ] {
        assert_eq!(mode(&data.join(name)), right, "{name}");
    }
    let mut found = Vec::new();
    loose(&data, &mut found);
    // Addresses are no secret, and the directory is closed.
    found.retain(|one| !one.ends_with("/admin.json"));
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_others_could_write_is_not_used() {
    let mut hub = Hub::prepare("[functions.work]\ncommand = [\"true\"]\n");
    let data = hub.path("data");
    fs::create_dir(&data).unwrap();
    chmod(&data, 0o777);
    hub.launch().await;
    assert_eq!(mode(&data), 0o700, "an empty one is made the hub's alone");
    hub.kill().await;
    for open in [0o777, 0o770, 0o1777] {
        chmod(&data, open);
        let output = hub.refuses();
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains("chmod 700"), "{output:?}");
    }
    // Whoever only looked changed nothing.
    chmod(&data, 0o755);
    hub.launch().await;
    assert_eq!(mode(&data), 0o700);
}
