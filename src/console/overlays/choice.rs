//! A list to choose from: the remedies of an error, the causes of errors, the strategies of a mapping. A digit chooses at once.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::client::handle::Refused;
use crate::config::console::THEMES;
use crate::console::effect::Effect;
use crate::console::model::{Connection, Model};
use crate::console::panes::record::RecordPane;
use crate::console::widgets::cells::{clip, fit};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::act::AuditEntry;
use crate::domain::dry_run::{DryRun, DryRunRow};
use crate::domain::group::Group;
use crate::domain::merge::Side;
use crate::domain::names::RowRef;
use crate::domain::overview::MappingStatus;
use crate::domain::record::Hit;
use crate::domain::remedy::{Action, Offer};
use crate::domain::sort::{Sort, SortBy};
use crate::domain::strategy::Strategy;
use crate::domain::verify::{Finding, Verdict};

/// Rows of an act that are listed.
const ROWS: usize = 500;

/// The list.
#[derive(Debug)]
pub struct Choice {
    title: String,
    items: Vec<Item>,
    cursor: Cursor,
    /// The table of what a comparison found, and all of that: one side may be taken for it.
    found: Option<(String, Arc<Verdict>)>,
    /// The filter of the errors whose causes these are.
    causes: Option<String>,
}

/// One of it.
#[derive(Debug)]
struct Item {
    /// What it is chosen by, where that is not its place.
    number: Option<usize>,
    text: String,
    note: String,
    /// What it does; `None` for advice that a person has to follow.
    deed: Option<Deed>,
}

impl Item {
    /// The digit that chooses it at a place of the list: one key, so that what lies beyond has none.
    fn number(&self, at: usize) -> Option<usize> {
        self.number.or_else(|| self.deed.as_ref().map(|_| at + 1)).filter(|number| *number < 10)
    }
}

/// What is done when one is chosen.
#[derive(Debug)]
pub enum Deed {
    /// Something outside of the console.
    Effect(Effect),
    /// Something that concerns more than what one looks at: asked about in these words first.
    Ask(String, Effect),
    /// Errors are listed by this filter, which is called so.
    Filter(String, String),
    /// This row is opened.
    Row(RowRef),
    /// The errors stand in this order.
    Sort(SortBy),
    /// These are the colours.
    Theme(&'static str),
}

/// What can be done with all errors of a cause, where they are listed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Change a field.
    Fix,
    /// Send again.
    Retry,
    /// Take Salesforce's values.
    Revert,
    /// Stop asking.
    Ignore,
}

/// What a key did to it.
pub enum Picking {
    /// Nothing yet.
    Open(Choice),
    /// One was chosen.
    Done(Deed),
    /// Something is done with all errors that this filter, called so, matches.
    All(String, String, Verb),
    /// One side is to be taken for what a comparison found in this table.
    Repair(String, Arc<Verdict>, Side),
    /// It was left.
    Left,
}

impl Choice {
    fn of(title: String, items: Vec<Item>, at: usize) -> Choice {
        Choice { title, items, cursor: Cursor { at, ..Cursor::default() }, found: None, causes: None }
    }

    /// What can be done about the error of the open record.
    pub fn remedies(pane: &RecordPane) -> Option<Choice> {
        let view = pane.view.as_ref().filter(|view| !view.advice.remedies.is_empty())?;
        let item = |offer: &Offer| {
            let apply = || Effect::Apply { row: pane.row.clone(), offer: Box::new(offer.clone()) };
            let deed = offer.action.as_ref().map(|action| match (action, offer.question(view)) {
                (_, Some(question)) => Deed::Ask(question, apply()),
                (Action::Link, None) => Deed::Effect(Effect::Link { row: pane.row.clone(), replace: false }),
                (_, None) => Deed::Effect(apply()),
            });
            let note = match offer.action {
                Some(Action::Rule { .. }) => format!("for all rows of {}; asks first", view.mapping),
                _ if offer.clears && offer.changes.is_empty() => "asks first".to_owned(),
                _ if offer.clears => format!("{}; asks first", changes(offer)),
                _ => changes(offer),
            };
            Item { number: offer.number, text: offer.text.clone(), note, deed }
        };
        let mut offers: Vec<&Offer> = view.advice.remedies.iter().collect();
        // What can be done by itself comes first, under its number, and what empties a value last.
        offers.sort_by_key(|offer| (offer.clears, offer.number.is_none()));
        let items = offers.into_iter().map(item).collect();
        Some(Choice::of(format!("{}: what to do", view.advice.title), items, 0))
    }

