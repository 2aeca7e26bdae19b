//! Which binary is struck.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tripline_tests::Hub;

/// The one that `TRIPLINE_TEST_RELEASE_BIN` names, else that of the end-to-end tests. The jobs of xtask name the release
/// binary, so that what is handed out is struck; the variable is another than theirs, for one run of the tests has both.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("TRIPLINE_TEST_RELEASE_BIN") {
        Some(named) => named.into(),
        None => Hub::binary().to_owned(),
    })
}
