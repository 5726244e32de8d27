//! The SIP core, end to end but without a network: what a phone sends, and what it gets back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

#[path = "wire/phone.rs"]
mod phone;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cityline::sip::agent::{Census, Command, DialogEvent, DialogId, Input, Limits, Settings, Strangers};
use cityline::sip::headers::HeaderName;
use cityline::sip::message::Method;
use cityline::sip::trunk::Trunk;
use cityline::terms::cause::Cause;
use phone::{OFFER, Phone, dial, reply, request, request_by, settings};

#[test]
fn a_call_is_answered_acknowledged_and_ended_by_the_caller() {
    let mut phone = Phone::new(settings());
    let dialog = phone.invites(OFFER);
    let incoming = phone.incoming[0].1.clone();
    assert_eq!((incoming.dialled.as_str(), incoming.caller.as_deref()), ("311", Some("+15035550100")));
    assert_eq!(incoming.offer.as_deref(), Some("v=0 offer"));
    phone.asks(dialog, Command::Progress { status: 180, sdp: None });
    phone.asks(dialog, Command::Answer { sdp: "v=0 answer".into() });
    assert_eq!(phone.statuses(), [100, 180, 200]);
    for name in [HeaderName::Contact, HeaderName::Allow, HeaderName::Supported, HeaderName::Server] {
        assert!(phone.last().headers.has(&name), "{name}");
    }
    let tag = phone.tag();
    phone.says(&request("ACK", 1, &tag, "\n")).says(&request("BYE", 2, &tag, "\n"));
    let events: Vec<_> = phone.events.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(
        events,
        [
            DialogEvent::Confirmed { sdp: None },
            DialogEvent::Ended { by_peer: true, cause: Cause::Normal, status: None }
        ]
    );
    assert_eq!(phone.last().status(), Some(200));
    phone.waits(Duration::from_secs(64));
    assert_eq!(phone.agent.census(), Census::default());
}

#[test]
fn a_cancelled_call_gets_200_and_487_and_ends_once() {
    let mut phone = Phone::new(settings());
    phone.invites(OFFER);
    let cancel = request_by("CANCEL", 1, "", "z9hG4bKINVITE1", "Reason: SIP;cause=200;text=\"elsewhere\"\n\n");
    phone.says(&cancel).says(&cancel);
    assert_eq!(phone.statuses(), [100, 200, 487, 200]);
    assert_eq!(phone.events.len(), 1);
    let stranger = cancel.replace("z9hG4bKINVITE1", "z9hG4bKother");
    assert_eq!(phone.says(&stranger).last().status(), Some(481));
}

#[test]
fn a_delayed_offer_is_made_in_the_200_and_answered_in_the_ack() {
    let mut phone = Phone::new(settings());
    let dialog = phone.invites("\n");
    assert_eq!(phone.incoming[0].1.offer, None);
    phone.asks(dialog, Command::Answer { sdp: "v=0 our offer".into() });
    let tag = phone.tag();
    phone.says(&request("ACK", 1, &tag, "Content-Type: application/sdp\n\nv=0 their answer"));
    assert_eq!(phone.events[0].1, DialogEvent::Confirmed { sdp: Some("v=0 their answer".into()) });
}

#[test]
fn an_ack_without_the_answer_to_our_offer_ends_the_call() {
    let mut phone = Phone::new(settings());
    let dialog = phone.invites("\n");
    phone.asks(dialog, Command::Answer { sdp: "v=0 our offer".into() });
    let tag = phone.tag();
    phone.says(&request("ACK", 1, &tag, "\n"));
    assert_eq!(phone.requests(), [&Method::Bye]);
    assert!(matches!(phone.events[0].1, DialogEvent::Ended { by_peer: false, cause: Cause::ProtocolError, .. }));
}

#[test]
fn a_200_nobody_acknowledges_is_repeated_and_then_ended_by_bye() {
    let mut phone = Phone::new(settings());
    let dialog = phone.invites(OFFER);
    phone.asks(dialog, Command::Answer { sdp: "v=0".into() }).waits(Duration::from_secs(33));
    assert_eq!(phone.statuses().iter().filter(|status| **status == 200).count(), 11);
    assert_eq!(phone.requests()[0], &Method::Bye);
    assert_eq!(phone.events.len(), 1);
    phone.waits(Duration::from_secs(64));
    assert_eq!(phone.agent.census(), Census::default());
}

