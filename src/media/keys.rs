//! Keys: RFC 4733 telephone-events received and sent, and the one stream that keys of every source join.

use std::collections::VecDeque;
use std::time::Duration;

use super::codecs::FRAME;
use super::command::SENT_KEYS_MAX;
use super::rtp::{Header, Packet};
use super::sounds::KEY_FRAMES;
use crate::terms::clock::Instant;
use crate::terms::event::KeySource;
use crate::terms::key::{Key, Keys};

/// Bytes of a telephone-event payload (RFC 4733 §2.3).
pub(crate) const EVENT: usize = 4;

/// Telephone-events as received: many packets a press, any of which may be lost, doubled or late.
#[derive(Debug, Default)]
pub(crate) struct EventReceiver {
    /// The presses seen last, by source and timestamp: what belongs to them is not new.
    seen: VecDeque<(u32, u32)>,
    last: Option<Segment>,
}

/// Presses that are remembered. Packets of older ones do not come any more.
const SEEN_MAX: usize = 8;

/// The event packet seen last.
#[derive(Clone, Copy, Debug)]
struct Segment {
    ssrc: u32,
    event: u8,
    timestamp: u32,
    duration: u16,
    ended: bool,
}

impl EventReceiver {
    /// Takes a telephone-event packet; gives the key at the first packet of each press, whichever that is.
    pub(crate) fn receive(&mut self, packet: &Packet<'_>) -> Option<Key> {
        let [event, flags, high, low] = *packet.payload.first_chunk::<EVENT>()?;
        let Header { ssrc, timestamp, marker, .. } = packet.header;
        let duration = u16::from_be_bytes([high, low]);
        let segment = Segment { ssrc, event, timestamp, duration, ended: flags & 0x80 != 0 };
        let known = self.seen.contains(&(ssrc, timestamp));
        let continues = !marker && self.last.is_some_and(|last| last.continued_by(&segment));
        if !known {
            if self.seen.len() == SEEN_MAX {
                self.seen.pop_front();
            }
            self.seen.push_back((ssrc, timestamp));
        }
        if !known || self.last.is_some_and(|last| last.timestamp == timestamp && last.duration <= duration) {
            self.last = Some(segment);
        }
        if known || continues { None } else { Key::from_event(event) }
    }
}

impl Segment {
    /// A press longer than a duration can say (8 s) goes on in a segment that begins where this one ends
    /// (RFC 4733 §2.5.1.3).
    fn continued_by(&self, next: &Self) -> bool {
        let ends = self.timestamp.wrapping_add(u32::from(self.duration));
        !self.ended && self.ssrc == next.ssrc && self.event == next.event && ends == next.timestamp
    }
}

/// Keys being sent: as events, or as tones where none were agreed.
#[derive(Debug, Default)]
pub(crate) struct KeySender {
    waiting: VecDeque<(Key, bool)>,
    now: Option<Sending>,
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    key: Key,
    inband: bool,
    frame: usize,
    timestamp: u32,
}

/// What a key puts in the place of 20 ms of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFrame {
    /// A telephone-event packet with this timestamp.
    Event {
        /// Its payload.
        payload: [u8; EVENT],
        /// When the key was pressed.
        timestamp: u32,
        /// It is the first of its press.
        marker: bool,
    },
    /// A frame of the key's tone.
    Tone(Key, usize),
    /// The pause after a key.
    Pause,
}

/// A press sent as events: five packets, the last of them an end, and two more ends (RFC 4733 §2.5.1.4).
const EVENT_FRAMES: usize = KEY_FRAMES + 2;
/// A press and the pause after it.
const PRESS_FRAMES: usize = 2 * KEY_FRAMES;
/// −10 dBm0, without and with the end bit.
const VOLUME: u8 = 10;
const END: u8 = 0x80;

impl KeySender {
    /// Sends `keys` after those that wait; `false` where some found no room.
    pub(crate) fn send(&mut self, keys: &Keys, inband: bool) -> bool {
        let room = SENT_KEYS_MAX.saturating_sub(self.waiting.len());
        self.waiting.extend(keys.0.iter().take(room).map(|key| (*key, inband)));
        keys.0.len() <= room
    }

