//! The menus that there are, each made of what it lists.

use std::sync::Arc;

use super::menu::{Menu, MenuItem, MenuKind, NO_DIGIT};
use crate::client::api::ClientError;
use crate::config::console::THEMES;
use crate::console::command::COMMANDS;
use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::pane::Pane;
use crate::console::panes::errors::subject;
use crate::console::panes::record::{RecordPane, ToldCommand, in_console, told};
use crate::console::settings::{Connection, Settings};
use crate::domain::changes::dry_run::{DryRun, DryRunRow};
use crate::domain::errors::catalogue;
use crate::domain::errors::remedy::{RemedyAction, SuggestedFix, picked};
use crate::domain::errors::sort::{Sort, SortBy};
use crate::domain::errors::suggested_fix::removal;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::field::Field;
use crate::domain::mappings::strategy::Strategy;
use crate::domain::names::RowRef;
use crate::domain::operations::operation::AuditEntry;
use crate::domain::records::named::{NamedRecord, NamedRecords};
use crate::domain::records::record::{Diagnosis, Hit};
use crate::domain::records::verify::{Finding, VerifyReport};
use crate::domain::reports::overview::MappingStatus;
use crate::domain::values::picklist::choices;

/// Rows of an operation that are listed.
const ROWS: usize = 500;

/// What a person is told to do about a row or a mapping, in a form that a key can: by a command of the console in the place of
/// a shell's, or by a key of the record, which is named at the end of the words.
fn by_hand(text: &str, mapping: &str, row: Option<&RowRef>) -> Option<Outcome> {
    let of = |name: Option<String>| name.or_else(|| Some(mapping.to_owned()).filter(|name| !name.is_empty()));
    match told(text) {
        Some((_, ToldCommand::Rule { mapping, rule })) => {
            return Some(Outcome::AskRule { mapping: of(mapping), rule });
        }
        Some((_, ToldCommand::Verify(mapping))) => return of(mapping).map(Outcome::Verify),
        Some((_, ToldCommand::SignIn)) => return Some(Outcome::begin(Effect::SignIn)),
        Some((_, ToldCommand::MergeInto)) => return row.cloned().map(Outcome::AskMergeInto),
        Some((_, ToldCommand::ByKey)) | None => {}
    }
    let (_, key) = text.rsplit_once('(')?;
    let key = key.split_once(')')?.0;
    let command =
        COMMANDS.iter().find(|command| command.is_in(Pane::Record) && command.keys.contains(&key))?;
    Some(Outcome::Run(command, Pane::Record))
}

impl Menu {
    /// What can be done about the error of the open record.
    pub fn remedies(pane: &RecordPane) -> Option<Menu> {
        let view = pane.view.as_ref().filter(|view| !view.advice.remedies.is_empty())?;
        let item = |offer: &SuggestedFix| {
            let apply = || match (&offer.action, &view.error) {
                (Some(action), Some(error)) if action.is_of_comparison() => {
                    Effect::PutRight { error: Box::new(error.clone()), action: action.clone() }
                }
                _ => Effect::Apply { row: pane.row.clone(), offer: Box::new(offer.clone()) },
            };
            let does =
                offer.action.as_ref().map(|action| match (action, offer.question(view), picked(view)) {
                    (RemedyAction::Pick, _, Some((field, shown))) => Outcome::PickValue {
                        row: pane.row.clone(),
                        field: Box::new(field.clone()),
                        shown: shown.clone(),
                        offer: Box::new(offer.clone()),
                    },
                    (RemedyAction::Compare, ..) => Outcome::Compare(pane.row.clone()),
                    (_, Some(question), _) => Outcome::Begin { effect: apply(), question: Some(question) },
                    (RemedyAction::Link, None, _) => {
                        Outcome::begin(Effect::Link { row: pane.row.clone(), replace: false })
                    }
                    (_, None, _) => Outcome::begin(apply()),
                });
            let does = does.or_else(|| by_hand(&offer.text, &view.mapping, Some(&pane.row)));
            let note = match offer.action {
                Some(RemedyAction::Rule { .. }) => format!("for all rows of {}; asks first", view.mapping),
                _ if offer.clears && offer.changes.is_empty() => "asks first".to_owned(),
                _ if offer.clears => format!("{}; asks first", offer.changes_in_words()),
                _ => offer.changes_in_words(),
            };
            // A digit means the same in the record: only what has a number there has one here.
            let number = offer.number.or(NO_DIGIT);
            MenuItem { number, text: in_console(&offer.text), note, does }
        };
        let mut offers: Vec<&SuggestedFix> = view.advice.remedies.iter().collect();
        // What can be done by itself comes first, under its number, and what empties a value last.
        offers.sort_by_key(|offer| (offer.clears, offer.number.is_none()));
        let items = offers.into_iter().map(item).collect();
        Some(Menu::of(format!("{}: what to do", view.advice.title), items, 0))
    }

