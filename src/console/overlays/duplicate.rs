//! A row that is refused because a record has the same: the row that has the record, this row, and the record as Salesforce
//! has it, side by side. One chooses field by field what stays; then it is shown what that does, and asked.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::client::operations::execute::Targets;
use crate::console::context::Context;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{cell, clip, columns, fit, sideways, wrap};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::operations::operation::OperationKind;
use crate::domain::records::duplicate::{Duplicate, DuplicateField, Whose};

/// Columns by which one key scrolls values sideways.
const SIDEWAYS: usize = 10;

/// What is the same, and whose value each field is to have.
#[derive(Debug)]
pub struct DuplicatePicker {
    found: Duplicate,
    chosen: Vec<Whose>,
    cursor: Cursor,
    scrolled: usize,
}

impl DuplicatePicker {
    /// What was found; at first nothing of it is lost that one of them has alone.
    pub fn new(found: Duplicate) -> DuplicatePicker {
        let chosen = found.fields.iter().map(|field| found.proposed(field)).collect();
        DuplicatePicker { found, chosen, cursor: Cursor::default(), scrolled: 0 }
    }

    /// In the order in which they stand side by side.
    fn sides(&self) -> &'static [Whose] {
        match self.found.other {
            Some(_) => &[Whose::Other, Whose::Row, Whose::Record],
            None => &[Whose::Row, Whose::Record],
        }
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let len = self.found.fields.len();
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return vec![Outcome::Close],
            KeyCode::Char('j') | KeyCode::Down => self.cursor.step(Step::Lines(1), len),
            KeyCode::Char('k') | KeyCode::Up => self.cursor.step(Step::Lines(-1), len),
            KeyCode::PageDown => self.cursor.step(Step::Lines(10), len),
            KeyCode::PageUp => self.cursor.step(Step::Lines(-10), len),
            KeyCode::Home | KeyCode::Char('g') => self.cursor.step(Step::First, len),
            KeyCode::End | KeyCode::Char('G') => self.cursor.step(Step::Last, len),
            KeyCode::Char('h') | KeyCode::Left => self.choose(false),
            KeyCode::Char('l') | KeyCode::Right => self.choose(true),
            KeyCode::Char('>') => self.scrolled = (self.scrolled + SIDEWAYS).min(self.widest()),
            KeyCode::Char('<') => self.scrolled = self.scrolled.saturating_sub(SIDEWAYS),
            KeyCode::Char('o') => self.choose_all(Whose::Other),
            KeyCode::Char('t') => self.choose_all(Whose::Row),
            KeyCode::Char('s') => self.choose_all(Whose::Record),
            KeyCode::Enter => {
                let kind = OperationKind::Merge(Box::new(self.found.merge(&self.chosen)));
                let chosen = Targets::Ids(vec![self.found.against.error]);
                return Outcome::Plan { chosen, kind }.closing();
            }
            _ => {}
        }
        Vec::new()
    }

    /// The columns of its widest value: there is nothing to see further to the right.
    fn widest(&self) -> usize {
        let values = self
            .found
            .fields
            .iter()
            .flat_map(|field| self.sides().iter().filter_map(|side| field.value(*side)));
        values.map(|value| columns(value)).max().unwrap_or(0)
    }

    /// The value at the right of the chosen one, or at the left.
    fn choose(&mut self, right: bool) {
        let sides = self.sides();
        let field = self.found.fields.get(self.cursor.at);
        if let (Some(chosen), Some(field)) = (self.chosen.get_mut(self.cursor.at), field) {
            let marked = marked(field, *chosen);
            let at = sides.iter().position(|side| *side == marked).unwrap_or(0);
            let (before, after) = (sides[..at].iter().rev(), sides.iter().skip(at + 1));
            let can_be = |whose: &&Whose| field.can_be(**whose);
            let to = if right {
                after.copied().find(|whose| can_be(&whose))
            } else {
                before.copied().find(|whose| can_be(&whose))
            };
            *chosen = to.unwrap_or(*chosen);
        }
    }

    /// One side for all fields. Where it has nothing to give, the row sends nothing for it and the record's value stays:
    /// the mark stands there (see [`marked`]).
    fn choose_all(&mut self, whose: Whose) {
        if self.sides().contains(&whose) {
            self.chosen.fill(whose);
        }
    }

    /// The head of a column.
    fn named(&self, whose: Whose) -> String {
        match (whose, self.found.other) {
            (Whose::Other, Some(row)) => format!("row {row}, which has it"),
            (Whose::Other, None) => String::new(),
            (Whose::Row, _) => format!("this row, {}", self.found.row.row),
            (Whose::Record, _) => format!("Salesforce {}", self.found.sfid),
        }
    }
}

