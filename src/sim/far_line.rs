//! A simulated bureau line: answers, is busy, rejects, never answers, or hangs up first, or breaks.

use std::time::Duration;

use crate::call::leg::{Dial, Event, FarEnd};
use crate::terms::cause::Cause;
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;
use crate::terms::event::Side;

/// What a line does when it is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    AnswersAndTalks,
    AnswersAndHangsUp,
    AnswersAndBreaks,
    Refuses(Cause),
    NeverAnswers,
    Vanishes,
}

/// Plays the line that was dialled, until it or the call ends.
pub async fn answer(dial: Dial, mut dice: Dice, clock: Clock) {
    let FarEnd { commands, events, .. } = dial.leg;
    let mut line = Line { commands, events, clock };
    match draw(&mut dice) {
        Behaviour::AnswersAndTalks => {
            if line.ring(&mut dice).await {
                line.until_let_go(None).await;
            }
        }
        Behaviour::AnswersAndHangsUp => {
            if line.ring(&mut dice).await {
                line.until_let_go(Some(Duration::from_secs(5 + dice.below(400)))).await;
            }
        }
        Behaviour::AnswersAndBreaks => {
            if line.ring(&mut dice).await && !line.until_let_go_or(Duration::from_millis(dice.below(5000))).await {
                line.end(Side::Us, Cause::SessionExpired).await;
            }
        }
        Behaviour::Refuses(cause) => {
            line.until_let_go_or(Duration::from_millis(dice.below(1500))).await;
            line.end(Side::FarEnd, cause).await;
        }
        Behaviour::NeverAnswers => {
            line.tell(Event::Ringing).await;
            line.until_let_go(Some(dial.ring)).await;
            line.end(Side::Us, Cause::NoAnswer).await;
        }
        // Says nothing at all: the call's own patience must end.
        Behaviour::Vanishes => line.until_let_go(None).await,
    }
}

fn draw(dice: &mut Dice) -> Behaviour {
    match dice.below(12) {
        0..=4 => Behaviour::AnswersAndTalks,
        5 | 6 => Behaviour::AnswersAndHangsUp,
        7 => match dice.below(4) {
            0 => Behaviour::Refuses(Cause::Busy),
            1 => Behaviour::Refuses(Cause::Rejected),
            2 => Behaviour::Refuses(Cause::Congestion),
            _ => Behaviour::Refuses(Cause::UnknownNumber),
        },
        8 => Behaviour::NeverAnswers,
        9 => Behaviour::AnswersAndBreaks,
        _ => Behaviour::Vanishes,
    }
}

struct Line {
    commands: tokio::sync::mpsc::Receiver<crate::call::leg::Command>,
    events: tokio::sync::mpsc::Sender<Event>,
    clock: Clock,
}

impl Line {
    /// Rings a while and answers; false where the call let go first.
    async fn ring(&mut self, dice: &mut Dice) -> bool {
        self.tell(Event::Ringing).await;
        let pause = Duration::from_millis(500 + dice.below(12_000));
        if self.until_let_go_or(pause).await {
            return false;
        }
        self.tell(Event::Answered).await;
        true
    }

    /// Stays until the call lets go, or hangs up after `patience`.
    async fn until_let_go(&mut self, patience: Option<Duration>) {
        let Some(patience) = patience else {
            while self.commands.recv().await.is_some() {}
            return;
        };
        if !self.until_let_go_or(patience).await {
            self.end(Side::FarEnd, Cause::Normal).await;
        }
    }

    /// Waits for `span`; true where the call let go first.
    async fn until_let_go_or(&mut self, span: Duration) -> bool {
        let end = self.clock.now() + span;
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => if command.is_none() { return true },
                () = tokio::time::sleep_until(end) => return false,
            }
        }
    }

    async fn end(&mut self, by: Side, cause: Cause) {
        self.tell(Event::Ended { by, cause }).await;
    }

    async fn tell(&mut self, event: Event) {
        // The call may have let go already; then there is nobody to tell.
        let _ = self.events.send(event).await;
    }
}
