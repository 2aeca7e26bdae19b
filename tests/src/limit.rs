//! What a hub's records show of its limit.

use crate::Hub;

// === impl Hub ===

impl Hub {
    /// The number of records, of which no second has more than `limit`.
    ///
    /// # Panics
    /// A second has more. Load of the machine cannot bring that about: a record's time is taken within its admission.
    pub async fn records_within(&self, limit: usize) -> usize {
        let records = self.invocations("").await;
        let ids = records.iter().filter_map(|one| one["request_id"].as_str());
        let mut stamps: Vec<u64> = ids.map(stamp).collect();
        stamps.sort_unstable();
        for (first, beyond) in stamps.iter().zip(stamps.iter().skip(limit)) {
            let millis = beyond - first;
            assert!(millis >= 1000, "{limit} and one in {millis} ms");
        }
        stamps.len()
    }
}

/// When a record was accepted, in milliseconds since 1970: the first half of its id.
fn stamp(request_id: &str) -> u64 {
    let digits = request_id.replace('-', "");
    u64::from_str_radix(&digits[..12], 16).expect("an id begins with its time")
}