    /// The strategies of a mapping, the cursor on the one in force; or those for all mappings.
    pub fn strategies(mapping: Option<&MappingStatus>) -> Choice {
        let items = Strategy::ALL.map(|strategy| Item {
            number: None,
            text: strategy.word().to_owned(),
            note: strategy.meaning().to_owned(),
            deed: Some({
                let effect = Effect::SetRule {
                    mapping: mapping.map(|mapping| mapping.name.clone()),
                    key: "strategy".to_owned(),
                    value: strategy.word().to_owned(),
                };
                match mapping {
                    Some(_) => Deed::Effect(effect),
                    None => Deed::Ask(
                        format!(
                            "All mappings of this connection: {}: {}.",
                            strategy.word(),
                            strategy.meaning()
                        ),
                        effect,
                    ),
                }
            }),
        });
        let now = mapping.map_or("", |mapping| mapping.strategy.as_str());
        let at = Strategy::ALL.iter().position(|strategy| strategy.word() == now).unwrap_or(0);
        let name = mapping.map_or("all mappings", |mapping| mapping.name.as_str());
        Choice::of(format!("{name}: what becomes of errors"), items.into(), at)
    }

    /// The causes of the errors that match a filter; choosing one lists its errors. `None` without errors.
    pub fn groups(groups: &[Group], filter: &str, clock: impl Fn(DateTime<Utc>) -> String) -> Option<Choice> {
        let item = |group: &Group| {
            let fields =
                if group.fields.is_empty() { String::new() } else { format!(" {}", group.fields.join(",")) };
            Item {
                number: None,
                text: format!(
                    "{:>7} {:<6} {} {}{fields}",
                    group.count,
                    group.trend.sign(),
                    group.mapping,
                    group.code
                ),
                note: format!(
                    "{} to {}  {}",
                    clock(group.first_seen),
                    clock(group.last_seen),
                    group.template
                ),
                deed: Some(Deed::Filter(
                    format!("group:{}", group.group),
                    format!("{} {}{fields}: {}", group.mapping, group.code, group.template),
                )),
            }
        };
        let title = if filter.is_empty() { String::new() } else { format!(" that match {filter}") };
        let items: Vec<Item> = groups.iter().map(item).collect();
        let mut choice = Choice::of(format!("Causes of errors{title}"), items, 0);
        choice.causes = Some(filter.to_owned());
        (!groups.is_empty()).then_some(choice)
    }

    /// The filter of the errors whose causes are listed.
    pub fn causes(&self) -> Option<&str> {
        self.causes.as_deref()
    }

    /// Stands on the cause whose errors are listed by this filter, where it is still there.
    pub fn stand_on(&mut self, cause: &str) {
        let is_it = |item: &Item| matches!(&item.deed, Some(Deed::Filter(filter, _)) if filter == cause);
        self.cursor.at = self.items.iter().position(is_it).unwrap_or(0);
    }

    /// The causes as they are now; the selection stays on its own.
    pub fn renew(&mut self, now: Choice) {
        let of = |choice: &Choice, at: usize| match choice.items.get(at).map(|item| &item.deed) {
            Some(Some(Deed::Filter(filter, _))) => Some(filter.clone()),
            _ => None,
        };
        let selected = of(self, self.cursor.at);
        let there = (0..now.items.len()).find(|at| of(&now, *at) == selected);
        let at = there.unwrap_or(self.cursor.at).min(now.items.len().saturating_sub(1));
        *self = Choice { cursor: Cursor { at, ..self.cursor }, ..now };
    }

