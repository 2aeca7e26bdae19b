//! A hub of somebody without rights.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::unistd::{User, chown};

use super::Hub;

impl Hub {
    /// Hands the folder to the user `nobody`, who runs all commands of this hub from now on. Only root can do that.
    pub fn belong_to_nobody(&mut self) {
        let nobody = User::from_name("nobody")
            .expect("users can be asked for")
            .expect("every system has it");
        for path in [self.path(""), self.path("tripline.toml")] {
            chown(&path, Some(nobody.uid), Some(nobody.gid)).expect("only root calls this");
        }
        // Where the binary lies may be closed to others.
        let copy = self.path("tripline");
        fs::copy(&self.program, &copy).expect("there is room for the binary");
        self.program = self.path("as-nobody");
        let script = format!(
            "#!/bin/sh\nexec setpriv --reuid=nobody --regid={} --clear-groups {} \"$@\"\n",
            nobody.gid,
            copy.display()
        );
        fs::write(&self.program, script).expect("the folder can be written");
        let everybody = PermissionsExt::from_mode(0o755);
        fs::set_permissions(&self.program, everybody).expect("it is ours");
    }
}
