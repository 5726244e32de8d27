//! Signalling under load, by a generator that shares no line with the server's SIP.
//!
//! ```text
//! ./dev bench signalling    CPU per call, setup latency, the highest clean rate
//! ./dev bench overload      1, 2, 5, 10 times that rate: goodput, refusals, established calls, recovery
//! ./dev bench soak          100,000 calls, then a census against the warm baseline
//! ```
//!
//! Options: `--clean N` (calls a second; skips the search), `--seconds N` a level, `--calls N` for the soak,
//! `--json FILE`, and `--server ADDR --pid PID` to measure another server with the same calls.
#![allow(clippy::print_stdout, reason = "a bench is read on the terminal")]
#![allow(clippy::disallowed_methods, reason = "a bench lives in real time")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on stops")]

#[path = "load/generator.rs"]
mod generator;
#[path = "load/modes.rs"]
mod modes;
#[path = "load/process.rs"]
mod process;
#[path = "load/table.rs"]
mod table;
#[path = "load/words.rs"]
mod words;

use std::time::Duration;

use process::Target;

fn main() {
    let options = Options::read(std::env::args().skip(1));
    process::pin_self();
    let target = match (&options.server, options.pid) {
        (Some(server), Some(pid)) => Target::running(server.parse().expect("--server ADDR:PORT"), pid),
        _ => Target::start(),
    };
    println!("server {}, process {}, {}", target.sip, target.pid, process::machine());
    let mut report = table::Report::new(options.json.clone());
    let clean = match options.clean {
        Some(rate) => rate,
        None => modes::signalling(&target, &options, &mut report),
    };
    if options.wants("overload") {
        modes::overload(&target, &options, clean, &mut report);
    }
    if options.wants("soak") {
        modes::soak(&target, &options, clean, &mut report);
    }
    report.close("signalling");
}

/// What is to be measured.
struct Options {
    modes: Vec<String>,
    clean: Option<u32>,
    level: Duration,
    soak_calls: u32,
    json: Option<String>,
    server: Option<String>,
    pid: Option<u32>,
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            modes: Vec::new(),
            clean: None,
            level: Duration::from_secs(4),
            soak_calls: 100_000,
            json: None,
            server: None,
            pid: None,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} wants a value"));
            match argument.as_str() {
                "--bench" => {}
                "--clean" => options.clean = Some(value().parse().expect("--clean N")),
                "--seconds" => options.level = Duration::from_secs(value().parse().expect("--seconds N")),
                "--calls" => options.soak_calls = value().parse().expect("--calls N"),
                "--json" => options.json = Some(value()),
                "--server" => options.server = Some(value()),
                "--pid" => options.pid = Some(value().parse().expect("--pid N")),
                mode if ["signalling", "overload", "soak"].contains(&mode) => options.modes.push(argument),
                _ => panic!("`{argument}` is not known: see the head of benches/signalling.rs"),
            }
        }
        options
    }

    /// Whether a mode was asked for; without any, all are.
    fn wants(&self, mode: &str) -> bool {
        self.modes.is_empty() || self.modes.iter().any(|wanted| wanted == mode)
    }
}
