//! Any bytes as a stream, cut in two anywhere: the frames are those of the whole.
//! Seeds: `tests/torture/*.dat`.
#![no_main]

use cityline::sip::framing::{Frame, Framer};
use libfuzzer_sys::fuzz_target;
use tokio::time::Instant;

fn messages(pieces: &[&[u8]]) -> Vec<Frame> {
    let (now, mut framer, mut all) = (Instant::now(), Framer::new(), Vec::new());
    for piece in pieces {
        framer.push(now, piece);
        while let Ok(Some(frame)) = framer.next(now) {
            all.extend(matches!(frame, Frame::Message(_)).then_some(frame));
        }
    }
    all
}

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let (one, two) = bytes.split_at(bytes.len() * usize::from(*cut) / 256);
    assert_eq!(messages(&[one, two]), messages(&[bytes]));
});
