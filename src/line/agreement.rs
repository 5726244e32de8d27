//! Offer and answer, between the SDP of `sip` and the sessions of `media` (RFC 3264).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::media::codecs::Codec;
use crate::media::command::{Direction, Format, Remote};
use crate::sip::sdp::{self, BadAnswer, Local, Negotiated, Offer, Payload};
use crate::terms::dice::Dice;

/// Our side of one call's session description, from its first word to its last.
#[derive(Debug)]
pub struct Agreement {
    local: Local,
    /// Where their signalling comes from, if we know: a private address in their SDP that is not theirs is
    /// behind a NAT.
    signalling: Option<IpAddr>,
    /// The lines of the session as they laid them out, if they were the first to offer.
    layout: Option<Offer>,
    said: Option<String>,
}

/// What was agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// For the media session.
    pub remote: Remote,
    /// They have put us on hold.
    pub held: bool,
}

impl Agreement {
    /// Our side: RTP is received on `rtp`; `codecs` are those we speak, dearest first.
    pub fn new(rtp: SocketAddr, signalling: Option<IpAddr>, codecs: &[Codec], dice: &mut Dice) -> Self {
        let local = Local {
            address: rtp.ip(),
            port: rtp.port(),
            // Half the range: some peers read it as a signed number.
            session_id: dice.u64() >> 2,
            version: 1,
            codecs: codecs.iter().map(|codec| Payload::from(of_sdp(*codec))).collect(),
            dtmf: true,
            direction: sdp::Direction::SendRecv,
        };
        Self { local, signalling, layout: None, said: None }
    }

    /// The same without telephone-events (RFC 4733): keys go as tones in the audio.
    pub fn with_tones(mut self) -> Self {
        self.local.dtmf = false;
        self
    }

    /// The answer to their offer.
    ///
    /// # Errors
    /// It cannot be read, or has nothing for us (488).
    pub fn answer(&mut self, offer: &str) -> Result<(String, Agreed), BadAnswer> {
        let offer = Offer::parse(offer)?;
        let (mut text, negotiated) = sdp::answer(&offer, &self.local)?;
        if self.is_new(&text) {
            self.local.version += 1;
            (text, _) = sdp::answer(&offer, &self.local)?;
        }
        self.said = Some(text.clone());
        self.layout = Some(offer);
        Ok((text, self.agreed(&negotiated)))
    }

    /// Our offer: the first, or one within the session.
    pub fn offer(&mut self) -> String {
        let mut text = self.offered();
        if self.is_new(&text) {
            self.local.version += 1;
            text = self.offered();
        }
        self.said = Some(text.clone());
        text
    }

    /// What their answer to our offer means.
    ///
    /// # Errors
    /// It cannot be read, or refuses our audio.
    pub fn accept(&self, answer: &str) -> Result<Agreed, BadAnswer> {
        let negotiated = sdp::accept_answer(&self.local, answer)?;
        Ok(self.agreed(&negotiated))
    }

    fn offered(&self) -> String {
        let laid_out = self.layout.as_ref().and_then(|theirs| sdp::offer_again(theirs, &self.local).ok());
        laid_out.unwrap_or_else(|| sdp::offer(&self.local))
    }

    /// What differs from what we said before needs a higher version (RFC 3264 §8).
    fn is_new(&self, text: &str) -> bool {
        self.said.as_ref().is_some_and(|said| said != text)
    }

    fn agreed(&self, negotiated: &Negotiated) -> Agreed {
        let theirs = negotiated.remote.ip();
        let beside = self.signalling.unwrap_or(self.local.address);
        let remote = Remote {
            rtp: negotiated.remote,
            rtcp: negotiated.rtcp,
            nat: is_private(theirs) && theirs != beside && (self.signalling.is_some() || !is_private(beside)),
            send: format(negotiated.send),
            receive: negotiated.receive.iter().copied().map(format).collect(),
            keys_send_pt: negotiated.dtmf.map(|event| event.send_pt),
            keys_receive_pt: negotiated.dtmf.map(|event| event.receive_pt),
            direction: direction(negotiated.direction),
        };
        Agreed { remote, held: negotiated.held }
    }
}