#[test]
fn a_bye_of_ours_waits_for_the_ack_and_carries_the_reason() {
    let mut phone = Phone::new(settings());
    let dialog = phone.invites(OFFER);
    phone.asks(dialog, Command::Answer { sdp: "v=0".into() }).asks(dialog, Command::Bye { cause: Cause::Normal });
    assert_eq!(phone.events.len(), 1, "the end is told at once");
    assert!(phone.requests().is_empty(), "and said when it may be");
    let tag = phone.tag();
    phone.says(&request("ACK", 1, &tag, "\n"));
    assert_eq!(phone.requests(), [&Method::Bye]);
    assert!(phone.last().headers.text(&HeaderName::Reason).unwrap().starts_with("Q.850;cause=16"));
}

#[test]
fn reliable_responses_are_repeated_until_their_prack_and_hold_the_answer() {
    let mut phone = Phone::new(settings());
    let dialog = phone.invites(&format!("Require: 100rel\n{OFFER}"));
    phone.asks(dialog, Command::Progress { status: 183, sdp: Some("v=0 early".into()) });
    let rseq = phone.last().headers.number(&HeaderName::RSeq).unwrap();
    assert!(phone.last().headers.has_token(&HeaderName::Require, "100rel"));
    phone.waits(Duration::from_millis(1600));
    assert_eq!(phone.statuses(), [100, 183, 183, 183]);
    phone.asks(dialog, Command::Answer { sdp: "v=0 early".into() });
    assert_eq!(phone.last().status(), Some(183), "the 200 waits for the PRACK");
    let tag = phone.tag();
    phone.says(&request("PRACK", 2, &tag, &format!("RAck: {} 1 INVITE\n\n", rseq + 1)));
    assert_eq!(phone.last().status(), Some(481), "an unknown RAck");
    phone.says(&request("PRACK", 3, &tag, &format!("RAck: {rseq} 1 INVITE\n\n")));
    let tail: Vec<u16> = phone.statuses().into_iter().rev().take(2).collect();
    assert_eq!(tail, [200, 200], "for the PRACK, and for the INVITE");
    assert!(phone.last().body.is_empty(), "the answer was given in the 183");
}

#[test]
fn a_reliable_response_without_prack_is_given_up_after_64_t1() {
    let mut phone = Phone::new(settings());
    let dialog = phone.invites(&format!("Require: 100rel\n{OFFER}"));
    phone.asks(dialog, Command::Progress { status: 180, sdp: None }).waits(Duration::from_secs(33));
    assert!(phone.statuses().contains(&504));
    assert!(matches!(phone.events[0].1, DialogEvent::Ended { status: Some(504), .. }));
}

#[test]
fn what_we_do_not_serve_is_refused_as_the_rfc_says_and_leaves_nothing() {
    let refused = |text: String| {
        let mut phone = Phone::new(settings());
        phone.says(&text);
        assert_eq!(phone.agent.census(), Census::default(), "{text}");
        assert!(phone.incoming.is_empty());
        let answer = phone.last();
        (answer.status().unwrap(), answer.headers.has(&HeaderName::Allow), answer.headers.has(&HeaderName::Unsupported))
    };
    assert_eq!(refused(request("REFER", 1, "", "\n")), (405, true, false));
    assert_eq!(refused(request("FROBNICATE", 1, "", "\n")), (501, true, false));
    assert_eq!(refused(request("BYE", 1, ";tag=0123456789abcdef", "\n")).0, 481);
    assert_eq!(refused(request("INVITE", 1, ";tag=0123456789abcdef", OFFER)).0, 481);
    assert_eq!(refused(request("INVITE", 1, "", &format!("Require: nothing-we-know\n{OFFER}"))), (420, false, true));
    assert_eq!(refused(request("INVITE", 1, "", OFFER).replace("sip:311@127.0.0.1 SIP", "nobody:311 SIP")).0, 416);
    assert_eq!(refused(request("INVITE", 1, "", OFFER).replace("Max-Forwards: 70", "Max-Forwards: 0")).0, 483);
    assert_eq!(refused(request("INVITE", 1, "", "Content-Type: text/plain\n\nhello")).0, 415);
    assert_eq!(refused(request("INVITE", 1, "", OFFER).replace("CSeq: 1 INVITE", "CSeq: 1 BYE")).0, 400);
    let small = format!("Supported: timer\nSession-Expires: 60\n{OFFER}");
    assert_eq!(refused(request("INVITE", 1, "", &small)).0, 422);
}

