//! A TCP stream of any bytes in any pieces: the framer never panics, and cuts the same
//! messages whatever the pieces are.
#![no_main]

use std::time::Duration;

use cityline::sip::framing::{Frame, Framer};
use cityline::terms::clock::Instant;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    // Any instant will do; the framer only tells when a message began.
    let origin = Instant::now();
    let whole = cut(origin, [bytes].into_iter());
    let pieces = cut(origin, bytes.chunks(usize::from(piece).max(1)));
    assert_eq!(whole, pieces, "how a stream arrives does not change what it says");
});

/// What the framer makes of the pieces, and whether the stream broke.
fn cut<'a>(origin: Instant, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, bool) {
    let (mut framer, mut frames) = (Framer::new(), Vec::new());
    for (index, piece) in pieces.enumerate() {
        let now = origin + Duration::from_millis(index as u64);
        framer.push(now, piece);
        loop {
            match framer.next(now) {
                Ok(Some(frame @ Frame::Message(_))) => frames.push(frame),
                // Whether line ends are a ping depends on how they arrive.
                Ok(Some(Frame::Ping)) => {}
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}
