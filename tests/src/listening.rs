//! At which addresses a process listens, as the kernel shows it.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a TCP socket that listens. One of UDP that is connected to nobody has that of a closed one, `07`.
const TABLES: [(&str, &str); 4] = [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")];

/// Where others can reach this process over TCP or UDP; `None` if its descriptors may not be looked at.
pub fn listens_at(pid: i32) -> Option<BTreeSet<SocketAddr>> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let targets = descriptors.filter_map(|one| fs::read_link(one.ok()?.path()).ok());
    let own: BTreeSet<String> = targets.map(|one| one.display().to_string()).collect();
    let mut found = BTreeSet::new();
    for (table, state) in TABLES {
        // A system without IPv6 has two of them only.
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[3] == state && own.contains(&format!("socket:[{}]", words[9])) {
                found.insert(address(words[1]).unwrap_or_else(|| panic!("{table}: {line}")));
            }
        }
    }
    Some(found)
}

/// `0100007F:1F90`: groups of four bytes, each in the machine's own order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let group = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok();
    let mut bytes = Vec::new();
    for at in (0..ip.len()).step_by(8) {
        bytes.extend(group(at)?.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}
