//! The three questions: what does a call cost and how many are clean, what happens past that, and what is left
//! behind.

use std::time::{Duration, Instant};

use super::Options;
use super::generator::{Generator, Plan, Tally};
use super::process::{Census, Target};
use super::table::{Report, Row};

/// Rates that are tried, in calls a second, until one is not clean.
const LADDER: [u32; 10] = [100, 250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000];
/// Past this setup time at the 99th percentile a rate is not clean, even if no call failed.
const SETUP_P99_MAX_US: u32 = 250_000;
/// A generator that is later than this measures itself.
const LAG_MAX: Duration = Duration::from_millis(250);
/// Calls that are up while the server is overloaded.
const ESTABLISHED: u32 = 50;
/// How long the server may take to be well again.
const RECOVERY_MAX: Duration = Duration::from_secs(20);
/// How long the server may take to give everything back: 64·T1 twice over, and a breath.
const QUIET_MAX: Duration = Duration::from_secs(75);

/// Climbs the ladder; prints CPU a call and latency for each rung; gives the highest clean rate.
pub(crate) fn signalling(target: &Target, options: &Options, report: &mut Report) -> u32 {
    // Prompts, pools and the allocator are warm before anything is measured.
    Generator::new(target.sip, run()).run(&plan(100, Duration::from_secs(2)));
    let (mut rows, mut clean) = (Vec::new(), LADDER[0]);
    for rate in LADDER {
        let before = target.cpu();
        let tally = Generator::new(target.sip, run()).run(&plan(rate, options.level));
        let cpu = target.cpu() - before;
        rows.push(signalling_row(rate, &tally, cpu));
        let slow = percentile(&tally.setup_us, 99) > SETUP_P99_MAX_US;
        if !tally.is_clean() || slow || tally.lag > LAG_MAX {
            break;
        }
        clean = rate;
    }
    report.table("Signalling: INVITE, 200, ACK, BYE; immediate answer, no hold", &rows);
    println!("\nhighest clean rate: {clean} calls a second on one core");
    clean
}

/// One to ten times the clean rate, with calls up all the while.
pub(crate) fn overload(target: &Target, options: &Options, clean: u32, report: &mut Report) {
    let mut rows = Vec::new();
    for times in [1, 2, 5, 10] {
        let mut established = Generator::new(target.sip, run());
        let hold = Duration::from_secs(3600);
        established.establish(&Plan { rate: 100.0, calls: ESTABLISHED, hold });
        let up = established.up();
        let tally = Generator::new(target.sip, run()).run(&plan(clean * times, options.level));
        let kept = established.release();
        let recovery = recovery(target, clean / 2);
        rows.push(overload_row((times, clean), &tally, (up, kept.completed), recovery));
    }
    report.table("Overload: times the highest clean rate, with calls up all the while", &rows);
}

/// Many calls, then what is left of them.
pub(crate) fn soak(target: &Target, options: &Options, clean: u32, report: &mut Report) {
    let rate = f64::from(clean) * 0.6;
    let warm = Generator::new(target.sip, run()).run(&Plan { rate, calls: 5000, hold: Duration::ZERO });
    let (baseline, _) = quiet(target, None);
    let tally = Generator::new(target.sip, run()).run(&Plan { rate, calls: options.soak_calls, hold: Duration::ZERO });
    let busy = target.census();
    let (after, waited) = quiet(target, Some(baseline));
    let growth = (after.rss_kb as f64 / baseline.rss_kb.max(1) as f64 - 1.0) * 100.0;
    let rows = [("warm, idle", warm.offered, baseline), ("at the end", tally.offered, busy), ("idle again", 0, after)]
        .map(|(when, calls, census)| census_row(when, calls, census));
    report.table(&format!("Soak: {} calls at {rate:.0} a second", tally.offered), &rows);
    println!(
        "\n{} of {} calls completed; {} s later: files {:+}, threads {:+}, memory {growth:+.1} %",
        tally.completed,
        tally.offered,
        waited.as_secs(),
        after.fds as i64 - baseline.fds as i64,
        after.threads as i64 - baseline.threads as i64,
    );
}

