//! What is known of a stream that is received: gaps, losses, jitter (RFC 3550 §A.1, §A.3, §A.8).

use super::rtp::Header;

/// Sequence numbers further apart than this are a new start, not a loss (RFC 3550 §A.1).
const DROPOUT_MAX: u16 = 3000;
/// Packets that come this much out of order still belong to the stream.
const MISORDER_MAX: u16 = 100;

/// The state of one received stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reception {
    pub(crate) ssrc: u32,
    base: u16,
    highest: u16,
    cycles: u32,
    received: u32,
    /// Losses of the streams before this one (a source that started anew).
    lost_before: u64,
    transit: u32,
    /// In 1/16 of a clock unit.
    jitter_16: u32,
    expected_prior: u32,
    received_prior: u32,
}

/// How a packet stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is newer than all before it.
    Newer,
    /// It was overtaken by a newer one, or came twice.
    Older,
}

impl Reception {
    /// A stream begins with this packet, which came at `arrival` (clock units of our own).
    pub(crate) fn begin(header: &Header, arrival: u32) -> Self {
        Self {
            ssrc: header.ssrc,
            base: header.seq,
            highest: header.seq,
            cycles: 0,
            received: 1,
            lost_before: 0,
            transit: arrival.wrapping_sub(header.timestamp),
            jitter_16: 0,
            expected_prior: 0,
            received_prior: 0,
        }
    }

    /// Another packet came.
    pub(crate) fn note(&mut self, header: &Header, arrival: u32) -> Place {
        let ahead = header.seq.wrapping_sub(self.highest);
        let behind = self.highest.wrapping_sub(header.seq);
        if header.ssrc != self.ssrc || (ahead > DROPOUT_MAX && behind > MISORDER_MAX) {
            let (lost_before, jitter_16) = (self.lost(), self.jitter_16);
            *self = Self { lost_before, jitter_16, ..Self::begin(header, arrival) };
            return Place::Newer;
        }
        self.received = self.received.wrapping_add(1);
        let transit = arrival.wrapping_sub(header.timestamp);
        let deviation = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        // A jump of over 4 s is another clock, not jitter.
        if deviation < 4 * 8_000 {
            self.jitter_16 = (self.jitter_16 + deviation).saturating_sub((self.jitter_16 + 8) >> 4);
        }
        if ahead == 0 || ahead > DROPOUT_MAX {
            return Place::Older;
        }
        if header.seq < self.highest {
            self.cycles = self.cycles.wrapping_add(1 << 16);
        }
        self.highest = header.seq;
        Place::Newer
    }

    /// The highest sequence number with its cycles, as reports carry it.
    pub(crate) fn extended_highest(&self) -> u32 {
        self.cycles | u32::from(self.highest)
    }

    /// Packets that never came.
    pub(crate) fn lost(&self) -> u64 {
        self.lost_before + u64::from(self.expected().saturating_sub(self.received))
    }

    /// Jitter in clock units.
    pub(crate) fn jitter(&self) -> u32 {
        self.jitter_16 >> 4
    }

    /// The share lost since this was asked last, in 1/256.
    pub(crate) fn take_fraction_lost(&mut self) -> u8 {
        let expected = self.expected().wrapping_sub(self.expected_prior);
        let received = self.received.wrapping_sub(self.received_prior);
        (self.expected_prior, self.received_prior) = (self.expected(), self.received);
        let lost = expected.saturating_sub(received);
        (u64::from(lost) * 256).checked_div(u64::from(expected)).unwrap_or(0).min(255) as u8
    }

    fn expected(&self) -> u32 {
        self.extended_highest().wrapping_sub(u32::from(self.base)).wrapping_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(seq: u16, timestamp: u32) -> Header {
        Header { marker: false, pt: 0, seq, timestamp, ssrc: 1 }
    }

    #[test]
    fn losses_are_counted_across_the_wrap_of_sequence_numbers() {
        let mut stream = Reception::begin(&header(65_533, 0), 0);
        for (n, seq) in [65_534u16, 65_535, 1, 2, 4].into_iter().enumerate() {
            assert_eq!(stream.note(&header(seq, 160 * (n as u32 + 1)), 160 * (n as u32 + 1)), Place::Newer);
        }
        assert_eq!((stream.lost(), stream.extended_highest()), (2, 65_536 + 4));
        assert_eq!(stream.take_fraction_lost(), 64);
        assert_eq!(stream.note(&header(3, 0), 900), Place::Older);
        assert_eq!(stream.lost(), 1, "a late packet is no loss");
    }

    #[test]
    fn a_source_that_starts_anew_is_no_loss() {
        let mut stream = Reception::begin(&header(10, 0), 0);
        stream.note(&header(30_000, 5), 160);
        assert_eq!((stream.lost(), stream.extended_highest()), (0, 30_000));
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_an_uneven_one_has() {
        let (mut even, mut uneven) = (Reception::begin(&header(0, 0), 0), Reception::begin(&header(0, 0), 0));
        for n in 1..200u32 {
            even.note(&header(n as u16, 160 * n), 160 * n + 40);
            uneven.note(&header(n as u16, 160 * n), 160 * n + 80 * (n % 2));
        }
        assert!(even.jitter() <= 2, "{}", even.jitter());
        assert!((70..=90).contains(&uneven.jitter()), "{}", uneven.jitter());
    }
}
