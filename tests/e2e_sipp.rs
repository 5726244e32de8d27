//! Foreign signalling against the real program: SIPp's scenarios, and a caller made of templates for what
//! scenarios cannot time.

mod support;

use std::time::Duration;

use support::caller::{Caller, header, tag};
use support::record::{self, assert_true, first, journal, only_call, settled, text, words};
use support::server::{OPEN, Server};
use support::sipp::Sipp;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

#[test]
fn an_ordinary_call_chooses_a_language_and_a_menu_entry_by_key() {
    let server = Server::demo(OPEN);
    let run = Sipp::scenario("normal").pass(server.sip);
    let call = only_call(&server);
    let journal = journal(&server, &call);
    assert_true(&journal);
    assert_eq!(text(first(&journal, "arrived"), "sip_call_id"), run.call_id());
    assert_eq!(text(first(&journal, "arrived"), "dialled"), "311");
    assert_eq!(text(first(&journal, "language_chosen"), "language"), "es");
    assert_eq!(text(first(&journal, "key_pressed"), "source"), "rtp");
    let keys = words(&journal).iter().filter(|word| **word == "key_pressed").count();
    assert_eq!(keys, 2, "each key once, however many packets carried it");
    assert_eq!(text(first(&journal, "menu_chosen"), "keys"), "1");
}

#[test]
fn a_call_by_tcp_is_a_call_like_any_other() {
    let server = Server::demo(OPEN);
    Sipp::scenario("normal").tcp().pass(server.sip);
    assert_true(&journal(&server, &only_call(&server)));
}

#[test]
fn every_alias_of_311_reaches_the_same_entry_and_stays_in_the_record() {
    let server = Server::demo(OPEN);
    let aliases = ["311", "9311", "+15038234000", "5038234000", "8234000"];
    for alias in aliases {
        Sipp::scenario("bye_in_greeting").dial(alias).pass(server.sip);
    }
    let calls = settled(&server, aliases.len());
    let dialled = |call| text(first(&journal(&server, call), "arrived"), "dialled").to_owned();
    let mut seen: Vec<String> = calls.iter().map(dialled).collect();
    seen.reverse();
    assert_eq!(seen, aliases);
}

#[test]
fn a_caller_who_leaves_in_the_greeting_is_in_the_record() {
    let server = Server::demo(OPEN);
    Sipp::scenario("bye_in_greeting").pass(server.sip);
    let call = only_call(&server);
    assert_eq!(text(&call, "outcome"), "abandoned_ivr");
    let journal = journal(&server, &call);
    assert_true(&journal);
    assert_eq!(text(first(&journal, "ended"), "by"), "caller");
}

#[test]
fn an_invite_without_an_offer_is_answered_with_ours() {
    let server = Server::demo(OPEN);
    Sipp::scenario("no_offer").pass(server.sip);
    assert_true(&journal(&server, &only_call(&server)));
}

#[test]
fn hold_and_resume_are_answered_and_kept() {
    let server = Server::demo(OPEN);
    Sipp::scenario("hold").pass(server.sip);
    let journal = journal(&server, &only_call(&server));
    assert_true(&journal);
    let changes: Vec<_> = journal.iter().map(record::event).filter(|event| event["event"] == "hold_changed").collect();
    let held: Vec<Option<bool>> = changes.iter().map(|event| event["on_hold"].as_bool()).collect();
    assert_eq!(held, [Some(true), Some(false)]);
}

#[test]
fn a_caller_without_a_common_codec_is_told_488_and_kept_as_refused() {
    let server = Server::demo(OPEN);
    Sipp::scenario("bad_codec").pass(server.sip);
    assert_eq!(text(&only_call(&server), "outcome"), "refused");
}

#[test]
fn an_unknown_number_is_told_404_and_kept_as_refused() {
    let server = Server::demo(OPEN);
    Sipp::scenario("unknown_number").dial("5035550199").pass(server.sip);
    assert_eq!(text(&only_call(&server), "outcome"), "refused");
}

#[test]
fn a_keepalive_is_answered_and_is_no_call() {
    let server = Server::demo(OPEN);
    Sipp::scenario("options").pass(server.sip);
    Sipp::scenario("options").tcp().pass(server.sip);
    settled(&server, 0);
}

