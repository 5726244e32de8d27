//! A softphone calls, and what it hears is what the rules say: the right prompt, in the right language, whole.

mod support;

use std::time::Duration;

use support::baresip::Baresip;
use support::listen::{Hearing, Sound};
use support::record::{assert_true, first, journal, only_call, text};
use support::root;
use support::server::{NIGHT, OPEN, Server};

/// How much of a prompt may be missing without anyone noticing.
const GAP_MAX: Duration = Duration::from_millis(60);

/// The recording of a prompt.
fn prompt(language: &str, name: &str) -> (String, Sound) {
    let path = root().join(format!("prompts/{language}/{name}.wav"));
    (format!("{language}/{name}"), Sound::read(&path))
}

/// The prompts, of those named, that were heard, in order; each must be whole.
fn heard(sound: &Sound, names: &[(&str, &str)]) -> Vec<String> {
    let prompts: Vec<_> = names.iter().map(|(language, name)| prompt(language, name)).collect();
    let transcript = sound.transcript(&prompts);
    transcript.iter().for_each(assert_whole);
    transcript.into_iter().map(|hearing| hearing.name).collect()
}

fn assert_whole(hearing: &Hearing) {
    let longest = hearing.gaps.iter().map(|(_, length)| *length).max().unwrap_or_default();
    assert!(longest <= GAP_MAX, "{hearing:?}");
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_greeting_with_its_emergency_notice_is_heard_at_once_and_whole() {
    let server = Server::demo(OPEN);
    let mut phone = Baresip::start("PCMU");
    phone.dial("311", server.sip);
    phone.listen(seconds(10));
    let sound = phone.hang_up();
    let (name, greeting) = prompt("en", "greeting");
    let hearing = sound.find(&name, &greeting).expect("the greeting");
    assert_whole(&hearing);
    assert!(hearing.score > 0.8, "{hearing:?}");
    let end = hearing.at + greeting.length();
    assert!(end <= seconds(6), "the notice must have been said within 5 s and a breath, not {end:?}");
    let call = only_call(&server);
    assert_eq!(text(&call, "outcome"), "abandoned_ivr");
    assert_true(&journal(&server, &call));
}

#[test]
fn a_language_that_was_chosen_is_spoken_from_then_on() {
    let server = Server::demo(OPEN);
    let mut phone = Baresip::start("PCMA");
    phone.dial("311", server.sip);
    phone.listen(seconds(1));
    phone.press('3');
    phone.listen(seconds(12));
    let sound = phone.hang_up();
    let names = [("vi", "welcome"), ("en", "welcome"), ("es", "welcome")];
    assert_eq!(heard(&sound, &names), ["vi/welcome"]);
    let journal = journal(&server, &only_call(&server));
    assert_eq!(text(first(&journal, "language_chosen"), "language"), "vi");
}

#[test]
fn keys_lead_to_the_desk_that_the_rules_name_and_its_voice_is_heard() {
    let server = Server::demo(OPEN);
    let mut phone = Baresip::start("PCMU");
    phone.dial("311", server.sip);
    phone.listen(seconds(1));
    // English, something urgent, a hazard in the road: the street maintenance line, day and night.
    for key in ['1', '1', '1'] {
        phone.press(key);
        phone.listen(Duration::from_millis(1500));
    }
    phone.listen(seconds(20));
    let sound = phone.hang_up();
    let names = [("en", "desk.pbot_maint"), ("en", "desk.water_cs"), ("en", "desk.agents_311")];
    assert_eq!(heard(&sound, &names), ["en/desk.pbot_maint"]);
    let call = only_call(&server);
    assert_eq!(text(&call, "outcome"), "transferred_answered");
    let journal = journal(&server, &call);
    assert_true(&journal);
    assert_eq!(text(first(&journal, "bridged"), "line"), "pbot_maint");
}

#[test]
fn nought_is_a_person_from_anywhere() {
    let server = Server::demo(OPEN);
    let mut phone = Baresip::start("PCMU");
    phone.dial("311", server.sip);
    phone.listen(seconds(1));
    phone.press('1');
    phone.listen(seconds(2));
    phone.press('0');
    phone.listen(seconds(25));
    let sound = phone.hang_up();
    assert_eq!(heard(&sound, &[("en", "desk.agents_311"), ("en", "queue.closing")]), ["en/desk.agents_311"]);
    assert_eq!(text(&only_call(&server), "outcome"), "answered_by_agent");
}

#[test]
fn at_night_the_closed_menu_is_heard_and_urgent_lines_still_answer() {
    let server = Server::demo(NIGHT);
    let mut phone = Baresip::start("PCMU");
    phone.dial("311", server.sip);
    phone.listen(seconds(1));
    phone.press('2');
    phone.listen(seconds(18));
    let sound = phone.hang_up();
    let (name, closed) = prompt("es", "menu.closed");
    // It is longer than we listen: its first ten seconds tell it from every other.
    let beginning = Sound { samples: closed.samples[..closed.samples.len().min(64_000)].to_vec() };
    assert_whole(&sound.find(&name, &beginning).expect("the closed menu, in Spanish"));
}

#[test]
fn a_caller_on_hold_comes_back_to_the_same_call() {
    let server = Server::demo(OPEN);
    let mut phone = Baresip::start("PCMU");
    phone.dial("311", server.sip);
    phone.listen(seconds(2));
    phone.hold();
    phone.listen(seconds(2));
    phone.resume();
    phone.listen(seconds(10));
    let sound = phone.hang_up();
    assert!(sound.voiced() > 0.2, "something was heard: {}", sound.voiced());
    let journal = journal(&server, &only_call(&server));
    assert_true(&journal);
    first(&journal, "hold_changed");
}
