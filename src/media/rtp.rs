//! RTP packets (RFC 3550 §5.1): read tolerantly, written plainly.

/// Bytes of a header without contributing sources or extension.
pub const HEADER: usize = 12;

/// The fields of a header that matter to a telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The first packet of a talk-spurt.
    pub marker: bool,
    /// Payload type, 0–127.
    pub pt: u8,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp, in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// A packet as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its header.
    pub header: Header,
    /// What it carries, without padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet. `None` where it is not valid RTP version 2 (RFC 3550 §A.1). Contributing sources
    /// and a header extension are stepped over. RTCP on the same port is not RTP: see [`is_rtcp`].
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk::<HEADER>()?;
        if fixed[0] >> 6 != 2 || is_rtcp(bytes) {
            return None;
        }
        let mut payload = rest.get(usize::from(fixed[0] & 0x0f) * 4..)?;
        if fixed[0] & 0x10 != 0 {
            let (extension, rest) = payload.split_first_chunk::<4>()?;
            payload = rest.get(usize::from(u16::from_be_bytes([extension[2], extension[3]])) * 4..)?;
        }
        if fixed[0] & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            let length = payload.len().checked_sub(padding).filter(|_| padding > 0)?;
            payload = &payload[..length];
        }
        let header = Header {
            marker: fixed[1] & 0x80 != 0,
            pt: fixed[1] & 0x7f,
            seq: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        Some(Self { header, payload })
    }
}

/// Whether these bytes are RTCP (RFC 5761 §4: the second byte of every RTCP packet is 192–223).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 192..=223, ..] if first >> 6 == 2)
}

impl Header {
    /// Writes the header to the front of `out`, which has room for [`HEADER`] bytes; gives [`HEADER`].
    pub fn write(&self, out: &mut [u8]) -> usize {
        out[0] = 0x80;
        out[1] = (u8::from(self.marker) << 7) | (self.pt & 0x7f);
        out[2..4].copy_from_slice(&self.seq.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        HEADER
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sources_extension_and_padding_are_stepped_over() {
        let mut bytes = vec![0x80 | 0x20 | 0x10 | 2, 0x80, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4];
        bytes.extend([9; 8]);
        bytes.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        bytes.extend([b'h', b'i', 0, 0, 3]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.payload, b"hi");
        assert_eq!(packet.header, Header { marker: true, pt: 0, seq: 7, timestamp: 160, ssrc: 0x0102_0304 });
    }

    #[test]
    fn what_is_not_rtp_is_refused() {
        let valid = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];
        assert!(Packet::parse(&valid).is_some());
        assert!(Packet::parse(&valid[..11]).is_none(), "too short");
        let changed = |index: usize, byte: u8| {
            let mut bytes = valid;
            bytes[index] = byte;
            Packet::parse(&bytes).is_none()
        };
        assert!(changed(0, 0x40), "version 1");
        assert!(changed(0, 0x8f), "more sources than bytes");
        assert!(changed(0, 0x90), "an extension that is not there");
        assert!(changed(0, 0xa0), "255 bytes of padding");
        assert!(changed(1, 200), "RTCP on this port");
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.len() + HEADER <= bytes.len());
            }
        }

        #[test]
        fn what_is_written_is_read(marker: bool, pt in 0u8..64, seq: u16, timestamp: u32, ssrc: u32) {
            let header = Header { marker, pt, seq, timestamp, ssrc };
            let mut bytes = [0; HEADER + 3];
            header.write(&mut bytes);
            let packet = Packet::parse(&bytes).unwrap();
            prop_assert_eq!((packet.header, packet.payload), (header, &[0u8; 3][..]));
        }
    }
}
