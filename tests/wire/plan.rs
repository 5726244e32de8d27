//! What is going to happen in a call, drawn by lot.

use std::time::Duration;

use cityline::sip::agent::Command;
use cityline::terms::dice::Dice;

/// What a side says to an offer inside the call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Answer,
    Refuse,
    Silence,
}

/// One call's story.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Node 0 or 1.
    pub(crate) caller: usize,
    pub(crate) ring: Duration,
    pub(crate) reliable: bool,
    pub(crate) cancel_after: Option<Duration>,
    /// What the called side does, and when.
    pub(crate) progress: Vec<(Duration, bool)>,
    pub(crate) verdict: Option<(Duration, Result<(), u16>)>,
    pub(crate) bye_by_caller: bool,
    /// None: the call stays up until something else ends it.
    pub(crate) bye_after: Option<Duration>,
    /// Changes: by the caller? how long after the answer?
    pub(crate) offers: Vec<(bool, Duration)>,
    pub(crate) reply: Reply,
}

fn ms(dice: &mut Dice, below: u64) -> Duration {
    Duration::from_millis(dice.below(below))
}

impl Plan {
    /// Any story.
    pub(crate) fn by_lot(dice: &mut Dice) -> Self {
        let answers = ms(dice, 4_000);
        let verdict = match dice.below(10) {
            0 => None,
            1 => Some((answers, Err(486))),
            2 => Some((answers, Err(503))),
            _ => Some((answers, Ok(()))),
        };
        // A CANCEL near the answer is a race; one near the INVITE comes before 100.
        let cancel_after = match dice.below(8) {
            0 => Some((answers + ms(dice, 200)).saturating_sub(Duration::from_millis(100))),
            1 => Some(ms(dice, 30)),
            _ => None,
        };
        let both = ms(dice, 8_000);
        let offers = match dice.below(6) {
            0 => vec![(true, both), (false, both)],
            1 => vec![(true, both), (false, both + Duration::from_millis(40)), (true, both * 2)],
            2 => vec![(dice.chance(0.5), both)],
            _ => Vec::new(),
        };
        let progress = (0..dice.below(3)).map(|_| (ms(dice, 1_500), dice.chance(0.5))).collect();
        Self {
            caller: usize::from(dice.chance(0.5)),
            ring: Duration::from_secs(5 + dice.below(20)),
            reliable: dice.chance(0.25),
            cancel_after,
            progress,
            verdict,
            bye_by_caller: dice.chance(0.5),
            bye_after: Some(ms(dice, 20_000)),
            offers,
            reply: match dice.below(10) {
                0 => Reply::Refuse,
                1 => Reply::Silence,
                _ => Reply::Answer,
            },
        }
    }

    /// A call that is answered at once and stays up.
    pub(crate) fn lasting(dice: &mut Dice) -> Self {
        let verdict = Some((Duration::ZERO, Ok(())));
        Self { verdict, bye_after: None, cancel_after: None, offers: Vec::new(), ..Self::by_lot(dice) }
    }

    /// What the called side does from the moment it is called.
    pub(crate) fn reactions(&self) -> Vec<(Duration, Command)> {
        let early = |sdp: bool| sdp.then(|| "v=0 early".to_owned());
        let mut all: Vec<(Duration, Command)> = self
            .progress
            .iter()
            .map(|(after, sdp)| (*after, Command::Progress { status: 183, sdp: early(*sdp) }))
            .collect();
        all.extend(self.verdict.map(|(after, verdict)| match verdict {
            Ok(()) => (after, Command::Answer { sdp: "v=0 answer".to_owned() }),
            Err(status) => (after, Command::Reject { status, reason: String::new(), retry_after_s: None }),
        }));
        all
    }
}
