//! A forecast of API calls, and what it goes by.

use std::io;

use crate::client::setup::forecast::forecast_lines;
use crate::domain::reports::forecast::{Allowance, Forecast};

use super::args::CallOptions;
use super::print;

/// What the org allows, as far as it is known without asking it.
pub(super) fn allowance(options: &CallOptions) -> Allowance {
    options.allowance.map(|calls| Allowance::Given { calls }).unwrap_or_default()
}

/// Prints it.
pub(super) fn print(forecast: &Forecast) -> io::Result<()> {
    print::setup(&forecast_lines(forecast))
}