#[test]
fn the_same_call_by_two_ways_is_taken_once() {
    let mut phone = Phone::new(settings());
    phone.invites(OFFER);
    phone.says(&request_by("INVITE", 1, "", "z9hG4bKfork", OFFER));
    assert_eq!(phone.last().status(), Some(482));
    assert_eq!(phone.incoming.len(), 1);
    phone.says(&request("INVITE", 1, "", OFFER));
    assert_eq!(phone.last().status(), Some(100), "a repetition gets what was sent before");
    assert_eq!(phone.incoming.len(), 1);
}

#[test]
fn inside_a_call_old_numbers_unknown_things_and_changes_are_answered() {
    let mut phone = Phone::new(settings());
    let dialog = phone.is_up();
    let tag = phone.tag();
    let status = |phone: &mut Phone, text: String| phone.says(&text).last().status();
    let keys = "Content-Type: application/dtmf-relay\n\nSignal=1\nDuration=160\n";
    assert_eq!(status(&mut phone, request("INFO", 5, &tag, keys)), Some(200));
    let (_, event) = phone.events.last().unwrap();
    assert!(matches!(event, DialogEvent::Info { content_type, .. } if content_type == "application/dtmf-relay"));
    assert_eq!(status(&mut phone, request("INFO", 4, &tag, keys)), Some(500), "an old number");
    assert_eq!(status(&mut phone, request("REFER", 6, &tag, "\n")), Some(405));
    assert_eq!(status(&mut phone, request("UPDATE", 7, &tag, "\n")), Some(200));
    assert_eq!(status(&mut phone, request("INVITE", 8, &tag, OFFER)), Some(100));
    assert_eq!(status(&mut phone, request("UPDATE", 9, &tag, OFFER)), Some(500), "one offer at a time");
    phone.asks(dialog, Command::RefuseOffer { status: 488 });
    assert_eq!(phone.last().status(), Some(488));
    phone.asks(dialog, Command::Offer { sdp: "v=0 hold".into() });
    assert_eq!(phone.last().method(), Some(&Method::Invite));
    assert_eq!(status(&mut phone, request("INVITE", 10, &tag, OFFER)), Some(491), "glare");
    assert_eq!(status(&mut phone, request("BYE", 11, &tag, "\n")), Some(200));
    assert_eq!(phone.events.iter().filter(|(_, event)| matches!(event, DialogEvent::Ended { .. })).count(), 1);
}

#[test]
fn a_change_without_word_from_inside_is_refused_in_time() {
    let mut phone = Phone::new(settings());
    phone.is_up();
    let tag = phone.tag();
    phone.says(&request("UPDATE", 2, &tag, OFFER)).waits(Duration::from_secs(11));
    assert_eq!(phone.last().status(), Some(500));
    assert!(phone.last().headers.has(&HeaderName::RetryAfter));
}

#[test]
fn options_says_how_we_are_and_draining_refuses_new_calls_for_a_moment() {
    let mut phone = Phone::new(settings());
    let dialog = phone.is_up();
    let tag = phone.tag();
    phone.says(&request("OPTIONS", 50, "", "\n"));
    assert_eq!(phone.last().status(), Some(200));
    assert!(phone.last().headers.has(&HeaderName::Accept));
    phone.hand(Input::Draining(true));
    let call_2 = |text: String| text.replace("call-1", "call-2").replace("z9hG4bK", "z9hG4bKb");
    for text in [request("OPTIONS", 51, "", "\n"), request("INVITE", 1, "", OFFER)] {
        phone.says(&call_2(text));
        assert_eq!(phone.last().status(), Some(503));
        assert!((1..=4).contains(&phone.last().headers.seconds(&HeaderName::RetryAfter).unwrap()));
    }
    assert_eq!(phone.agent.refusals().draining, 1);
    phone.says(&request("BYE", 2, &tag, "\n"));
    assert_eq!(phone.last().status(), Some(200), "a call that is up is served");
    assert_eq!(phone.events.last().unwrap().0, dialog);
}

