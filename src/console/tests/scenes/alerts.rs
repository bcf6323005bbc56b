//! Alerts, and what people say about causes.

use super::look::Look::{Any, Bad, Dim, Focus, Good, Key, Plain, Selected, Warn};
use super::{Scene, Size, refused, with};
use crate::client::alerts::AlertsView;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::tests::world::alerts::{alerts_view, life, muted};
use crate::console::tests::world::{HOSTILE, full, groups, press, type_in, waited_for};
use crate::domain::errors::cause::CauseState;
use crate::domain::errors::group::Group;
use crate::domain::reports::overview::{AlertsStatus, FailingChannel};

/// The console with these alerts on top, and what the header tells of them.
fn open(size: Size, view: AlertsView) -> App {
    let mut app = full(size);
    with(&mut app, |overview| {
        let failing = FailingChannel { name: "page".to_owned(), reason: "auth".to_owned() };
        overview.alerts = AlertsStatus { firing: 3, unattended: 1, failing_channels: vec![failing] };
    });
    press(&mut app, "b");
    update(&mut app, Msg::Alerts(Ok(view)));
    app
}

fn with_lives(size: Size) -> App {
    let mut lives = [Some(life(CauseState::Growing)), Some(muted())].into_iter();
    let groups = groups().into_iter().map(|group| Group { life: lives.next().flatten(), ..group });
    let mut app = full(size);
    waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(groups.collect()) });
    app
}

pub fn scenes() -> Vec<Scene> {
    vec![
        (
            "alerts",
            &[
                (Bad, "▲ 3"),
                (Focus, "Alerts"),
                (Selected, " firing 3 "),
                (Selected, "a new cause: Contact"),
                (Warn, "● in hand"),
                (Dim, "○ silenced"),
                (Warn, "◌ waiting"),
                (Good, "✓ over"),
                (Plain, "Why: Salesforce takes no such address."),
                (Key, "Enter"),
                (Plain, "its errors"),
            ],
            |size| open(size, alerts_view()),
        ),
        (
            "alerts_silences",
            &[
                (Selected, " silences 1 "),
                (Selected, "a load runs"),
                (Plain, "Silence 3 of many until"),
                (Plain, "end it"),
            ],
            |size| {
                let mut app = open(size, alerts_view());
                press(&mut app, "Tab");
                app
            },
        ),
        (
            "alerts_channels",
            &[
                (Bad, "▲ 1 fail"),
                (Selected, "✗ fails"),
                (Good, "✓ works"),
                (Dim, "· unused"),
                (Plain, "auth: 401: the token is not accepted"),
                (Plain, "its messages"),
            ],
            |size| {
                let mut app = open(size, alerts_view());
                press(&mut app, "Tab Tab j");
                app
            },
        ),
        (
            "alerts_messages",
            &[
                (Selected, "▲ failed"),
                (Good, "✓ sent"),
                (Warn, "◌ queued"),
                (Bad, "✗ given up"),
                (Plain, "Not taken, 4 times"),
                (Plain, "read it"),
            ],
            |size| {
                let mut app = open(size, alerts_view());
                press(&mut app, "S-Tab");
                app
            },
        ),
        ("alerts_none", &[(Dim, "No alerts are configured")], |size| {
            let mut app = full(size);
            press(&mut app, "b");
            update(&mut app, Msg::Alerts(Ok(AlertsView::default())));
            app
        }),
        ("alerts_loading", &[(Dim, "Reading the alerts ...")], |size| {
            let mut app = full(size);
            press(&mut app, "b");
            app
        }),
        ("alerts_refused", &[(Bad, "The alerts cannot be read: no connection")], |size| {
            let mut app = full(size);
            press(&mut app, "b");
            update(&mut app, Msg::Alerts(Err(refused())));
            app
        }),
        (
            "alerts_silence",
            &[
                (Focus, "Silence new_cause:8fb2"),
                (Any, "1h a load runs"),
                (Dim, "how long, then why"),
                (Plain, "silence it"),
            ],
            |size| {
                let mut app = open(size, alerts_view());
                press(&mut app, "s");
                type_in(&mut app, " a load runs");
                app
            },
        ),
        (
            "groups_lives",
            &[(Dim, "▲ growing"), (Dim, "○ quiet"), (Dim, "owner ada@ops · muted"), (Plain, "ignore")],
            with_lives,
        ),
        ("group_mute", &[(Focus, "Mute Contact"), (Any, "grows"), (Dim, "until: grows, 100 more")], |size| {
            let mut app = with_lives(size);
            press(&mut app, "s");
            app
        }),
        ("group_why", &[(Focus, "Why these errors are one group"), (Plain, "code: INVALID_EMAIL")], |size| {
            let mut app = with_lives(size);
            press(&mut app, "w");
            app
        }),
    ]
}

/// The same where everything is hostile that anybody names or writes.
pub fn hostile() -> Vec<Scene> {
    fn view() -> AlertsView {
        let text = || HOSTILE.to_owned();
        let mut view = alerts_view();
        let alert = &mut view.alerts[0];
        (alert.name, alert.rule, alert.headline) = (text(), text(), text());
        (alert.why, alert.acknowledged_by, alert.note) = (Some(text()), Some(text()), Some(text()));
        (view.silences[0].rule, view.silences[0].note, view.silences[0].actor) =
            (Some(text()), text(), text());
        (view.channels[1].reason, view.channels[1].detail) = (Some(text()), Some(text()));
        view.configured.channels.insert(0, (text(), text()));
        let told = &mut view.messages[0];
        (told.title, told.text, told.posted.channel) = (text(), text(), text());
        (told.posted.reason, told.posted.detail) = (Some(text()), Some(text()));
        view
    }
    fn at(size: Size, keys: &str) -> App {
        let mut app = open(size, view());
        with(&mut app, |overview| {
            let failing = FailingChannel { name: HOSTILE.to_owned(), reason: HOSTILE.to_owned() };
            overview.alerts = AlertsStatus { firing: 3, unattended: 1, failing_channels: vec![failing] };
        });
        press(&mut app, keys);
        app
    }
    vec![
        ("alerts_hostile", &[(Selected, "\\e[31m")], |size| at(size, "g")),
        ("alerts_silences_hostile", &[(Selected, "\\e[31m")], |size| at(size, "Tab")),
        ("alerts_channels_hostile", &[(Selected, "\\e[31m")], |size| at(size, "Tab Tab")),
        ("alerts_messages_hostile", &[(Selected, "\\e[31m")], |size| at(size, "S-Tab")),
        ("alerts_message_hostile", &[(Any, "\\e[31m")], |size| at(size, "S-Tab Enter")),
        ("alerts_silence_hostile", &[(Focus, "Silence \\e[31m")], |size| at(size, "S")),
        ("alerts_only_hostile", &[(Any, "\\e[31m")], |size| at(size, "Tab Tab Enter")),
    ]
}
