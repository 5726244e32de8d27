//! baresip, from Debian's `baresip-core`: a real softphone without a window, driven over its control port, that
//! keeps a recording of what it heard.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::listen::Sound;
use super::{clock, folder, free_port};

/// How long it may take to start, or to answer a command.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it can speak: it hangs up when its own sound file ends, so the file is padded with silence.
const SPEECH: Duration = Duration::from_secs(120);
/// Modules of its that a call needs.
const MODULES: [&str; 7] = ["g711", "aufile", "aubridge", "sndfile", "uuid", "account", "menu"];

/// A softphone. Dropping it ends the process.
pub(crate) struct Baresip {
    child: Child,
    control: TcpStream,
    pending: Vec<u8>,
    events: Vec<Value>,
    folder: tempfile::TempDir,
}

impl Baresip {
    /// A phone with the number +1 503 555 0123 that speaks one codec, `PCMU` or `PCMA`.
    pub(crate) fn start(codec: &str) -> Self {
        let folder = folder();
        let control_port = free_port();
        write_silence(&folder.path().join("speech.wav"));
        std::fs::write(folder.path().join("config"), config(folder.path(), control_port)).unwrap();
        let account = format!("<sip:+15035550123@127.0.0.1>;regint=0;audio_codecs={codec}/8000/1\n");
        std::fs::write(folder.path().join("accounts"), account).unwrap();
        std::fs::write(folder.path().join("contacts"), "").unwrap();
        std::fs::write(folder.path().join("uuid"), "00000000-0000-4000-8000-000000000311").unwrap();
        std::fs::create_dir(folder.path().join("heard")).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new("baresip")
            .arg("-f")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("baresip does not start ({error}): `./dev test` installs it"));
        let address = SocketAddr::from(([127, 0, 0, 1], control_port));
        let deadline = clock::now() + PATIENCE;
        let control = loop {
            match TcpStream::connect(address) {
                Ok(control) => break control,
                Err(_) if clock::now() < deadline => clock::pass(Duration::from_millis(50)),
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
                    panic!("baresip's control port does not answer ({error}):\n{log}");
                }
            }
        };
        control.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        Self { child, control, pending: Vec::new(), events: Vec::new(), folder }
    }

    /// Calls a number at `server` and waits until the call is up.
    pub(crate) fn dial(&mut self, number: &str, server: SocketAddr) {
        self.command("dial", &format!("sip:{number}@{server}"));
        self.wait_for("CALL_ESTABLISHED", PATIENCE);
    }

    /// Presses a key, as the trunk was told to carry it (RFC 4733).
    pub(crate) fn press(&mut self, key: char) {
        self.command("sndcode", &key.to_string());
        self.listen(Duration::from_millis(250));
    }

    /// Puts the server on hold.
    pub(crate) fn hold(&mut self) {
        self.command("hold", "");
    }

    /// Takes it back.
    pub(crate) fn resume(&mut self) {
        self.command("resume", "");
    }

    /// Goes on listening for `time`.
    pub(crate) fn listen(&mut self, time: Duration) {
        let end = clock::now() + time;
        while clock::now() < end {
            self.read();
        }
    }

    /// Hangs up and gives what it heard, from the answer to the end.
    pub(crate) fn hang_up(mut self) -> Sound {
        self.command("hangup", "");
        self.listen(Duration::from_millis(500));
        self.heard()
    }

    /// Waits until the other side has hung up and gives what it heard.
    pub(crate) fn until_hung_up(mut self, limit: Duration) -> Sound {
        self.wait_for("CALL_CLOSED", limit);
        self.listen(Duration::from_millis(300));
        self.heard()
    }

    /// Waits for an event of the control port.
    pub(crate) fn wait_for(&mut self, kind: &str, limit: Duration) {
        let deadline = clock::now() + limit;
        while !self.events.iter().any(|event| event["type"] == kind) {
            assert!(clock::now() < deadline, "no {kind} within {limit:?}, only {:#?}\n{}", self.events, self.log());
            self.read();
        }
    }

    fn heard(&self) -> Sound {
        let recording = std::fs::read_dir(self.folder.path().join("heard"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_string_lossy().ends_with("-dec.wav"));
        let recording: PathBuf = recording.unwrap_or_else(|| panic!("baresip recorded nothing:\n{}", self.log()));
        Sound::read(&recording)
    }

    fn command(&mut self, command: &str, parameters: &str) {
        let body = json!({ "command": command, "params": parameters, "token": command }).to_string();
        write!(self.control, "{}:{body},", body.len()).unwrap();
        self.control.flush().unwrap();
    }

    /// Takes what the control port has to say: netstrings of JSON.
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        if let Ok(length) = self.control.read(&mut buffer) {
            self.pending.extend_from_slice(&buffer[..length]);
        }
        while let Some(colon) = self.pending.iter().position(|byte| *byte == b':') {
            let length = std::str::from_utf8(&self.pending[..colon]).ok().and_then(|digits| digits.parse().ok());
            let length: usize = length.unwrap_or_else(|| panic!("not a netstring: {:?}", self.pending));
            if self.pending.len() < colon + 2 + length {
                return;
            }
            let value: Value = serde_json::from_slice(&self.pending[colon + 1..][..length]).unwrap_or_default();
            self.pending.drain(..colon + 2 + length);
            if value["event"] == true {
                self.events.push(value);
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its configuration. It refuses the interface `lo` by name and takes its address.
fn config(folder: &Path, control: u16) -> String {
    let path = folder.display();
    let modules = MODULES.map(|module| match module {
        "account" | "menu" => format!("module_app {module}.so\n"),
        _ => format!("module {module}.so\n"),
    });
    format!(
        "poll_method epoll\nsip_listen 127.0.0.1:{sip}\nnet_interface 127.0.0.1\ncall_local_timeout 120\n\
         call_max_calls 1\naudio_path /usr/share/baresip\naudio_source aufile,{path}/speech.wav\n\
         audio_player aubridge,ear\naudio_alert aubridge,bell\naudio_level no\nausrc_srate 8000\n\
         auplay_srate 8000\nausrc_channels 1\nauplay_channels 1\naudio_txmode thread\nrtp_ports 20000-30000\n\
         rtcp_mux no\njitter_buffer_delay 2-10\nrtp_stats yes\nmodule_path /usr/lib/baresip/modules\n{modules}\
         module_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\nsnd_path {path}/heard\n",
        sip = free_port(),
        modules = modules.concat(),
    )
}

fn write_silence(path: &Path) {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for _ in 0..SPEECH.as_secs() * 8000 {
        writer.write_sample(0_i16).unwrap();
    }
    writer.finalize().unwrap();
}
