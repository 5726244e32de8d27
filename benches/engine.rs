//! What the media engine alone costs: prompts and bridges, each against the bare floor in the same run.
//!
//! `cargo bench --bench engine [-- calls …]`. The floor is a program that sends 172 bytes and reads one packet on
//! each of as many connected sockets every 20 ms, and does nothing else. Engine and floor run in a process of
//! their own on processor 0; the telephones, which send 50 packets a second each and note when packets come,
//! run on processor 1. CPU is that of the measured process alone, for each packet that left, times 50 packets a second.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement, not the product"
)]
#![allow(missing_docs, reason = "a program")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cityline::media::bank::PromptBank;
use cityline::media::codecs::Codec;
use cityline::media::command::{Direction, Format, MediaCommand, Remote};
use cityline::media::engine::{Engine, Session, Settings};
use cityline::media::ports::PortRange;
use cityline::terms::clock::Clock;
use cityline::terms::dice::Dice;
use cityline::terms::language::Language;
use cityline::terms::prompt::Spoken;

const TURN: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_millis(1500);
const MEASURED: Duration = Duration::from_secs(4);
/// A packet of 20 ms.
const PACKET: usize = 172;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["role", role, calls, phones] => play_role(role, calls.parse().unwrap(), phones.parse().unwrap()),
        ["phones"] => phones(),
        ref calls => {
            let calls: Vec<usize> = calls.iter().filter_map(|calls| calls.parse().ok()).collect();
            let calls = if calls.is_empty() { vec![10, 200, 500, 1000, 1500, 2000] } else { calls };
            compare("prompts played", &calls, "floor", "prompts", 1);
            let pairs: Vec<usize> = calls.iter().copied().filter(|calls| *calls <= 1000).collect();
            compare("bridged calls (two parties each)", &pairs, "floor", "bridge", 2);
        }
    }
}

/// One table: `role` against the floor of as many sockets.
fn compare(title: &str, calls: &[usize], floor: &str, role: &str, parties: usize) {
    println!("\n{title}");
    println!("calls │ CPU a call: floor  engine  ratio │ spacing: p50     p99 off   max off │ KB a call │ late");
    for calls in calls {
        let bare = measure(floor, calls * parties);
        let ours = measure(role, calls * parties);
        let percent = |figures: &Figures| figures.cpu_share * 100.0 / *calls as f64;
        println!(
            "{calls:5} │     {:.4} %  {:.4} %   {:.2} │ {:8.2} ms {:6.2} ms {:6.2} ms │ {:9.1} │ {:4} (floor: p99 off {:.2} ms, max {:.2} ms)",
            percent(&bare),
            percent(&ours),
            percent(&ours) / percent(&bare),
            ours.spacing.0,
            ours.spacing.1,
            ours.spacing.2,
            ours.memory_kb / *calls as f64,
            ours.late,
            bare.spacing.1,
            bare.spacing.2,
        );
    }
}

struct Figures {
    cpu_share: f64,
    memory_kb: f64,
    late: u64,
    /// Milliseconds: the median, and how far off 20 ms 99 in 100 and all are at most.
    spacing: (f64, f64, f64),
}

fn measure(role: &str, sessions: usize) -> Figures {
    let (mut phones, mut heard) = start("1", &["phones"]);
    let address = line(&mut heard);
    let (mut measured, mut told) = start("0", &["role", role, &sessions.to_string(), &address]);
    let ports = line(&mut told);
    writeln!(phones.stdin.as_mut().unwrap(), "{ports}").unwrap();
    std::thread::sleep(WARM_UP);
    let begin = |child: &mut Child| writeln!(child.stdin.as_mut().unwrap(), "now").unwrap();
    begin(&mut phones);
    begin(&mut measured);
    std::thread::sleep(MEASURED);
    begin(&mut phones);
    begin(&mut measured);
    let spacing: Vec<f64> = line(&mut heard).split(' ').map(|figure| figure.parse().unwrap()).collect();
    let figures: Vec<f64> = line(&mut told).split(' ').map(|figure| figure.parse().unwrap()).collect();
    for mut child in [phones, measured] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    Figures {
        cpu_share: figures[0],
        memory_kb: figures[1],
        late: figures[2] as u64,
        spacing: (spacing[0], spacing[1], spacing[2]),
    }
}

