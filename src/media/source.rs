//! Which address a party's packets come from: symmetric RTP with a lock on the source.
//!
//! ```text
//!            first valid packet from the address in the SDP (any port),
//!            or, where the party may be behind a NAT, from anywhere
//!   Waiting ───────────────────────────────────────────────▶ Locked
//!      ▲                                                       │
//!      └── another address by re-INVITE, or a long silence ────┘
//! ```
//! Locked, packets from elsewhere are strays: counted, dropped, never heard (RTP bleed, CVE-2025-53399).

use std::net::{IpAddr, SocketAddr};

/// The lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    signalled: SocketAddr,
    nat: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting {
        /// Where packets came from before a silence: we go on sending there (a party who is muted still
        /// listens), and even a party behind a NAT is only believed at that address.
        former: Option<SocketAddr>,
    },
    Locked(SocketAddr),
}

/// What a packet's source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The party.
    Known,
    /// The party, if the packet proves valid: then [`Source::lock`].
    Candidate,
    /// Somebody else.
    Stray,
}

impl Source {
    /// Nothing was received yet; the SDP says `signalled`.
    pub(crate) fn new(signalled: SocketAddr, nat: bool) -> Self {
        Self { signalled, nat, state: State::Waiting { former: None } }
    }

    /// A later SDP came. True where the lock was opened by it.
    pub(crate) fn signalled(&mut self, signalled: SocketAddr, nat: bool) -> bool {
        self.nat = nat;
        if signalled == self.signalled {
            return false;
        }
        self.signalled = signalled;
        let moves = match self.state {
            State::Locked(source) => source != signalled,
            State::Waiting { .. } => true,
        };
        if moves {
            self.state = State::Waiting { former: None };
        }
        moves
    }

    pub(crate) fn judge(&self, from: SocketAddr) -> Verdict {
        match self.state {
            State::Locked(source) if source == from => Verdict::Known,
            State::Locked(_) => Verdict::Stray,
            State::Waiting { former } => {
                let ip = from.ip();
                let believed = ip == self.signalled.ip() || former.map_or(self.nat, |former| former.ip() == ip);
                if believed { Verdict::Candidate } else { Verdict::Stray }
            }
        }
    }

    /// A candidate's packet was valid.
    pub(crate) fn lock(&mut self, from: SocketAddr) {
        self.state = State::Locked(from);
    }

    /// Nothing came for long: the party may have moved to another port (a NAT forgot it). True where the
    /// lock was opened.
    pub(crate) fn reopen(&mut self) -> bool {
        match self.state {
            State::Locked(source) => {
                self.state = State::Waiting { former: Some(source) };
                true
            }
            State::Waiting { .. } => false,
        }
    }

    /// Where to send: to where packets come from, before that to where the SDP says. `None` where that is
    /// nowhere (`0.0.0.0`, port 0).
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        match self.state {
            State::Locked(source) | State::Waiting { former: Some(source) } => Some(source),
            State::Waiting { former: None } => {
                Some(self.signalled).filter(|address| !address.ip().is_unspecified() && address.port() != 0)
            }
        }
    }

    /// Whether RTCP from this address may be the party's.
    pub(crate) fn is_party(&self, ip: IpAddr) -> bool {
        match self.state {
            State::Locked(source) | State::Waiting { former: Some(source) } => source.ip() == ip,
            State::Waiting { former: None } => self.signalled.ip() == ip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_party_who_falls_quiet_behind_a_nat_is_still_spoken_to() {
        let mut source = Source::new(at("192.168.1.9:4000"), true);
        source.lock(at("127.0.0.9:61000"));
        assert!(source.reopen());
        assert_eq!(source.destination(), Some(at("127.0.0.9:61000")));
        assert_eq!(source.judge(at("127.0.0.9:61001")), Verdict::Candidate, "its NAT may have forgotten the port");
        assert_eq!(source.judge(at("127.0.0.8:61000")), Verdict::Stray);
    }

    #[test]
    fn the_first_packet_locks_and_strangers_stay_out() {
        let mut source = Source::new(at("10.0.0.1:4000"), false);
        assert_eq!(source.destination(), Some(at("10.0.0.1:4000")));
        assert_eq!(source.judge(at("10.0.0.2:4000")), Verdict::Stray);
        assert_eq!(source.judge(at("10.0.0.1:9999")), Verdict::Candidate, "its NAT may change the port");
        source.lock(at("10.0.0.1:9999"));
        assert_eq!(source.destination(), Some(at("10.0.0.1:9999")));
        assert_eq!(source.judge(at("10.0.0.1:9999")), Verdict::Known);
        assert_eq!(source.judge(at("10.0.0.1:4000")), Verdict::Stray);
    }

    #[test]
    fn behind_a_nat_the_first_comer_wins_once() {
        let mut source = Source::new(at("192.168.1.5:4000"), true);
        assert_eq!(source.judge(at("198.51.100.7:61000")), Verdict::Candidate);
        source.lock(at("198.51.100.7:61000"));
        assert!(source.reopen());
        assert_eq!(source.judge(at("203.0.113.9:1000")), Verdict::Stray, "a silence lets no stranger in");
        assert_eq!(source.judge(at("198.51.100.7:61002")), Verdict::Candidate);
    }

    #[test]
    fn a_new_address_by_re_invite_moves_the_lock_and_the_same_does_not() {
        let mut source = Source::new(at("10.0.0.1:4000"), false);
        source.lock(at("10.0.0.1:4002"));
        assert!(!source.signalled(at("10.0.0.1:4000"), false));
        assert_eq!(source.judge(at("10.0.0.1:4002")), Verdict::Known);
        assert!(source.signalled(at("10.0.0.9:5000"), false));
        assert_eq!(source.judge(at("10.0.0.1:4002")), Verdict::Stray);
        assert_eq!(source.destination(), Some(at("10.0.0.9:5000")));
    }

    #[test]
    fn nothing_is_sent_to_nowhere() {
        assert_eq!(Source::new(at("0.0.0.0:4000"), false).destination(), None);
        assert_eq!(Source::new(at("10.0.0.1:0"), false).destination(), None);
    }
}
