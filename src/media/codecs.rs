//! Codecs: G.711 by table, G.722 by `ezk-g722`, and the way between any two of them.
//!
//! Every codec here has an RTP clock of 8,000 a second and 160 bytes in 20 ms (RFC 3551 §4.5.2: also G.722,
//! whose samples are 16,000 a second), so a payload's length in bytes is its length in RTP clock units.

use std::sync::LazyLock;

use audio_codec_algorithms::{
    convert_alaw_to_ulaw, convert_ulaw_to_alaw, decode_alaw, decode_ulaw, encode_alaw, encode_ulaw,
};
use ezk_g722::libg722::Bitrate;
use ezk_g722::libg722::decoder::Decoder as G722Decoder;
use ezk_g722::libg722::encoder::Encoder as G722Encoder;

use super::resample::{Doubler, Halver};

/// RTP clock units, and bytes, in a packet of 20 ms.
pub const FRAME: usize = 160;

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 μ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s: 7 kHz speech.
    G722,
}

impl Codec {
    /// Every codec, in the order of preference towards a telephone network.
    pub const ALL: [Self; 3] = [Self::Pcmu, Self::Pcma, Self::G722];

    /// Its encoding name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
        }
    }

    /// The codec of an SDP encoding name (case does not count, RFC 4855 §3).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// Its static RTP payload type (RFC 3551 §6).
    pub fn static_pt(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
        }
    }

    /// Its place in a table of one entry a codec.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 1,
            Self::G722 => 2,
        }
    }
}

/// Encodes a whole recording of `rate` (8,000 or 16,000 samples a second) to frames of 20 ms.
pub(crate) fn encode(codec: Codec, rate: u32, samples: &[i16]) -> Box<[u8]> {
    let frames = |samples: &[i16], per_frame: usize| {
        let mut whole = samples.to_vec();
        whole.resize(samples.len().next_multiple_of(per_frame), 0);
        whole
    };
    match codec {
        Codec::Pcmu | Codec::Pcma => {
            let narrow = if rate == 16_000 { Halver::default().all(samples) } else { samples.to_vec() };
            let law = if codec == Codec::Pcmu { encode_ulaw } else { encode_alaw };
            frames(&narrow, FRAME).into_iter().map(law).collect()
        }
        Codec::G722 => {
            let wide = if rate == 16_000 { samples.to_vec() } else { Doubler::default().all(samples) };
            G722Encoder::new(Bitrate::Mode1_64000, false, false).encode(&frames(&wide, 2 * FRAME)).into()
        }
    }
}

/// Turns the payloads of one stream into samples, 8,000 a second.
pub(crate) enum Decoder {
    /// By table.
    Law(&'static [i16; 256]),
    /// The lower band of G.722 is what 8,000 samples a second can hold.
    G722(Box<G722Decoder>),
}

impl Decoder {
    pub(crate) fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Law(LazyLock::force(&ULAW_TO_LINEAR)),
            Codec::Pcma => Self::Law(LazyLock::force(&ALAW_TO_LINEAR)),
            Codec::G722 => Self::G722(Box::new(G722Decoder::new(Bitrate::Mode1_64000, false, true))),
        }
    }

    /// Decodes `payload` into the front of `samples`; gives how many there are. What does not fit is left.
    pub(crate) fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        let length = payload.len().min(samples.len());
        match self {
            Self::Law(table) => {
                for (sample, byte) in samples.iter_mut().zip(&payload[..length]) {
                    *sample = table[usize::from(*byte)];
                }
            }
            // This codec's crate hands out a fresh buffer a frame: the one allocation while audio flows.
            Self::G722(decoder) => samples[..length].copy_from_slice(&decoder.decode(&payload[..length])[..length]),
        }
        length
    }
}

