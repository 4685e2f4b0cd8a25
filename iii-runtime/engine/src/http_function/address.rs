//! Classification of IP addresses as public, by the special-purpose address registries (RFC 6890 and its successors: RFC
//! 6052, RFC 6598, RFC 8215, RFC 9637).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of IPv4 addresses: its first address and its prefix length.
type Ipv4Range = (Ipv4Addr, u32);

const SPECIAL_IPV4: [Ipv4Range; 14] = [
    // "This network", including 0.0.0.0, which reaches the local machine.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Shared address space of carrier-grade NAT.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, including the metadata services of cloud providers.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Private.
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // Protocol assignments.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // 6to4 relay anycast, deprecated.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Private.
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Benchmarking.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Documentation.
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    // Documentation.
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved and limited broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// A range of IPv6 addresses: its first address and its prefix length.
type Ipv6Range = (Ipv6Addr, u32);

/// Global unicast addresses.
const GLOBAL_UNICAST_IPV6: Ipv6Range = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Special-purpose ranges within [`GLOBAL_UNICAST_IPV6`].
const SPECIAL_IPV6: [Ipv6Range; 3] = [
    // Protocol assignments: Teredo, benchmarking, ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // Documentation.
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// IPv4 addresses behind a translator (NAT64), as in a network with IPv6 only.
const NAT64: Ipv6Range = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// IPv6 over IPv4 (6to4). The IPv4 address follows the first 16 bits.
const SIX_TO_FOUR: Ipv6Range = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

/// Returns whether an address is public: neither local, private nor reserved. An embedded IPv4 address must be public
/// too.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_IPV4.iter().any(|(first, bits)| {
        let differs = address.to_bits() ^ first.to_bits();
        differs >> (32 - bits) == 0
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [.., a, b, c, d] = address.octets();
    let last = Ipv4Addr::new(a, b, c, d);
    // A connection to a mapped address uses IPv4.
    if address.to_ipv4_mapped().is_some() || is_in(address, NAT64) {
        return is_public_v4(last);
    }
    if is_in(address, SIX_TO_FOUR) {
        let [_, _, a, b, c, d, ..] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    is_in(address, GLOBAL_UNICAST_IPV6) && !SPECIAL_IPV6.iter().any(|range| is_in(address, *range))
}

fn is_in(address: Ipv6Addr, (first, bits): Ipv6Range) -> bool {
    let differs = address.to_bits() ^ first.to_bits();
    differs >> (128 - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn special_ipv4_ranges_are_not_public_up_to_their_bounds() {
        let ranges = [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ];
        for (first, last) in ranges {
            let (first, last): (Ipv4Addr, Ipv4Addr) =
                (first.parse().unwrap(), last.parse().unwrap());
            assert!(!is_public_v4(first) && !is_public_v4(last), "{first} {last}");
            if let Some(before) = first.to_bits().checked_sub(1) {
                assert!(is_public_v4(Ipv4Addr::from_bits(before)), "before {first}");
            }
            if let Some(after) = last.to_bits().checked_add(1) {
                assert!(is_public_v4(Ipv4Addr::from_bits(after)), "after {last}");
            }
        }
        assert!(public("1.1.1.1") && public("93.184.216.34") && public("192.0.1.0"));
    }

    #[test]
    fn only_global_unicast_ipv6_is_public() {
        for text in [
            "::",
            "::1",
            "::7f00:1",
            "100::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "3fff:fff::1",
            "5f00::1",
            "64:ff9b:1::808:808",
            "4000::1",
        ] {
            assert!(!public(text), "{text}");
        }
        for text in ["2606:4700:4700::1111", "2001:4860:4860::8888", "2a00::1", "3fff:1000::1"] {
            assert!(public(text), "{text}");
        }
    }

    #[test]
    fn embedded_ipv4_addresses_must_be_public() {
        for prefix in ["::ffff:", "64:ff9b::"] {
            for (embedded, expected) in
                [("127.0.0.1", false), ("169.254.169.254", false), ("8.8.8.8", true)]
            {
                assert_eq!(public(&format!("{prefix}{embedded}")), expected, "{prefix}{embedded}");
            }
        }
        assert!(!public("2002:7f00:1::1") && !public("2002:a00:1::") && public("2002:808:808::1"));
    }
}
