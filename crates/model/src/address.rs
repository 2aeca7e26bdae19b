//! Which addresses the hub calls. A function's URL must not become a way to this machine, its network, or a cloud's store
//! of credentials: it leads out to the internet, unless the function says `allow_private`. Endpoints are mostly in a
//! private network; what they never are is a cloud's store of credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use Special::{Inside, Metadata};

/// An address that is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}; {remedy}")]
pub struct RefusedAddress {
    address: IpAddr,
    what: &'static str,
    remedy: &'static str,
}

/// What an address is that is not out on the internet.
enum Special {
    Inside(&'static str),
    /// Whoever is asked there hands out credentials, or may.
    Metadata(&'static str),
}

/// Refuses an address that is not out on the internet, as a run of a function without `allow_private` does.
///
/// # Errors
/// What the address is.
pub fn check_target(address: IpAddr) -> Result<(), RefusedAddress> {
    match special(address) {
        Some(Inside(what) | Metadata(what)) => Err(RefusedAddress {
            address,
            what,
            remedy: "`allow_private = true` on the function would let it be reached",
        }),
        None => Ok(()),
    }
}

/// Refuses an endpoint's host if it is an address on the local link or one where a cloud keeps its metadata. Names are
/// not looked up.
///
/// # Errors
/// What the address is.
pub fn check_endpoint(host: &str) -> Result<(), RefusedAddress> {
    let Ok(address) = host.trim_matches(['[', ']']).parse() else {
        return Ok(());
    };
    match special(address) {
        Some(Metadata(what)) => Err(RefusedAddress {
            address,
            what,
            remedy: "no endpoint is there",
        }),
        _ => Ok(()),
    }
}

fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

/// IANA's registry of special IPv4 addresses, and where clouds keep their metadata.
fn special_v4(address: Ipv4Addr) -> Option<Special> {
    match address.octets() {
        [0, ..] => Some(Inside("an address of no host")),
        [127, ..] => Some(Inside("this machine")),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(Inside("in a private network")),
        [100, 100, 100, 200] => Some(Metadata("where Alibaba Cloud keeps its metadata")),
        [100, 64..=127, ..] => Some(Inside("in a provider's own network")),
        [169, 254, ..] => Some(Metadata(
            "on the local link, where clouds keep their metadata",
        )),
        // Azure's channel between a machine and its host has a public address.
        [168, 63, 129, 16] => Some(Metadata("where Azure keeps its metadata")),
        [192, 0, 0, 192] => Some(Metadata("where Oracle's cloud keeps its metadata")),
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => {
            Some(Inside("reserved for protocols"))
        }
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some(Inside("for documentation")),
        [224..=239, ..] => Some(Inside("a multicast address")),
        [240..=255, ..] => Some(Inside("reserved")),
        _ => None,
    }
}

/// The same for IPv6: only 2000::/3 is given out, and parts of it are special. An IPv4 address inside is judged as such.
fn special_v6(address: Ipv6Addr) -> Option<Special> {
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        special_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Inside("an address of no host")),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Inside("this machine")),
        [0, 0, 0, 0, 0, 0xffff, high, low] => inner(high, low),
        // What resolvers make of IPv4 addresses in networks that have only IPv6.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Some(Metadata("where AWS keeps its metadata")),
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            Some(Metadata("where Google's cloud keeps its metadata"))
        }
        [0xfc00..=0xfdff, ..] => Some(Inside("in a private network")),
        [0xfe80..=0xfebf, ..] => Some(Metadata(
            "on the local link, where clouds keep their metadata",
        )),
        [0xff00..=0xffff, ..] => Some(Inside("a multicast address")),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some(Inside("for documentation")),
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => Some(Inside("reserved for protocols")),
        [0x2000..=0x3fff, ..] => None,
        _ => Some(Inside("reserved")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_reach_only_the_internet() {
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
            assert_eq!(check_target(good.parse().unwrap()), Ok(()), "{good}");
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
            assert!(check_target(bad.parse().unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints_are_anywhere_but_where_clouds_keep_their_metadata() {
        for good in [
            "minio.example.com",
            "localhost",
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "100.100.100.100",
            "169.253.255.255",
            "169.255.0.1",
            "[::1]",
            "[fd00::254]",
            "[fe7f::1]",
            "[fec0::1]",
        ] {
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        for bad in [
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
            "[fe80::1]",
            "[febf::1]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
        ] {
            assert!(check_endpoint(bad).is_err(), "{bad}");
        }
        let refused = check_endpoint("169.254.169.254").unwrap_err().to_string();
        assert_eq!(
            refused,
            "169.254.169.254 is on the local link, where clouds keep their metadata; no endpoint is there"
        );
    }
}
