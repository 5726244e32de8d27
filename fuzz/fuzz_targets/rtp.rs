//! Any bytes as an RTP packet: what is read fits in what came, and its header reads the same when written.
#![no_main]

use cityline::media::rtp::{HEADER, Packet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(packet) = Packet::parse(bytes) else { return };
    assert!(packet.payload.len() + HEADER <= bytes.len());
    let mut again = vec![0; HEADER];
    packet.header.write(&mut again);
    again.extend_from_slice(packet.payload);
    assert_eq!(Packet::parse(&again), Some(packet));
});
