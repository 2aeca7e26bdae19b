//! Free ports for servers that must know their port before they start.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use crate::failure::{Failure, Outcome};
use crate::random;

/// Below the range from which Linux takes the source ports of outgoing connections (32768 and up):
/// a broker that is stopped and started again must find its port still free.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// `N` different ports of the loopback address on which nobody listens now.
pub(crate) fn free<const N: usize>() -> Outcome<[u16; N]> {
    let ports = free_many(N)?;
    Ok(ports.try_into().expect("exactly N"))
}

/// That many different ports. They stay free until somebody listens, so what belongs together is asked for at once.
pub(crate) fn free_many(count: usize) -> Outcome<Vec<u16>> {
    let start = u16::try_from(random::bits() % u64::from(COUNT)).expect("less than COUNT");
    let mut found = BTreeSet::new();
    for step in 0..COUNT {
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            found.insert(port);
        }
        if found.len() == count {
            return Ok(found.into_iter().collect());
        }
    }
    Err(Failure::new(format!(
        "no {count} free ports between {FIRST} and {}",
        FIRST + COUNT
    )))
}

/// Where a service of `cargo xtask` listens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Port {
    /// Wherever there is room: test runs get in nobody's way.
    Free,
    /// Where everybody looks for such a service, as a configuration for people names it.
    WellKnown(u16),
}

// === impl Port ===

impl Port {
    /// The number, if it can be had.
    pub(crate) fn take(self) -> Outcome<u16> {
        match self {
            Self::Free => free().map(|[port]| port),
            Self::WellKnown(port) => match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(_) => Ok(port),
                Err(error) => Err(Failure::new(format!("port {port} cannot be had: {error}"))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_known_port_is_that_one_or_none() {
        let [port] = free().expect("a port");
        assert_eq!(Port::WellKnown(port).take().expect("it is free"), port);
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        assert!(Port::WellKnown(port).take().is_err());
    }

    #[test]
    fn ports_are_free_and_differ() {
        let [one, two] = free().expect("two ports");
        assert_ne!(one, two);
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, one)).expect("the port is free");
        assert!(
            !free::<3>().expect("three ports").contains(&one),
            "a port in use was offered"
        );
    }
}
