//! The terminal console: which mapping is failing, which records, why; open one, mend the value, see it go through.
//!
//! Everything that happens becomes a [`msg::Msg`]; [`app::update::update`] changes the [`app::App`] and answers with
//! [`effect::Effect`]s; [`app::draw::draw`] only draws; `runtime` alone performs effects, as tasks whose results come back
//! as messages:
//!
//! ```text
//!   hangup, signals ─┐
//!   engine events ───┤  (biased, in this order)      update(&mut App, Msg) -> Vec<Effect>
//!   replies ─────────┼──────► Msg ─────────────────►        │                  │
//!   clock ───────────┘         ▲                            ▼                  ▼
//!   keys ──────────────────────┘                    draw: keys at once,   tasks on the
//!    (taken in and drawn by the thread             the rest when it is   client's Client
//!     that reads them)                             due
//! ```
//!
//! The room is a tree; a file knows those on its own floor and below, the lowest first:
//!
//! 1. [`pane`], [`sizes`], [`keys`], [`theme`], [`widgets`], [`term`]: names, and what draws or reads without knowing anything.
//! 2. [`command`]: the table of what one can do; [`keymap`], [`settings`], and the [`context`], which all may read.
//! 3. [`effect`], [`msg`], [`outcome`]: what is to be done outside, what came of it, what a component asks of the others.
//! 4. [`panes`], then [`overlays`]: the components. Each owns its state.
//! 5. [`app`]: all of them together, and what a command, a message or an outcome does to them.
//! 6. `runtime`, the loop, and `io`, which performs what concerns the engine.
//!
//! The room knows the engine only through [`Client`], and Salesforce and SQL not at all. Whatever comes from data or logs
//! passes `sanitize` before it reaches a cell. Nothing is drawn when nothing changed.

pub mod app;
mod ascii;
pub mod columns;
pub mod command;
pub mod context;
mod copy;
pub mod effect;
pub mod invalid_setting;
mod io;
pub mod keymap;
pub mod keys;
pub mod msg;
pub mod outcome;
pub mod overlays;
pub mod pane;
pub mod panes;
mod runtime;
pub mod settings;
pub mod sizes;
pub mod term;
pub mod theme;
pub mod widgets;

#[cfg(test)]
mod tests;

pub use invalid_setting::InvalidSetting;
pub use term::input::Keys;

use std::future::Future;
use std::io::IsTerminal;
use std::sync::Arc;

use color_eyre::eyre::{Result, bail};
use futures_util::FutureExt;

use crate::client::api::Client;
use crate::config::state::{SessionState, StateFile};
use crate::logs::source::LogSource;

/// How the console is to behave.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Looks, keys and the like.
    pub settings: settings::Settings,
    /// Take the mouse.
    pub mouse: bool,
    /// Where the last console stood.
    pub state: SessionState,
    /// Where it is kept for the next one.
    pub file: Option<Arc<StateFile>>,
}

/// What a console shows and changes.
pub struct Backend {
    /// The connection.
    pub client: Client,
    /// Where lines of other programs' logs come from.
    pub sources: Vec<LogSource>,
}

/// How a console was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// For good.
    Quit,
    /// For another connection of the configuration.
    Connect(String),
}

/// Runs the console until the operator, a signal or a hang-up ends it. It shows at once, while the connection is opened. Keys that
/// were typed before one console and not taken by the one before it are this one's.
///
/// # Errors
/// When standard input or output is no terminal, the terminal breaks, or the connection cannot be opened.
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
