//! Which keys were meant: the longest accepted run, waiting only while a longer one is possible.
//!
//! A `9` repeats the menu, 9-1-1 asks for the emergency line: so after a `9` we wait [`Accept::between`] for
//! a `1`. If something else comes, the `9` counts as a `9` and the rest is kept for the next question. Whoever
//! has pressed `91` gets longer for the last key, and is taken to mean 9-1-1 even without it: frightened people
//! key slowly, and the question whether it was meant comes first. A key that fits nothing is handed on alone, so
//! that the journey can say so.
//!
//! Pure: whoever performs the step ([`flow`](crate::flow), the simulator) owns the clock and says when time is up.

use std::collections::VecDeque;
use std::time::Duration;

use super::step::{Accept, Collect, Exit, TypeAhead};
use crate::terms::key::{Key, Keys};

/// Most keys kept for later. Past it, further keys are dropped: nobody means thirty-three keys ahead.
pub const TYPED_MAX: usize = 32;

/// Keys pressed and not yet used: they outlive the step in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed(VecDeque<Key>);

impl Typed {
    /// Keeps `key`; `false` where it was dropped because [`TYPED_MAX`] are waiting.
    pub fn push(&mut self, key: Key) -> bool {
        let room = self.0.len() < TYPED_MAX;
        if room {
            self.0.push_back(key);
        }
        room
    }

    /// The key that was pressed first.
    pub fn pop(&mut self) -> Option<Key> {
        self.0.pop_front()
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are waiting.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn begins_with(&self, keys: &Keys) -> bool {
        keys.0.len() <= self.0.len() && keys.0.iter().eq(self.0.iter().take(keys.0.len()))
    }

    fn may_become(&self, keys: &Keys) -> bool {
        self.0.len() < keys.0.len() && self.0.iter().eq(keys.0.iter().take(self.0.len()))
    }

    fn take(&mut self, count: usize) -> Keys {
        Keys(self.0.drain(..count.min(self.0.len())).collect())
    }
}

/// How far a collection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing pressed yet: wait [`Collect::first`] from the end of the prompts.
    First,
    /// Something pressed that may go on: wait [`Collector::patience`] from the last key.
    Next,
    /// The step is over.
    Ended(Exit),
}

/// One [`Collect`] step under way.
#[derive(Debug)]
pub struct Collector {
    accept: Accept,
    typed: Typed,
    ended: bool,
}

impl Collector {
    /// Begins `collect` with the keys `typed` earlier, which count or are dropped as the step says. Ask
    /// [`Collector::progress`] before anything is played: they may already be an answer.
    pub fn new(collect: &Collect, mut typed: Typed) -> Self {
        match collect.type_ahead {
            TypeAhead::Keep => {}
            TypeAhead::Flush => typed.clear(),
        }
        Self { accept: collect.accept.clone(), typed, ended: false }
    }

    /// What the keys so far amount to. Once it was [`Progress::Ended`], take the rest with
    /// [`Collector::into_typed`].
    pub fn progress(&mut self) -> Progress {
        if self.typed.is_empty() || self.ended {
            return Progress::First;
        }
        if self.accept.runs.iter().any(|run| self.typed.may_become(run)) {
            return Progress::Next;
        }
        self.decide()
    }

    /// A key was pressed.
    pub fn push(&mut self, key: Key) -> Progress {
        self.typed.push(key);
        self.progress()
    }

    /// How long to wait for the next key where a longer run is possible.
    pub fn patience(&self) -> Duration {
        if self.emergency_begun() { self.accept.between_emergency } else { self.accept.between }
    }

    /// Time is up: what there is must do.
    pub fn timeout(&mut self) -> Progress {
        if self.typed.is_empty() {
            self.ended = true;
            return Progress::Ended(Exit::NoInput);
        }
        if self.emergency_begun() {
            self.ended = true;
            self.typed.clear();
            return Progress::Ended(Exit::Keys(self.accept.emergency.clone()));
        }
        self.decide()
    }

    fn emergency_begun(&self) -> bool {
        let emergency = &self.accept.emergency;
        self.typed.len() >= 2 && self.accept.runs.contains(emergency) && self.typed.may_become(emergency)
    }

    /// The keys that this step did not use.
    pub fn into_typed(self) -> Typed {
        self.typed
    }

    fn decide(&mut self) -> Progress {
        let fits = self.accept.runs.iter().filter(|run| self.typed.begins_with(run)).map(|run| run.0.len()).max();
        self.ended = true;
        Progress::Ended(Exit::Keys(self.typed.take(fits.unwrap_or(1))))
    }
}

/// Keys pressed while something else goes on (a line rings): accepted runs count, all others are dropped.
#[derive(Debug)]
pub struct Overheard(Collector);

impl Overheard {
    /// Nothing pressed so far.
    pub fn new(accept: Accept) -> Self {
        Self(Collector { accept, typed: Typed::default(), ended: false })
    }

    /// A key was pressed; whether an accepted run is whole now.
    pub fn push(&mut self, key: Key) -> Option<Keys> {
        let progress = self.0.push(key);
        self.settle(progress)
    }

    /// How long to wait for the next key: `None` while nothing is begun.
    pub fn patience(&self) -> Option<Duration> {
        (!self.0.typed.is_empty()).then(|| self.0.patience())
    }

    /// Time is up: whether what there is counts.
    pub fn timeout(&mut self) -> Option<Keys> {
        let progress = self.0.timeout();
        self.settle(progress)
    }