    /// Is a key sounding or waiting?
    pub(crate) fn busy(&self) -> bool {
        self.now.is_some() || !self.waiting.is_empty()
    }

    /// The next 20 ms, at timestamp `now`; `None` where no key is being sent. `events`: telephone-events
    /// were agreed.
    pub(crate) fn next(&mut self, now: u32, events: bool) -> Option<KeyFrame> {
        let sending = match self.now {
            Some(sending) => sending,
            None => {
                let (key, inband) = self.waiting.pop_front()?;
                Sending { key, inband: inband || !events, frame: 0, timestamp: now }
            }
        };
        let frame = sending.frame;
        self.now = (frame + 1 < PRESS_FRAMES).then_some(Sending { frame: frame + 1, ..sending });
        Some(match (sending.inband, frame) {
            (true, 0..KEY_FRAMES) => KeyFrame::Tone(sending.key, frame),
            (false, 0..EVENT_FRAMES) => {
                let duration = ((frame + 1).min(KEY_FRAMES) * FRAME) as u16;
                let end = if frame + 1 >= KEY_FRAMES { END } else { 0 };
                let [high, low] = duration.to_be_bytes();
                let payload = [sending.key.event(), end | VOLUME, high, low];
                KeyFrame::Event { payload, timestamp: sending.timestamp, marker: frame == 0 }
            }
            (true | false, _) => KeyFrame::Pause,
        })
    }
}

/// One stream of keys out of several sources: a press that reaches us in two ways counts once.
#[derive(Debug, Default)]
pub(crate) struct KeyStream {
    recent: VecDeque<Press>,
}

#[derive(Debug)]
struct Press {
    key: Key,
    at: Instant,
    /// By which ways it came.
    sources: [bool; 3],
}

/// Presses that are remembered.
const RECENT_MAX: usize = 16;
/// How much later the same press may come by another way (SIP INFO is sent when the key is let go).
const SAME_PRESS: Duration = Duration::from_secs(2);

