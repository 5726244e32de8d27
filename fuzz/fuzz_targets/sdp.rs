//! Any bytes as a session description: what can be answered is answered with as many lines, and the answer reads.
//! Seeds: the bodies in `tests/torture/*.dat`.
#![no_main]

use cityline::sip::sdp::{Codec, Direction, Local, Offer, Payload, answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(offer) = Offer::parse(&String::from_utf8_lossy(bytes)) else { return };
    let local = Local {
        address: [192, 0, 2, 1].into(),
        port: 40_000,
        session_id: 1,
        version: 1,
        codecs: Codec::ALL.map(Payload::from).to_vec(),
        dtmf: true,
        direction: Direction::SendRecv,
    };
    if let Ok((text, _)) = answer(&offer, &local) {
        let again = Offer::parse(&text).expect("our own answer can be read");
        assert_eq!(again.media_lines(), offer.media_lines());
    }
});
