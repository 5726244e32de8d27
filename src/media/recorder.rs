//! Recording what a party says, into a WAV file.
//!
//! The media thread puts samples into a bounded ring and never touches a file; a thread of the recording's own
//! writes them. Time that brought no packets, or that the ring had no room for, becomes silence of the same
//! length, so that a second in the file is a second of the call.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::codecs::FRAME;

/// Samples a second in a recording.
pub const RATE: u32 = 8_000;
/// Chunks that wait for the writer: over 5 s of speech. Past it samples are dropped and become silence.
const RING_MAX: usize = 256;
/// Longest silence that is written for one gap: ten minutes.
const GAP_SAMPLES_MAX: u64 = 600 * RATE as u64;

/// Some samples and their time.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Their place in the recording, in samples since it began.
    pub at: u64,
    samples: [i16; FRAME],
    length: usize,
}

impl Chunk {
    /// The samples, 8,000 a second.
    pub fn samples(&self) -> &[i16] {
        &self.samples[..self.length]
    }
}

/// The end of a recording that the media thread holds. When it is dropped the recording ends.
#[derive(Clone, Debug)]
pub struct Tap {
    ring: SyncSender<Chunk>,
}

impl Tap {
    /// A tap whose chunks are read by the caller.
    pub fn new() -> (Self, Receiver<Chunk>) {
        let (ring, chunks) = sync_channel(RING_MAX);
        (Self { ring }, chunks)
    }

    /// Gives up to 20 ms of samples; false where there was no room.
    pub(crate) fn give(&self, at: u64, samples: &[i16]) -> bool {
        let mut chunk = Chunk { at, samples: [0; FRAME], length: samples.len().min(FRAME) };
        chunk.samples[..chunk.length].copy_from_slice(&samples[..chunk.length]);
        self.ring.try_send(chunk).is_ok()
    }
}

/// A recording that is being written.
#[derive(Debug)]
pub struct Recording {
    writer: JoinHandle<io::Result<u64>>,
}

impl Recording {
    /// Creates the file `path` (mono, 16 bit, 8,000 a second) and a thread that writes it.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn start(path: &Path) -> io::Result<(Tap, Self)> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let wav = hound::WavWriter::create(path, spec).map_err(io::Error::other)?;
        let (tap, chunks) = Tap::new();
        let writer = std::thread::Builder::new().name("recording".into()).spawn(move || write(wav, &chunks))?;
        Ok((tap, Self { writer }))
    }

    /// Waits until the session (and every other holder of the tap) has let go and all is written. Gives the
    /// number of samples in the file.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn finish(self) -> io::Result<u64> {
        self.writer.join().unwrap_or_else(|_| Err(io::Error::other("the recording's thread died")))
    }
}

fn write<W: io::Write + io::Seek>(mut wav: hound::WavWriter<W>, chunks: &Receiver<Chunk>) -> io::Result<u64> {
    let mut written = 0u64;
    while let Ok(chunk) = chunks.recv() {
        let gap = chunk.at.saturating_sub(written).min(GAP_SAMPLES_MAX);
        // What lies before the end of the file was overtaken by silence: too late to be heard.
        let late = usize::try_from(written.saturating_sub(chunk.at)).unwrap_or(usize::MAX);
        for _ in 0..gap {
            wav.write_sample(0i16).map_err(io::Error::other)?;
        }
        let fresh = chunk.samples().get(late..).unwrap_or(&[]);
        for sample in fresh {
            wav.write_sample(*sample).map_err(io::Error::other)?;
        }
        written += gap + fresh.len() as u64;
    }
    wav.finalize().map_err(io::Error::other)?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_becomes_silence_of_the_same_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heard.wav");
        let (tap, recording) = Recording::start(&path).unwrap();
        assert!(tap.give(0, &[7; 160]) && tap.give(480, &[9; 160]) && tap.give(560, &[5; 160]));
        drop(tap);
        assert_eq!(recording.finish().unwrap(), 720);
        let samples: Vec<i16> = hound::WavReader::open(&path).unwrap().samples().map(Result::unwrap).collect();
        assert_eq!(samples.len(), 720);
        assert!(samples[..160].iter().all(|s| *s == 7) && samples[160..480].iter().all(|s| *s == 0));
        assert!(samples[480..640].iter().all(|s| *s == 9) && samples[640..].iter().all(|s| *s == 5));
    }

    #[test]
    fn a_full_ring_refuses_rather_than_waits() {
        let (tap, _chunks) = Tap::new();
        assert_eq!((0..1000).filter(|at| tap.give(at * 160, &[1; 160])).count(), RING_MAX);
    }
}
