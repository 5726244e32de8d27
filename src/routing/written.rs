//! What stands in the rules files, as it is written: the tables an administrator may use, each with its keys.
//! Every file of the folder may hold any of them. What they mean is [`super::model`]'s business.

use serde::Deserialize;
use toml::Spanned;

/// A text with its place in the file.
pub(super) type Text = Spanned<String>;

/// `[city]`: whose rules these are. Exactly one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct City {
    /// The city's name.
    pub(super) name: Text,
    /// The area code of seven-digit numbers, e.g. `503`.
    pub(super) area_code: Text,
    /// The time zone of dates in rules, e.g. `America/Los_Angeles`.
    pub(super) zone: Text,
}

/// `[[entry]]`: numbers that lead into the system, and what callers meet there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// A name of its own.
    pub(super) id: Text,
    /// The numbers, in any of the ways people write them; each once.
    pub(super) numbers: Vec<Text>,
    /// The calendar that says which of the two menus is offered.
    pub(super) calendar: Text,
    /// The menu while the calendar is open.
    pub(super) open_menu: Text,
    /// The menu while it is closed.
    pub(super) closed_menu: Text,
    /// What is said first once the language is known.
    pub(super) welcome: Text,
    /// The language this number stands for; without it the caller is asked.
    pub(super) language: Option<Text>,
    /// The topic this number stands for (an old hotline); without it the menus are offered.
    pub(super) topic: Option<Text>,
    /// Where this is from.
    #[allow(dead_code, reason = "for people who read the rules")]
    pub(super) source: Option<String>,
}

/// `[gate]`: the question which language. Exactly one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gate {
    /// The prompt before the question, in the language that silence chooses.
    pub(super) greeting: Text,
    /// Seconds of silence after which a language is chosen.
    pub(super) silence_s: Spanned<f64>,
    /// The language that silence chooses.
    pub(super) silence_language: Text,
}

/// `[[language]]`: one language. They are offered in the order in which they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Language {
    /// Its code: `en`, `yue`, …
    pub(super) code: Text,
    /// Its own name for itself.
    pub(super) name: Text,
    /// The key that chooses it at the gate; without it the gate does not offer it.
    pub(super) key: Option<Text>,
    /// The prompt that offers it; `gate` unless said otherwise.
    pub(super) gate: Option<Text>,
    /// The language whose recordings its callers hear, where there are none of its own.
    pub(super) voice: Option<Text>,
    /// What its callers hear on the way to a person.
    pub(super) wait: Text,
    /// The queue its callers are sent to at once, where there are no menus for them.
    pub(super) straight_to: Option<Text>,
    /// The code of its written form, where that is another: `zh-Hant` for `yue`.
    pub(super) text: Option<Text>,
    /// Where this is from.
    #[allow(dead_code, reason = "for people who read the rules")]
    pub(super) source: Option<String>,
}

/// `[pace]`: how long callers are waited for and how often they are asked. Exactly one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pace {
    /// Seconds from the end of a menu until silence counts as silence.
    pub(super) first_key_s: Spanned<f64>,
    /// Seconds in which a further key may follow, where one is possible (9-1-1).
    pub(super) next_key_s: Spanned<f64>,
    /// The same, once two keys of the emergency number were pressed.
    pub(super) emergency_key_s: Spanned<f64>,
    /// So many wrong keys one after another lead where silence leads.
    pub(super) wrong_keys_max: Spanned<u32>,
    /// So many steps of one call lead to the closing.
    pub(super) steps_max: Spanned<u32>,
}

/// `[[calendar]]`: when something is open.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Calendar {
    /// A name of its own.
    pub(super) id: Text,
    /// The time zone, e.g. `America/Los_Angeles`. There is no default.
    pub(super) zone: Text,
    /// `true`: day and night. Otherwise `weekly` says when.
    #[serde(default)]
    pub(super) always: bool,
    /// The hours of the week.
    #[serde(default)]
    pub(super) weekly: Vec<Spanned<Window>>,
    /// The holidays on which it is closed: `federal`, `oregon` or `none`.
    pub(super) holidays: Option<Text>,
    /// When a holiday on a weekend counts: `actual`, `observed` or `both`. Needed where there are holidays.
    pub(super) observe: Option<Text>,
    /// Closed once.
    #[serde(default)]
    pub(super) closed: Vec<Spanned<Closure>>,
    /// Where this is from.
    #[allow(dead_code, reason = "for people who read the rules")]
    pub(super) source: Option<String>,
}