/// Turns the payloads of one codec into those of another.
pub(crate) enum Transcoder {
    /// The same codec, or the same bytes: copied.
    Copy,
    /// One G.711 law into the other (ITU-T G.711 §3, by table).
    Law(&'static [u8; 256]),
    /// By way of samples.
    Linear {
        /// From the one side.
        from: Decoder,
        /// To the other.
        to: Box<Encoder>,
    },
}

impl Transcoder {
    pub(crate) fn new(from: Codec, to: Codec) -> Self {
        match (from, to) {
            (Codec::Pcmu, Codec::Pcmu) | (Codec::Pcma, Codec::Pcma) | (Codec::G722, Codec::G722) => Self::Copy,
            (Codec::Pcmu, Codec::Pcma) => Self::Law(LazyLock::force(&ULAW_TO_ALAW)),
            (Codec::Pcma, Codec::Pcmu) => Self::Law(LazyLock::force(&ALAW_TO_ULAW)),
            (Codec::G722, Codec::Pcmu | Codec::Pcma) | (Codec::Pcmu | Codec::Pcma, Codec::G722) => {
                Self::Linear { from: Decoder::new(from), to: Box::new(Encoder::new(to)) }
            }
        }
    }

    /// Writes the bytes of `payload` in the other codec to the front of `out`, as many as fit.
    pub(crate) fn transcode(&mut self, payload: &[u8], out: &mut [u8]) -> usize {
        let length = payload.len().min(out.len()).min(PAYLOAD_MAX);
        let (payload, out) = (&payload[..length], &mut out[..length]);
        match self {
            Self::Copy => out.copy_from_slice(payload),
            Self::Law(table) => {
                for (out, byte) in out.iter_mut().zip(payload) {
                    *out = table[usize::from(*byte)];
                }
            }
            Self::Linear { from, to } => {
                let mut samples = [0; PAYLOAD_MAX];
                from.decode(payload, &mut samples[..length]);
                to.encode(&samples[..length], out);
            }
        }
        length
    }
}

/// Turns samples, 8,000 a second, into the payloads of one stream.
pub(crate) enum Encoder {
    /// By formula.
    Law(fn(i16) -> u8),
    /// After doubling the rate.
    G722(Box<(Doubler, G722Encoder)>),
}

impl Encoder {
    pub(crate) fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Law(encode_ulaw),
            Codec::Pcma => Self::Law(encode_alaw),
            Codec::G722 => {
                Self::G722(Box::new((Doubler::default(), G722Encoder::new(Bitrate::Mode1_64000, false, false))))
            }
        }
    }

    /// One byte a sample.
    pub(crate) fn encode(&mut self, samples: &[i16], out: &mut [u8]) {
        match self {
            Self::Law(law) => {
                for (out, sample) in out.iter_mut().zip(samples) {
                    *out = law(*sample);
                }
            }
            Self::G722(state) => {
                let (doubler, encoder) = state.as_mut();
                let mut wide = [0; 2 * PAYLOAD_MAX];
                let length = samples.len().min(PAYLOAD_MAX);
                doubler.double(&samples[..length], &mut wide[..2 * length]);
                out[..length].copy_from_slice(&encoder.encode(&wide[..2 * length])[..length]);
            }
        }
    }
}

/// The longest payload that is taken: 80 ms.
pub(crate) const PAYLOAD_MAX: usize = 4 * FRAME;

static ULAW_TO_LINEAR: LazyTable<i16> = LazyLock::new(|| std::array::from_fn(|byte| decode_ulaw(byte as u8)));
static ALAW_TO_LINEAR: LazyTable<i16> = LazyLock::new(|| std::array::from_fn(|byte| decode_alaw(byte as u8)));
static ULAW_TO_ALAW: LazyTable<u8> = LazyLock::new(|| std::array::from_fn(|byte| convert_ulaw_to_alaw(byte as u8)));
static ALAW_TO_ULAW: LazyTable<u8> = LazyLock::new(|| std::array::from_fn(|byte| convert_alaw_to_ulaw(byte as u8)));
type LazyTable<T> = LazyLock<[T; 256]>;
