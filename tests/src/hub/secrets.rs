//! Files that the hub takes only while nobody else can read them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::Hub;

impl Hub {
    /// Writes a file into the hub's folder that is its user's alone.
    pub fn write_secret(&self, name: &str, secret: &str) {
        self.write(name, secret);
        let ours = Permissions::from_mode(0o600);
        fs::set_permissions(self.path(name), ours).expect("it is our file");
    }
}