#[test]
fn past_the_limits_new_calls_get_503_and_no_state() {
    let limits = Limits { calls: 1, ..Limits::default() };
    let mut phone = Phone::new(Settings { limits, ..settings() });
    phone.invites(OFFER);
    let before = phone.agent.census();
    for call in 2..500 {
        let text = request("INVITE", 1, "", OFFER).replace("call-1", &format!("call-{call}"));
        phone.says(&text.replace("z9hG4bKINVITE1", &format!("z9hG4bK{call}")));
        assert_eq!(phone.last().status(), Some(503));
    }
    assert_eq!(phone.agent.census(), before);
    assert_eq!(phone.agent.refusals().calls, 498);
}

#[test]
fn strangers_are_met_with_silence_or_403_as_set() {
    for (strangers, answers) in [(Strangers::Ignore, vec![]), (Strangers::Forbid, vec![403])] {
        let mut phone = Phone::new(Settings { trunks: vec![], strangers, ..settings() });
        phone.says(&request("INVITE", 1, "", OFFER));
        assert_eq!(phone.statuses(), answers);
        assert_eq!(phone.agent.refusals().strangers, 1);
        assert_eq!(phone.agent.census(), Census::default());
    }
    let mut phone = Phone::new(Settings { trunks: vec![], ..settings() });
    phone.says("INVITE sip:311@127.0.0.1 SIP/7.0\nVia: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK1\n\n");
    assert!(phone.sent.is_empty(), "not even for what cannot be read");
}

#[test]
fn a_dialled_call_is_answered_and_ended_and_other_branches_are_let_go() {
    let mut phone = Phone::new(settings());
    phone.hand(dial(&["sip:desk@127.0.0.2"]));
    let invite = phone.last().clone();
    assert!(!String::from_utf8_lossy(&invite.encode()).contains("Evil"), "nobody smuggles a header in");
    phone.says(&reply(&invite, 180, "a", "\n")).says(&reply(&invite, 200, "a", OFFER));
    assert_eq!(phone.requests(), [&Method::Invite, &Method::Ack]);
    phone.says(&reply(&invite, 200, "a", OFFER));
    assert_eq!(phone.requests(), [&Method::Invite, &Method::Ack, &Method::Ack], "each 2xx is acknowledged");
    phone.says(&reply(&invite, 200, "b", OFFER));
    assert_eq!(phone.requests()[3..], [&Method::Ack, &Method::Bye], "the first 2xx has won");
    phone.asks(DialogId(1), Command::Bye { cause: Cause::Normal });
    let kinds: Vec<_> = phone.events.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(kinds[0], DialogEvent::Ringing { status: 180, sdp: None });
    assert_eq!(kinds[1], DialogEvent::Answered { sdp: Some("v=0 offer".into()) });
    assert_eq!(kinds[2], DialogEvent::Ended { by_peer: false, cause: Cause::Normal, status: None });
    assert_eq!(kinds.len(), 3);
}

#[test]
fn a_late_200_after_a_cancel_is_acknowledged_and_ended() {
    let mut phone = Phone::new(settings());
    phone.hand(dial(&["sip:desk@127.0.0.2"]));
    let invite = phone.last().clone();
    phone.asks(DialogId(1), Command::Cancel);
    assert_eq!(phone.requests(), [&Method::Invite], "no CANCEL before a provisional response");
    phone.says(&reply(&invite, 100, "", "\n"));
    assert_eq!(phone.requests(), [&Method::Invite, &Method::Cancel]);
    phone.says(&reply(&invite, 200, "a", OFFER));
    assert_eq!(phone.requests()[2..], [&Method::Ack, &Method::Bye]);
    assert_eq!(phone.events.len(), 1);
    phone.waits(Duration::from_secs(100));
    assert_eq!(phone.agent.census(), Census::default());
}

