//! A row that may be in Salesforce already is not sent again by one key.

use super::world::{error, failing_of, full, page, press, rests};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::operations::operation::OperationKind;

/// A console whose list has one error, of this code.
fn listing(code: &str) -> App {
    let mut app = full((120, 40));
    let generation = app.errors.generation;
    let error = error(7, code, "", "the answer was lost", ErrorState::Open);
    update(&mut app, Msg::Errors { generation, append: false, result: Ok(page(vec![error.clone()])) });
    rests(&mut app, failing_of(&error));
    app
}

#[test]
fn a_retry_of_an_insert_whose_answer_was_lost_is_looked_at_first() {
    let effects = press(&mut listing("OUTCOME_UNKNOWN"), "r");
    let planned = |effect: &Effect| matches!(effect, Effect::Plan { kind: OperationKind::Retry, .. });
    assert!(effects.iter().any(planned), "{effects:?}");
    let effects = press(&mut listing("STRING_TOO_LONG"), "r");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Retry(_))), "{effects:?}");
}
