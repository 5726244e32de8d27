//! Any bytes as a datagram: what can be read can be written and read again, and a refusal can always be written.
//! Seeds: `tests/torture/*.dat`.
#![no_main]

use bytes::Bytes;
use cityline::sip::message::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(message) => {
            let again = Message::parse(message.encode()).expect("what was read can be read again");
            assert_eq!(again.body, message.body);
            assert_eq!(again.start, message.start);
        }
        Err(malformed) => {
            let _ = malformed.answer().map(|answer| answer.encode());
        }
    }
});