fn of_sdp(codec: Codec) -> sdp::Codec {
    match codec {
        Codec::Pcmu => sdp::Codec::Pcmu,
        Codec::Pcma => sdp::Codec::Pcma,
        Codec::G722 => sdp::Codec::G722,
    }
}

fn format(payload: Payload) -> Format {
    let codec = match payload.codec {
        sdp::Codec::Pcmu => Codec::Pcmu,
        sdp::Codec::Pcma => Codec::Pcma,
        sdp::Codec::G722 => Codec::G722,
    };
    Format { codec, pt: payload.pt }
}

fn direction(direction: sdp::Direction) -> Direction {
    match direction {
        sdp::Direction::SendRecv => Direction::Both,
        sdp::Direction::SendOnly => Direction::SendOnly,
        sdp::Direction::RecvOnly => Direction::ReceiveOnly,
        sdp::Direction::Inactive => Direction::Inactive,
    }
}

/// Not to be reached from elsewhere (RFC 1918, RFC 6598, RFC 4193, loopback).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || {
                let shared = Ipv4Addr::new(100, 64, 0, 0).to_bits();
                address.to_bits() >> 22 == shared >> 22
            }
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
        m=audio 40000 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\n";

    fn agreement(signalling: &str, codecs: &[Codec]) -> Agreement {
        let rtp = "203.0.113.1:20000".parse().unwrap();
        Agreement::new(rtp, signalling.parse().ok(), codecs, &mut Dice::from_seed(1))
    }

    #[test]
    fn their_first_choice_that_we_speak_is_taken_with_their_numbers() {
        let (text, agreed) = agreement("192.0.2.9", &Codec::ALL).answer(OFFER).unwrap();
        assert!(text.contains("m=audio 20000 RTP/AVP 8"), "{text}");
        assert_eq!(agreed.remote.send, Format { codec: Codec::Pcma, pt: 8 });
        assert_eq!(agreed.remote.keys_send_pt, Some(96));
        assert_eq!(agreed.remote.rtp, "192.0.2.9:40000".parse().unwrap());
        assert!(!agreed.held && !agreed.remote.nat);
        assert!(agreement("192.0.2.9", &[Codec::G722]).answer(OFFER).is_err());
    }

    #[test]
    fn hold_and_resume_are_heard_and_our_version_counts_our_changes() {
        let mut ours = agreement("192.0.2.9", &Codec::ALL);
        let (first, _) = ours.answer(OFFER).unwrap();
        let (same, _) = ours.answer(OFFER).unwrap();
        assert_eq!(first, same, "nothing changed, so nothing is counted");
        let (hold, agreed) = ours.answer(&format!("{OFFER}a=sendonly\r\n")).unwrap();
        assert!(agreed.held && !agreed.remote.direction.sends());
        assert!(hold.contains("recvonly"), "{hold}");
        let version = |text: &str| text.lines().nth(1).unwrap().split(' ').nth(2).unwrap().parse::<u64>().unwrap();
        assert_eq!(version(&hold), version(&first) + 1);
        assert!(!ours.answer(OFFER).unwrap().1.held);
    }

    #[test]
    fn a_private_address_that_is_not_the_senders_own_is_behind_a_nat() {
        let offer = OFFER.replace("192.0.2.9", "192.168.1.20");
        assert!(agreement("198.51.100.4", &Codec::ALL).answer(&offer).unwrap().1.remote.nat);
        assert!(!agreement("192.168.1.20", &Codec::ALL).answer(&offer).unwrap().1.remote.nat);
    }

    #[test]
    fn our_offer_and_their_answer_make_a_session() {
        let mut ours = agreement("192.0.2.9", &[Codec::Pcmu]);
        let mut theirs = agreement("203.0.113.1", &Codec::ALL);
        let offer = ours.offer();
        let (answer, at_theirs) = theirs.answer(&offer).unwrap();
        let at_ours = ours.accept(&answer).unwrap();
        assert_eq!(at_ours.remote.send.codec, Codec::Pcmu);
        assert_eq!(at_theirs.remote.send.codec, Codec::Pcmu);
        assert!(at_ours.remote.keys_send_pt.is_some() && at_theirs.remote.keys_receive_pt.is_some());
    }
}
