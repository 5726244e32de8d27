//! Trunks: who may call us, known by where they call from.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::terms::ids::TrunkId;

/// A trunk: a source we know.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name in the configuration.
    pub id: TrunkId,
    /// Where its calls come from. Of several trunks the one with the longest matching prefix counts.
    pub networks: Vec<Network>,
    /// Is its word taken for who calls (P-Asserted-Identity, RFC 3325)?
    pub trusted: bool,
    /// Most calls at a time; none where only the agent's own limit counts. Past it: 503.
    pub calls_max: Option<usize>,
    /// Most new calls a second; likewise.
    pub calls_per_s: Option<f64>,
}

impl Trunk {
    /// A trunk without limits of its own.
    pub fn new(id: &str, networks: Vec<Network>, trusted: bool) -> Self {
        Self { id: TrunkId::from(id), networks, trusted, calls_max: None, calls_per_s: None }
    }
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of `address` whose first `prefix` bits count (more than there are: all of them).
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: prefix.min(if address.is_ipv4() { 32 } else { 128 }) }
    }

    /// Does `address` lie in it?
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    /// `192.0.2.0/24`, `2001:db8::/32`, or an address alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a network (an address, or an address and a prefix: 192.0.2.0/24)");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return Err(bad());
        }
        Ok(Self { address, prefix })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The trunk `source` belongs to: the one with the longest matching prefix, the first of equals.
pub fn of_source(trunks: &[Trunk], source: SocketAddr) -> Option<usize> {
    let mut best: Option<(u8, usize)> = None;
    for (index, trunk) in trunks.iter().enumerate() {
        for network in trunk.networks.iter().filter(|network| network.contains(source.ip())) {
            if best.is_none_or(|(prefix, _)| network.prefix > prefix) {
                best = Some((network.prefix, index));
            }
        }
    }
    best.map(|(_, index)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_what_shares_its_prefix() {
        assert!(network("10.0.0.0/8").contains("10.255.0.1".parse().unwrap()));
        assert!(!network("10.0.0.0/8").contains("11.0.0.1".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("203.0.113.7".parse().unwrap()));
        assert!(network("192.0.2.7").contains("192.0.2.7".parse().unwrap()));
        assert!(!network("192.0.2.7").contains("192.0.2.6".parse().unwrap()));
        assert!(network("2001:db8::/32").contains("2001:db8:1::1".parse().unwrap()));
        assert!(!network("::/0").contains("192.0.2.1".parse().unwrap()));
        assert!(network("127.0.0.0/8").contains("::ffff:127.0.0.1".parse().unwrap()), "a v4 caller on a v6 socket");
    }

    #[test]
    fn what_is_no_network_is_refused_with_a_remedy() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "ten", "10.0.0.0/8/8", "::/129", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().unwrap_err().contains("192.0.2.0/24"), "{text}");
        }
    }

    #[test]
    fn the_longest_prefix_names_the_trunk() {
        let trunks = [
            Trunk::new("carrier", vec![network("10.0.0.0/8")], true),
            Trunk::new("psap", vec![network("10.9.1.0/24")], true),
            Trunk::new("other", vec![network("10.0.0.0/8")], false),
        ];
        let of = |source: &str| of_source(&trunks, source.parse().unwrap());
        assert_eq!(of("10.9.1.5:5060"), Some(1));
        assert_eq!(of("10.9.2.5:5060"), Some(0));
        assert_eq!(of("192.0.2.1:5060"), None);
    }
}
