//! Names of things: a call, a leg, a bureau line, a trunk.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::dice::Dice;

/// One caller's visit. Sorts by time of arrival; printed as 26 characters that can be read aloud
/// (Crockford base 32, a ULID), e.g. `01KB6Q3V7W4T9M2X8Z5R1C0D6F`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(Ulid);

impl CallId {
    /// A new id for a call that arrived at `unix_ms` (milliseconds since 1970, UTC).
    pub fn new(unix_ms: u64, dice: &mut Dice) -> Self {
        let random = (u128::from(dice.u64()) << 64) | u128::from(dice.u64());
        Self(Ulid::from_parts(unix_ms, random))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CallId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ulid::from_string(text.trim())
            .map(Self)
            .map_err(|error| format!("`{text}` is not a call id (26 letters and digits): {error}"))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A bureau line of the rulebook, e.g. `pbot_maint`: the only kind of place a call may be sent to.
    LineId
}
name! {
    /// A trunk of the configuration, e.g. `carrier`: where calls come from and go to.
    TrunkId
}
name! {
    /// A topic of the rulebook, e.g. `street.pothole`.
    TopicId
}
name! {
    /// A menu of the rulebook, e.g. `main`.
    MenuId
}
name! {
    /// A queue of the rulebook, e.g. `311`.
    QueueId
}
name! {
    /// A calendar of the rulebook, e.g. `pdx311_plan`.
    CalendarId
}