/// A window of weekly hours: `{ days = "mon-fri", open = "08:00", close = "17:00" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    /// `mon`, `mon-fri`, `sat,sun`, `daily`.
    pub(super) days: Text,
    /// From this time, `HH:MM`.
    pub(super) open: Text,
    /// Until this time, `HH:MM` up to `24:00`; at or before `open` it is that of the next day.
    pub(super) close: Text,
}

/// A closure: `{ date = "2025-02-13", because = "snow" }`, or with `from` and `until`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Closure {
    /// A whole day, `YYYY-MM-DD`.
    pub(super) date: Option<Text>,
    /// Or from this moment, `YYYY-MM-DDTHH:MM`, by the wall clock …
    pub(super) from: Option<Text>,
    /// … until this one.
    pub(super) until: Option<Text>,
    /// Why.
    pub(super) because: Text,
}

/// `[[line]]`: a place calls may be sent to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// A name of its own.
    pub(super) id: Text,
    /// What people call it.
    pub(super) name: Text,
    /// Whose it is.
    pub(super) bureau: Text,
    /// `city`, `county`, `region` or `partner`.
    pub(super) jurisdiction: Text,
    /// The public numbers, for people to read. They are never dialled.
    #[serde(default)]
    pub(super) display: Vec<Text>,
    /// SIP URIs, tried in this order.
    pub(super) targets: Vec<Text>,
    /// When it answers.
    pub(super) calendar: Text,
    /// Seconds it may ring.
    pub(super) ring_s: Spanned<u32>,
    /// How a call ends that it answers; `transferred_answered` unless said otherwise.
    pub(super) outcome: Option<Text>,
    /// Whether its voicemail may take a caller: `forbidden` (the default), `allowed` or `last_resort` (R005).
    pub(super) voicemail: Option<Text>,
    /// Where this is from.
    #[allow(dead_code, reason = "for people who read the rules")]
    pub(super) source: Option<String>,
    /// What of this is not stated by the source, but concluded from it.
    #[serde(default)]
    #[allow(dead_code, reason = "for people who read the rules")]
    pub(super) inferred: Vec<String>,
}

/// `[[topic]]`: what a call may be about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topic {
    /// A name of its own, e.g. `street.pothole`.
    pub(super) id: Text,
    /// What people call it.
    pub(super) label: Text,
    /// `resolve`, `refer`, `urgent`, `emergency` or `self_service`.
    pub(super) class: Text,
    /// `find`, `report`, `apply`, `pay` or `dispatch`.
    pub(super) function: Text,
    /// Who owns it.
    pub(super) bureau: Text,
    /// Not to be recorded, and out of open data.
    #[serde(default)]
    pub(super) confidential: bool,
    /// Where this is from.
    #[allow(dead_code, reason = "for people who read the rules")]
    pub(super) source: Option<String>,
    /// What of this is not stated by the source, but concluded from it.
    #[serde(default)]
    #[allow(dead_code, reason = "for people who read the rules")]
    pub(super) inferred: Vec<String>,
}

/// `[[menu]]`: what callers are offered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Menu {
    /// A name of its own.
    pub(super) id: Text,
    /// The prompt that reads it out.
    pub(super) prompt: Text,
    /// How often it is said again to a caller who presses nothing.
    pub(super) repeats: u32,
    /// What follows then, and after too many wrong keys: one of the targets of an option.
    pub(super) silence: Spanned<Target>,
    /// What each key does.
    pub(super) options: Vec<Spanned<Choice>>,
}