    /// The rows that a text named; choosing one opens it. `None` without any.
    pub fn hits(text: &str, hits: &[Hit]) -> Option<Choice> {
        let item = |hit: &Hit| {
            let stands = match (&hit.state, hit.exists) {
                (Some(state), _) => format!("{} · {state}", hit.unit),
                (None, true) => hit.unit.clone(),
                (None, false) => format!("{} · the row is gone", hit.unit),
            };
            Item {
                number: None,
                text: format!("{} {}  {stands}", hit.mapping, hit.row.row),
                note: [hit.sfid.as_deref(), hit.external_id.as_deref(), Some(&format!("by {}", hit.by))]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" · "),
                deed: Some(Deed::Row(hit.row.clone())),
            }
        };
        let items: Vec<Item> = hits.iter().map(item).collect();
        let choice = Choice::of(format!("Rows found by {text}"), items, 0);
        (!hits.is_empty()).then_some(choice)
    }

    /// The orders of the errors; the cursor rests on the one in force, which turns round.
    pub fn sorts(now: Sort) -> Choice {
        let items = SortBy::ALL.map(|by| {
            let direction = match (by == now.by, now.descending) {
                (false, _) => String::new(),
                (true, true) => "  ↓ now, greatest first; choose it to turn round".to_owned(),
                (true, false) => "  ↑ now, least first; choose it to turn round".to_owned(),
            };
            Item {
                number: None,
                text: format!("{}{direction}", by.word().replace('_', " ")),
                note: String::new(),
                deed: Some(Deed::Sort(by)),
            }
        });
        let at = SortBy::ALL.iter().position(|by| *by == now.by).unwrap_or(0);
        Choice::of("Sort the errors by".to_owned(), items.into(), at)
    }

    /// The colours that there are; the cursor rests on those in force.
    pub fn themes(now: &str) -> Choice {
        let item = |name: &&'static str| Item {
            number: None,
            text: format!("{name}{}", if *name == now { "  now" } else { "" }),
            note: String::new(),
            deed: Some(Deed::Theme(name)),
        };
        let at = THEMES.iter().position(|name| *name == now).unwrap_or(0);
        let title = "Colours, until the console is left; console.theme keeps them".to_owned();
        Choice::of(title, THEMES.iter().map(item).collect(), at)
    }

    /// The connections of the configuration; the cursor rests on the one that shows.
    pub fn connections(connections: &[Connection], here: &str) -> Choice {
        let item = |connection: &Connection| Item {
            number: None,
            text: format!("{}  {}", connection.name, connection.environment),
            note: if connection.name == here { "this one".to_owned() } else { String::new() },
            deed: Some(Deed::Effect(Effect::Connect(connection.name.clone()))),
        };
        let at = connections.iter().position(|connection| connection.name == here).unwrap_or(0);
        Choice::of("Go to a connection".to_owned(), connections.iter().map(item).collect(), at)
    }

    /// What a comparison of rows and records found; choosing one opens its row.
    pub fn findings(table: String, verdict: Arc<Verdict>) -> Choice {
        let Verdict { mapping, rows, records, findings, unsettled, stopped, .. } = &*verdict;
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
            Item {
                number: None,
                text: format!("{}  {row}  {sfid}", finding.kind.text()),
                note: format!("{}{}", finding.text, fields.join("; ")),
                deed: finding.row.clone().map(Deed::Row),
            }
        };
        let more = if findings.len() > ROWS { format!(", the first {ROWS}") } else { String::new() };
        let unsettled =
            if *unsettled > 0 { format!(", {unsettled} changed while one looked") } else { String::new() };
        let ended = if *stopped { ", stopped before the end" } else { "" };
        let title = format!(
            "{mapping}: {} of {rows} rows and {records} records differ{more}{unsettled}{ended}",
            findings.len()
        );
        let items = findings.iter().take(ROWS).map(item).collect();
        Choice { title, items, cursor: Cursor::default(), found: Some((table, verdict)), causes: None }
    }

    /// What a trial came to, row by row; choosing one opens it.
    pub fn trial(table: &str, trial: &DryRun) -> Choice {
        let item = |tried: &DryRunRow| {
            let said = match (&tried.code, &tried.message) {
                (Some(code), Some(message)) => format!("✗ {code}: {message}"),
                _ => "✓ goes through".to_owned(),
            };
            let left: Vec<String> =
                tried.left_out.iter().map(|(field, why)| format!("{field} stays behind: {why}")).collect();
            let row = RowRef { table: table.to_owned(), row: tried.row };
            Item {
                number: None,
                text: format!("row {}  {}  {said}", tried.row, tried.op),
                note: left.join("; "),
                deed: Some(Deed::Row(row)),
            }
        };
        let title = format!("{}: {} of {} rows would go through", trial.mapping, trial.passed, trial.rows);
        Choice::of(title, trial.items.iter().map(item).collect(), 0)
    }

    /// What trials of all mappings came to: each in a line, below it the rows that would be refused; choosing one opens it.
    pub fn trials(tables: &[String], tried: &[(String, Result<DryRun, Refused>)]) -> Choice {
        let line = |text: String, deed| Item { number: None, text, note: String::new(), deed };
        let mut items = Vec::new();
        for (table, (name, result)) in tables.iter().zip(tried) {
            let trial = match result {
                Ok(trial) => trial,
                Err(refused) => {
                    items.push(line(format!("{name}: {}", refused.0.replace('\n', " · ")), None));
                    continue;
                }
            };
            items.push(line(
                format!("{name}: {} of {} rows would go through", trial.passed, trial.rows),
                None,
            ));
            items.extend(Choice::trial(table, trial).items.into_iter().zip(&trial.items).filter_map(
                |(item, tried)| {
                    (!tried.passes).then_some(Item { number: None, text: format!("  {}", item.text), ..item })
                },
            ));
        }
        Choice::of("What Salesforce would say, mapping by mapping".to_owned(), items, 0)
    }

    /// The rows of an act; choosing one opens it.
    pub fn act(entries: &[AuditEntry]) -> Option<Choice> {
        let first = entries.first()?;
        let item = |entry: &AuditEntry| {
            let row = entry.row.map(|row| RowRef { table: entry.table.clone(), row });
            let name = row.as_ref().map_or(entry.table.clone(), |at| format!("{} {}", at.table, at.row));
            Item {
                number: None,
                text: format!("{name}  {}", entry.text()),
                note: String::new(),
                deed: row.map(Deed::Row),
            }
        };
        let shown = entries.len().min(ROWS);
        let more = if shown < entries.len() { format!(", the first {shown}") } else { String::new() };
        let title = format!("Act {}: {} {} rows{more}", first.act, first.action, entries.len());
        Some(Choice::of(title, entries.iter().take(ROWS).map(item).collect(), 0))
    }

    /// A key.
    pub fn key(mut self, key: KeyEvent) -> Picking {
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return Picking::Left,
            KeyCode::Char('j') | KeyCode::Down => self.cursor.step(Step::Lines(1), self.items.len()),
            KeyCode::Char('k') | KeyCode::Up => self.cursor.step(Step::Lines(-1), self.items.len()),
            KeyCode::Enter => {
                let at = self.cursor.at;
                return if at < self.items.len() { self.choose(at) } else { Picking::Open(self) };
            }
            KeyCode::PageDown => self.cursor.step(Step::Lines(10), self.items.len()),
            KeyCode::PageUp => self.cursor.step(Step::Lines(-10), self.items.len()),
            KeyCode::Char(letter @ ('s' | 'p')) if self.found.is_some() => {
                let side = if letter == 's' { Side::Salesforce } else { Side::Postgres };
                if let Some((table, verdict)) = self.found {
                    return Picking::Repair(table, verdict, side);
                }
            }
            KeyCode::Char(letter @ ('f' | 'r' | 'u' | 'i')) => {
                if let Some(Deed::Filter(filter, called)) =
                    self.items.get(self.cursor.at).and_then(|item| item.deed.as_ref())
                {
                    let verb = match letter {
                        'f' => Verb::Fix,
                        'r' => Verb::Retry,
                        'u' => Verb::Revert,
                        _ => Verb::Ignore,
                    };
                    return Picking::All(filter.clone(), called.clone(), verb);
                }
            }
            KeyCode::Char(digit) => {
                let number = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                let has = |(at, item): (usize, &Item)| item.number(at) == number;
                if let Some(at) = number.and(self.items.iter().enumerate().position(has)) {
                    return self.choose(at);
                }
            }
            _ => {}
        }
        Picking::Open(self)
    }

    /// What the first does that can be done by itself, and concerns nothing but what one looks at.
    pub fn first(self) -> Option<Effect> {
        self.items.into_iter().find_map(|item| match item.deed {
            Some(Deed::Effect(effect)) => Some(effect),
            _ => None,
        })
    }

    fn choose(mut self, at: usize) -> Picking {
        match self.items[at].deed.take() {
            Some(deed) => Picking::Done(deed),
            None => Picking::Open(self),
        }
    }
}