/// The side whose value a field has in the end where this side was chosen: a side that cannot be chosen gives nothing, and
/// the record keeps what it has.
fn marked(field: &DuplicateField, chosen: Whose) -> Whose {
    if field.can_be(chosen) { chosen } else { Whose::Record }
}

/// Draws them over the panes.
pub fn draw(ctx: &Context, picker: &DuplicatePicker, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(132);
    let room = usize::from(width).saturating_sub(2);
    let told = wrap(&told(picker), room.saturating_sub(2), 3);
    let fields = picker.found.fields.len();
    let wanted = fields.max(1) + told.len() + 6;
    let height = u16::try_from(wanted).unwrap_or(u16::MAX).min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let title = format!("{}: a record has the same", ctx.row_name(&picker.found.row));
    let inner = super::panel(ctx, frame, area, &title);
    let sides = picker.sides();
    let name = (room / 6).clamp(10, 22);
    let value = room.saturating_sub(name + 1) / sides.len();
    let mut head = vec![Span::styled(format!(" {}", fit("field", name)), theme.label())];
    head.extend(sides.iter().map(|side| cell(&format!("  {}", picker.named(*side)), value, theme.label())));
    let mut lines = vec![Line::from(head)];
    let visible = usize::from(inner.height).saturating_sub(told.len() + 4).max(1);
    let window = picker.cursor.window(fields, visible);
    let top = window.start;
    super::place_in_list(ctx, frame, area, fields, &window);
    for at in window {
        let here = at == picker.cursor.at;
        lines.push(field_line(
            ctx,
            picker,
            (&picker.found.fields[at], picker.chosen[at]),
            here,
            (name, value),
        ));
    }
    if fields == 0 {
        let text = "   All that may be written is the same.";
        lines.push(Line::from(Span::styled(text, theme.dim())));
    }
    lines.push(Line::default());
    lines.extend(told.into_iter().map(|line| Line::from(Span::styled(format!(" {line}"), theme.text()))));
    lines.resize(usize::from(inner.height).saturating_sub(1).max(lines.len()), Line::default());
    let other = if picker.found.other.is_some() { "o t s" } else { "t s" };
    let keys = [
        ("←→", "choose"),
        ("Enter", "show what it does"),
        (other, "one side for all"),
        ("<>", "scroll"),
        ("Esc", "leave it"),
    ];
    lines.push(super::hints(ctx, &keys, room));
    frame.render_widget(Paragraph::new(lines), inner);
    let line = u16::try_from(1 + picker.cursor.at.saturating_sub(top)).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}

/// What would be done, in words.
fn told(picker: &DuplicatePicker) -> String {
    let found = &picker.found;
    let same = match found.same {
        0 => String::new(),
        1 => " Another field is the same everywhere.".to_owned(),
        same => format!(" {same} other fields are the same everywhere."),
    };
    let other = found.other.map(|row| format!(" and the row {row} is removed here")).unwrap_or_default();
    format!("This row takes the record over{other}: what is chosen (●) stays, and goes to Salesforce.{same}")
}

fn field_line(
    ctx: &Context,
    picker: &DuplicatePicker,
    (field, chosen): (&DuplicateField, Whose),
    here: bool,
    (name, value): (usize, usize),
) -> Line<'static> {
    let theme = ctx.theme;
    let mut spans = vec![
        Span::styled(if here { "▌" } else { " " }, theme.key()),
        cell(&field.name, name, if here { theme.strong() } else { theme.text() }),
    ];
    let marked = marked(field, chosen);
    for side in picker.sides() {
        let is_chosen = *side == marked;
        let text = field.value(*side).map_or("–", String::as_str);
        let text = clip(&sideways(text, picker.scrolled, value.saturating_sub(3)), value.saturating_sub(3));
        let style = if is_chosen { theme.good().patch(theme.strong()) } else { theme.dim() };
        let sign = if is_chosen { "●" } else { "○" };
        spans.push(cell(&format!("{sign} {text}"), value, style));
    }
    Line::from(spans)
}
