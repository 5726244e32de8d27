//! SIPp, from Debian's `sip-tester`: scenarios as data, run against a server for a bounded time.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{clock, folder, free_port, root};

/// A run to be made.
pub(crate) struct Sipp {
    scenario: String,
    service: String,
    transport: &'static str,
    calls: u32,
    limit: Duration,
}

/// What came of it.
pub(crate) struct Run {
    /// Whether every call went as the scenario says.
    pub(crate) success: bool,
    /// SIPp's exit code: 0 well, 1 a call failed, 97 out of time, 254 and 255 its own trouble.
    pub(crate) code: Option<i32>,
    /// Every message, as sent and received.
    pub(crate) messages: String,
    /// What SIPp found wrong.
    pub(crate) errors: String,
}

impl Sipp {
    /// The scenario `tests/sipp/<name>.xml`: one call to 311, by UDP.
    pub(crate) fn scenario(name: &str) -> Self {
        let service = "311".to_owned();
        Self { scenario: name.to_owned(), service, transport: "u1", calls: 1, limit: Duration::from_secs(30) }
    }

    /// Dials another number.
    pub(crate) fn dial(mut self, number: &str) -> Self {
        number.clone_into(&mut self.service);
        self
    }

    /// By TCP.
    pub(crate) fn tcp(mut self) -> Self {
        self.transport = "t1";
        self
    }

    /// So many calls, ten new ones a second.
    pub(crate) fn calls(mut self, calls: u32) -> Self {
        self.calls = calls;
        self
    }

    /// Runs it against `server`.
    pub(crate) fn run(&self, server: SocketAddr) -> Run {
        let folder = folder();
        let scenario = root().join(format!("tests/sipp/{}.xml", self.scenario));
        assert!(scenario.exists(), "there is no {}", scenario.display());
        let port = free_port();
        let seconds = self.limit.as_secs().to_string();
        let mut child = Command::new("sipp")
            .arg(server.to_string())
            .arg("-sf")
            .arg(scenario)
            .args(["-s", &self.service, "-t", self.transport, "-i", "127.0.0.1", "-mi", "127.0.0.1"])
            .args(["-p", &port.to_string(), "-mp", &media_port().to_string()])
            .args(["-m", &self.calls.to_string(), "-r", "10", "-l", "50", "-nostdin"])
            .args(["-timeout", &seconds, "-timeout_error", "-trace_msg", "-message_file", "messages.log"])
            .args(["-trace_err", "-error_file", "errors.log", "-trace_screen", "-screen_file", "screen.log"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("sipp does not start ({error}): `./dev test` installs it"));
        // SIPp ends itself; if it does not, the guard does.
        let deadline = clock::now() + self.limit + Duration::from_secs(10);
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if clock::now() > deadline => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
                None => clock::pass(Duration::from_millis(20)),
            }
        };
        let code = status.and_then(|status| status.code());
        let messages = read(folder.path(), "messages.log");
        Run { success: code == Some(0), code, messages, errors: read(folder.path(), "errors.log") }
    }

    /// Runs it and insists that every call went as the scenario says.
    pub(crate) fn pass(&self, server: SocketAddr) -> Run {
        let run = self.run(server);
        assert!(run.success, "{} by {}: {}", self.scenario, self.transport, run.describe());
        run
    }
}

impl Run {
    /// Everything that helps to understand a failure.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "exit code {:?}\nerrors:\n{}\nmessages:\n{}", self.code, self.errors, self.messages);
        text
    }

    /// The Call-ID of the first call, to find it in the record.
    pub(crate) fn call_id(&self) -> &str {
        let after = self.messages.split("Call-ID:").nth(1).unwrap_or_else(|| panic!("{}", self.describe()));
        after.lines().next().unwrap_or_default().trim()
    }
}

/// An even port for SIPp's RTP; it takes the next one up for RTCP.
fn media_port() -> u16 {
    free_port() & !1
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}
