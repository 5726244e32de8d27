//! A SIP message of any bytes: reading never panics, and what was read says the same when it is written and read
//! again.
#![no_main]

use bytes::Bytes;
use cityline::sip::headers::HeaderName;
use cityline::sip::message::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(bytes)) else { return };
    look_at_everything(&message);
    let again = Message::parse(message.encode()).expect("what we wrote can be read");
    assert_eq!(again.start, message.start, "the start line survives");
    assert_eq!(again.body, message.body, "the body survives");
    // The first writing may turn control bytes to spaces, which the next reading trims; then it is settled.
    let written = again.encode();
    let settled = Message::parse(written.clone()).expect("what we wrote can be read");
    assert_eq!(settled.encode(), written, "writing is settled");
});

/// Every typed view, whether or not it can be had.
fn look_at_everything(message: &Message) {
    let headers = &message.headers;
    let _ = (headers.vias(), headers.from(), headers.to(), headers.call_id(), headers.cseq(), headers.contact());
    let _ = (headers.session_expires(), headers.rack(), headers.reasons(), headers.content_type());
    for name in ["Require", "Supported", "Diversion", "History-Info", "P-Asserted-Identity", "Min-SE", "RSeq"] {
        let name = HeaderName::from_text(name);
        let _ = (headers.tokens(&name), headers.readable_addresses(&name), headers.number(&name));
    }
}
