//! Any bytes as an RTCP compound packet: what is read reads the same when written.
#![no_main]

use cityline::media::rtcp::{Compound, PACKET_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(packet) = Compound::parse(bytes) else { return };
    let mut again = [0; PACKET_MAX];
    let length = packet.write(&mut again);
    // Of many reports the last sender's and the first block count; written, all are one party's.
    assert_eq!(Compound::parse(&again[..length]), Some(packet));
});
