//! What the record costs: CPU per call of twelve events, and how many events a second it takes.
//!
//! `cargo bench --bench store`. Two loads: *flat out* (as fast as the journal takes them) and *paced* (200 calls a
//! second, every call's events spread over batches of their own, as real calls have them: the dearer case). CPU is
//! the whole process's, user and system, from `/proc/self/stat`: it includes the making of the events.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures and prints")]

use std::path::Path;
use std::time::Duration;

use cityline::store;
use cityline::terms::cause::Cause;
use cityline::terms::clock::{Clock, Instant};
use cityline::terms::dice::Dice;
use cityline::terms::event::{Entry, Event, Heard, KeySource, Place, Side};
use cityline::terms::ids::CallId;
use cityline::terms::key::Key;
use cityline::terms::language::Language;
use cityline::terms::number::Pii;
use cityline::terms::outcome::Outcome;
use cityline::terms::prompt::Spoken;

const EVENTS_PER_CALL: usize = 12;
const CALLS_FLAT_OUT: usize = 50_000;
const CALLS_PER_SECOND: usize = 200;
const PACED_SECONDS: usize = 10;

fn main() {
    // Folders in memory would hide what the disk costs: use the build's own.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("{:<34}{:>14}{:>14}{:>14}{:>12}", "load", "µs CPU/call", "events/s", "events/batch", "bytes/call");
    runtime.block_on(async {
        let calls: Vec<Vec<Entry>> = calls(CALLS_FLAT_OUT);
        flat_out(&folder.path().join("dense"), "flat out, whole calls", calls.concat()).await;
        flat_out(&folder.path().join("spread"), "flat out, 1,000 calls interleaved", interleaved(&calls, 1_000)).await;
        paced(&folder.path().join("paced"), &calls[..CALLS_PER_SECOND * PACED_SECONDS]).await;
    });
}

async fn flat_out(data: &Path, load: &str, entries: Vec<Entry>) {
    let (_store, journal, _) = store::open(data).await.unwrap();
    let begun = Begun::now(entries.len());
    for (number, entry) in (1..).zip(entries) {
        journal.record(entry);
        if number % 8_192 == 0 {
            journal.flush().await;
        }
    }
    journal.close().await;
    begun.report(load, &journal, data);
}

/// Each call's events come 100 ms apart, so that each goes into a batch of its own.
async fn paced(data: &Path, calls: &[Vec<Entry>]) {
    let (_store, journal, _) = store::open(data).await.unwrap();
    let per_tick = CALLS_PER_SECOND / 10;
    let ticks = calls.len() / per_tick + EVENTS_PER_CALL;
    let begun = Begun::now(calls.len() * EVENTS_PER_CALL);
    let mut ticker = tokio::time::interval(Duration::from_millis(100));
    for tick in 0..ticks {
        ticker.tick().await;
        for event in 0..EVENTS_PER_CALL.min(tick + 1) {
            let first = (tick - event) * per_tick;
            for call in calls.iter().skip(first).take(per_tick) {
                journal.record(call[event].clone());
            }
        }
    }
    journal.close().await;
    begun.report("paced, 200 calls/s", &journal, data);
}

/// A measurement under way.
struct Begun {
    events: usize,
    cpu: Duration,
    at: Instant,
}

impl Begun {
    fn now(events: usize) -> Self {
        Self { events, cpu: cpu(), at: Instant::now() }
    }

    fn report(self, load: &str, journal: &store::Journal, data: &Path) {
        let (cpu, span, stats) = (cpu() - self.cpu, self.at.elapsed(), journal.stats());
        assert_eq!((stats.stored, stats.lost, stats.spooled), (self.events as u64, 0, 0), "{stats:?}");
        let calls = self.events / EVENTS_PER_CALL;
        let files = std::fs::read_dir(data).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
        println!(
            "{load:<34}{:>14.1}{:>14.0}{:>14.0}{:>12}",
            cpu.as_secs_f64() * 1e6 / calls as f64,
            self.events as f64 / span.as_secs_f64(),
            self.events as f64 / stats.batches as f64,
            files.sum::<u64>() / calls as u64,
        );
    }
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = after_name[11].parse::<u64>().unwrap() + after_name[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Event by event through `abreast` calls at a time.
fn interleaved(calls: &[Vec<Entry>], abreast: usize) -> Vec<Entry> {
    let event = |calls: &[Vec<Entry>], at: usize| calls.iter().map(|call| call[at].clone()).collect::<Vec<_>>();
    calls.chunks(abreast).flat_map(|calls| (0..EVENTS_PER_CALL).flat_map(move |at| event(calls, at))).collect()
}

fn calls(count: usize) -> Vec<Vec<Entry>> {
    let (mut dice, unix_ms) = (Dice::from_seed(311), Clock::system().unix_ms());
    (0..count as u64).map(|number| call(CallId::new(unix_ms + number * 5, &mut dice), unix_ms + number * 5)).collect()
}

fn call(call: CallId, unix_ms: u64) -> Vec<Entry> {
    let place = |line| Place { file: "rules.toml".into(), line };
    let key = |key| Event::KeyPressed { key: Key::from_char(key), source: KeySource::Rtp };
    let line = "pbot_maint";
    let events: [Event; EVENTS_PER_CALL] = [
        Event::Arrived {
            trunk: "carrier".into(),
            dialled: "311".to_owned(),
            caller: Some(Pii::new("+15035550123".to_owned())),
            diverted_by: vec![],
            sip_call_id: format!("{call}@192.0.2.4"),
            rulebook: "8c1f0e77a2b4".to_owned(),
        },
        Event::Answered,
        Event::PromptEnded { prompt: Spoken::new(Language::ENGLISH, "greeting"), heard: Heard::Whole, ms: 4_140 },
        key('1'),
        Event::LanguageChosen { language: Language::ENGLISH, key: "1".parse().ok() },
        Event::MenuEntered { menu: "main".into(), place: place(12) },
        key('3'),
        Event::TopicChosen { topic: "street.pothole".into(), place: place(44) },
        Event::RuleMatched { rule: "pothole".to_owned(), place: place(71) },
        Event::Bridged { line: line.into(), ring_ms: 9_000 },
        Event::Unbridged { line: line.into(), ms: 61_000, by: Side::Caller },
        Event::Ended { outcome: Outcome::TransferredAnswered, by: Side::Caller, cause: Cause::Normal, ms: 88_400 },
    ];
    let entry = |(seq, event): (u32, Event)| {
        let at_ms = u64::from(seq) * 100;
        Entry { call, seq, unix_ms: unix_ms + at_ms, at_ms, event }
    };
    (0..).zip(events).map(entry).collect()
}
