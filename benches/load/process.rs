//! The measured process: started on a core of its own, and looked at through /proc.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Clock ticks of /proc/PID/stat in a second, as on every Linux of today.
const TICKS: u64 = 100;

/// A server to be measured.
pub(crate) struct Target {
    /// Where it takes SIP.
    pub(crate) sip: SocketAddr,
    /// Its process.
    pub(crate) pid: u32,
    /// Ours to end, with its data.
    own: Option<(Child, tempfile::TempDir)>,
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    /// Open files and sockets.
    pub(crate) fds: usize,
    /// Threads.
    pub(crate) threads: usize,
    /// Resident memory, in kilobytes.
    pub(crate) rss_kb: u64,
}

#[derive(serde::Deserialize)]
struct Ready {
    sip: SocketAddr,
}

impl Target {
    /// The demo, built as it is shipped, on the first core (the generator takes the last).
    pub(crate) fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let data = tempfile::tempdir().expect("a folder for the record");
        let config = data.path().join("cityline.toml");
        std::fs::write(&config, own_config(root)).expect("room for the configuration");
        let program = env!("CARGO_BIN_EXE_cityline");
        let mut command = if pinning() { Command::new("taskset") } else { Command::new(program) };
        if pinning() {
            command.args(["-c", "0", program]);
        }
        let mut child = command
            .args(["serve", "--sip", "127.0.0.1:0", "--http", "127.0.0.1:0", "--config"])
            .arg(config)
            .args(["--wall", "2026-03-03T10:00:00-08:00", "--ready-json", "--data"])
            .arg(data.path().join("var"))
            .current_dir(root)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let ready = lines.find_map(|line| serde_json::from_str::<Ready>(&line).ok());
        let Some(ready) = ready else {
            let _ = child.kill();
            panic!("the server ended without a ready line: try `./dev run`");
        };
        // Whatever else it says is taken, so that its pipe never fills.
        std::thread::spawn(move || lines.for_each(drop));
        Self { sip: ready.sip, pid: child.id(), own: Some((child, data)) }
    }

    /// A server that runs already, ours or another.
    pub(crate) fn running(sip: SocketAddr, pid: u32) -> Self {
        Self { sip, pid, own: None }
    }

    /// The CPU time it has used: by the scheduler's nanoseconds where the kernel keeps them, else by ticks.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid));
        let by_task = tasks.into_iter().flatten().flatten().map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0)
        });
        let nanos: u64 = by_task.sum();
        if nanos > 0 { Duration::from_nanos(nanos) } else { self.cpu_by_ticks() }
    }

    /// What it holds now.
    pub(crate) fn census(&self) -> Census {
        let count = |folder: &str| std::fs::read_dir(format!("/proc/{}/{folder}", self.pid)).map_or(0, Iterator::count);
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        Census { fds: count("fd"), threads: count("task"), rss_kb: rss.unwrap_or(0) }
    }

    fn cpu_by_ticks(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let after_name = text.rsplit(')').next().unwrap_or_default();
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1000 / TICKS)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The demo as it is shipped, with a port of its own for the desks and folders that are found from anywhere.
fn own_config(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("deploy/demo.toml")).expect("deploy/demo.toml");
    let free = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let text = text.replace("127.0.0.1:5071", &free.to_string());
    ["routing-rules", "prompts"].iter().fold(text, |text, folder| {
        text.replace(&format!("dir = \"{folder}\""), &format!("dir = {:?}", root.join(folder)))
    })
}

/// Puts the generator on the last core.
pub(crate) fn pin_self() {
    if pinning() {
        let last = (cores() - 1).to_string();
        let _ = Command::new("taskset")
            .args(["-cp", &last, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status();
    }
}

/// The machine, in a few words.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("CPU");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let busy = load.split(' ').next().unwrap_or("?");
    let place = if pinning() { "server on core 0, generator on the last" } else { "not pinned" };
    format!("{} cores of {model}, load {busy} before, {place}", cores())
}

fn pinning() -> bool {
    cores() > 1 && Path::new("/usr/bin/taskset").exists()
}

/// All the cores of the machine, also after this process was pinned to one.
fn cores() -> usize {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines().filter(|line| line.starts_with("processor")).count().max(1)
}
