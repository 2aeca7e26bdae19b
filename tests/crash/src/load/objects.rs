//! Somebody who uploads objects.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tripline_tests::S3Client;

use super::Pace;
use crate::history::History;
use crate::payload;

const EVERY: Duration = Duration::from_millis(300);

/// Writes to one bucket.
pub(super) struct Writer {
    pub(super) client: S3Client,
    pub(super) bucket: String,
    pub(super) prefix: &'static str,
}

// === impl Writer ===

impl Writer {
    pub(super) async fn put(self, history: History, stop: CancellationToken) {
        let mut pace = Pace::new(EVERY, stop);
        for n in 0_usize.. {
            if !pace.next().await {
                return;
            }
            let mark = format!("{}object-{n}", self.prefix);
            history.lock().objects.insert(mark.clone(), false);
            let request = self.client.put_object().bucket(&self.bucket).key(&mark);
            if request.body(payload::of(&mark).into()).send().await.is_ok() {
                history.lock().objects.insert(mark, true);
            }
        }
    }
}
