//! The terminal console: which mapping is failing, which records, why; open one, mend the value, see it go through.
//!
//! Model, update, view. Everything that happens becomes a [`msg::Msg`]; [`update::update`] changes the one
//! [`model::Model`] and answers with [`effect::Effect`]s; [`view::draw`] only draws; [`runtime`] alone performs effects,
//! as tasks whose results come back as messages:
//!
//! ```text
//!   hangup, signals ─┐
//!   engine events ───┤  (biased, in this order)      update(&mut Model, Msg) -> Vec<Effect>
//!   replies ─────────┼──────► Msg ─────────────────►        │                  │
//!   clock ───────────┘         ▲                            ▼                  ▼
//!   keys ──────────────────────┘                    draw: keys at once,   tasks on the
//!    (taken in and drawn by the thread             the rest when it is   engine's Handle
//!     that reads them)                             due
//! ```
//!
//! What keys do is told by the table of [`command`]s (their keys are the [`keymap`]'s) and done in `perform`, `lists`,
//! `mending` and `acts`; `layers` has the keys of what lies on top of the panes; `subject` holds what a key acts on and what shows
//! together, `writes` asks before writes are stopped, `away` keeps what shows while the database is gone. `io` performs what concerns the engine.
//!
//! The room knows the engine only through `engine::handle::Handle`, and Salesforce and SQL not at all. Whatever comes
//! from data or logs passes `sanitize` before it reaches a cell. Nothing is drawn when nothing changed.

mod acts;
mod ascii;
mod away;
pub mod command;
pub mod effect;
mod enabled;
mod io;
pub mod keymap;
pub mod keys;
mod layers;
mod lines;
mod lists;
mod mending;
pub mod model;
mod mouse;
pub mod msg;
pub mod overlays;
pub mod panes;
mod perform;
mod runtime;
mod standing;
mod subject;
pub mod term;
pub mod theme;
pub mod update;
pub mod view;
pub mod widgets;
mod writes;

#[cfg(test)]
mod tests;

pub use term::input::Input as Keys;

use std::future::Future;
use std::io::IsTerminal;
use std::sync::Arc;

use color_eyre::eyre::{Result, bail};
use futures_util::FutureExt;

use crate::client::handle::Handle;
use crate::config::state::{ConsoleState, StateFile};
use crate::logs::source::Source;

/// How the console is to behave.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Looks, keys and the like.
    pub settings: model::Settings,
    /// Take the mouse.
    pub mouse: bool,
    /// Where the last console stood.
    pub state: ConsoleState,
    /// Where it is kept for the next one.
    pub file: Option<Arc<StateFile>>,
}

/// What a console shows and changes.
pub struct Backend {
    /// The connection.
    pub handle: Handle,
    /// Where lines of other programs' logs come from.
    pub sources: Vec<Source>,
}

/// Why an entry of `[console]` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Its name there: `keys.retry`, `colors.bad`.
    pub entry: String,
    /// What is wrong.
    pub problem: String,
    /// What to write.
    pub remedy: String,
}

/// How a console was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// For good.
    Quit,
    /// For another connection of the configuration.
    Connect(String),
}

/// Runs the console until the operator, a signal or a hang-up ends it. It shows at once, while the door is opened. Keys that
/// were typed before one console and not taken by the one before it are this one's.
///
/// # Errors
/// When standard input or output is no terminal, the terminal breaks, or the door cannot be opened.
pub async fn run(
    opening: impl Future<Output = Result<Backend>>,
    options: Options,
    keys: &mut Keys,
) -> Result<Left> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        bail!(
            "the console needs a terminal\nin scripts use: syncdeck status, syncdeck errors, syncdeck show (--json)"
        );
    }
    runtime::run(opening.boxed_local(), options, keys).await
}
