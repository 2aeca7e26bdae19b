//! Which build this is. Hub and executor of one build work together; an executor of another one only finishes what it
//! has begun.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The running binary, also when its file was replaced.
pub(crate) const PROGRAM: &str = "/proc/self/exe";

/// A path of the running binary: its own, by which people know it in `ps`, as long as that leads to it.
pub(crate) fn program() -> PathBuf {
    let place = |path: &Path| {
        std::fs::metadata(path)
            .map(|file| (file.dev(), file.ino()))
            .ok()
    };
    let running = PathBuf::from(PROGRAM);
    match std::fs::read_link(&running) {
        Ok(own) if place(&own) == place(&running) => own,
        _ => running,
    }
}

/// Version, and what distinguishes two builds of one version: size and time of change of the binary.
pub(crate) fn release() -> std::io::Result<String> {
    let binary = std::fs::metadata(PROGRAM)?;
    let version = env!("CARGO_PKG_VERSION");
    let (size, changed, nanos) = (binary.size(), binary.mtime(), binary.mtime_nsec());
    Ok(format!("{version}+{size}.{changed}.{nanos}"))
}
