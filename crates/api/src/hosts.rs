//! The host names under which the API may be called. A browser sends the name in the URL, which gives away a page that
//! points its own DNS name at this machine ("DNS rebinding").

use std::net::{IpAddr, SocketAddr};

use http::uri::Authority;

/// Which host names are ours.
#[derive(Debug, Clone)]
pub struct AllowedHosts {
    listen: IpAddr,
    /// Names and addresses without brackets, in lower case.
    extra: Vec<String>,
}

// === impl AllowedHosts ===

impl AllowedHosts {
    /// Loopback names, the address listened on, and `extra` names and addresses ([`is_host`], in upper or lower case). A
    /// hub that listens on all addresses may be called by any address, since no DNS name can look like one.
    pub fn new(listen: SocketAddr, extra: &[String]) -> Self {
        Self {
            listen: listen.ip(),
            extra: extra.iter().map(|name| plain(name)).collect(),
        }
    }

    /// Whether `host`, the value of a `Host` header, is one of ours. Its port does not matter.
    pub fn allows(&self, host: &str) -> bool {
        // User information has no place in a Host header.
        let authority = Some(host).filter(|host| !host.contains('@'));
        let Some(authority) = authority.and_then(|host| host.parse::<Authority>().ok()) else {
            return false;
        };
        let name = plain(authority.host());
        if self.extra.contains(&name) {
            return true;
        }
        match name.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip == self.listen || self.listen.is_unspecified(),
            Err(_) => name == "localhost",
        }
    }
}

/// Whether `text` is the name of a host or an address, without a port and a scheme.
pub fn is_host(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(letters);
    let name = text.strip_suffix('.').unwrap_or(text);
    plain(text).parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}

/// A name in the form in which names are compared: in lower case and without the dot at the end, an address without
/// brackets and in its usual form.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(&name);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.to_string(),
        Err(_) => name.strip_suffix('.').unwrap_or(&name).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str) -> AllowedHosts {
        let listen = listen.parse().expect("an address");
        let extra = [
            "Hub.Example.com",
            "other.example.com.",
            "10.0.0.5",
            "2001:DB8:0::5",
        ];
        AllowedHosts::new(listen, &extra.map(str::to_owned))
    }

    #[test]
    fn ours_with_any_port() {
        let hosts = hosts("192.0.2.7:8081");
        for good in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1:9",
            "127.1.2.3",
            "[::1]:8081",
            "192.0.2.7",
            "hub.example.com:443",
            "hub.example.com.",
            "localhost.:8081",
            "other.example.com",
            "other.example.com.:443",
            "10.0.0.5:8081",
            "[2001:db8::5]:8081",
        ] {
            assert!(hosts.allows(good), "{good}");
        }
    }

    #[test]
    fn unknown_hosts() {
        let hosts = hosts("192.0.2.7:8081");
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil@localhost",
            "192.0.2.8",
            "localhost evil",
            "http://localhost",
            "hub.example.com..",
            "[::2]",
        ] {
            assert!(!hosts.allows(bad), "{bad}");
        }
    }

    #[test]
    fn a_host_has_neither_port_nor_scheme() {
        for good in [
            "hub",
            "hub.example.com",
            "a_b-c.d",
            "10.0.0.5",
            "::1",
            "[::1]",
        ] {
            assert!(is_host(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            ".",
            "hub..",
            "hub:8081",
            "10.0.0.5:80",
            "[::1]:80",
            "https://hub",
            "hub/",
            "u@hub",
            "*.example.com",
            " hub",
            long.as_str(),
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn listening_everywhere_takes_addresses_and_no_names() {
        let hosts = hosts("0.0.0.0:8081");
        assert!(hosts.allows("203.0.113.9:8081") && hosts.allows("[2001:db8::1]"));
        assert!(!hosts.allows("evil.example"));
    }
}
