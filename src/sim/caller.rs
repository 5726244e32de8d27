//! A simulated caller: listens, thinks, presses keys, holds, hangs up, or just stays on the line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::far_line;
use crate::call::leg::{Command, Event, FarEnd};
use crate::terms::cause::Cause;
use crate::terms::clock::{Clock, Instant};
use crate::terms::dice::Dice;
use crate::terms::event::{KeySource, Side};
use crate::terms::key::Key;
use crate::terms::prompt::{PromptIndex, Spoken};

/// What a simulated phrase lasts that has no recording, in milliseconds.
const PHRASE_MS: u32 = 2000;
/// Most commands a caller takes before the simulation calls the story endless.
pub const COMMANDS_ALLOWED: u32 = 2000;

/// What kind of person calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Presses keys after hearing some of the menu; leaves when it takes too long.
    Ordinary,
    /// Never hangs up and never presses anything: must end with a person or the closing.
    Waits,
    /// Presses keys, right or wrong, and never hangs up.
    Tries,
    /// Hangs up early: in the greeting, the gate, a menu, while it rings.
    Leaves,
    /// Presses very many keys.
    Floods,
    /// Loses audio and never gets it back.
    FallsSilent,
    /// Keys nine one one somewhere.
    Emergency,
}

impl Manner {
    /// A manner drawn as callers come: most ordinary, some of each other kind.
    pub fn draw(dice: &mut Dice) -> Self {
        match dice.below(20) {
            0..=9 => Self::Ordinary,
            10 | 11 => Self::Waits,
            12..=14 => Self::Tries,
            15 | 16 => Self::Leaves,
            17 => Self::Floods,
            18 => Self::FallsSilent,
            _ => Self::Emergency,
        }
    }

    /// Whether this caller never hangs up before a person or the closing has spoken.
    pub fn is_patient(self) -> bool {
        matches!(self, Self::Waits | Self::Tries | Self::Emergency)
    }
}

/// The caller at the far end of a leg.
pub struct Caller {
    far_end: FarEnd,
    manner: Manner,
    dice: Dice,
    clock: Clock,
    prompts: Arc<PromptIndex>,
    playing: Option<Playing>,
    next_move: Option<Instant>,
    planned: VecDeque<char>,
    bridged: bool,
}

struct Playing {
    token: u32,
    prompts: Vec<Spoken>,
    repeat: bool,
    next: usize,
    at: Instant,
}

impl Caller {
    /// A caller of this manner.
    pub fn new(far_end: FarEnd, manner: Manner, mut dice: Dice, clock: Clock, prompts: Arc<PromptIndex>) -> Self {
        let planned = plan(manner, &mut dice);
        Self { far_end, manner, dice, clock, prompts, playing: None, next_move: None, planned, bridged: false }
    }

    /// Lives the call to its end. `Err` where the story asks without end.
    pub async fn live(mut self) -> Result<(), String> {
        let mut commands = 0;
        loop {
            let playback = self.playing.as_ref().map(|playing| playing.at);
            tokio::select! {
                biased;
                command = self.far_end.commands.recv() => {
                    let Some(command) = command else { return Ok(()) };
                    commands += 1;
                    if commands > COMMANDS_ALLOWED {
                        return Err(format!("a caller ({:?}) got more than {COMMANDS_ALLOWED} commands", self.manner));
                    }
                    if self.obey(command).await.is_break() {
                        return Ok(());
                    }
                }
                () = at(playback) => self.play_on().await,
                () = at(self.next_move) => if self.act().await.is_break() { return Ok(()) },
            }
        }
    }

