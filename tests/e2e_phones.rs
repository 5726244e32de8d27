//! The foreign phones, tried on each other: when a call to the server fails, it is not because of them.

#![allow(clippy::expect_used, reason = "a test that cannot go on stops")]

mod support;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use audio_codec_algorithms::encode_ulaw;
use support::baresip::Baresip;
use support::listen::Sound;
use support::sipp::Sipp;
use support::speech::speech;
use support::{clock, folder, free_port, root};

/// SIPp as the called side. Dropping it ends the process.
struct Desk {
    child: Child,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn start(arguments: &[&str], says: &Sound) -> Self {
        let folder = folder();
        let bytes: Vec<u8> = says.samples.iter().map(|sample| encode_ulaw(*sample as i16)).collect();
        std::fs::write(folder.path().join("speech.ulaw"), bytes).expect("room for the speech");
        let (port, media) = (free_port(), free_port() & !1);
        let child = Command::new("sipp")
            .args(arguments)
            .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-mi", "127.0.0.1", "-mp", &media.to_string()])
            .args(["-nostdin", "-timeout", "60"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp, which `./dev test` installs");
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let desk = Self { child, address, _folder: folder };
        clock::until("the desk to listen", Duration::from_secs(5), || std::net::UdpSocket::bind(address).err());
        desk
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_scenario_passes_where_the_other_side_does_what_it_says_and_fails_where_not() {
    let desk = Desk::start(&["-sn", "uas"], &speech(1, 0.1));
    let run = Sipp::scenario("bye_in_greeting").pass(desk.address);
    assert!(run.messages.contains("SIP/2.0 200 OK") && run.call_id().ends_with("127.0.0.1"), "{}", run.describe());
    let refused = Sipp::scenario("unknown_number").run(desk.address);
    assert!(!refused.success, "the desk answers 200 where the scenario wants 404");
}

#[test]
fn the_softphone_records_what_the_other_side_says() {
    let said = speech(7, 4.0);
    let scenario = root().join("tests/sipp/desk_speaks.xml");
    let desk = Desk::start(&["-sf", &scenario.to_string_lossy()], &said);
    let mut phone = Baresip::start("PCMU");
    phone.dial("desk", desk.address);
    phone.listen(Duration::from_secs(6));
    let heard = phone.hang_up();
    let hearing = heard.best("speech", &said);
    assert!(hearing.score > 0.8, "{hearing:?} in {:?}, {:.2} of it voiced", heard.length(), heard.voiced());
    assert!(heard.find("another", &speech(8, 4.0)).is_none());
}