/// What a remedy changes, in a line.
pub fn changes(offer: &Offer) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let one =
        |edit: &crate::domain::record::FieldEdit| format!("{} → {}", shown(&edit.shown), shown(&edit.new));
    offer.changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Draws the list over the panes.
pub fn draw(model: &Model, choice: &Choice, frame: &mut Frame) {
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(110);
    let lines: u16 = choice.items.iter().map(|item| if item.note.is_empty() { 1 } else { 2 }).sum();
    let height = (lines + 4).min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = super::panel(model, frame, area, &choice.title);
    // More than what shows can be told from where one is.
    if height < lines + 4 {
        let place = format!(" {} of {} ", choice.cursor.at + 1, choice.items.len());
        let width = u16::try_from(place.len()).unwrap_or(0);
        let corner = Rect { x: area.right().saturating_sub(width + 1), width, height: 1, ..area };
        frame.render_widget(Line::from(Span::styled(place, model.theme.dim())), corner);
    }
    let room = usize::from(inner.width).saturating_sub(7);
    let mut text = Vec::new();
    let mut cursor = 0;
    for (at, item) in choice.items.iter().enumerate() {
        let selected = at == choice.cursor.at;
        let doable = item.deed.is_some();
        // A digit is one key; what lies beyond is reached with j and k.
        let number = match (doable, item.number(at)) {
            (true, Some(number)) => number.to_string(),
            (true, None) => " ".to_owned(),
            (false, _) => "·".to_owned(),
        };
        let style = if doable { model.theme.text() } else { model.theme.dim() };
        if selected {
            cursor = text.len();
        }
        let line = Line::from(vec![
            Span::styled(format!("  {number}  "), model.theme.key()),
            Span::styled(fit(&item.text, room), style),
            Span::raw("  "),
        ]);
        text.push(super::chosen_line(model, selected, line));
        if !item.note.is_empty() {
            let note = format!("      {}", clip(&item.note, room));
            text.push(Line::from(Span::styled(note, model.theme.dim())));
        }
    }
    // The keys stay in sight, however long the list is.
    let visible = usize::from(inner.height).saturating_sub(2);
    let top = (cursor + 2).saturating_sub(visible).min(text.len().saturating_sub(visible));
    let mut text: Vec<Line> = text.into_iter().skip(top).take(visible).collect();
    text.resize(visible + 1, Line::default());
    let rows = matches!(choice.items.first().and_then(|item| item.deed.as_ref()), Some(Deed::Row(_)));
    let keys: &[(&str, &str)] = match (choice.causes.is_some(), &choice.found) {
        (true, _) if model.read_only => &[("Enter", "list"), ("Esc", "close")],
        (_, Some(_)) if model.read_only => &[("Enter", "open"), ("Esc", "close")],
        (true, _) => &[
            ("Enter", "list"),
            ("f", "fix"),
            ("r", "retry"),
            ("u", "revert"),
            ("i", "ignore"),
            ("Esc", "close"),
        ],
        (_, Some(_)) => {
            &[("Enter", "open"), ("s", "take Salesforce's"), ("p", "take PostgreSQL's"), ("Esc", "close")]
        }
        _ if rows => &[("Enter", "open"), ("Esc", "close")],
        _ => &[("Enter", "or its number does it"), ("Esc", "leave it")],
    };
    text.push(super::hints(model, keys, inner.width.into()));
    frame.render_widget(Paragraph::new(text), inner);
    let line = u16::try_from(cursor.saturating_sub(top)).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}
