//! What is said of what was copied.

use super::world::{failing, full, jane, press};
use crate::client::api::ClientError;
use crate::config::console::CopyTo;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::msg::Msg;

/// Jane's record with a first name, which is copied; what is said of it.
fn copied(name: &str, tmux: bool) -> (Vec<Effect>, String) {
    let mut app: App = full((120, 40));
    app.ctx.settings.tmux = tmux;
    press(&mut app, "j Enter");
    let mut view = failing();
    view.values[0].1 = Some(name.to_owned());
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(view)) });
    let effects = press(&mut app, "g y");
    (effects, app.ctx.toast.unwrap().text)
}

#[test]
fn what_is_said_of_a_copy_is_what_reached_the_clipboard() {
    assert_eq!(copied("Jane", false), (vec![Effect::Copy("Jane".to_owned())], "copied: Jane".to_owned()));
    let (_, said) = copied("Jane", true);
    assert_eq!(said, "copied (tmux passes it on with: set -g set-clipboard on): Jane");
    let (_, said) = copied(&"x".repeat(60_000), false);
    assert!(said.starts_with("copied, cut to its first 56 kB: xxx"), "{}", &said[..60]);
}

#[test]
fn where_the_configuration_names_a_program_it_gets_the_whole_text() {
    let mut app: App = full((120, 40));
    let to = CopyTo::Command(vec!["wl-copy".to_owned()]);
    app.ctx.settings.copy = Some(to.clone());
    press(&mut app, "j Enter");
    let mut view = failing();
    let long = "x".repeat(60_000);
    view.values[0].1 = Some(long.clone());
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(view)) });
    assert_eq!(press(&mut app, "g y"), [Effect::CopyTo { to, text: long }]);
    update(&mut app, Msg::Copied(Err(ClientError::refused("not copied: wl-copy failed: no display"))));
    let said = app.ctx.toast.as_ref().unwrap();
    assert_eq!((said.tone, said.text.as_str()), (Tone::Bad, "not copied: wl-copy failed: no display"));
}