#[test]
fn targets_are_tried_in_order_and_the_last_word_is_the_cause() {
    let mut phone = Phone::new(settings());
    phone.hand(dial(&["sip:a@127.0.0.2", "sip:b@127.0.0.3", "sip:c@127.0.0.4"]));
    let first = phone.last().clone();
    phone.says(&reply(&first, 503, "x", "\n"));
    let second = phone.last().clone();
    assert!(second.uri().unwrap().to_string().contains("b@127.0.0.3"));
    phone.waits(Duration::from_secs(4));
    let third =
        phone.sent.iter().rev().find(|one| one.uri().is_some_and(|uri| uri.to_string().contains("c@127.0.0.4")));
    let third = third.expect("a silent target is passed over").clone();
    phone.says(&reply(&third, 302, "z", "\n"));
    assert_eq!(
        phone.events.last().unwrap().1,
        DialogEvent::Ended { by_peer: true, cause: Cause::Unavailable, status: Some(302) },
        "a redirection is not followed"
    );
}

#[test]
fn names_are_looked_up_and_nobody_there_is_an_end() {
    let mut phone = Phone::new(settings());
    phone.hand(dial(&["sip:desk@bureau.example"]));
    let ticket = phone.lookups[0];
    phone.hand(Input::Resolved { ticket, found: vec![] });
    assert!(matches!(phone.events[0].1, DialogEvent::Ended { cause: Cause::Unreachable, .. }));
    assert_eq!(phone.agent.census().dialogs, 0);
}

#[test]
fn nobody_answers_within_the_ring_time_and_a_foreign_challenge_is_not_taken_up() {
    let mut phone = Phone::new(settings());
    phone.hand(dial(&["sip:desk@127.0.0.2"]));
    let invite = phone.last().clone();
    phone.says(&reply(&invite, 180, "a", "\n")).waits(Duration::from_secs(21));
    assert!(phone.requests().contains(&&Method::Cancel));
    assert!(matches!(phone.events[1].1, DialogEvent::Ended { cause: Cause::NoAnswer, .. }));
    let mut phone = Phone::new(settings());
    phone.hand(dial(&["sip:desk@127.0.0.2"]));
    let invite = phone.last().clone();
    phone.says(&reply(&invite, 407, "a", "Proxy-Authenticate: Digest realm=\"x\", nonce=\"y\"\n\n"));
    assert_eq!(phone.requests(), [&Method::Invite, &Method::Ack]);
    assert!(matches!(phone.events[0].1, DialogEvent::Ended { cause: Cause::Forbidden, status: Some(407), .. }));
}

#[derive(serde::Deserialize)]
struct Table {
    message: Vec<Row>,
}

#[derive(serde::Deserialize)]
struct Row {
    file: String,
    about: String,
    answer: String,
}

#[test]
fn every_torture_message_gets_its_final_answer_and_leaves_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let table: Table = toml::from_str(&std::fs::read_to_string(folder.join("table.toml")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for row in table.message {
        let everyone = vec!["0.0.0.0/0".parse().unwrap()];
        let mut phone = Phone::new(Settings { trunks: vec![Trunk::new("all", everyone, true)], ..settings() });
        let bytes = Bytes::from(std::fs::read(folder.join(&row.file)).unwrap());
        phone.hand(Input::Received { flow: phone.flow, bytes });
        if let Some((dialog, _)) = phone.incoming.first() {
            let dialog = *dialog;
            phone.asks(dialog, Command::Answer { sdp: "v=0".into() });
        }
        let last = phone.statuses().last().copied();
        let got = last.map_or("silence".to_owned(), |status| status.to_string());
        if got != row.answer {
            wrong.push(format!("{}: {got}, not {} ({})", row.file, row.answer, row.about));
        }
        phone.waits(Duration::from_secs(200));
        assert_eq!(phone.agent.census(), Census::default(), "{}", row.file);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
