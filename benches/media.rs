//! Audio under load: prompts to many callers at once, and callers bridged to desks, beside the bare floor of the
//! same packets in the same run.
//!
//! ```text
//! ./dev bench media                 10, 200, 500 and 1,000 calls that hear prompts; 10, 100 and 200 bridged
//! ```
//!
//! Options: `--calls N,N,…`, `--bridged N,N,…` (0 for none), `--seconds N`, `--json FILE`.
#![allow(clippy::print_stdout, reason = "a bench is read on the terminal")]
#![allow(clippy::disallowed_methods, reason = "a bench lives in real time")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on stops")]
#![allow(dead_code, reason = "the parts are shared with the signalling bench")]

#[path = "load/audio.rs"]
mod audio;
#[path = "load/callers.rs"]
mod callers;
#[path = "load/floor.rs"]
mod floor;
#[path = "load/process.rs"]
mod process;
#[path = "load/table.rs"]
mod table;
#[path = "load/words.rs"]
mod words;

use std::time::Duration;

use audio::{Ear, Heard};
use callers::Callers;
use process::Target;
use table::Row;

/// How long keys, announcement and ringing take until caller and desk are bridged.
const UNTIL_BRIDGED: Duration = Duration::from_secs(14);

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "--floor") {
        return floor::serve(arguments[1].parse().expect("--floor N"), arguments[2].parse().expect("--floor N ADDR"));
    }
    let seconds = take(&mut arguments, "--seconds").map_or(8, |text| text.parse().expect("--seconds N"));
    let time = Duration::from_secs(seconds);
    let calls = numbers(take(&mut arguments, "--calls"), &[10, 200, 500, 1000]);
    let bridged = numbers(take(&mut arguments, "--bridged"), &[10, 100, 200]);
    let mut report = table::Report::new(take(&mut arguments, "--json"));
    process::pin_self();
    println!("{}", process::machine());
    let rows: Vec<Row> = calls.into_iter().filter(|count| *count > 0).flat_map(|count| playback(count, time)).collect();
    report.table("Prompt playback: G.711, 50 packets a second each way", &rows);
    let rows: Vec<Row> = bridged.into_iter().filter(|count| *count > 0).flat_map(|count| bridge(count, time)).collect();
    report.table("Bridged: caller to a demo desk; both legs and the desk's own phone are in the process", &rows);
    report.close("media");
}

/// Callers who hear prompts, and the floor of as many sockets.
fn playback(count: u32, time: Duration) -> Vec<Row> {
    let target = Target::start();
    let idle = target.census().rss_kb;
    let ear = Ear::new();
    let callers = Callers::up(&target, count, ear.port());
    let heard = ear.listen(&callers.media(), time, || target.cpu());
    let memory = target.census().rss_kb.saturating_sub(idle);
    let up = callers.hang_up();
    let server = row("cityline", count, &heard, Some((up, memory)));
    vec![server, row("bare floor", count, &floor::measure(count, time), None)]
}

/// Callers who are bridged to a desk, and the floor of twice as many sockets.
fn bridge(count: u32, time: Duration) -> Vec<Row> {
    let target = Target::start();
    let idle = target.census().rss_kb;
    let ear = Ear::new();
    let callers = Callers::up(&target, count, ear.port());
    ear.press("111", &callers.media(), UNTIL_BRIDGED);
    let heard = ear.listen(&callers.media(), time, || target.cpu());
    let memory = target.census().rss_kb.saturating_sub(idle);
    let up = callers.hang_up();
    let server = row("cityline", count, &heard, Some((up, memory)));
    vec![server, row("bare floor, two sockets a call", count, &floor::measure(count * 2, time), None)]
}

fn row(who: &str, count: u32, heard: &Heard, server: Option<(u32, u64)>) -> Row {
    let percent = 100.0 * heard.cpu.as_secs_f64() / heard.took.as_secs_f64() / f64::from(count);
    let (up, memory) = server.map_or((String::from("–"), String::from("–")), |(up, memory)| {
        (up.to_string(), format!("{:.0}", memory as f64 / f64::from(count)))
    });
    vec![
        ("who", who.to_owned()),
        ("calls", count.to_string()),
        ("still up", up),
        ("CPU % of a core / call", format!("{percent:.4}")),
        ("KB / call", memory),
        ("packets/s/call", format!("{:.1}", heard.packets as f64 / heard.took.as_secs_f64() / f64::from(count))),
        ("spacing p50 ms", heard.spacing(50)),
        ("off by p99 ms", heard.deviation(99)),
        ("off by max ms", heard.deviation(100)),
        ("late > 20 ms", heard.late().to_string()),
    ]
}

fn numbers(text: Option<String>, default: &[u32]) -> Vec<u32> {
    let parse = |text: String| text.split(',').map(|number| number.parse().expect("numbers with commas")).collect();
    text.map_or_else(|| default.to_vec(), parse)
}

/// Takes `--name VALUE` out of the arguments.
fn take(arguments: &mut Vec<String>, name: &str) -> Option<String> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.remove(at);
    (at < arguments.len()).then(|| arguments.remove(at))
}
