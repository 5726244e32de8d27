//! One socket that hears every call and speaks in each: arrival times against the packets' own clock.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::SockRef;

/// A packet of 20 ms of G.711: 12 bytes of header, 160 of sound.
pub(crate) const PACKET: usize = 172;
/// Slots of 1 ms, over which the calls are spread.
const SLOTS: usize = 20;

/// The ear (and mouth) of all callers.
pub(crate) struct Ear {
    socket: UdpSocket,
}

/// What was heard.
#[derive(Default)]
pub(crate) struct Heard {
    /// Packets in all.
    pub(crate) packets: u64,
    /// CPU time of the other side meanwhile.
    pub(crate) cpu: Duration,
    /// How long was listened.
    pub(crate) took: Duration,
    /// Between neighbours that should be 20 ms apart, in microseconds, sorted.
    spacing_us: Vec<u32>,
    /// Distance of each arrival from what the packet's timestamp says, in microseconds, sorted.
    deviation_us: Vec<u32>,
}

impl Ear {
    /// An ear on a port of its own.
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port of loopback");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket that can time out");
        let _ = SockRef::from(&socket).set_recv_buffer_size(8 << 20);
        Self { socket }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().expect("a bound socket").port()
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }

    /// Speaks to every one of `there` and listens for `time`; `cpu` is asked at both ends.
    pub(crate) fn listen(&self, there: &[SocketAddr], time: Duration, cpu: impl Fn() -> Duration) -> Heard {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.speak(there, &stop));
            // What came while the calls were set up waits in the socket: it is not part of what is measured.
            self.hear(Duration::from_millis(700), || Duration::ZERO);
            let heard = self.hear(time, cpu);
            stop.store(true, Ordering::Relaxed);
            heard
        })
    }

    /// Presses keys (RFC 4733), a second and a half apart, and waits until `time` has passed since the first.
    pub(crate) fn press(&self, keys: &str, there: &[SocketAddr], time: Duration) {
        let begin = Instant::now();
        for (index, key) in keys.bytes().enumerate() {
            for (part, duration) in [160_u16, 320, 480, 640, 640, 640].into_iter().enumerate() {
                let end = if part >= 3 { 0x80 } else { 0 };
                let event = [key - b'0', end | 10, (duration >> 8) as u8, duration as u8];
                for (call, to) in there.iter().enumerate() {
                    let mut packet = header(101, (60_000 + index * 8 + part) as u16, 16_000 * index as u32, call);
                    packet.extend_from_slice(&event);
                    let _ = self.socket.send_to(&packet, to);
                }
                self.hear(Duration::from_millis(20), || Duration::ZERO);
            }
            self.hear(Duration::from_millis(1500), || Duration::ZERO);
        }
        self.hear(time.saturating_sub(begin.elapsed()), || Duration::ZERO);
    }

    fn hear(&self, time: Duration, cpu: impl Fn() -> Duration) -> Heard {
        let mut heard = Heard::default();
        let mut last: HashMap<u16, (Instant, u32)> = HashMap::new();
        let (begin, before) = (Instant::now(), cpu());
        let mut buffer = [0; 2048];
        while begin.elapsed() < time {
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            let now = Instant::now();
            if length < 12 || (192..=223).contains(&buffer[1]) {
                continue;
            }
            heard.packets += 1;
            let stamp = u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]);
            if let Some((then, earlier)) = last.insert(from.port(), (now, stamp)) {
                heard.note(now - then, stamp.wrapping_sub(earlier));
            }
        }
        heard.cpu = cpu().saturating_sub(before);
        heard.took = begin.elapsed();
        heard.spacing_us.sort_unstable();
        heard.deviation_us.sort_unstable();
        heard
    }

    fn speak(&self, there: &[SocketAddr], stop: &AtomicBool) {
        let begin = Instant::now();
        for slot in 0_u32.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let due = begin + Duration::from_millis(u64::from(slot));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let round = slot / SLOTS as u32;
            for (call, to) in there.iter().enumerate().skip(slot as usize % SLOTS).step_by(SLOTS) {
                let mut packet = header(0, round as u16, round * 160, call);
                packet.resize(PACKET, 0xff);
                let _ = self.socket.send_to(&packet, to);
            }
        }
    }
}

impl Heard {
    fn note(&mut self, apart: Duration, stamps: u32) {
        // Another stretch of speech (or another source) has a clock of its own.
        if stamps == 0 || stamps > 8000 {
            return;
        }
        let (apart, expected) = (apart.as_micros() as u32, stamps * 125);
        if stamps == 160 {
            self.spacing_us.push(apart);
        }
        self.deviation_us.push(apart.abs_diff(expected));
    }

    /// A percentile of the spacing, in milliseconds.
    pub(crate) fn spacing(&self, percent: usize) -> String {
        at(&self.spacing_us, percent)
    }

    /// A percentile of the distance from the right moment, in milliseconds.
    pub(crate) fn deviation(&self, percent: usize) -> String {
        at(&self.deviation_us, percent)
    }

    /// Packets that were more than 20 ms off.
    pub(crate) fn late(&self) -> usize {
        self.deviation_us.len() - self.deviation_us.partition_point(|off| *off <= 20_000)
    }
}

/// An RTP header.
pub(crate) fn header(pt: u8, seq: u16, stamp: u32, source: usize) -> Vec<u8> {
    let mut packet = Vec::with_capacity(PACKET);
    packet.extend_from_slice(&[0x80, pt]);
    packet.extend_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(&stamp.to_be_bytes());
    packet.extend_from_slice(&(0x3110_0000 + source as u32).to_be_bytes());
    packet
}

fn at(sorted: &[u32], percent: usize) -> String {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or("–".to_owned(), |value| format!("{:.2}", f64::from(*value) / 1000.0))
}
