//! Torture messages: one of our own for every section of RFC 4475 and RFC 5118, against the parser.
//!
//! `tests/torture/table.toml` names for each what it stands for and what must come of it. Here the parser is
//! held to it; the signalling tests send the same files to a whole server and hold it to the final answer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

use std::path::Path;

use bytes::Bytes;
use cityline::sip::framing::{Frame, Framer};
use cityline::sip::headers::HeaderName;
use cityline::sip::message::{Message, Method};
use cityline::sip::sdp::{Codec, Direction, Local, Offer, Payload, answer};
use proptest::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    message: Vec<Row>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    file: String,
    section: String,
    about: String,
    parse: String,
    answer: String,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

fn table() -> Vec<Row> {
    let text = std::fs::read_to_string(folder().join("table.toml")).unwrap();
    toml::from_str::<Table>(&text).unwrap().message
}

fn read(file: &str) -> Bytes {
    Bytes::from(std::fs::read(folder().join(file)).unwrap())
}

/// What the parser makes of these bytes, in the words of the table.
fn verdict(bytes: Bytes) -> String {
    match Message::parse(bytes) {
        Ok(_) => "valid".to_owned(),
        Err(malformed) => malformed.status().map_or("silence".to_owned(), |status| status.to_string()),
    }
}

#[test]
fn every_torture_message_gets_what_the_rfcs_ask_for() {
    let wrong: Vec<String> = table()
        .iter()
        .filter(|row| verdict(read(&row.file)) != row.parse)
        .map(|row| {
            let fault = Message::parse(read(&row.file)).err().map(|malformed| malformed.fault.to_string());
            format!("{} ({}): wanted {}, got {} {fault:?}", row.file, row.about, row.parse, verdict(read(&row.file)))
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_section_has_its_message_and_every_message_its_row() {
    let rows = table();
    let has = |section: String| assert!(rows.iter().any(|row| row.section == section), "nothing for {section}");
    (1..=13).for_each(|n| has(format!("RFC 4475 §3.1.1.{n}")));
    (1..=19).for_each(|n| has(format!("RFC 4475 §3.1.2.{n}")));
    has("RFC 4475 §3.2.1".into());
    (1..=15).for_each(|n| has(format!("RFC 4475 §3.3.{n}")));
    has("RFC 4475 §3.4.1".into());
    (1..=10).for_each(|n| has(format!("RFC 5118 §4.{n}")));
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for file in files.filter(|file| file.ends_with(".dat")) {
        assert!(rows.iter().any(|row| row.file == file), "{file} has no row");
    }
    for row in &rows {
        assert!(row.answer == "silence" || row.answer.parse::<u16>().is_ok(), "{}: {}", row.file, row.answer);
        assert!(row.parse == "valid" || row.answer == row.parse, "{}: refused twice and differently", row.file);
    }
}

#[test]
fn a_refusal_says_where_it_goes_and_what_it_refuses() {
    for row in table().iter().filter(|row| row.parse.parse::<u16>().is_ok()) {
        let malformed = Message::parse(read(&row.file)).unwrap_err();
        let answer = malformed.answer().unwrap();
        let again = Message::parse(answer.encode());
        assert_eq!(answer.headers.get(&HeaderName::Via), malformed.headers.get(&HeaderName::Via), "{}", row.file);
        assert_eq!(answer.status().map(|status| status.to_string()).as_deref(), Some(row.parse.as_str()));
        if let Ok(again) = again {
            assert_eq!(again.status(), answer.status());
        }
    }
}

#[test]
fn what_is_read_can_be_written_and_read_again() {
    for row in table().iter().filter(|row| row.parse == "valid") {
        let mut message = Message::parse(read(&row.file)).unwrap();
        message.headers.set(HeaderName::ContentLength, message.body.len().to_string());
        let again = Message::parse(message.encode()).unwrap_or_else(|bad| panic!("{}: {}", row.file, bad.fault));
        assert_eq!(again, message, "{}", row.file);
    }
}

#[test]
fn the_tortuous_invite_is_understood_in_full() {
    let message = Message::parse(read("tortuous-invite.dat")).unwrap();
    assert_eq!(message.headers.from().unwrap().display.as_deref(), Some("R. \\ \"Rosa\" Parkrose"));
    assert_eq!(message.headers.cseq().unwrap().number, 9);
    assert_eq!(message.headers.number(&HeaderName::MaxForwards), Ok(68));
    let vias = message.headers.vias().unwrap();
    assert_eq!(vias.iter().map(|via| via.transport.as_str()).collect::<Vec<_>>(), ["UDP", "TCP"]);
    assert_eq!((vias[0].port, vias[1].branch()), (Some(5999), Some("z9hG4bK30239")));
    let fangled = message.headers.text(&HeaderName::from_text("newfangled")).unwrap().into_owned();
    assert_eq!(fangled, "newfangled value continued newfangled value");
    assert!(Offer::parse(std::str::from_utf8(&message.body).unwrap()).is_ok());
}

#[test]
fn one_odd_byte_costs_nothing() {
    let message = Message::parse(read("latin-1-name.dat")).unwrap();
    assert_eq!(message.headers.from().unwrap().display.as_deref(), Some("José Muñoz"));
    assert_eq!(message.headers.content_type().as_deref(), Some("application/sdp"));
    assert!(!message.body.is_empty());
}

#[test]
fn escapes_keep_their_spelling() {
    let message = Message::parse(read("escaped-request-uri.dat")).unwrap();
    assert_eq!(message.uri().unwrap().to_string(), "sip:%33%31%31@city.example");
    assert_eq!(message.uri().unwrap().user().as_deref(), Some("311"));
    assert!(message.encode().starts_with(b"INVITE sip:%33%31%31@city.example SIP/2.0\r\n"));
    let percent = Message::parse(read("percent-in-method.dat")).unwrap();
    assert_eq!(percent.method(), Some(&Method::Other("O%50TIONS".into())));
}

/// The same calls as the targets under `fuzz/`, so that these are right before a fuzzer ever runs.
fn everything_at_once(bytes: &[u8]) {
    match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(message) => {
            let again = Message::parse(message.encode()).expect("what was read can be read again");
            assert_eq!((again.body, again.start), (message.body, message.start));
        }
        Err(malformed) => drop(malformed.answer().map(|answer| answer.encode())),
    }
    let (one, two) = bytes.split_at(bytes.len() / 2);
    assert_eq!(messages(&[one, two]), messages(&[bytes]));
    let text = String::from_utf8_lossy(bytes);
    let body = text.find("v=0").map_or(&*text, |at| &text[at..]);
    let Ok(offer) = Offer::parse(body) else { return };
    if let Ok((text, _)) = answer(&offer, &local()) {
        assert_eq!(Offer::parse(&text).expect("our own answer can be read").media_lines(), offer.media_lines());
    }
}

fn messages(pieces: &[&[u8]]) -> Vec<Frame> {
    let (now, mut framer, mut all) = (tokio::time::Instant::now(), Framer::new(), Vec::new());
    for piece in pieces {
        framer.push(now, piece);
        while let Ok(Some(frame)) = framer.next(now) {
            all.extend(matches!(frame, Frame::Message(_)).then_some(frame));
        }
    }
    all
}

fn local() -> Local {
    Local {
        address: [192, 0, 2, 1].into(),
        port: 40_000,
        session_id: 1,
        version: 1,
        codecs: Codec::ALL.map(Payload::from).to_vec(),
        dtmf: true,
        direction: Direction::SendRecv,
    }
}

proptest! {
    #[test]
    fn no_bytes_upset_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        everything_at_once(&bytes);
    }

    #[test]
    fn no_mutation_of_a_torture_message_upsets_the_parser(
        pick in any::<prop::sample::Index>(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..8),
    ) {
        let rows = table();
        let mut bytes = read(&rows[pick.index(rows.len())].file).to_vec();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        everything_at_once(&bytes);
    }
}
