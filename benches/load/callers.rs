//! Callers who stay: each INVITE names one shared port for audio, and is answered with a port of its own.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::process::Target;
use super::words::{Told, Voice, read};

/// New calls a second.
const RATE: u32 = 200;
/// How long all of them may take to be answered, past their own pace.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls that are up.
pub(crate) struct Callers {
    socket: UdpSocket,
    server: SocketAddr,
    run: u64,
    audio: u16,
    calls: Vec<Option<Up>>,
}

struct Up {
    to_tag: String,
    media: SocketAddr,
}

impl Callers {
    /// Brings `count` calls up, with their audio to `port`.
    pub(crate) fn up(target: &Target, count: u32, audio: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port of loopback");
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a socket that can time out");
        let run = u64::from(target.pid) << 32 | u64::from(audio);
        let calls = (0..count).map(|_| None).collect();
        let mut callers = Self { socket, server: target.sip, run, audio, calls };
        let begin = Instant::now();
        for call in 0..count {
            let due = begin + Duration::from_secs(1) * call / RATE;
            while Instant::now() < due {
                callers.receive();
            }
            callers.say(call, |voice, out| voice.invite(out));
        }
        let deadline = Instant::now() + PATIENCE;
        while callers.calls.iter().any(Option::is_none) && Instant::now() < deadline {
            callers.receive();
        }
        let missing = callers.calls.iter().filter(|call| call.is_none()).count();
        assert!(missing == 0, "{missing} of {count} calls were not answered");
        callers
    }

    /// Where the server hears each of them.
    pub(crate) fn media(&self) -> Vec<SocketAddr> {
        self.calls.iter().flatten().map(|up| up.media).collect()
    }

    /// Ends them, and tells how many were still up.
    pub(crate) fn hang_up(mut self) -> u32 {
        self.receive();
        let count = self.calls.len() as u32;
        let mut ended = 0;
        for call in 0..count {
            if self.calls[call as usize].is_some() {
                self.say(call, |voice, out| voice.bye(out));
                ended += self.receive();
            }
        }
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline && ended < count {
            ended += self.receive();
        }
        ended
    }

    /// Takes what has come; gives how many BYEs were answered.
    fn receive(&mut self) -> u32 {
        let mut buffer = [0; 4096];
        let mut ended = 0;
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let Ok(text) = std::str::from_utf8(&buffer[..length]) else { continue };
            match read(text, self.run) {
                Some(Told::Answer { call, status: 200, to_invite: true, to_tag, .. }) => {
                    let media =
                        text.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
                    let media = SocketAddr::new(self.server.ip(), media.expect("a port for audio in the answer"));
                    self.calls[call as usize] = Some(Up { to_tag: to_tag.to_owned(), media });
                    self.say(call, |voice, out| voice.ack(false, out));
                }
                Some(Told::Answer { status: 200, to_invite: false, .. }) => ended += 1,
                Some(Told::Bye { call, answer }) => {
                    let _ = self.socket.send_to(answer.as_bytes(), from);
                    self.calls[call as usize] = None;
                }
                Some(Told::Answer { .. }) | None => {}
            }
        }
        ended
    }

    fn say(&self, call: u32, words: impl FnOnce(&Voice<'_>, &mut String)) {
        let local = self.socket.local_addr().expect("a bound socket");
        let to_tag = self.calls[call as usize].as_ref().map(|up| up.to_tag.as_str());
        let voice = Voice { local, server: self.server, run: self.run, call, to_tag, media: self.audio };
        let mut out = String::new();
        words(&voice, &mut out);
        let _ = self.socket.send_to(out.as_bytes(), self.server);
    }
}