    /// The values that a field may have; choosing one gives it to the row and sends that.
    pub fn values(
        name: &str,
        row: &RowRef,
        field: &Field,
        shown: Option<&String>,
        offer: &SuggestedFix,
    ) -> Menu {
        let item = |(value, makes): (&str, String)| MenuItem {
            number: None,
            text: value.to_owned(),
            note: if makes == value { String::new() } else { makes.clone() },
            does: Some(Outcome::begin(Effect::Apply {
                row: row.clone(),
                offer: Box::new(offer.with_value(&field.column, shown.cloned(), &makes)),
            })),
        };
        let items = choices(field, shown.map(String::as_str)).into_iter().map(item).collect();
        Menu::of(format!("{} of {name}: choose its value", field.name), items, 0)
    }

    /// Conditions that stand, each with what helps: choosing one does that, or says what it means. `None` without any.
    /// `more` tells that there are others.
    pub fn standing(conditions: &[SyncError], more: bool) -> Option<Menu> {
        let item = |error: &SyncError| {
            let Diagnosis { title, cause, remedies } = catalogue::diagnose_error(error);
            let first = remedies.first().map_or(String::new(), |remedy| remedy.text.clone());
            let told =
                remedies.iter().map(|remedy| format!("\n→ {}", in_console(&remedy.text))).collect::<String>();
            let text = format!("{}\n\n{cause}\n{told}", error.message);
            // A key of the record would be about the row that is open there, which is not at fault.
            let by_hand = |remedy: &SuggestedFix| {
                let does = by_hand(&remedy.text, &error.mapping, None)?;
                (!matches!(does, Outcome::Run(..))).then_some((in_console(&remedy.text), does))
            };
            let is_rule = |does: &Outcome| matches!(does, Outcome::AskRule { mapping: Some(_), .. });
            let (rules, others): (Vec<_>, Vec<_>) =
                remedies.iter().filter_map(by_hand).partition(|(_, does)| is_rule(does));
            let rule = rules.into_iter().next().map(|(_, does)| does);
            let condition = MenuItem {
                number: None,
                text: format!("{}: {title}: {}", subject(error), error.message),
                note: in_console(&first),
                does: Some(rule.unwrap_or(Outcome::Info { title, text })),
            };
            let others = others.into_iter().map(|(text, does)| MenuItem {
                number: None,
                text: format!("→ {text}"),
                note: String::new(),
                does: Some(does),
            });
            std::iter::once(condition).chain(others).collect::<Vec<_>>()
        };
        let items: Vec<MenuItem> = conditions.iter().flat_map(item).collect();
        let title = match more {
            false => "What stands in the way, and what helps".to_owned(),
            true => {
                format!(
                    "What stands in the way, and what helps: the newest {}; ! lists all",
                    conditions.len()
                )
            }
        };
        (!items.is_empty()).then(|| Menu::of(title, items, 0))
    }

    /// What can be done about an error that is of no row; `None` where nothing is done by itself.
    pub fn remedies_of(error: &SyncError) -> Option<Menu> {
        let diagnosis = catalogue::diagnose_error(error);
        let item = |offer: SuggestedFix| {
            let does = offer.action.as_ref().map(|action| {
                let effect = Effect::PutRight { error: Box::new(error.clone()), action: action.clone() };
                match offer.clears {
                    true => Outcome::Begin {
                        effect,
                        question: Some(removal(&format!("{} {}", error.message, offer.text), action)),
                    },
                    false => Outcome::begin(effect),
                }
            });
            let by_hand = || by_hand(&offer.text, &error.mapping, None);
            let does = does.or_else(|| by_hand().filter(|does| !matches!(does, Outcome::Run(..))));
            let note = if offer.clears { "asks first".to_owned() } else { String::new() };
            MenuItem { number: offer.number, text: in_console(&offer.text), note, does }
        };
        let items: Vec<MenuItem> = diagnosis.remedies.into_iter().map(item).collect();
        let any = items.iter().any(|item| item.does.is_some());
        any.then(|| Menu::of(format!("{}: what to do", diagnosis.title), items, 0))
    }

    /// The strategies of a mapping, the cursor on the one in force; or those for all mappings.
    pub fn strategies(mapping: Option<&MappingStatus>) -> Menu {
        let items = Strategy::ALL.map(|strategy| MenuItem {
            number: None,
            text: strategy.word().to_owned(),
            note: strategy.meaning().to_owned(),
            does: Some({
                let effect = Effect::SetRule {
                    mapping: mapping.map(|mapping| mapping.name.clone()),
                    key: "strategy".to_owned(),
                    value: strategy.word().to_owned(),
                };
                match mapping {
                    Some(_) => Outcome::begin(effect),
                    None => Outcome::Begin {
                        effect,
                        question: Some(format!(
                            "All mappings of this connection: {}: {}.",
                            strategy.word(),
                            strategy.meaning()
                        )),
                    },
                }
            }),
        });
        let now = mapping.map_or("", |mapping| mapping.strategy.as_str());
        let at = Strategy::ALL.iter().position(|strategy| strategy.word() == now).unwrap_or(0);
        let name = mapping.map_or("all mappings", |mapping| mapping.name.as_str());
        Menu::of(format!("{name}: what becomes of errors"), items.into(), at)
    }

