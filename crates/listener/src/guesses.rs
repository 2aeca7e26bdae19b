//! How many wrong tokens an address may send to one door. A token is far too long to be guessed; one that a person chose
//! may not be, and who sends many wrong ones is to be seen and slowed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Different wrong tokens that an address may send within [`WINDOW`].
const MAX_WRONG: usize = 20;

/// From an address's first wrong token on.
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are remembered. With more than so many, the one whose time ends first is forgotten: that costs an
/// attacker who has that many addresses nothing, and shuts nobody else out.
const MAX_ADDRESSES: usize = 1024;

/// What one door knows of wrong tokens.
#[derive(Default)]
pub(crate) struct Guesses {
    tried: Mutex<HashMap<IpAddr, Tried>>,
}

/// What an address has tried.
struct Tried {
    since: Instant,
    /// The digests of the wrong ones, each once: a client that has an old token sends it again and again, and that
    /// guesses nothing. At most [`MAX_WRONG`].
    wrong: Vec<[u8; 32]>,
}

// === impl Guesses ===

impl Guesses {
    /// When the address may try again, if it has tried too often.
    pub(crate) fn barred(&self, address: IpAddr) -> Option<Duration> {
        let now = Instant::now();
        let mut tried = self.lock();
        let one = tried.get(&group(address))?;
        let ends = one.since + WINDOW;
        if ends <= now {
            tried.remove(&group(address));
            return None;
        }
        (one.wrong.len() >= MAX_WRONG).then(|| ends - now)
    }

    /// Counts a wrong token, which came to the listener of this name, by its digest.
    pub(crate) fn wrong(&self, listener: &str, address: IpAddr, digest: [u8; 32]) {
        let (now, group) = (Instant::now(), group(address));
        let mut tried = self.lock();
        if !tried.contains_key(&group) && tried.len() >= MAX_ADDRESSES {
            forget_oldest(&mut tried);
        }
        let fresh = || Tried {
            since: now,
            wrong: Vec::new(),
        };
        let one = tried.entry(group).or_insert_with(fresh);
        if one.since + WINDOW <= now {
            *one = fresh();
        }
        if one.wrong.len() >= MAX_WRONG || one.wrong.contains(&digest) {
            return;
        }
        one.wrong.push(digest);
        if one.wrong.len() == MAX_WRONG {
            tracing::warn!(listener, address = %group, "{}", what_follows(group));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Tried>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}

/// What an address that guesses has brought about.
fn what_follows(address: IpAddr) -> String {
    let who = if address.is_loopback() {
        "wrong ones from this machine are refused with 429 for the rest of that time, and the right one is let in"
    } else {
        "this address is refused with 429 for the rest of that time, even with the right one"
    };
    format!("{MAX_WRONG} different wrong tokens within {WINDOW:?}: {who}")
}

fn forget_oldest(tried: &mut HashMap<IpAddr, Tried>) {
    let oldest = tried.iter().min_by_key(|(_, one)| one.since);
    if let Some(address) = oldest.map(|(address, _)| *address) {
        tried.remove(&address);
    }
}

/// Who has one IPv6 address has all of its network's.
fn group(address: IpAddr) -> IpAddr {
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

    const HERE: &str = "192.0.2.7";

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn guess(guesses: &Guesses, address: &str, count: usize) {
        (0..count).for_each(|number| guess_one(guesses, address, number));
    }

    fn guess_one(guesses: &Guesses, address: &str, number: usize) {
        let mut digest = [1; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        guesses.wrong("gateway", ip(address), digest);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_barred_for_the_rest_of_its_time_and_no_other_is() {
        let guesses = Guesses::default();
        guess(&guesses, HERE, MAX_WRONG - 1);
        assert_eq!(guesses.barred(ip(HERE)), None);
        tokio::time::advance(Duration::from_secs(20)).await;
        guess_one(&guesses, HERE, 99);
        assert_eq!(guesses.barred(ip(HERE)), Some(Duration::from_secs(40)));
        assert_eq!(guesses.barred(ip("192.0.2.8")), None);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(guesses.barred(ip(HERE)), None);
        guess(&guesses, HERE, MAX_WRONG - 1);
        assert_eq!(guesses.barred(ip(HERE)), None, "it begins anew");
    }

    #[test]
    fn what_is_said_is_true_on_loopback_too() {
        for (address, words) in [
            (HERE, "even with the right one"),
            ("::1", "the right one is let in"),
            ("::ffff:127.0.0.1", "the right one is let in"),
        ] {
            let said = what_follows(group(ip(address)));
            assert!(said.ends_with(words), "{address}: {said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_wrong_token_again_guesses_nothing() {
        let guesses = Guesses::default();
        // Two clients behind one address, each with an old token.
        for _ in 0..1000 {
            guess(&guesses, HERE, 2);
        }
        assert_eq!(guesses.barred(ip(HERE)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_is_one_address_and_so_are_both_forms_of_one() {
        let guesses = Guesses::default();
        guess(&guesses, "2001:db8::1", MAX_WRONG);
        assert!(guesses.barred(ip("2001:db8::2:3:4:5")).is_some());
        assert!(guesses.barred(ip("2001:db8:0:1::1")).is_none());
        guess(&guesses, "::ffff:192.0.2.7", MAX_WRONG);
        assert!(guesses.barred(ip(HERE)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_the_newest_are_kept() {
        let guesses = Guesses::default();
        for number in 0..5000_u32 {
            let address = IpAddr::from((0x0b00_0000 + number).to_be_bytes());
            guess(&guesses, &address.to_string(), MAX_WRONG);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(guesses.len(), MAX_ADDRESSES);
        let newest = IpAddr::from((0x0b00_0000_u32 + 4999).to_be_bytes());
        assert!(guesses.barred(newest).is_some());
    }
}
