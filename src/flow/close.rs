//! The last words.

use super::say;
use super::visit::{Left, Visit};
use crate::terms::prompt::Spoken;

/// Says the last words to their end; keys do not cut them short. The story hangs up after them.
pub(super) async fn perform(visit: &mut Visit, prompts: &[Spoken]) -> Result<(), Left> {
    visit.flush_kept();
    say::perform(visit, prompts, false).await.map(drop)
}
