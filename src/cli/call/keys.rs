//! Which keys are pressed, and when.

use std::str::FromStr;
use std::time::Duration;

use crate::terms::clock::Instant;
use crate::terms::key::{Key, Keys};

/// How long the callee must be silent, after having spoken, before the next keys are pressed.
const SILENCE: Duration = Duration::from_millis(700);
/// What `w` stands for.
const WAIT: Duration = Duration::from_secs(1);

/// The keys as they are written: groups with commas between, e.g. `2,1,3` or `911,w1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan(Vec<Group>);

/// What is pressed on one cue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    wait: Duration,
    keys: Keys,
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let group = |text: &str| {
            let mut group = Group { wait: Duration::ZERO, keys: Keys::default() };
            for sign in text.trim().chars() {
                match sign {
                    'w' | 'W' => group.wait += WAIT,
                    sign => group.keys.0.push(Key::try_from(sign)?),
                }
            }
            Ok(group)
        };
        let groups = text.split(',').filter(|group| !group.trim().is_empty());
        groups.map(group).collect::<Result<Vec<_>, String>>().map(Self)
    }
}

/// Waits for the cue of each group in turn.
#[derive(Debug)]
pub(super) struct Presser {
    groups: std::vec::IntoIter<Group>,
    next: Option<Group>,
    after: Option<Duration>,
    /// When the last group was pressed, or the call answered: speech from before does not count.
    since: Instant,
}

impl Presser {
    /// Keys for a call that was answered at `now`; each `after` so long, or on cue.
    pub(super) fn new(plan: Plan, after: Option<Duration>, now: Instant) -> Self {
        let mut groups = plan.0.into_iter();
        let next = groups.next();
        Self { groups, next, after, since: now }
    }

    /// The keys that are due at `now`, when the callee last spoke at `spoke` (`None`: not yet).
    pub(super) fn due(&mut self, now: Instant, spoke: Option<Instant>) -> Option<Keys> {
        let group = self.next.as_ref()?;
        let from = match (self.after, spoke) {
            (Some(after), _) => self.since + after,
            (None, Some(spoke)) if spoke > self.since => spoke + SILENCE,
            (None, _) => return None,
        };
        if now < from + group.wait {
            return None;
        }
        self.since = now;
        let pressed = self.next.take().map(|group| group.keys);
        self.next = self.groups.next();
        pressed.filter(|keys| !keys.0.is_empty())
    }

    /// How many groups were never pressed.
    pub(super) fn left(&self) -> usize {
        self.groups.len() + usize::from(self.next.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(span: u64) -> Duration {
        Duration::from_millis(span)
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_pressed_when_the_callee_has_spoken_and_pauses() {
        let start = Instant::now();
        let mut presser = Presser::new("2,911".parse().unwrap(), None, start);
        assert_eq!(presser.due(start + ms(5000), None), None, "nothing was said yet");
        let spoke = Some(start + ms(6000));
        assert_eq!(presser.due(start + ms(6500), spoke), None);
        assert_eq!(presser.due(start + ms(6700), spoke), Some("2".parse().unwrap()));
        assert_eq!(presser.due(start + ms(9000), spoke), None, "what was said before the key is no new cue");
        assert_eq!(presser.left(), 1);
        assert_eq!(presser.due(start + ms(9700), Some(start + ms(9000))), Some("911".parse().unwrap()));
        assert_eq!((presser.left(), presser.due(start + ms(99_999), Some(start + ms(20_000)))), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_can_be_timed_and_waited_for() {
        let start = Instant::now();
        let mut presser = Presser::new("w1,2".parse().unwrap(), Some(ms(500)), start);
        assert_eq!(presser.due(start + ms(1400), None), None);
        assert_eq!(presser.due(start + ms(1500), None), Some("1".parse().unwrap()));
        assert_eq!(presser.due(start + ms(2000), None), Some("2".parse().unwrap()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!("2,x".parse::<Plan>().unwrap_err().contains("`x`"));
        assert_eq!("".parse::<Plan>().unwrap(), Plan::default());
    }
}
