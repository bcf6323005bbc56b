//! Questions asked again, where nothing is written by them: a look of an hour must not end with one bad minute, and who
//! opens a record should not see that Salesforce was busy for a moment.

use std::time::Duration;

use crate::domain::errors::catalogue;
use crate::domain::errors::sync_error::Class;
use crate::domain::errors::sync_error::ErrorSource;
use crate::salesforce;

/// How often Salesforce is asked for whoever waits.
pub(crate) const TRIES: usize = 3;

/// Asks Salesforce up to `tries` times while it only is not well.
///
/// # Errors
/// What it says at last, or at once where asking again would bring the same.
pub(crate) async fn again<T, F: Future<Output = Result<T, salesforce::Error>>>(
    tries: usize,
    ask: impl Fn() -> F,
) -> Result<T, salesforce::Error> {
    let mut pause = Duration::from_millis(500);
    for _ in 1..tries {
        match ask().await {
            Err(error) if is_passing(&error) => tokio::time::sleep(pause).await,
            done => return done,
        }
        pause *= 2;
    }
    ask().await
}

/// Whether Salesforce, or the way to it, only is not well.
pub(crate) fn is_passing(error: &salesforce::Error) -> bool {
    match error {
        salesforce::Error::Api { status, code, message, .. } => {
            *status >= 500
                || catalogue::classify(ErrorSource::Salesforce, code, message).class == Class::Transient
        }
        _ => true,
    }
}
