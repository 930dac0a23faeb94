//! Where requests of ours may go when somebody else names the address.
//!
//! **Correctness**: an address is public only if it stands in the global unicast ranges of IANA's special-purpose registries
//! (RFC 6890) and in none of their exceptions; addresses of IPv4 inside IPv6 are judged as what they carry. What is not
//! public must be named by whoever runs the service. A name is judged by what it resolves to, at the moment of connecting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Networks and hosts that are allowed though they are not public, and may be spoken to without TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    networks: Vec<(IpAddr, u8)>,
    hosts: Vec<String>,
}

/// A part of such a list that is neither a network nor a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a network such as 10.0.0.0/8 nor a host's name")]
pub struct AllowError(String);

impl FromStr for Allow {
    type Err = AllowError;

    /// Networks (`10.1.0.0/16`, `::1`) and names (`receiver.internal`), with commas between.
    fn from_str(text: &str) -> Result<Self, AllowError> {
        let mut allow = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if let Some(network) = network(part) {
                allow.networks.push(network);
            } else if part.contains('/') || !part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
                return Err(AllowError(part.to_owned()));
            } else {
                allow.hosts.push(part.to_ascii_lowercase());
            }
        }
        Ok(allow)
    }
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some((address, bits))
}

/// The first bits of both are the same.
fn is_in(address: IpAddr, (network, bits): (IpAddr, u8)) -> bool {
    let wide = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
    };
    let ((a, a_is_v4), (n, n_is_v4)) = (wide(address), wide(network));
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(bits))).unwrap_or(0);
    a_is_v4 == n_is_v4 && a & mask == n & mask
}

impl Allow {
    /// True when the host (a name, or an address without brackets) is named, by itself or by its network.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        match host.parse::<IpAddr>() {
            Ok(address) => self.has(address),
            Err(_) => self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host.trim_end_matches('.'))),
        }
    }

    /// True when the address lies in a network that is named.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| is_in(address.to_canonical(), *network))
    }

    /// True when a request to this host may go to this address.
    #[must_use]
    pub fn may_reach(&self, host: &str, address: IpAddr) -> bool {
        is_public(address) || self.has(address) || self.names(host)
    }
}

/// True for an address anybody on the Internet could be at.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(a: Ipv4Addr) -> bool {
    let [o1, o2, o3, _] = a.octets();
    let special = a.is_private()
        || a.is_loopback()
        || a.is_link_local()
        || a.is_documentation()
        || matches!(
            (o1, o2, o3),
            (0, _, _) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _) | (224..=255, _, _)
        );
    !special
}

fn is_public_v6(a: Ipv6Addr) -> bool {
    if let Some(v4) = a.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let s = a.segments();
    // Global unicast is 2000::/3; in it stand protocol assignments with Teredo and ORCHID, documentation, and 6to4, which
    // carries an IPv4 address.
    let is_global = s[0] & 0xe000 == 0x2000;
    let special = (s[0] == 0x2001 && (s[1] < 0x0200 || s[1] == 0x0db8)) || s[0] == 0x2002 || (s[0] == 0x3fff && s[1] < 0x1000);
    is_global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn special_addresses_are_not_public() {
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip(special)), "{special}");
        }
        for public in
            ["1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"]
        {
            assert!(is_public(ip(public)), "{public}");
        }
    }

    #[test]
    fn what_is_named_may_be_reached() {
        let allow: Allow = "10.1.0.0/16, ::1, receiver.internal,127.0.0.1".parse().unwrap();
        for yes in ["10.1.255.1", "::1", "127.0.0.1", "::ffff:10.1.0.1", "9.9.9.9"] {
            assert!(allow.may_reach("x", ip(yes)), "{yes}");
        }
        for no in ["10.2.0.1", "::2", "127.0.0.2", "192.168.0.1"] {
            assert!(!allow.may_reach("x", ip(no)), "{no}");
        }
        assert!(allow.may_reach("Receiver.Internal.", ip("192.168.0.1")));
        assert!(
            allow.names("10.1.2.3") && allow.names("receiver.internal") && !allow.names("10.2.2.3") && !allow.names("internal")
        );
        assert_eq!("".parse(), Ok(Allow::default()));
        assert!(Allow::default().names("") == Allow::default().names("x"));
        for bad in ["10.0.0.0/33", "::/129", "a b", "http://x", "10.0.0.0/x", "*"] {
            assert!(bad.parse::<Allow>().is_err(), "{bad}");
        }
        let all: Allow = "0.0.0.0/0".parse().unwrap();
        assert!(all.has(ip("127.0.0.1")) && !all.has(ip("::1")));
    }
}
