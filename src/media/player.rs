//! The player: a queue of clips, handed out in frames of 20 ms.

use std::sync::Arc;

use super::bank::Clip;
use super::codecs::Codec;

/// Clips to be played one after another.
#[derive(Clone, Debug)]
pub(crate) struct Playlist {
    clips: Arc<[Arc<Clip>]>,
    token: Option<u32>,
    repeat: bool,
}

impl Playlist {
    /// `token` is what its events carry; without one there are none.
    pub(crate) fn new(clips: Arc<[Arc<Clip>]>, token: Option<u32>, repeat: bool) -> Self {
        Self { clips, token, repeat }
    }
}

/// What is being played.
#[derive(Debug, Default)]
pub(crate) struct Player(Option<Playing>);

#[derive(Debug)]
struct Playing {
    list: Playlist,
    /// Which clip, and which of its frames comes next.
    clip: usize,
    frame: usize,
    /// A frame has been found since the list began (again).
    sounded: bool,
}

/// A frame to be sent, and what its leaving means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) payload: &'a [u8],
    /// It is the first of a clip: the list's token and the clip's index.
    pub(crate) begins: Option<(u32, u32)>,
}

/// What comes next out of a player.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// This.
    Frame(Frame<'a>),
    /// Nothing is being played.
    Nothing,
    /// The list just ended; its token, where it has one.
    Ended(Option<u32>),
}

impl Player {
    /// Plays `list` in place of anything else.
    pub(crate) fn play(&mut self, list: Playlist) {
        self.0 = Some(Playing { list, clip: 0, frame: 0, sounded: false });
    }

    /// Stops.
    pub(crate) fn stop(&mut self) {
        self.0 = None;
    }

    /// Is anything being played?
    pub(crate) fn playing(&self) -> bool {
        self.0.is_some()
    }

    /// The next frame in `codec`. `Ended` comes on the call after the last frame, and takes no time: the
    /// next call may follow at once.
    pub(crate) fn next(&mut self, codec: Codec) -> Next<'_> {
        if !self.0.as_mut().is_some_and(|playing| playing.advance(codec)) {
            return self.0.take().map_or(Next::Nothing, |playing| Next::Ended(playing.list.token));
        }
        let Some(playing) = self.0.as_mut() else { return Next::Nothing };
        let (clip, frame) = (playing.clip, playing.frame);
        playing.frame += 1;
        let begins = playing.list.token.filter(|_| frame == 0).map(|token| (token, clip as u32));
        match playing.list.clips[clip].frame(codec, frame) {
            Some(payload) => Next::Frame(Frame { payload, begins }),
            None => Next::Nothing,
        }
    }

    /// Is there no frame left after the one handed out last, and is this the end?
    pub(crate) fn finished(&mut self, codec: Codec) -> Option<Option<u32>> {
        let playing = self.0.as_mut()?;
        if playing.advance(codec) {
            return None;
        }
        self.0.take().map(|playing| playing.list.token)
    }
}

impl Playing {
    /// Moves to the next clip that has a frame; false where the list has ended.
    fn advance(&mut self, codec: Codec) -> bool {
        loop {
            match self.list.clips.get(self.clip) {
                Some(clip) if clip.frame(codec, self.frame).is_some() => {
                    self.sounded = true;
                    return true;
                }
                Some(_) => (self.clip, self.frame) = (self.clip + 1, 0),
                // A list without a single frame ends, also where it was to be repeated.
                None if self.list.repeat && self.sounded => (self.clip, self.frame, self.sounded) = (0, 0, false),
                None => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(frames_of: &[usize], repeat: bool) -> Playlist {
        let clips = frames_of.iter().enumerate().map(|(n, frames)| {
            let clip = Clip::new(8_000, vec![(n as i16 + 1) * 1000; frames * 160]);
            clip.prepare(Codec::Pcmu);
            Arc::new(clip)
        });
        Playlist::new(clips.collect(), Some(7), repeat)
    }

    fn begins(player: &mut Player) -> Option<u32> {
        match player.next(Codec::Pcmu) {
            Next::Frame(frame) => frame.begins.map(|(_, index)| index),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn clips_follow_without_a_gap_and_each_says_when_it_begins() {
        let mut player = Player::default();
        player.play(list(&[2, 0, 1], false));
        assert_eq!((begins(&mut player), begins(&mut player), begins(&mut player)), (Some(0), None, Some(2)));
        assert_eq!(player.finished(Codec::Pcmu), Some(Some(7)));
        assert_eq!(player.next(Codec::Pcmu), Next::Nothing);
    }

    #[test]
    fn a_repeated_list_starts_again_until_it_is_stopped() {
        let mut player = Player::default();
        player.play(list(&[1, 1], true));
        let heard: Vec<_> = (0..5).map(|_| begins(&mut player)).collect();
        assert_eq!(heard, [Some(0), Some(1), Some(0), Some(1), Some(0)]);
        player.stop();
        assert_eq!(player.next(Codec::Pcmu), Next::Nothing);
    }

    #[test]
    fn a_list_of_nothing_ends_at_once_also_when_repeated() {
        for repeat in [false, true] {
            let mut player = Player::default();
            player.play(list(&[0, 0], repeat));
            assert_eq!(player.next(Codec::Pcmu), Next::Ended(Some(7)));
        }
    }
}