    /// Drops what does not count, one key after another.
    fn settle(&mut self, mut progress: Progress) -> Option<Keys> {
        loop {
            match progress {
                Progress::First | Progress::Next => return None,
                Progress::Ended(Exit::Keys(keys)) if self.0.accept.runs.contains(&keys) => return Some(keys),
                Progress::Ended(_) => {
                    self.0.ended = false;
                    progress = self.0.progress();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(accept: &[&str], type_ahead: TypeAhead) -> Collect {
        Collect {
            prompts: vec![],
            accept: Accept {
                runs: accept.iter().map(|run| run.parse().unwrap()).collect(),
                between: Duration::from_millis(1500),
                emergency: "911".parse().unwrap(),
                between_emergency: Duration::from_secs(3),
            },
            first: Duration::from_secs(5),
            type_ahead,
        }
    }

    fn typed(text: &str) -> Typed {
        let mut typed = Typed::default();
        text.parse::<Keys>().unwrap().0.into_iter().for_each(|key| assert!(typed.push(key)));
        typed
    }

    fn ended(keys: &str) -> Progress {
        Progress::Ended(Exit::Keys(keys.parse().unwrap()))
    }

    #[test]
    fn a_key_that_nothing_longer_begins_with_counts_at_once() {
        let mut menu = Collector::new(&collect(&["1", "9", "911"], TypeAhead::Keep), Typed::default());
        assert_eq!(menu.progress(), Progress::First);
        assert_eq!(menu.push(Key::from_char('1').unwrap()), ended("1"));
    }

    #[test]
    fn nine_waits_for_a_one_and_no_longer() {
        let begin = || Collector::new(&collect(&["1", "9", "911"], TypeAhead::Keep), typed("9"));
        assert_eq!(begin().progress(), Progress::Next);
        assert_eq!(begin().timeout(), ended("9"));
        let mut menu = begin();
        assert_eq!(menu.push(Key::from_char('1').unwrap()), Progress::Next);
        assert_eq!(menu.push(Key::from_char('1').unwrap()), ended("911"));
    }

    #[test]
    fn nine_then_something_else_is_nine_and_the_rest_is_kept() {
        for (keys, rest) in [("92", "2"), ("915", "15"), ("99", "9")] {
            let mut menu = Collector::new(&collect(&["1", "9", "911"], TypeAhead::Keep), typed(keys));
            assert_eq!(menu.progress(), ended("9"), "{keys}");
            assert_eq!(menu.into_typed(), typed(rest), "{keys}");
        }
    }

    #[test]
    fn nine_one_one_keyed_slowly_is_nine_one_one() {
        let mut menu = Collector::new(&collect(&["1", "9", "911"], TypeAhead::Keep), typed("9"));
        assert_eq!(menu.patience(), Duration::from_millis(1500), "a nine alone is not kept waiting");
        assert_eq!(menu.push(Key::from_char('1').unwrap()), Progress::Next);
        assert_eq!(menu.patience(), Duration::from_secs(3));
        assert_eq!(menu.timeout(), ended("911"), "and the last key need not come");
        assert!(menu.into_typed().is_empty());

        let mut elsewhere = Collector::new(&collect(&["1", "9", "912"], TypeAhead::Keep), typed("91"));
        assert_eq!(elsewhere.patience(), Duration::from_millis(1500));
        assert_eq!(elsewhere.timeout(), ended("9"), "only where nine one one is taken");
    }

    #[test]
    fn a_key_that_fits_nothing_is_handed_on_alone() {
        let mut menu = Collector::new(&collect(&["1", "911"], TypeAhead::Keep), typed("#1"));
        assert_eq!(menu.progress(), ended("#"));
        let mut nine_only_begins = Collector::new(&collect(&["1", "911"], TypeAhead::Keep), typed("9"));
        assert_eq!(nine_only_begins.timeout(), ended("9"));
    }

    #[test]
    fn earlier_keys_count_or_are_dropped_as_the_step_says() {
        let mut kept = Collector::new(&collect(&["1"], TypeAhead::Keep), typed("1"));
        assert_eq!(kept.progress(), ended("1"));
        let mut flushed = Collector::new(&collect(&["1"], TypeAhead::Flush), typed("1"));
        assert_eq!(flushed.progress(), Progress::First);
        assert_eq!(flushed.timeout(), Progress::Ended(Exit::NoInput));
    }

    #[test]
    fn of_overheard_keys_only_accepted_runs_count() {
        let overheard = |keys: &str| {
            let mut heard = Overheard::new(collect(&["0", "911"], TypeAhead::Keep).accept);
            let found = typed(keys).0.into_iter().find_map(|key| heard.push(key));
            (found, heard)
        };
        for (keys, meant) in
            [("0", "0"), ("12#0", "0"), ("911", "911"), ("9911", "911"), ("90", "0"), ("5919110", "911")]
        {
            assert_eq!(overheard(keys).0, Some(meant.parse().unwrap()), "{keys}");
        }
        let (found, mut nothing) = overheard("1234*#");
        assert_eq!((found, nothing.patience(), nothing.timeout()), (None, None, None));
        let (found, mut nine) = overheard("9");
        assert_eq!((found, nine.patience()), (None, Some(Duration::from_millis(1500))));
        assert_eq!((nine.timeout(), nine.patience()), (None, None));
        assert_eq!(overheard("91").1.timeout(), Some("911".parse().unwrap()));
    }

    #[test]
    fn a_flood_of_keys_is_bounded() {
        let mut typed = Typed::default();
        let star = Key::from_char('*').unwrap();
        let kept = (0..1000).filter(|_| typed.push(star)).count();
        assert_eq!((kept, typed.len()), (TYPED_MAX, TYPED_MAX));
    }
}