impl KeyStream {
    /// A key came by `source`. True where it is a new press.
    pub(crate) fn join(&mut self, now: Instant, key: Key, source: KeySource) -> bool {
        let way = match source {
            KeySource::Rtp => 0,
            KeySource::Info => 1,
            KeySource::Inband => 2,
        };
        self.recent.retain(|press| now.duration_since(press.at) < SAME_PRESS);
        if let Some(press) = self.recent.iter_mut().find(|press| press.key == key && !press.sources[way]) {
            press.sources[way] = true;
            return false;
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        let mut sources = [false; 3];
        sources[way] = true;
        self.recent.push_back(Press { key, at: now, sources });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::clock::Clock;

    fn key(sign: char) -> Key {
        Key::from_char(sign).unwrap()
    }

    /// The packets of one press as a sender of ours makes them: (timestamp, marker, payload).
    fn press(sign: char, at: u32) -> Vec<(u32, bool, [u8; EVENT])> {
        let mut sender = KeySender::default();
        sender.send(&Keys(vec![key(sign)]), false);
        let frames = std::iter::from_fn(|| sender.next(at, true));
        frames
            .filter_map(|frame| match frame {
                KeyFrame::Event { payload, timestamp, marker } => Some((timestamp, marker, payload)),
                KeyFrame::Tone(..) | KeyFrame::Pause => None,
            })
            .collect()
    }

    fn receive(receiver: &mut EventReceiver, (timestamp, marker, payload): &(u32, bool, [u8; EVENT])) -> Option<Key> {
        let header = Header { marker: *marker, pt: 101, seq: 0, timestamp: *timestamp, ssrc: 9 };
        receiver.receive(&Packet { header, payload })
    }

    #[test]
    fn a_press_is_five_updates_and_three_ends() {
        let packets = press('5', 800);
        assert_eq!(packets.len(), 7);
        assert!(packets.iter().all(|(timestamp, _, payload)| *timestamp == 800 && payload[0] == 5));
        let durations: Vec<_> = packets.iter().map(|(_, _, p)| u16::from_be_bytes([p[2], p[3]])).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
        assert_eq!(packets.iter().filter(|(_, _, payload)| payload[1] & END != 0).count(), 3);
        assert_eq!(packets.iter().filter(|(_, marker, _)| *marker).count(), 1);
    }

    #[test]
    fn every_pattern_of_loss_leaves_each_press_once() {
        let (first, second) = (press('7', 1000), press('7', 2600));
        for lost in 0..1u32 << 14 {
            let arrives = |offset: usize| move |(n, _): &(usize, &_)| lost >> (n + offset) & 1 == 0;
            let mut receiver = EventReceiver::default();
            let mut keys = 0;
            let (some, others): (Vec<_>, Vec<_>) = (
                first.iter().enumerate().filter(arrives(0)).map(|(_, p)| p).collect(),
                second.iter().enumerate().filter(arrives(7)).map(|(_, p)| p).collect(),
            );
            for packet in some.iter().chain(&others) {
                keys += usize::from(receive(&mut receiver, packet).is_some());
            }
            assert_eq!(keys, usize::from(!some.is_empty()) + usize::from(!others.is_empty()), "lost {lost:b}");
        }
    }

    #[test]
    fn doubled_and_late_packets_are_no_new_press() {
        let (first, second) = (press('1', 1000), press('2', 2600));
        let mut receiver = EventReceiver::default();
        let mut keys: Vec<_> = first[..3].iter().filter_map(|p| receive(&mut receiver, p)).collect();
        keys.extend(second[..2].iter().filter_map(|p| receive(&mut receiver, p)));
        keys.extend(first.iter().chain(&second).chain(&first).filter_map(|p| receive(&mut receiver, p)));
        assert_eq!(keys, [key('1'), key('2')]);
    }

    #[test]
    fn a_very_long_press_is_one_press() {
        let mut receiver = EventReceiver::default();
        let long = (0u32..4).map(|n| (1000 + n * 0xffff, n == 0, [3, VOLUME, 0xff, 0xff]));
        assert_eq!(long.filter_map(|p| receive(&mut receiver, &p)).count(), 1);
    }

    #[test]
    fn short_payloads_and_other_events_are_no_keys() {
        let mut receiver = EventReceiver::default();
        let header = Header { marker: true, pt: 101, seq: 0, timestamp: 1, ssrc: 9 };
        assert_eq!(receiver.receive(&Packet { header, payload: &[1, 10] }), None);
        assert_eq!(receive(&mut receiver, &(5, true, [16, 10, 0, 160])), None, "16 is a hook flash");
    }

    #[test]
    fn keys_without_agreement_go_as_tones_and_more_than_fit_are_refused() {
        let mut sender = KeySender::default();
        assert!(sender.send(&"12".parse().unwrap(), false));
        let frames: Vec<_> = std::iter::from_fn(|| sender.next(0, false)).collect();
        assert_eq!(frames.len(), 2 * PRESS_FRAMES);
        assert_eq!(
            (frames[0], frames[5], frames[10]),
            (KeyFrame::Tone(key('1'), 0), KeyFrame::Pause, KeyFrame::Tone(key('2'), 0))
        );
        assert!(!sender.send(&Keys(vec![key('1'); SENT_KEYS_MAX + 1]), false));
    }

    #[test]
    fn one_press_by_two_ways_counts_once_and_two_presses_twice() {
        let (mut stream, start) = (KeyStream::default(), Clock::system().now());
        let mut join = |ms: u64, sign, source| stream.join(start + Duration::from_millis(ms), key(sign), source);
        assert!(join(0, '1', KeySource::Rtp) && join(150, '2', KeySource::Rtp));
        assert!(!join(200, '1', KeySource::Info) && !join(250, '2', KeySource::Info));
        assert!(join(400, '1', KeySource::Rtp) && join(500, '1', KeySource::Rtp));
        assert!(!join(600, '1', KeySource::Info) && !join(700, '1', KeySource::Info));
        assert!(join(4000, '1', KeySource::Info), "a new press by INFO alone");
    }
}
