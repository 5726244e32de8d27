//! What several commands need: the rulebook and the prompts from their folders, and problems well shown.

use std::path::Path;
use std::sync::Arc;

use miette::miette;

use crate::media::bank::PromptBank;
use crate::routing::model::Rulebook;
use crate::store::{Journal, RulebookText};
use crate::terms::clock::Clock;
use crate::terms::diagnostic::Diagnostic;
use crate::terms::prompt::PromptIndex;