    async fn obey(&mut self, command: Command) -> std::ops::ControlFlow<()> {
        match command {
            Command::Answer => {
                self.tell(Event::Answered).await;
                self.tell(Event::Heard).await;
                self.think();
            }
            Command::Play { token, prompts, repeat } => {
                let at = self.clock.now();
                self.playing = Some(Playing { token, prompts, repeat, next: 0, at });
            }
            Command::Ringback | Command::Stop => self.playing = None,
            Command::Dial(dial) => {
                let dice = self.dice.split();
                tokio::spawn(far_line::answer(dial, dice, self.clock.clone()));
            }
            Command::Bridge { .. } => {
                self.playing = None;
                self.bridged = true;
                self.next_move = Some(self.clock.now() + seconds(20 + self.dice.below(300)));
            }
            Command::Unbridge => {
                self.bridged = false;
                self.think();
            }
            Command::Reject { cause } | Command::Hangup { cause } => {
                self.tell(Event::Ended { by: Side::Us, cause }).await;
                return std::ops::ControlFlow::Break(());
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    /// The next phrase begins, or everything has been played.
    async fn play_on(&mut self) {
        let Some(playing) = self.playing.as_mut() else { return };
        if playing.next == playing.prompts.len() && playing.repeat && !playing.prompts.is_empty() {
            playing.next = 0;
        }
        let token = playing.token;
        let event = if let Some(prompt) = playing.prompts.get(playing.next) {
            let ms = self.prompts.ms(prompt.language, &prompt.name).unwrap_or(PHRASE_MS);
            playing.at = self.clock.now() + Duration::from_millis(u64::from(ms.max(20)));
            let index = playing.next as u32;
            playing.next += 1;
            Event::Started { token, index }
        } else {
            self.playing = None;
            Event::Played { token }
        };
        self.tell(event).await;
    }

    /// The caller does something.
    async fn act(&mut self) -> std::ops::ControlFlow<()> {
        if self.bridged {
            self.next_move = None;
            return self.leave().await;
        }
        match self.planned.pop_front() {
            Some('!') => return self.leave().await,
            Some('~') => {
                self.tell(Event::Silent).await;
                self.next_move = None;
                return std::ops::ControlFlow::Continue(());
            }
            Some(sign) => {
                if let Some(key) = Key::from_char(sign) {
                    // Where the call is behind, a flood's key is lost on the way, as on a real line.
                    let _ = self.far_end.events.try_send(Event::Key { key, source: KeySource::Rtp });
                }
            }
            None => {
                self.next_move = None;
                return std::ops::ControlFlow::Continue(());
            }
        }
        self.think();
        std::ops::ControlFlow::Continue(())
    }

    fn think(&mut self) {
        let next = self.planned.front().copied();
        let pause = match (self.manner, next) {
            (_, None) => {
                self.next_move = None;
                return;
            }
            (Manner::Floods, _) => Duration::from_millis(self.dice.below(30)),
            (Manner::Emergency, Some('1' | '9')) => Duration::from_millis(200 + self.dice.below(600)),
            _ => Duration::from_millis(300 + self.dice.below(9000)),
        };
        self.next_move = Some(self.clock.now() + pause);
    }

    async fn leave(&mut self) -> std::ops::ControlFlow<()> {
        self.tell(Event::Ended { by: Side::Caller, cause: Cause::Normal }).await;
        std::ops::ControlFlow::Break(())
    }

    async fn tell(&mut self, event: Event) {
        // The call may have let go already; then there is nobody to tell.
        let _ = self.far_end.events.send(event).await;
    }
}

/// The keys a caller of this manner will press, `!` for hanging up, `~` for losing audio.
fn plan(manner: Manner, dice: &mut Dice) -> VecDeque<char> {
    const KEYS: &[u8] = b"1112233445567890*#";
    let mut keys = |count: u64| -> VecDeque<char> {
        (0..count).map(|_| char::from(KEYS[dice.below(KEYS.len() as u64) as usize])).collect()
    };
    match manner {
        Manner::Ordinary => {
            let mut plan = keys(3);
            plan.push_back('!');
            plan
        }
        Manner::Waits => VecDeque::new(),
        Manner::Tries => keys(8),
        Manner::Leaves => {
            let mut plan = keys(1);
            plan.push_back('!');
            plan
        }
        Manner::Floods => {
            let mut plan = keys(600);
            plan.push_back('!');
            plan
        }
        Manner::FallsSilent => {
            let mut plan = keys(1);
            plan.push_back('~');
            plan
        }
        Manner::Emergency => {
            let mut plan = keys(1);
            plan.extend("911".chars());
            plan
        }
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