/// One thing a menu leads to: exactly one of these keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// Another menu.
    pub(super) menu: Option<Text>,
    /// The call is about this topic.
    pub(super) topic: Option<Text>,
    /// A person.
    pub(super) queue: Option<Text>,
    /// The last words: a prompt.
    pub(super) close: Option<Text>,
}

/// A key of a menu: `key`, `label`, and exactly one of the others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    /// The key: `0`–`9`, `*`, `#`.
    pub(super) key: Text,
    /// What the caller wants, in words.
    pub(super) label: Text,
    /// It leads to another menu.
    pub(super) menu: Option<Text>,
    /// The call is about this topic.
    pub(super) topic: Option<Text>,
    /// It leads to a person.
    pub(super) queue: Option<Text>,
    /// It ends the call with this prompt.
    pub(super) close: Option<Text>,
    /// `repeat` says the menu again, `back` goes one menu up.
    pub(super) action: Option<Text>,
}

/// `[[queue]]`: where callers wait for a person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    /// A name of its own.
    pub(super) id: Text,
    /// The line that stands for its people; its calendar says when they are there.
    pub(super) line: Text,
    /// What the caller hears before it rings.
    pub(super) hold: Text,
    /// The menu that is offered while nobody is there by the calendar.
    pub(super) closed_menu: Text,
    /// The last words where nobody took the call.
    pub(super) closing: Text,
}

/// `[emergency]`: the way to 911. Exactly one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Emergency {
    /// The line. No pattern ever leads to it: only this name.
    pub(super) line: Text,
    /// The keys that ask for it, in every menu: `911`.
    pub(super) keys: Text,
    /// The question, asked once.
    pub(super) confirm: Text,
    /// What is said on the way.
    pub(super) connecting: Text,
    /// What is said when the line did not take the call.
    pub(super) failed: Text,
    /// The queue for the caller then, and for everyone who asks for a person at the gate.
    pub(super) queue: Text,
}

/// `[[rule]]`: which calls go where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// A name of its own.
    pub(super) id: Text,
    /// Rules with a higher one are asked first; 0 unless said otherwise.
    #[serde(default)]
    pub(super) priority: i64,
    /// Which calls it is for: all that is said must hold.
    #[serde(default)]
    pub(super) when: When,
    /// What happens, in this order, until the caller is connected.
    pub(super) then: Vec<Spanned<Act>>,
    /// Where this is from.
    #[allow(dead_code, reason = "for people who read the rules")]
    pub(super) source: Option<String>,
}

/// The conditions of a rule.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    /// One of these entries.
    #[serde(default)]
    pub(super) entry: Vec<Text>,
    /// One of these kinds of trunks: `carrier`, `pbx`, `psap`, `internal`.
    #[serde(default)]
    pub(super) trunk: Vec<Text>,
    /// One of these languages.
    #[serde(default)]
    pub(super) language: Vec<Text>,
    /// One of these topics; `street.*` is every topic below it, `*` every topic. A rule without topics is
    /// asked once, when the call arrives.
    #[serde(default)]
    pub(super) topic: Vec<Text>,
    /// While this calendar is open.
    pub(super) open: Option<Text>,
    /// While this calendar is closed.
    pub(super) closed: Option<Text>,
    /// From this day on, `YYYY-MM-DD`.
    pub(super) from: Option<Text>,
    /// Until this day, which still counts.
    pub(super) until: Option<Text>,
}

/// One thing a rule does: exactly one of `transfer`, `queue`, `menu`, `close` – or `say` alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    /// Says this prompt; beside `transfer`, it is said before the line rings (and not where the line is closed).
    pub(super) say: Option<Text>,
    /// Connects this line; where it is closed, busy or silent, the next thing follows.
    pub(super) transfer: Option<Text>,
    /// Seconds the line may ring, in place of the line's own.
    pub(super) ring_s: Option<Spanned<u32>>,
    /// Waits for a person. Nothing may follow.
    pub(super) queue: Option<Text>,
    /// Offers a menu. Nothing may follow.
    pub(super) menu: Option<Text>,
    /// Says the last words and hangs up. Nothing may follow.
    pub(super) close: Option<Text>,
}
