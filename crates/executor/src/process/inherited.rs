//! What a process got from the one that started it, and must not pass on.

use std::io;

use rustix::io::Errno;
use rustix::process::{getpgid, getppid, setpgid, setsid};

/// Closes all descriptors but the first three. Whoever started this process may have left some open for it, and every
/// function would get them: the standard library opens all of its own so that they are closed on the way. Call it first
/// of all, before anything in this process is opened or another thread is started.
pub fn close_inherited_descriptors() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let open: Vec<i32> = names.filter_map(|name| name.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // An error: it was that of the folder that was read.
        let _ = nix::unistd::close(descriptor);
    }
}

/// Leaves the session of whoever started this process, and with it the terminal: functions are in the executor's
/// session, and who shares a terminal can type into it, whatever its user. Signals of the terminal do not come any more
/// either.
pub fn leave_session() -> io::Result<()> {
    match setsid() {
        // It leads a group, as all do that a shell starts by hand. From another one it may go.
        Err(Errno::PERM) => setpgid(None, Some(getpgid(getppid())?)).and_then(|()| setsid())?,
        left => left?,
    };
    Ok(())
}
