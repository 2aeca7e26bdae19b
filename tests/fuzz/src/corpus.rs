//! Inputs that are kept: examples of every shape, and all that ever went wrong.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// One file of a corpus.
#[derive(Debug, Clone)]
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// The inputs of a target, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn corpus(target: &str) -> io::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        inputs.push(Input { path, bytes });
    }
    inputs.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(inputs)
}

/// Keeps an input that went wrong, for the next run and the ones after it.
///
/// # Errors
/// The file cannot be written.
pub fn keep(target: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut hash = DefaultHasher::new();
    bytes.hash(&mut hash);
    let path = folder(target).join(format!("crash-{:016x}", hash.finish()));
    fs::write(&path, bytes)?;
    Ok(path)
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target)
}