#[test]
fn keys_by_info_are_keys() {
    let server = Server::demo(OPEN);
    Sipp::scenario("info_keys").pass(server.sip);
    let journal = journal(&server, &only_call(&server));
    assert_eq!(text(first(&journal, "language_chosen"), "language"), "es");
    assert_eq!(text(first(&journal, "key_pressed"), "source"), "info");
    assert_eq!(text(first(&journal, "menu_chosen"), "keys"), "1");
}

#[test]
fn a_peer_that_requires_reliable_provisionals_gets_them() {
    let server = Server::demo(OPEN);
    Sipp::scenario("prack").pass(server.sip);
    assert_true(&journal(&server, &only_call(&server)));
}

#[test]
fn a_session_timer_is_agreed_and_refreshed() {
    let server = Server::demo(OPEN);
    Sipp::scenario("session_timer").pass(server.sip);
    assert_true(&journal(&server, &only_call(&server)));
}

#[test]
fn a_session_interval_that_is_too_small_is_told_422() {
    let server = Server::demo(OPEN);
    Sipp::scenario("interval_too_small").pass(server.sip);
}

#[test]
fn copies_of_an_invite_are_one_call_with_one_answer() {
    let server = Server::demo(OPEN);
    let mut caller = Caller::new(server.sip, "311");
    let mut tags = Vec::new();
    for _ in 0..4 {
        caller.invite();
        let (status, answer) = caller.answer("INVITE", ANSWER_MAX).expect("an answer to every copy");
        assert_eq!(status, 200, "{answer}");
        tags.push(tag(&answer).expect("a To tag"));
    }
    caller.ack(false);
    caller.bye();
    assert_eq!(caller.answer("BYE", ANSWER_MAX).expect("an answer to BYE").0, 200);
    tags.dedup();
    assert_eq!(tags.len(), 1, "{tags:?}");
    assert_true(&journal(&server, &only_call(&server)));
}

#[test]
fn a_caller_who_cancels_at_once_leaves_one_true_record() {
    let server = Server::demo(OPEN);
    let mut caller = Caller::new(server.sip, "311");
    caller.invite();
    caller.cancel();
    // The answer may have crossed the CANCEL; both are right, and both end the call.
    let (status, answer) = caller.answer("INVITE", ANSWER_MAX).expect("a final answer");
    match status {
        487 => caller.ack(true),
        200 => {
            caller.ack(false);
            caller.bye();
            assert_eq!(caller.answer("BYE", ANSWER_MAX).expect("an answer to BYE").0, 200);
        }
        _ => panic!("{answer}"),
    }
    let call = only_call(&server);
    assert_eq!(text(&call, "outcome"), "abandoned_ivr");
    assert_true(&journal(&server, &call));
}

#[test]
fn an_answer_that_is_never_acknowledged_ends_as_a_call_and_not_as_a_leak() {
    let server = Server::demo(OPEN);
    let mut caller = Caller::new(server.sip, "311");
    caller.invite();
    let (_, first) = caller.answer("INVITE", ANSWER_MAX).expect("an answer");
    let (_, again) = caller.answer("INVITE", ANSWER_MAX).expect("the answer again, as no ACK came");
    assert_eq!(first, again);
    caller.bye();
    let (status, _) = caller.answer("BYE", ANSWER_MAX).expect("an answer to BYE");
    assert_eq!(status, 200, "BYE is served in every state");
    assert_true(&journal(&server, &only_call(&server)));
}

#[test]
fn a_bye_for_no_call_is_told_481_and_noise_does_no_harm() {
    let mut server = Server::demo(OPEN);
    let mut caller = Caller::new(server.sip, "311");
    for noise in [&b"\r\n\r\n"[..], b"\0\xff\xfe", b"INVITE", b"SIP/2.0 200 OK\r\n\r\n", &[b'A'; 9000]] {
        caller.raw(noise);
    }
    caller.bye();
    let (status, answer) = caller.answer("BYE", ANSWER_MAX).expect("an answer");
    assert_eq!(status, 481, "{answer}");
    assert!(header(&answer, "Via").is_some() && server.is_alive());
    settled(&server, 0);
}

#[test]
fn a_server_that_is_asked_to_end_ends_well_and_has_kept_its_record() {
    let mut server = Server::demo(OPEN);
    Sipp::scenario("bye_in_greeting").calls(10).pass(server.sip);
    assert_eq!(server.stop(), Some(0));
    settled(&server, 10);
}
