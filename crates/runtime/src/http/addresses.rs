//! Which addresses are out on the internet. Everything else is refused, unless the function says `allow_private`:
//! a URL must not become a way to this machine, its network, or a cloud's store of credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that is not to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}; `allow_private = true` on the function would let it be reached")]
pub struct RefusedAddress {
    address: IpAddr,
    what: &'static str,
}

/// Refuses an address that is not out on the internet, as a run of a function without `allow_private` does.
///
/// # Errors
/// What the address is.
pub fn check_address(address: IpAddr) -> Result<(), RefusedAddress> {
    let what = match address {
        IpAddr::V4(v4) => what_v4(v4),
        IpAddr::V6(v6) => what_v6(v6),
    };
    what.map_or(Ok(()), |what| Err(RefusedAddress { address, what }))
}

/// What it is, if it is not out on the internet (IANA's registry of special IPv4 addresses).
fn what_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("an address of no host"),
        [127, ..] => Some("this machine"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("in a private network"),
        [100, 64..=127, ..] => Some("in a provider's own network"),
        [169, 254, ..] => Some("on the local link, where clouds keep their metadata"),
        // Azure's channel between a machine and its host has a public address.
        [168, 63, 129, 16] => Some("where Azure keeps its metadata"),
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => Some("reserved for protocols"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some("for documentation"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("reserved"),
        _ => None,
    }
}

/// The same for IPv6: only 2000::/3 is given out, and parts of it are special. An IPv4 address inside is judged as such.
fn what_v6(address: Ipv6Addr) -> Option<&'static str> {
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        what_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an address of no host"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("this machine"),
        [0, 0, 0, 0, 0, 0xffff, high, low] => inner(high, low),
        // What resolvers make of IPv4 addresses in networks that have only IPv6.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0xfc00..=0xfdff, ..] => Some("in a private network"),
        [0xfe80..=0xfebf, ..] => Some("on the local link"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("for documentation"),
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => Some("reserved for protocols"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_reached() {
        for good in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.167.0.1",
            "223.255.255.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(check_address(good.parse().unwrap()), Ok(()), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::a00:1",
            "64:ff9b:1::808:808",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "4000::1",
        ] {
            assert!(check_address(bad.parse().unwrap()).is_err(), "{bad}");
        }
    }
}