/// This program again, on one processor.
fn start(processor: &str, arguments: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new("taskset")
        .args(["-c", processor])
        .arg(std::env::current_exe().unwrap())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stdout.take().unwrap());
    (child, told)
}

fn line(from: &mut impl BufRead) -> String {
    let mut text = String::new();
    from.read_line(&mut text).unwrap();
    text.trim().to_owned()
}

/// The measured process: sets itself up, names its ports, and tells what it used between two lines of input.
fn play_role(role: &str, sessions: usize, phones: SocketAddr) {
    let before = memory_kb();
    let engine = (role != "floor").then(|| engine(role));
    let mut held = Vec::new();
    let ports: Vec<String> = match &engine {
        None => floor(sessions, phones),
        Some(engine) => {
            held = open(engine, role, sessions, phones);
            held.iter().map(|(session, _)| session.local_port().to_string()).collect()
        }
    };
    println!("{}", ports.join(" "));
    let mut input = std::io::stdin().lock();
    line(&mut input);
    let (cpu, sent, late) = (cpu_ns(), sent(engine.as_ref()), late(engine.as_ref()));
    let memory = memory_kb() - before;
    line(&mut input);
    // For each packet that left: on a busy machine floor and engine may not both get to send all.
    let each = (cpu_ns() - cpu) as f64 / (self::sent(engine.as_ref()) - sent).max(1) as f64;
    let share = each * 50.0 / 1e9 * sessions as f64;
    println!("{share} {memory} {}", self::late(engine.as_ref()) - late);
    line(&mut input);
    drop(held);
}

fn engine(role: &str) -> Engine {
    let mut bank = PromptBank::default();
    if role == "prompts" {
        let wave = (0..8_000 * 20).map(|n| ((n * 37) % 9_000 - 4_500) as i16).collect();
        bank.add(&phrase(), 8_000, wave);
    }
    let settings = Settings { ports: PortRange::Ephemeral, shards: 1, ..Settings::default() };
    Engine::start(settings, bank, Clock::system(), Dice::from_seed(1)).unwrap()
}

fn phrase() -> Spoken {
    Spoken::new(Language::ENGLISH, "phrase")
}

type Opened = (Session, tokio::sync::mpsc::Receiver<cityline::media::command::MediaEvent>);

fn open(engine: &Engine, role: &str, sessions: usize, phones: SocketAddr) -> Vec<Opened> {
    let opened: Vec<Opened> = (0..sessions).map(|_| engine.open(None).unwrap()).collect();
    for (index, (session, _)) in opened.iter().enumerate() {
        let remote = Remote {
            rtp: phones,
            rtcp: phones,
            nat: false,
            send: Format::of(Codec::Pcmu),
            receive: vec![Format::of(Codec::Pcmu)],
            keys_send_pt: Some(101),
            keys_receive_pt: Some(101),
            direction: Direction::Both,
        };
        session.send(MediaCommand::Remote(remote)).unwrap();
        if role == "prompts" {
            session.send(MediaCommand::Play { token: 1, prompts: vec![phrase()], repeat: true }).unwrap();
        } else if index % 2 == 1 {
            session.send(MediaCommand::Bridge { peer: opened[index - 1].0.id() }).unwrap();
        }
        // Commands are taken 256 a slot; a crowd that comes at once waits its turn.
        if index % 100 == 99 {
            std::thread::sleep(TURN);
        }
    }
    // Events are read, as a call would.
    opened
}

