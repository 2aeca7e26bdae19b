//! `cargo xtask tidy`: what the compiler does not check. Each check returns its complaints; all of
//! them are shown, not the first.

mod dependencies;
mod files;
mod imports;
mod processes;
mod secrets;
mod table;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::repo;

/// Checks the work tree as it is. The code is 1 if anything is to be complained about.
pub(crate) fn run() -> Outcome<u8> {
    let metadata = repo::metadata()?;
    let packages = imports::packages(&metadata);
    let mut complaints = imports::check(&packages, &table::TABLE);
    complaints.extend(check_manifests(&metadata)?);
    let files = repo::files()?;
    complaints.extend(files::check_trigger_layout(&files));
    let (mut sizes, mut sources) = (Vec::new(), Vec::new());
    for path in &files {
        let full = repo::root().join(path);
        let bytes = fs::read(&full).map_err(|error| Failure::file("read", &full, error))?;
        complaints.extend(files::check_text(path, &bytes));
        if path.extension().is_some_and(|extension| extension == "rs") {
            complaints.extend(files::check_unsafe(path, &bytes));
            complaints.extend(files::check_skips(path, &bytes));
            sizes.push((files::lines(&bytes), path.as_path()));
            let text = String::from_utf8_lossy(&bytes).into_owned();
            sources.push((path.clone(), text));
        }
    }
    complaints.extend(files::check_sizes(&sizes));
    let unused = dependencies::check_members(&metadata, repo::root(), &sources);
    complaints.extend(unused);
    complaints.extend(processes::check(&sources));
    complaints.extend(secrets::check(&sources));
    for complaint in &complaints {
        eprintln!("  tidy: {complaint}");
    }
    eprintln!(
        "==> {} packages, {}",
        packages.len(),
        files::describe(&mut sizes)
    );
    match complaints.len() {
        0 => eprintln!("==> tidy: nothing to complain about"),
        count => eprintln!("==> tidy: {count} complaint(s)"),
    }
    Ok(u8::from(!complaints.is_empty()))
}

/// Every member takes its lints from the root manifest, which offers nothing that none takes; and says nothing that is empty.
fn check_manifests(metadata: &Value) -> Outcome<Vec<String>> {
    let root = repo::root().join("Cargo.toml");
    let offers = fs::read_to_string(&root).map_err(|error| Failure::file("read", &root, error))?;
    let mut complaints = dependencies::check_offers(metadata, &offers);
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let path = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, error))?;
        let name = package["name"].as_str().unwrap_or_default();
        complaints.extend(dependencies::check_sections(name, &text));
        if !files::inherits_lints(&text) {
            complaints.push(format!(
                "{name}: its Cargo.toml lacks `[lints]` with `workspace = true`"
            ));
        }
    }
    Ok(complaints)
}
