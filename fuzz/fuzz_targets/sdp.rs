//! A session description of any text: reading never panics, every answer to it can be read as an offer again, and
//! answers no more media lines than were offered.
#![no_main]

use std::net::IpAddr;

use cityline::sip::sdp::{Codec, Direction, Local, Offer, Payload, accept_answer, answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(offer) = Offer::parse(text) else { return };
    let local = local();
    if let Ok((ours, _)) = answer(&offer, &local) {
        let read = Offer::parse(&ours).expect("what we answer can be read");
        assert_eq!(read.media_lines(), offer.media_lines(), "RFC 3264 §6: an answer has the offer's media lines");
    }
    let _ = accept_answer(&local, text);
});

/// Our side, ready for every codec.
fn local() -> Local {
    Local {
        address: IpAddr::from([127, 0, 0, 1]),
        port: 30_000,
        session_id: 1,
        version: 1,
        codecs: Codec::ALL.map(Payload::from).to_vec(),
        dtmf: true,
        direction: Direction::SendRecv,
    }
}