/// The bare floor.
fn floor(sessions: usize, phones: SocketAddr) -> Vec<String> {
    let sockets: Vec<UdpSocket> = (0..sessions)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(phones).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    let ports = sockets.iter().map(|socket| socket.local_addr().unwrap().port().to_string()).collect();
    std::thread::spawn(move || {
        let (packet, mut buffer) = ([0x80u8; PACKET], [0u8; 1500]);
        every_slot(|slot| {
            for socket in sockets.iter().skip(slot).step_by(20) {
                let _ = socket.recv(&mut buffer);
                let _ = socket.send(&packet);
                FLOOR_SENT.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    ports
}

/// Calls `work` with the number of each 1 ms slot of 20 ms, for ever.
fn every_slot(mut work: impl FnMut(usize)) {
    let origin = Instant::now();
    for slot in 0.. {
        let due = origin + Duration::from_millis(slot);
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        work((slot % 20) as usize);
    }
}

/// The telephones of every call, on one socket: they are told apart by the ports that they speak with.
fn phones() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("{}", socket.local_addr().unwrap());
    let mut input = std::io::stdin().lock();
    let ports: Vec<u16> = line(&mut input).split(' ').map(|port| port.parse().unwrap()).collect();
    let counting = Arc::new(AtomicBool::new(false));
    let ears = {
        let (socket, counting) = (socket.try_clone().unwrap(), counting.clone());
        std::thread::spawn(move || listen(&socket, &counting))
    };
    std::thread::spawn(move || speak(&socket, &ports));
    line(&mut input);
    counting.store(true, Ordering::SeqCst);
    line(&mut input);
    counting.store(false, Ordering::SeqCst);
    let mut spacing = ears.join().unwrap();
    spacing.sort_by(f64::total_cmp);
    let median = spacing.get(spacing.len() / 2).copied().unwrap_or(f64::NAN);
    let mut off: Vec<f64> = spacing.iter().map(|ms| (ms - 20.0).abs()).collect();
    off.sort_by(f64::total_cmp);
    let at = |share: f64| off.get((off.len() as f64 * share) as usize).or(off.last()).copied().unwrap_or(f64::NAN);
    println!("{median} {} {}", at(0.99), at(1.0));
    line(&mut input);
}

/// Notes the time between packets of the same call while `counting`, in milliseconds.
fn listen(socket: &UdpSocket, counting: &AtomicBool) -> Vec<f64> {
    let mut last: HashMap<u16, Instant> = HashMap::new();
    let (mut spacing, mut buffer) = (Vec::new(), [0; 1500]);
    loop {
        let (_, from) = socket.recv_from(&mut buffer).unwrap();
        let now = Instant::now();
        // RTCP comes here too.
        if (192..=223).contains(&buffer[1]) {
            continue;
        }
        let before = last.insert(from.port(), now);
        match (counting.load(Ordering::Relaxed), before) {
            (true, Some(before)) => spacing.push((now - before).as_secs_f64() * 1000.0),
            (false, _) if !spacing.is_empty() => return spacing,
            (true | false, _) => {}
        }
    }
}

/// Sends each call a packet every 20 ms.
fn speak(socket: &UdpSocket, ports: &[u16]) {
    let mut packets: Vec<(SocketAddr, [u8; PACKET])> = ports
        .iter()
        .map(|port| {
            let mut packet = [0xff; PACKET];
            packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, (port >> 8) as u8, *port as u8]);
            (SocketAddr::from(([127, 0, 0, 1], *port)), packet)
        })
        .collect();
    every_slot(|slot| {
        for (to, packet) in packets.iter_mut().skip(slot).step_by(20) {
            let seq = u16::from_be_bytes([packet[2], packet[3]]).wrapping_add(1);
            packet[2..4].copy_from_slice(&seq.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(seq) * 160).to_be_bytes());
            let _ = socket.send_to(packet, *to);
        }
    });
}

/// Nanoseconds that the threads of this process were on a processor.
fn cpu_ns() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let on_cpu = |thread: std::fs::DirEntry| -> Option<u64> {
        std::fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    threads.flatten().filter_map(on_cpu).sum()
}

fn memory_kb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

static FLOOR_SENT: AtomicU64 = AtomicU64::new(0);

fn sent(engine: Option<&Engine>) -> u64 {
    engine.map_or(FLOOR_SENT.load(Ordering::Relaxed), |engine| engine.stats().iter().map(|s| s.packets_out).sum())
}

fn late(engine: Option<&Engine>) -> u64 {
    engine.map_or(0, |engine| engine.stats().iter().map(|shard| shard.ticks_late + shard.ticks_skipped).sum())
}
