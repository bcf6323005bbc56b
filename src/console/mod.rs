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
//!   keys ────────────┤                                      ▼                  ▼
//!   clock ───────────┘                             draw once when         tasks on the
//!                                                  nothing waits          engine's Handle
//! ```
//!
//! The room knows the engine only through `engine::handle::Handle`, and Salesforce and SQL not at all. Whatever comes
//! from data or logs passes `sanitize` before it reaches a cell. Nothing is drawn when nothing changed.

mod acts;
pub mod command;
pub mod effect;
pub mod keys;
mod layers;
pub mod model;
pub mod msg;
pub mod overlays;
pub mod panes;
mod runtime;
pub mod term;
pub mod theme;
pub mod update;
pub mod view;
pub mod widgets;

#[cfg(test)]
mod tests;

use std::io::IsTerminal;

use color_eyre::eyre::{Result, bail};

use crate::engine::handle::Handle;

/// How the console is to behave.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Offer nothing that changes anything.
    pub read_only: bool,
    /// Use no colours (`NO_COLOR`).
    pub no_color: bool,
}

/// Runs the console until the operator, a signal or a hang-up ends it.
///
/// # Errors
/// When standard input or output is no terminal, or the terminal breaks.
pub async fn run(handle: Handle, options: Options) -> Result<()> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        bail!(
            "the console needs a terminal\nin scripts use: syncdeck status, syncdeck errors, syncdeck show (--json)"
        );
    }
    runtime::run(handle, options).await
}
