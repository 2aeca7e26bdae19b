//! Finding a function's program. The standard library would look it up in the child's `PATH` and leave the fast way
//! to spawn; so it always gets an absolute path.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::instance::StartError;
use crate::protocol::FunctionSpec;

/// The absolute path of a spec's program, and its arguments.
pub(super) fn resolve(spec: &FunctionSpec) -> Result<(PathBuf, &[String]), StartError> {
    let Some((program, arguments)) = spec.command.split_first() else {
        return Err(StartError::NoProgram(String::new()));
    };
    if spec.command.iter().any(|word| word.contains('\0')) {
        return Err(StartError::Unpassable("the command".to_owned()));
    }
    let found = if program.contains('/') {
        let path = spec.working_dir.join(program);
        std::path::absolute(path)
            .ok()
            .filter(|path| is_executable(path))
    } else {
        std::env::split_paths(&spec.search_path)
            .filter(|dir| dir.is_absolute() && !program.is_empty())
            .map(|dir| dir.join(program))
            .find(|path| is_executable(path))
    };
    match found {
        Some(path) => Ok((path, arguments)),
        None => Err(StartError::NoProgram(program.clone())),
    }
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}