/// How long after an overload half the clean rate is served without fault; `None` past [`RECOVERY_MAX`].
fn recovery(target: &Target, rate: u32) -> Option<Duration> {
    let begin = Instant::now();
    while begin.elapsed() < RECOVERY_MAX {
        let slice = begin.elapsed();
        let tally = Generator::new(target.sip, run()).run(&plan(rate, Duration::from_millis(500)));
        if tally.is_clean() && percentile(&tally.setup_us, 99) < SETUP_P99_MAX_US {
            return Some(slice);
        }
    }
    None
}

/// The census when nothing changes any more, or is back at the baseline; and how long that took.
fn quiet(target: &Target, baseline: Option<Census>) -> (Census, Duration) {
    let begin = Instant::now();
    let limit = if baseline.is_some() { QUIET_MAX } else { Duration::from_secs(40) };
    loop {
        let census = target.census();
        let back = baseline.is_some_and(|base| census.fds <= base.fds && census.threads <= base.threads);
        if back || begin.elapsed() > limit {
            return (target.census(), begin.elapsed());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn signalling_row(rate: u32, tally: &Tally, cpu: Duration) -> Row {
    let per_call = cpu.as_secs_f64() * 1e3 / f64::from(tally.offered.max(1));
    vec![
        ("calls/s", rate.to_string()),
        ("calls", tally.offered.to_string()),
        ("completed", tally.completed.to_string()),
        ("refused", tally.refusals().to_string()),
        ("unanswered", tally.unanswered.to_string()),
        ("broken", tally.broken.to_string()),
        ("CPU ms/call", format!("{per_call:.3}")),
        ("setup p50 ms", milliseconds(&tally.setup_us, 50)),
        ("setup p99 ms", milliseconds(&tally.setup_us, 99)),
        ("generator late ms", tally.lag.as_millis().to_string()),
    ]
}

fn overload_row((times, clean): (u32, u32), tally: &Tally, (up, kept): (usize, u32), well: Option<Duration>) -> Row {
    let goodput = f64::from(tally.completed) / tally.took.as_secs_f64().max(0.001);
    let offered = f64::from(tally.offered) / tally.took.as_secs_f64().max(0.001);
    let mut statuses: Vec<String> = tally.refused.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    statuses.sort();
    vec![
        ("times", times.to_string()),
        ("offered/s", format!("{offered:.0}")),
        ("goodput/s", format!("{goodput:.0}")),
        ("of clean %", format!("{:.0}", 100.0 * goodput / f64::from(clean))),
        ("refused", if statuses.is_empty() { "0".to_owned() } else { statuses.join(", ") }),
        ("Retry-After s", tally.retry_after.map_or("–".to_owned(), |(least, most)| format!("{least}–{most}"))),
        ("refusal p99 ms", milliseconds(&tally.refusal_us, 99)),
        ("unanswered", tally.unanswered.to_string()),
        ("broken", tally.broken.to_string()),
        ("established kept", format!("{kept} of {up}")),
        ("well again after s", well.map_or("never".to_owned(), |time| format!("{:.1}", time.as_secs_f64()))),
    ]
}

fn census_row(when: &str, calls: u32, census: Census) -> Row {
    vec![
        ("when", when.to_owned()),
        ("calls", calls.to_string()),
        ("files", census.fds.to_string()),
        ("threads", census.threads.to_string()),
        ("RSS MB", format!("{:.1}", census.rss_kb as f64 / 1024.0)),
    ]
}

fn plan(rate: u32, time: Duration) -> Plan {
    let calls = (f64::from(rate) * time.as_secs_f64()).ceil() as u32;
    Plan { rate: f64::from(rate.max(1)), calls: calls.max(1), hold: Duration::ZERO }
}

/// A number that no earlier run of calls had.
fn run() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(0)
}

fn milliseconds(sorted: &[u32], percent: usize) -> String {
    format!("{:.1}", f64::from(percentile(sorted, percent)) / 1000.0)
}
