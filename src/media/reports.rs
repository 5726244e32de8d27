//! RTCP's bookkeeping: when to report, what to say, what to learn from the far end's reports.

use std::time::Duration;

use super::command::Quality;
use super::reception::Reception;
use super::rtcp::{Block, Compound, Sender};
use crate::terms::clock::Instant;
use crate::terms::dice::Dice;

/// Mean time between reports (RFC 3550 §6.2); each wait is 0.5 to 1.5 of it.
const INTERVAL_MS: u64 = 5_000;
/// RTP clock units a second.
const CLOCK: u64 = 8_000;

/// One session's reports.
#[derive(Debug)]
pub(crate) struct Reports {
    ssrc: u32,
    /// When the session's own clock began: RFC 3550 §6.4.1 allows elapsed time in place of the wall clock.
    began: Option<Instant>,
    due: Option<Instant>,
    /// Where in its span each wait falls, drawn anew for each.
    dice: u64,
    /// The sender report received last: its middle NTP bits, and when it came.
    last_report: Option<(u32, Instant)>,
    round_trip_us: u32,
    far_loss_256: u8,
    pub(crate) received: u64,
}

impl Reports {
    pub(crate) fn new(ssrc: u32, dice: &mut Dice) -> Self {
        Self {
            ssrc,
            began: None,
            due: None,
            dice: dice.u64() | 1,
            last_report: None,
            round_trip_us: 0,
            far_loss_256: 0,
            received: 0,
        }
    }

    /// Is a report due? The first one half a span to one and a half after the first asking.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        if self.due.is_some_and(|due| now < due) {
            return false;
        }
        let first = self.due.is_none();
        let span = INTERVAL_MS / 2 + self.draw() % INTERVAL_MS;
        self.due = Some(now + Duration::from_millis(span));
        !first
    }

    /// A report of what was `sent` (packets, octets, the timestamp of now) and received.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        (packets, octets, timestamp): (u32, u32, u32),
        reception: Option<&mut Reception>,
    ) -> Compound {
        let sender = (packets > 0).then(|| Sender { ntp: self.ntp(now), timestamp, packets, octets });
        let (last_report, delay) = self.last_report.map_or((0, 0), |(ntp, at)| {
            (ntp, (now.saturating_duration_since(at).as_micros() as u64 * 65_536 / 1_000_000) as u32)
        });
        let block = reception.map(|reception| Block {
            ssrc: reception.ssrc,
            fraction_lost: reception.take_fraction_lost(),
            lost: reception.lost().min(0x7f_ffff) as i32,
            highest: reception.extended_highest(),
            jitter: reception.jitter(),
            last_report,
            delay,
        });
        Compound { ssrc: self.ssrc, sender, block, bye: false }
    }

    /// Learns from a packet of the far end. Nothing that it says makes us do anything.
    pub(crate) fn receive(&mut self, now: Instant, bytes: &[u8]) {
        let Some(report) = Compound::parse(bytes) else { return };
        if let Some(sender) = report.sender {
            self.last_report = Some(((sender.ntp >> 16) as u32, now));
        }
        let Some(block) = report.block.filter(|block| block.ssrc == self.ssrc) else { return };
        self.far_loss_256 = block.fraction_lost;
        if block.last_report != 0 {
            // RFC 3550 §6.4.1: arrival − last report − delay, in 1/65536 s.
            let trip = ((self.ntp(now) >> 16) as u32).wrapping_sub(block.last_report).wrapping_sub(block.delay);
            // A trip of over a minute is a report that was not for us.
            if trip < 60 << 16 {
                self.round_trip_us = ((u64::from(trip) * 1_000_000) >> 16) as u32;
            }
        }
    }

    pub(crate) fn quality(&self, reception: Option<&Reception>) -> Quality {
        Quality {
            received: self.received,
            lost: reception.map_or(0, Reception::lost),
            jitter_us: reception.map_or(0, |reception| (u64::from(reception.jitter()) * 1_000_000 / CLOCK) as u32),
            round_trip_us: self.round_trip_us,
            far_loss_256: self.far_loss_256,
            ..Quality::default()
        }
    }

    /// Our clock, which began a second (and not 0) before the first asking.
    fn ntp(&mut self, now: Instant) -> u64 {
        let began = *self.began.get_or_insert(now);
        let elapsed = now.saturating_duration_since(began) + Duration::from_secs(1);
        (elapsed.as_secs() << 32) | ((u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000)
    }

    /// A step of xorshift: reports need to fall apart, not to be secret.
    fn draw(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtcp::PACKET_MAX;
    use crate::media::rtp::Header;
    use crate::terms::clock::Clock;

    #[test]
    fn two_parties_learn_their_round_trip_and_losses() {
        let start = Clock::system().now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut dice = Dice::from_seed(1);
        let (mut ours, mut theirs) = (Reports::new(1, &mut dice), Reports::new(2, &mut dice));
        let mut bytes = [0; PACKET_MAX];
        let length = ours.report(at(0), (10, 1600, 0), None).write(&mut bytes);
        theirs.receive(at(30), &bytes[..length]);
        let header = |seq| Header { marker: false, pt: 0, seq, timestamp: 0, ssrc: 1 };
        let mut reception = Reception::begin(&header(1), 0);
        reception.note(&header(4), 0);
        let length = theirs.report(at(1030), (0, 0, 0), Some(&mut reception)).write(&mut bytes);
        ours.receive(at(1060), &bytes[..length]);
        let quality = ours.quality(None);
        assert!((59_000..=61_000).contains(&quality.round_trip_us), "{}", quality.round_trip_us);
        assert_eq!(quality.far_loss_256, 128);
    }

    #[test]
    fn reports_come_about_every_five_seconds_and_not_in_step() {
        let start = Clock::system().now();
        let mut reports = Reports::new(1, &mut Dice::from_seed(3));
        let times: Vec<u64> =
            (0..200_000).step_by(20).filter(|ms| reports.due(start + Duration::from_millis(*ms))).collect();
        assert!((30..=50).contains(&times.len()), "{}", times.len());
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (2_400..=7_600).contains(gap)) && gaps.iter().min() != gaps.iter().max());
    }
}