    /// The rows that a text named; choosing one opens it. `None` without any.
    pub fn hits(text: &str, hits: &[Hit]) -> Option<Menu> {
        let item = |hit: &Hit| {
            let stands = match (&hit.state, hit.exists) {
                (Some(state), _) => format!("{} · {state}", hit.unit),
                (None, true) => hit.unit.clone(),
                (None, false) => format!("{} · the row is gone", hit.unit),
            };
            MenuItem {
                number: None,
                text: format!("{} {}  {stands}", hit.mapping, hit.row.row),
                note: [hit.sfid.as_deref(), hit.external_id.as_deref(), Some(&format!("by {}", hit.by))]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" · "),
                does: Some(Outcome::OpenRow(hit.row.clone())),
            }
        };
        let items: Vec<MenuItem> = hits.iter().map(item).collect();
        let menu = Menu::of(format!("Rows found by {text}"), items, 0);
        (!hits.is_empty()).then_some(menu)
    }

    /// The rows whose names have a text in them; choosing one opens it.
    pub fn named(ctx: &Context, text: &str, found: &NamedRecords) -> Menu {
        let item = |record: &NamedRecord| MenuItem {
            number: None,
            text: format!("{}  {}", ctx.row_name(&record.row), record.name),
            note: record.telling.clone(),
            does: Some(Outcome::OpenRow(record.row.clone())),
        };
        let only = if found.only_beginnings { "; of large tables only those that begin so" } else { "" };
        let items = found.records.iter().map(item).collect();
        Menu::of(format!("Rows named {text}{only}"), items, 0)
    }

    /// The orders of the errors; the cursor rests on the one in force, which turns round.
    pub fn sorts(now: Sort) -> Menu {
        let items = SortBy::ALL.map(|by| {
            let direction = match (by == now.by, now.descending) {
                (false, _) => String::new(),
                (true, true) => "  ↓ now, greatest first; choose it to turn round".to_owned(),
                (true, false) => "  ↑ now, least first; choose it to turn round".to_owned(),
            };
            MenuItem {
                number: None,
                text: format!("{}{direction}", by.word().replace('_', " ")),
                note: String::new(),
                does: Some(Outcome::Sort(by)),
            }
        });
        let at = SortBy::ALL.iter().position(|by| *by == now.by).unwrap_or(0);
        Menu::of("Sort the errors by".to_owned(), items.into(), at)
    }

    /// The filters of a pane that were kept; the cursor rests on the one in force. `None` without any.
    pub fn kept_filters(settings: &Settings, pane: Pane, now: &str) -> Option<Menu> {
        let item = |(name, filter): (&str, &str)| MenuItem {
            number: None,
            text: name.to_owned(),
            note: filter.to_owned(),
            does: Some(Outcome::FilterBy { pane, filter: filter.to_owned() }),
        };
        let items: Vec<MenuItem> = settings.saved_filters(pane).map(item).collect();
        let at = items.iter().position(|item| item.note == now).unwrap_or(0);
        let title = format!("Filter the {} by", pane.title().to_lowercase());
        (!items.is_empty()).then(|| Menu::of(title, items, at))
    }

    /// The colours that there are; the cursor rests on those in force.
    pub fn themes(now: &str) -> Menu {
        let item = |name: &&'static str| MenuItem {
            number: None,
            text: format!("{name}{}", if *name == now { "  now" } else { "" }),
            note: String::new(),
            does: Some(Outcome::Theme(name)),
        };
        let at = THEMES.iter().position(|name| *name == now).unwrap_or(0);
        let title = "Colours, until the console is left; console.theme keeps them".to_owned();
        let kind = MenuKind::Themes { before: THEMES[at] };
        Menu { kind, ..Menu::of(title, THEMES.iter().map(item).collect(), at) }
    }

    /// The connections of the configuration; the cursor rests on the one that shows.
    pub fn connections(connections: &[Connection], here: &str) -> Menu {
        let item = |connection: &Connection| MenuItem {
            number: None,
            text: format!("{}  {}", connection.name, connection.environment),
            note: if connection.name == here { "this one".to_owned() } else { String::new() },
            does: Some(Outcome::begin(Effect::Connect(connection.name.clone()))),
        };
        let at = connections.iter().position(|connection| connection.name == here).unwrap_or(0);
        Menu::of("Go to a connection".to_owned(), connections.iter().map(item).collect(), at)
    }

    /// What a comparison of rows and records found; choosing one opens its row.
    pub fn findings(table: String, report: Arc<VerifyReport>) -> Menu {
        let VerifyReport { mapping, rows, records, findings, unsettled, unread, stopped, .. } = &*report;
        let item = |finding: &Finding| {
            let row = finding.row.as_ref().map_or("no row".to_owned(), |at| format!("row {}", at.row));
            let sfid = finding.sfid.as_deref().unwrap_or("no record");
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            let fields: Vec<String> = finding
                .fields
                .iter()
                .map(|field| {
                    format!("{}: {} here, {} there", field.field, shown(&field.row), shown(&field.record))
                })
                .collect();
            MenuItem {
                number: None,
                text: format!("{}  {row}  {sfid}", finding.kind.text()),
                note: format!("{}{}", finding.text, fields.join("; ")),
                does: finding.row.clone().map(Outcome::OpenRow),
            }
        };
        let more = if findings.len() > ROWS { format!(", the first {ROWS}") } else { String::new() };
        let unsettled =
            if *unsettled > 0 { format!(", {unsettled} changed while one looked") } else { String::new() };
        let unread = if *unread > 0 {
            format!(", {unread} looked different while nobody read")
        } else {
            String::new()
        };
        let ended = if *stopped { ", stopped before the end" } else { "" };
        let title = format!(
            "{mapping}: {} of {rows} rows and {records} records differ{more}{unsettled}{unread}{ended}",
            findings.len()
        );
        let items = findings.iter().take(ROWS).map(item).collect();
        Menu { kind: MenuKind::Findings { table, report }, ..Menu::of(title, items, 0) }
    }

    /// What a dry run came to, row by row; choosing one opens it.
    pub fn dry_run(table: &str, dry_run: &DryRun) -> Menu {
        let item = |tried: &DryRunRow| {
            let said = match (&tried.code, &tried.message) {
                (Some(code), Some(message)) => format!("✗ {code}: {message}"),
                _ => "✓ goes through".to_owned(),
            };
            let left: Vec<String> =
                tried.left_out.iter().map(|(field, why)| format!("{field} stays behind: {why}")).collect();
            let row = RowRef { table: table.to_owned(), row: tried.row };
            MenuItem {
                number: None,
                text: format!("row {}  {}  {said}", tried.row, tried.op),
                note: left.join("; "),
                does: Some(Outcome::OpenRow(row)),
            }
        };
        let title =
            format!("{}: {} of {} rows would go through", dry_run.mapping, dry_run.passed, dry_run.rows);
        Menu::of(title, dry_run.items.iter().map(item).collect(), 0)
    }

    /// What trials of all mappings came to: each in a line, below it the rows that would be refused; choosing one opens it.
    pub fn trials(tables: &[String], tried: &[(String, Result<DryRun, ClientError>)]) -> Menu {
        let line = |text: String, does| MenuItem { number: None, text, note: String::new(), does };
        let mut items = Vec::new();
        for (table, (name, result)) in tables.iter().zip(tried) {
            let dry_run = match result {
                Ok(dry_run) => dry_run,
                Err(refused) => {
                    items.push(line(format!("{name}: {}", refused.to_string().replace('\n', " · ")), None));
                    continue;
                }
            };
            items.push(line(
                format!("{name}: {} of {} rows would go through", dry_run.passed, dry_run.rows),
                None,
            ));
            items.extend(Menu::dry_run(table, dry_run).items.into_iter().zip(&dry_run.items).filter_map(
                |(item, tried)| {
                    (!tried.passes).then_some(MenuItem {
                        number: None,
                        text: format!("  {}", item.text),
                        ..item
                    })
                },
            ));
        }
        Menu::of("What Salesforce would say, mapping by mapping".to_owned(), items, 0)
    }

    /// The rows of an operation, called as `name` calls them; choosing one opens it.
    pub fn operation(entries: &[AuditEntry], name: impl Fn(&RowRef) -> String) -> Option<Menu> {
        let first = entries.first()?;
        let item = |entry: &AuditEntry| {
            let row = entry.row.map(|row| RowRef { table: entry.table.clone(), row });
            let name = row.as_ref().map_or(entry.table.clone(), &name);
            MenuItem {
                number: None,
                text: format!("{name}  {}", entry.text()),
                note: String::new(),
                does: row.map(Outcome::OpenRow),
            }
        };
        let shown = entries.len().min(ROWS);
        let more = if shown < entries.len() { format!(", the first {shown}") } else { String::new() };
        let title = format!("Operation {}: {} {} rows{more}", first.operation, first.action, entries.len());
        Some(Menu::of(title, entries.iter().take(ROWS).map(item).collect(), 0))
    }
}
