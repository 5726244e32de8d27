//! How many connections may be open: in all, from one source, and from sources we do not know.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The places there are for connections; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    taken: Arc<Mutex<Taken>>,
    limits: Places,
}

/// How many places there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// In all.
    pub(super) all: usize,
    /// From one address (IPv6: from one /64, which is what one customer gets).
    pub(super) source: usize,
    /// From all those together who are no trunk's.
    pub(super) strangers: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    strangers: usize,
    sources: HashMap<IpAddr, usize>,
}

/// A place that is taken; given back on drop.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    source: IpAddr,
    stranger: bool,
}

impl Slots {
    pub(super) fn new(limits: Places) -> Self {
        Self { taken: Arc::default(), limits }
    }

    /// A place for a connection with `source`, while there is one.
    pub(super) fn take(&self, source: IpAddr, stranger: bool) -> Option<Slot> {
        let source = customer(source);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = taken.sources.get(&source).copied().unwrap_or(0);
        let full = taken.all >= self.limits.all
            || of_source >= self.limits.source
            || (stranger && taken.strangers >= self.limits.strangers);
        if full {
            return None;
        }
        taken.all += 1;
        taken.strangers += usize::from(stranger);
        taken.sources.insert(source, of_source + 1);
        Some(Slot { slots: self.clone(), source, stranger })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        taken.strangers -= usize::from(self.stranger);
        if let Some(count) = taken.sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.sources.remove(&self.source);
            }
        }
    }
}

fn customer(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_take_the_places_of_trunks_and_places_come_back() {
        let slots = Slots::new(Places { all: 5, source: 2, strangers: 3 });
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut held = Vec::new();
        for source in ["2001:db8::1", "2001:db8::2", "192.0.2.3"] {
            held.push(slots.take(address(source), true).unwrap());
        }
        assert!(slots.take(address("192.0.2.4"), true).is_none(), "strangers have their three");
        assert!(slots.take(address("2001:db8::3"), false).is_none(), "one /64 has its two");
        held.push(slots.take(address("10.0.0.1"), false).unwrap());
        held.push(slots.take(address("10.0.0.2"), false).unwrap());
        assert!(slots.take(address("10.0.0.3"), false).is_none(), "all are taken");
        held.clear();
        assert_eq!(slots.taken(), 0);
        assert!(slots.take(address("192.0.2.4"), true).is_some());
    }
}
