//! RTCP (RFC 3550 §6): sender and receiver reports, CNAME and BYE; what else comes is stepped over.

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// Bytes of a report block.
const BLOCK: usize = 24;
/// Room for the longest packet that [`Compound::write`] makes.
pub const PACKET_MAX: usize = 28 + BLOCK + 24 + 8;

/// A compound packet, ours or theirs, as far as a telephone needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compound {
    /// Who reports.
    pub ssrc: u32,
    /// What they sent, where they send.
    pub sender: Option<Sender>,
    /// What they received; of several blocks the first.
    pub block: Option<Block>,
    /// They leave.
    pub bye: bool,
}

/// What a sender says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The sender's clock: seconds and 2⁻³² seconds.
    pub ntp: u64,
    /// The same moment in the stream's timestamps.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Bytes of payload sent.
    pub octets: u32,
}

/// What a receiver says of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Of which stream.
    pub ssrc: u32,
    /// The share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// All that were lost; 24 bits, may be negative where packets came twice.
    pub lost: i32,
    /// The highest sequence number, with its cycles.
    pub highest: u32,
    /// Interarrival jitter, in timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report; 0 where none came.
    pub last_report: u32,
    /// Time since that report came, in 1/65536 s.
    pub delay: u32,
}

impl Compound {
    /// Reads a compound packet. `None` where it is not valid (RFC 3550 §A.2).
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let first = rest.len() == bytes.len();
            let head = rest.first_chunk::<4>()?;
            let length = 4 * (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1);
            let (count, kind) = (usize::from(head[0] & 0x1f), head[1]);
            if head[0] >> 6 != 2 || (first && kind != SENDER_REPORT && kind != RECEIVER_REPORT) {
                return None;
            }
            let body = rest.get(4..length)?;
            match kind {
                SENDER_REPORT => {
                    found.ssrc = word(body, 0)?;
                    let ntp = (u64::from(word(body, 1)?) << 32) | u64::from(word(body, 2)?);
                    let (timestamp, packets, octets) = (word(body, 3)?, word(body, 4)?, word(body, 5)?);
                    found.sender = Some(Sender { ntp, timestamp, packets, octets });
                    found.block = found.block.or(Block::parse(body.get(24..)?, count));
                }
                RECEIVER_REPORT => {
                    found.ssrc = word(body, 0)?;
                    found.block = found.block.or(Block::parse(body.get(4..)?, count));
                }
                GOODBYE => found.bye |= count > 0,
                _other_kinds => {}
            }
            rest = rest.get(length..)?;
        }
        (!bytes.is_empty()).then_some(found)
    }

    /// Writes the packet to the front of `out`, which has room for [`PACKET_MAX`] bytes; gives its length.
    pub fn write(&self, out: &mut [u8]) -> usize {
        let mut pen = Pen { out, at: 0 };
        let blocks = u8::from(self.block.is_some());
        match &self.sender {
            Some(sender) => {
                pen.head(blocks, SENDER_REPORT, 24 + BLOCK * usize::from(blocks));
                pen.words(&[self.ssrc, (sender.ntp >> 32) as u32, sender.ntp as u32]);
                pen.words(&[sender.timestamp, sender.packets, sender.octets]);
            }
            None => {
                pen.head(blocks, RECEIVER_REPORT, 4 + BLOCK * usize::from(blocks));
                pen.words(&[self.ssrc]);
            }
        }
        if let Some(block) = &self.block {
            let lost =
                (u32::from(block.fraction_lost) << 24) | (block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff);
            pen.words(&[block.ssrc, lost, block.highest, block.jitter, block.last_report, block.delay]);
        }
        // CNAME names the source for as long as it lives; nothing of the host is told (RFC 7022).
        pen.head(1, SOURCE_DESCRIPTION, 16);
        pen.words(&[self.ssrc]);
        pen.bytes(&[1, 8]);
        (0..8).rev().for_each(|digit| pen.bytes(&[b"0123456789abcdef"[(self.ssrc >> (4 * digit)) as usize & 15]]));
        pen.bytes(&[0, 0]);
        if self.bye {
            pen.head(1, GOODBYE, 4);
            pen.words(&[self.ssrc]);
        }
        pen.at
    }
}

impl Block {
    fn parse(bytes: &[u8], count: usize) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let lost = word(bytes, 1)?;
        Some(Self {
            ssrc: word(bytes, 0)?,
            fraction_lost: (lost >> 24) as u8,
            // 24 bits with a sign.
            lost: ((lost << 8) as i32) >> 8,
            highest: word(bytes, 2)?,
            jitter: word(bytes, 3)?,
            last_report: word(bytes, 4)?,
            delay: word(bytes, 5)?,
        })
    }
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    bytes.get(4 * index..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// Writes one field after another.
struct Pen<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Pen<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn words(&mut self, words: &[u32]) {
        words.iter().for_each(|word| self.bytes(&word.to_be_bytes()));
    }

    fn head(&mut self, count: u8, kind: u8, body: usize) {
        let [high, low] = ((body / 4) as u16).to_be_bytes();
        self.bytes(&[0x80 | count, kind, high, low]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_kinds_are_stepped_over() {
        let mut bytes = [0; PACKET_MAX];
        let ours = Compound { ssrc: 0xdead_beef, ..Compound::default() };
        let length = ours.write(&mut bytes);
        let mut packet = bytes[..length].to_vec();
        packet.extend([0x80, 207, 0, 1, 1, 2, 3, 4]);
        packet.extend([0x81, GOODBYE, 0, 1, 0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(Compound::parse(&packet), Some(Compound { bye: true, ..ours }));
    }

    #[test]
    fn what_is_not_a_compound_packet_is_refused() {
        let mut bytes = [0; PACKET_MAX];
        let length = Compound { ssrc: 1, sender: Some(Sender::default()), ..Compound::default() }.write(&mut bytes);
        for cut in (0..length).filter(|cut| *cut != 28) {
            assert_eq!(Compound::parse(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Compound::parse(&[0x81, GOODBYE, 0, 1, 0, 0, 0, 1]), None, "must begin with a report");
    }

    fn block() -> impl Strategy<Value = Block> {
        (any::<u32>(), any::<u8>(), -0x80_0000..0x7f_ffff, any::<[u32; 4]>()).prop_map(
            |(ssrc, fraction_lost, lost, rest)| {
                let [highest, jitter, last_report, delay] = rest;
                Block { ssrc, fraction_lost, lost, highest, jitter, last_report, delay }
            },
        )
    }

    fn sender() -> impl Strategy<Value = Sender> {
        (any::<u64>(), any::<[u32; 3]>()).prop_map(|(ntp, [timestamp, packets, octets])| Sender {
            ntp,
            timestamp,
            packets,
            octets,
        })
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Compound::parse(&bytes);
        }

        #[test]
        fn no_bytes_after_a_true_head_break_it(kind in 200u8..208, count in 0u8..32, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut packet = vec![0x80 | count, kind, 0, (bytes.len() / 4) as u8];
            packet.extend(bytes);
            let _ = Compound::parse(&packet);
        }

        #[test]
        fn what_is_written_is_read(ssrc: u32, bye: bool, block in proptest::option::of(block()), sender in proptest::option::of(sender())) {
            let packet = Compound { ssrc, sender, block, bye };
            let mut bytes = [0; PACKET_MAX];
            let length = packet.write(&mut bytes);
            prop_assert_eq!(length % 4, 0);
            prop_assert_eq!(Compound::parse(&bytes[..length]), Some(packet));
        }
    }
}
