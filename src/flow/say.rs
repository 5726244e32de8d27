//! Say something.

use super::visit::{Happening, Left, Visit};
use crate::routing::step::Exit;
use crate::terms::prompt::Spoken;

/// Says `prompts` to their end. With `barge_in` a key cuts them short and is kept for the next question, and
/// where keys are kept already nothing is said at all: who types ahead knows the way.
pub(super) async fn perform(visit: &mut Visit, prompts: &[Spoken], barge_in: bool) -> Result<Exit, Left> {
    if prompts.is_empty() || (barge_in && visit.has_kept()) {
        return Ok(Exit::Done);
    }
    visit.play(prompts, false).await?;
    loop {
        match visit.next().await? {
            Happening::PlayedOut => return Ok(Exit::Done),
            Happening::Key(key) => {
                visit.keep(key);
                if barge_in {
                    visit.interrupt().await?;
                    return Ok(Exit::Done);
                }
            }
            Happening::Noted => {}
        }
    }
}
