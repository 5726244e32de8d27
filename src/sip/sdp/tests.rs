//! Offers as telephones send them, and what we make of them.

use proptest::prelude::*;

use super::*;

fn local() -> Local {
    Local {
        address: "192.0.2.10".parse().unwrap(),
        port: 40_000,
        session_id: 7,
        version: 1,
        codecs: Codec::ALL.map(Payload::from).to_vec(),
        dtmf: true,
        direction: Direction::SendRecv,
    }
}

fn sdp(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=call\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{media}")
}

fn agree(media: &str) -> (String, Negotiated) {
    answer(&Offer::parse(&sdp(media)).unwrap(), &local()).unwrap()
}

#[test]
fn the_callers_first_codec_that_we_speak_is_taken_and_keys_with_it() {
    let (text, agreed) = agree(
        "m=audio 5004 RTP/AVP 18 8 0 96\r\na=rtpmap:18 G729/8000\r\na=rtpmap:96 telephone-event/8000\r\n\
         a=fmtp:96 0-16\r\na=ptime:30\r\na=x-unknown:thing\r\n",
    );
    assert_eq!(agreed.send, Codec::Pcma.into());
    assert_eq!(agreed.remote, "198.51.100.1:5004".parse().unwrap());
    assert_eq!(agreed.rtcp.port(), 5005);
    assert_eq!(agreed.dtmf, Some(EventPayload { send_pt: 96, receive_pt: 96 }));
    assert_eq!((agreed.ptime_ms, agreed.direction, agreed.held), (30, Direction::SendRecv, false));
    assert_eq!(
        text,
        "v=0\r\no=cityline 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 8 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\n\
         a=fmtp:96 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn other_lines_are_refused_in_their_order_and_number() {
    let (text, agreed) = agree(
        "m=video 6000 RTP/AVP 31\r\nm=audio 5002 RTP/SAVP 0\r\nm=audio 5004 RTP/AVP 0\r\nc=IN IP6 2001:db8::9\r\n\
         m=image 5006 udptl t38\r\n",
    );
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    let expected = ["m=video 0 RTP/AVP 31", "m=audio 0 RTP/SAVP 0", "m=audio 40000 RTP/AVP 0", "m=image 0 udptl t38"];
    assert_eq!(lines, expected);
    assert_eq!(agreed.remote, "[2001:db8::9]:5004".parse().unwrap());
}

#[test]
fn holding_is_seen_in_each_of_its_three_ways() {
    for (media, ours, held) in [
        ("m=audio 5004 RTP/AVP 0\r\na=sendonly\r\n", Direction::RecvOnly, true),
        ("m=audio 5004 RTP/AVP 0\r\na=inactive\r\n", Direction::Inactive, true),
        ("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", Direction::RecvOnly, true),
        ("a=inactive\r\nm=audio 5004 RTP/AVP 0\r\na=sendrecv\r\n", Direction::SendRecv, false),
        ("m=audio 5004 RTP/AVP 0\r\na=recvonly\r\n", Direction::SendOnly, false),
    ] {
        let (text, agreed) = agree(media);
        assert_eq!((agreed.direction, agreed.held), (ours, held), "{media}");
        assert!(text.contains(&format!("a={}\r\n", ours.as_str())), "{media}");
    }
}

#[test]
fn payload_types_mean_what_rtpmap_says() {
    let (_, agreed) = agree("m=audio 5004 RTP/AVP 0 97 98\r\na=rtpmap:0 opus/48000/2\r\na=rtpmap:97 pcmu/8000/1\r\n");
    assert_eq!(agreed.send, Payload { codec: Codec::Pcmu, pt: 97 });
    let wide = agree("m=audio 5004 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/48000\r\n").1;
    assert_eq!(wide.dtmf, None);
}

#[test]
fn rtcp_goes_where_it_is_asked_to() {
    let rtcp = |line: &str| agree(&format!("m=audio 5004 RTP/AVP 0\r\n{line}")).1.rtcp.to_string();
    assert_eq!(rtcp("a=rtcp:53020\r\n"), "198.51.100.1:53020");
    assert_eq!(rtcp("a=rtcp:53020 IN IP4 198.51.100.7\r\n"), "198.51.100.7:53020");
    assert_eq!(rtcp("a=rtcp:none\r\n"), "198.51.100.1:5005");
}

#[test]
fn what_cannot_become_a_call_is_refused_by_name() {
    let refused = |media: &str| answer(&Offer::parse(&sdp(media)).unwrap(), &local()).unwrap_err();
    assert_eq!(refused("m=audio 5004 RTP/AVP 18\r\n"), NoCommonCodec);
    assert_eq!(refused("m=audio 0 RTP/AVP 0\r\n"), NoCommonCodec);
    assert_eq!(refused("m=audio 5004 UDP/TLS/RTP/SAVPF 0\r\n"), NoCommonCodec);
    assert_eq!(refused("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 phone.example\r\n"), NoCommonCodec);
    assert_eq!(Offer::parse(&sdp("")), Err(BadSdp::NoMedia));
    assert!(matches!(Offer::parse("no session"), Err(BadSdp::Garbage(_))));
    assert!(matches!(Offer::parse(&sdp("m=audio 70000 RTP/AVP 0\r\n")), Err(BadSdp::Garbage(_))));
    assert_eq!(Offer::parse(&sdp(&"m=audio 5004 RTP/AVP 0\r\n".repeat(301))), Err(BadSdp::TooManyMedia));
}

#[test]
fn three_hundred_lines_and_repeated_codecs_are_borne() {
    let (text, _) = agree(&format!("m=audio 5004 RTP/AVP{}\r\n", " 0".repeat(5_000)).repeat(300));
    assert_eq!(text.matches("\r\nm=").count(), 300);
    assert_eq!(text.matches(" 40000 ").count(), 1);
}

#[test]
fn our_offer_is_understood_and_its_answer_too() {
    let mut ours = local();
    ours.codecs.push(Payload { codec: Codec::Pcmu, pt: 101 });
    let offered = Offer::parse(&offer(&ours)).unwrap();
    assert_eq!(offered.audio().next().unwrap().event_pt, Some(102));
    let theirs = Local { address: "2001:db8::1".parse().unwrap(), codecs: vec![Codec::G722.into()], ..local() };
    let (text, at_theirs) = answer(&offered, &theirs).unwrap();
    let at_ours = accept_answer(&ours, &text).unwrap();
    assert_eq!((at_ours.send, at_theirs.send), (Codec::G722.into(), Codec::G722.into()));
    assert_eq!(at_ours.remote, "[2001:db8::1]:40000".parse().unwrap());
    assert_eq!(at_ours.dtmf, Some(EventPayload { send_pt: 102, receive_pt: 102 }));
    let refusal = sdp("m=audio 0 RTP/AVP 0\r\n");
    assert_eq!(accept_answer(&ours, &refusal), Err(BadAnswer::NoCommonCodec(NoCommonCodec)));
}

#[test]
fn a_later_offer_keeps_the_layout_of_the_first() {
    let first = Offer::parse(&sdp("m=video 6000 RTP/AVP 31\r\nm=audio 5004 RTP/AVP 0\r\n")).unwrap();
    let again = offer_again(&first, &local()).unwrap();
    let lines: Vec<&str> = again.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 RTP/AVP 31", "m=audio 40000 RTP/AVP 0 8 9 101"]);
}

proptest! {
    #[test]
    fn whatever_we_offer_or_answer_can_be_read_again(
        port in 1..65_535_u16, v6 in any::<bool>(), dtmf in any::<bool>(), direction in 0..4_usize,
    ) {
        let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        let address = if v6 { "2001:db8::5" } else { "198.51.100.5" }.parse().unwrap();
        let ours = Local { address, port, dtmf, direction: all[direction], ..local() };
        let offered = Offer::parse(&offer(&ours)).unwrap();
        let (text, theirs) = answer(&offered, &local()).unwrap();
        let agreed = accept_answer(&ours, &text).unwrap();
        prop_assert_eq!(theirs.remote, std::net::SocketAddr::new(address, port));
        prop_assert_eq!(theirs.dtmf.is_some(), dtmf);
        prop_assert_eq!(agreed.direction.sends(), theirs.direction.receives());
        prop_assert_eq!(agreed.direction.receives(), theirs.direction.sends());
    }

    #[test]
    fn no_text_upsets_the_reader(text in "(v=0\r\n)?(o=- 1 1 IN IP4 1.1.1.1\r\n)?([a-z]=[ -~é]{0,30}\r?\n){0,8}") {
        if let Ok(offer) = Offer::parse(&text) {
            let _ = answer(&offer, &local());
        }
    }
}
