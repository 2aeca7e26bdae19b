//! Blocks an address that sends too many wrong tokens. A generated token is far too long to be guessed, but one that a
//! person chose may not be: whoever sends many wrong ones is logged and slowed down.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use tripline_model::lock;

/// Different wrong tokens that an address may send within [`WINDOW`].
const MAX_WRONG_TOKENS: usize = 20;

/// How long wrong tokens are counted and a block lasts, from an address's first wrong token on.
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are remembered. With more, the one whose window ends first is forgotten: that does not stop an attacker
/// with so many addresses, but it shuts nobody else out.
const MAX_ADDRESSES: usize = 1024;

/// The wrong tokens sent to one [`crate::Bearer`], by address.
#[derive(Default)]
pub(crate) struct AuthThrottle {
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

/// The wrong tokens of one address.
struct Failures {
    since: Instant,
    /// Their digests, each once: a client that repeats an old token guesses nothing. At most [`MAX_WRONG_TOKENS`].
    digests: Vec<[u8; 32]>,
}

// === impl AuthThrottle ===

impl AuthThrottle {
    /// How long the address is still blocked; `None` if it is not.
    pub(crate) fn blocked_for(&self, address: IpAddr) -> Option<Duration> {
        let now = Instant::now();
        let mut failures = self.lock();
        let one = failures.get(&network_of(address))?;
        let ends = one.since + WINDOW;
        if ends <= now {
            failures.remove(&network_of(address));
            return None;
        }
        (one.digests.len() >= MAX_WRONG_TOKENS).then(|| ends - now)
    }

    /// Counts a wrong token, by its digest, that came through the listener of this name.
    pub(crate) fn record_failure(&self, listener: &str, address: IpAddr, digest: [u8; 32]) {
        let (now, network) = (Instant::now(), network_of(address));
        let mut failures = self.lock();
        if !failures.contains_key(&network) && failures.len() >= MAX_ADDRESSES {
            evict_oldest(&mut failures);
        }
        let fresh = || Failures {
            since: now,
            digests: Vec::new(),
        };
        let one = failures.entry(network).or_insert_with(fresh);
        if one.since + WINDOW <= now {
            *one = fresh();
        }
        if one.digests.len() >= MAX_WRONG_TOKENS || one.digests.contains(&digest) {
            return;
        }
        one.digests.push(digest);
        if one.digests.len() == MAX_WRONG_TOKENS {
            tracing::warn!(listener, address = %network, "{}", block_notice(network));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        lock(&self.failures)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}

/// The text of the log's line about an address that is blocked from now on.
fn block_notice(address: IpAddr) -> String {
    // Without the status: a store's webhook answers 401, everything else 429.
    let effect = if address.is_loopback() {
        "wrong ones from this machine are refused for the rest of that time, and the right one is let in"
    } else {
        "this address is refused for the rest of that time, even with the right one"
    };
    format!("{MAX_WRONG_TOKENS} different wrong tokens within {WINDOW:?}: {effect}")
}

fn evict_oldest(failures: &mut HashMap<IpAddr, Failures>) {
    let oldest = failures.iter().min_by_key(|(_, one)| one.since);
    if let Some(address) = oldest.map(|(address, _)| *address) {
        failures.remove(&address);
    }
}

/// The address that stands for all that one client can have: of IPv6 the /64 network.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let network = u128::from(v6) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "192.0.2.7";

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn send_wrong_tokens(throttle: &AuthThrottle, address: &str, count: usize) {
        (0..count).for_each(|number| send_wrong(throttle, address, number));
    }

    fn send_wrong(throttle: &AuthThrottle, address: &str, number: usize) {
        let mut digest = [1; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        throttle.record_failure("gateway", ip(address), digest);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_barred_for_the_rest_of_its_time_and_no_other_is() {
        let throttle = AuthThrottle::default();
        send_wrong_tokens(&throttle, CLIENT, MAX_WRONG_TOKENS - 1);
        assert_eq!(throttle.blocked_for(ip(CLIENT)), None);
        tokio::time::advance(Duration::from_secs(20)).await;
        send_wrong(&throttle, CLIENT, 99);
        assert_eq!(
            throttle.blocked_for(ip(CLIENT)),
            Some(Duration::from_secs(40))
        );
        assert_eq!(throttle.blocked_for(ip("192.0.2.8")), None);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(throttle.blocked_for(ip(CLIENT)), None);
        send_wrong_tokens(&throttle, CLIENT, MAX_WRONG_TOKENS - 1);
        assert_eq!(throttle.blocked_for(ip(CLIENT)), None, "it begins anew");
    }

    #[test]
    fn what_is_said_is_true_on_loopback_too() {
        for (address, end) in [
            (CLIENT, "even with the right one"),
            ("::1", "the right one is let in"),
            ("::ffff:127.0.0.1", "the right one is let in"),
        ] {
            let notice = block_notice(network_of(ip(address)));
            assert!(notice.ends_with(end), "{address}: {notice}");
            // A store's webhook answers 401, everything else 429.
            assert!(!notice.contains("429"), "{notice}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_wrong_token_again_guesses_nothing() {
        let throttle = AuthThrottle::default();
        // Two clients behind one address, each with an old token.
        for _ in 0..1000 {
            send_wrong_tokens(&throttle, CLIENT, 2);
        }
        assert_eq!(throttle.blocked_for(ip(CLIENT)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_is_one_address_and_so_are_both_forms_of_one() {
        let throttle = AuthThrottle::default();
        send_wrong_tokens(&throttle, "2001:db8::1", MAX_WRONG_TOKENS);
        assert!(throttle.blocked_for(ip("2001:db8::2:3:4:5")).is_some());
        assert!(throttle.blocked_for(ip("2001:db8:0:1::1")).is_none());
        send_wrong_tokens(&throttle, "::ffff:192.0.2.7", MAX_WRONG_TOKENS);
        assert!(throttle.blocked_for(ip(CLIENT)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_the_newest_are_kept() {
        let throttle = AuthThrottle::default();
        for number in 0..5000_u32 {
            let address = IpAddr::from((0x0b00_0000 + number).to_be_bytes());
            send_wrong_tokens(&throttle, &address.to_string(), MAX_WRONG_TOKENS);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(throttle.len(), MAX_ADDRESSES);
        let newest = IpAddr::from((0x0b00_0000_u32 + 4999).to_be_bytes());
        assert!(throttle.blocked_for(newest).is_some());
    }
}
