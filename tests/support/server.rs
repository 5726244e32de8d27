//! A server for one test: the built program, on ports and in a folder of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::{clock, folder, free_port, root};

/// How long a server may take from its start to its ready line.
const READY_MAX: Duration = Duration::from_secs(20);
/// How long it may take to end when it is asked to.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A Tuesday in opening hours, in Portland.
pub(crate) const OPEN: &str = "2026-03-03T10:00:00-08:00";
/// The night after it.
pub(crate) const NIGHT: &str = "2026-03-04T03:00:00-08:00";

/// A running server. Dropping it ends the process; if the test is failing, its log is shown.
pub(crate) struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    folder: tempfile::TempDir,
    /// Where it takes SIP, by UDP and TCP.
    pub(crate) sip: SocketAddr,
    /// Where it takes HTTP, if it does.
    pub(crate) http: Option<SocketAddr>,
}

#[derive(serde::Deserialize)]
struct Ready {
    ready: bool,
    sip: SocketAddr,
    http: Option<SocketAddr>,
}

impl Server {
    /// The demo, with `wall` as the time of day it begins at ([`OPEN`], [`NIGHT`]).
    pub(crate) fn demo(wall: &str) -> Self {
        Self::start(&demo_config(), &["--wall", wall])
    }

    /// Any configuration, with more arguments for `serve`.
    pub(crate) fn start(config: &str, arguments: &[&str]) -> Self {
        let folder = folder();
        let file = folder.path().join("cityline.toml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_cityline"))
            .arg("serve")
            .arg("--config")
            .arg(file)
            .args(["--sip", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ready-json", "--data"])
            .arg(folder.path().join("var"))
            .args(arguments)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        keep(stderr, log.clone(), None);
        let (first, ready) = mpsc::channel();
        keep(stdout, log.clone(), Some(first));
        let placeholder = SocketAddr::from(([127, 0, 0, 1], 0));
        // The guard stands before anything can fail, so that the child never outlives the test.
        let mut server = Self { child, log, folder, sip: placeholder, http: None };
        let said = ready.recv_timeout(READY_MAX).unwrap_or_else(|_| panic!("no ready line within {READY_MAX:?}"));
        assert!(said.ready, "the server says that it is not ready");
        server.sip = said.sip;
        server.http = said.http;
        server
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("var")
    }

    /// A folder that lives as long as the server, for what a test writes.
    pub(crate) fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// What it has said so far, on both streams.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether the process is still there.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end as a service manager does (SIGTERM), waits for that, and gives its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(asked.success(), "the server was gone before it was asked to end");
        clock::until("the server's end", STOP_MAX, || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("---- the server's log ----\n{log}---- end of the log ----");
        } else {
            assert!(!log.contains("panicked at"), "a task of the server panicked:\n{log}");
        }
    }
}

/// The demo's configuration, as it is shipped, except that its desks get a port of this test's own and its folders
/// are found from anywhere.
pub(crate) fn demo_config() -> String {
    let text = std::fs::read_to_string(root().join("deploy/demo.toml")).unwrap();
    let desks = format!("127.0.0.1:{}", free_port());
    let text = text.replace("127.0.0.1:5071", &desks);
    ["routing-rules", "prompts"].iter().fold(text, |text, folder| {
        let anywhere = format!("dir = {:?}", root().join(folder));
        text.replace(&format!("dir = \"{folder}\""), &anywhere)
    })
}

/// Reads a stream to its end on a thread of its own; sends the ready line to `first`, once.
fn keep(stream: impl Read + Send + 'static, log: Arc<Mutex<String>>, mut first: Option<mpsc::Sender<Ready>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if first.is_some()
                && let Ok(ready) = serde_json::from_str::<Ready>(&line)
            {
                let _ = first.take().map(|first| first.send(ready));
            }
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}
