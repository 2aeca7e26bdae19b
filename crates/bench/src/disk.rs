//! How fast the disk is, on which all durable figures stand.

use std::io::Write;
use std::os::unix::fs::FileExt;

use tokio::time::Instant;

use crate::Outcome;
use crate::pairs::summary;

const FLUSHES: u64 = 200;

/// Microseconds to write 4 KiB over the same place of a file and make that durable, in the middle.
pub(crate) fn flush_micros() -> Outcome<f64> {
    let mut file = tempfile::tempfile()?;
    let page = [b'x'; 4096];
    file.write_all(&page)?;
    file.sync_all()?;
    let mut micros = Vec::new();
    for _ in 0..FLUSHES {
        let begin = Instant::now();
        file.write_all_at(&page, 0)?;
        file.sync_data()?;
        micros.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    Ok(summary(&micros).median)
}
