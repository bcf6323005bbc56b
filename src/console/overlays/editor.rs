//! The editor of one value: a real text editor, which says while one types what the field cannot hold.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Paragraph};
use tui_textarea::{CursorMove, TextArea, WrapMode};

use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{clip, fit};
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::names::{RowRef, Sfid};
use crate::domain::records::named::{NamedRecord, NamedRecords};
use crate::domain::records::record::{Edit, FieldEdit};
use crate::domain::values::check::{check, units};
use crate::logs::sanitize::sanitize;

/// An open editor.
#[derive(Debug)]
pub struct Editor {
    /// Whose row.
    pub row: RowRef,
    /// Which field.
    pub field: Field,
    shown: Option<String>,
    area: Box<TextArea<'static>>,
    /// Records that a lookup may name; what was typed for them, for which text they were looked for last, and which is
    /// chosen.
    parents: NamedRecords,
    /// Why they could not be found.
    unfound: Option<String>,
    named: String,
    sought: String,
    parent: Option<usize>,
    /// Said after a refused save, until the next key.
    insisted: bool,
}

impl Editor {
    /// An editor of a field with its present value, or with what was kept of an earlier edit.
    pub fn new(row: RowRef, field: Field, value: Option<String>, kept: Option<FieldEdit>) -> Editor {
        let text = kept.map_or(value.clone(), |kept| kept.new).unwrap_or_default();
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        area.set_cursor_line_style(Style::new());
        // Its own is a colour, whatever the terminal has.
        area.set_selection_style(Style::new().add_modifier(Modifier::REVERSED));
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        area.move_cursor(CursorMove::Bottom);
        area.move_cursor(CursorMove::End);
        Editor {
            row,
            field,
            shown: value,
            area: Box::new(area),
            parents: NamedRecords::default(),
            unfound: None,
            named: String::new(),
            sought: String::new(),
            parent: None,
            insisted: false,
        }
    }

    /// Whether the field takes line breaks.
    pub fn multi_line(&self) -> bool {
        self.field.kind == FieldType::Textarea
    }

    /// The text as it would be saved: an empty one is NULL, as Salesforce sees it.
    fn value(&self) -> Option<String> {
        let text = self.area.lines().join("\n");
        if text.is_empty() { None } else { Some(text) }
    }

    fn changed(&self) -> bool {
        self.value() != self.shown.clone().filter(|text| !text.is_empty())
    }

    /// What is other than it was, whether the field can hold it or not.
    pub fn change(&self) -> Option<FieldEdit> {
        self.changed().then(|| FieldEdit {
            column: self.field.column.clone(),
            shown: self.shown.clone(),
            new: self.value(),
        })
    }

    /// Why the value cannot be saved.
    fn complaint(&self) -> Option<String> {
        check(&self.field, self.value().as_deref()).err()
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        self.insisted = false;
        match key.code {
            KeyCode::Esc if self.changed() => return vec![Outcome::ConfirmLeave],
            KeyCode::Esc => return vec![Outcome::Close],
            KeyCode::Char('s') if control => return self.save(),
            KeyCode::Tab => return self.keep(),
            // As everywhere one types: what stands before the cursor goes.
            KeyCode::Char('u') if control => {
                self.area.delete_line_by_head();
                self.typed();
            }
            KeyCode::Enter if !self.multi_line() => return self.save(),
            KeyCode::Up | KeyCode::Down if !self.parents.records.is_empty() => {
                self.choose_parent(key.code == KeyCode::Down)
            }
            KeyCode::Up | KeyCode::Down if !self.field.picklist.is_empty() => {
                self.choose(key.code == KeyCode::Down)
            }
            _ => {
                self.area.input(key);
                self.typed();
            }
        }
        Vec::new()
    }

    /// Something else stands there: what was found for a lookup is not what it names.
    fn typed(&mut self) {
        let text = self.value().filter(|_| self.names_a_parent()).unwrap_or_default();
        (self.parent, self.unfound) = (None, None);
        // What was found stays until the next comes, so that the list narrows and does not flicker.
        if !self.names_a_parent() || text.trim().is_empty() || is_id(text.trim()) {
            self.parents = NamedRecords::default();
        }
        text.trim().clone_into(&mut self.named);
    }

    /// Whether it names another record: by its id, or by an external id (`Invoice__r.External_Id__c`).
    fn names_a_parent(&self) -> bool {
        !self.field.reference_to.is_empty() || self.field.name.contains("__r.")
    }

    /// Asks for records by what is typed into a lookup, once for each text: not for a letter, nor for an id, which is none
    /// of a name.
    pub fn find_parents(&mut self) -> Option<Effect> {
        let is_name = self.named.chars().count() > 1 && !is_id(&self.named);
        if !is_name || self.named == self.sought {
            return None;
        }
        self.sought.clone_from(&self.named);
        let (row, column) = (self.row.clone(), self.field.column.clone());
        Some(Effect::FindParents { row, column, text: self.named.clone() })
    }

    /// Records came whose names have what is typed, or the reason why they could not be found.
    pub fn take_parents(&mut self, column: &str, text: &str, found: Result<NamedRecords, String>) {
        if self.field.column == column && self.named == text && self.parent.is_none() {
            (self.parents, self.unfound) = match found {
                Ok(found) => (found, None),
                Err(why) => (NamedRecords::default(), Some(why)),
            };
        }
    }

    /// The next record that the lookup may name, or the one before.
    fn choose_parent(&mut self, next: bool) {
        let len = self.parents.records.len();
        let at = match (self.parent, next) {
            (None, true) => 0,
            (None, false) => len - 1,
            (Some(at), true) => (at + 1) % len,
            (Some(at), false) => (at + len - 1) % len,
        };
        self.parent = Some(at);
        let id = self.parents.records[at].key.clone();
        self.area.select_all();
        self.area.insert_str(id);
    }

    /// How a record is found that it may name.
    fn parents_in_words(&self) -> String {
        if !self.names_a_parent() {
            return String::new();
        }
        match (&self.unfound, self.parents.records.len(), self.parents.only_beginnings) {
            (Some(why), ..) => format!(" · no names now: {why}"),
            (None, 0, _) if !self.named.is_empty() && self.named == self.sought && self.parent.is_none() => {
                " · no name found with it so far".to_owned()
            }
            (None, 0, _) => " · a name finds its id".to_owned(),
            (None, _, true) => " · ↑↓ choose: only names that begin so; the table is large".to_owned(),
            (None, _, false) => " · ↑↓ choose; more letters narrow it".to_owned(),
        }
    }

    /// How many of the records that it may name show on a screen of so many lines.
    fn listed(&self, screen: u16, rows: u16) -> usize {
        self.parents.records.len().min(usize::from(screen.saturating_sub(rows + 7)))
    }

    /// The records that it may name: name, what tells it from another of the same name, and its key.
    fn parent_lines(&self, ctx: &Context, shown: usize, width: usize) -> Vec<Line<'static>> {
        let theme = ctx.theme;
        let at = self.parent.unwrap_or(0);
        let from = at.saturating_sub(shown.saturating_sub(1));
        let room = width.saturating_sub(5);
        let (name, telling) = (room * 4 / 10, room * 3 / 10);
        let records = self.parents.records.iter().enumerate().skip(from).take(shown);
        let line = |(place, record): (usize, &NamedRecord)| {
            let line = Line::from(vec![
                Span::styled(if self.parent == Some(place) { " ✓ " } else { "   " }, theme.good()),
                Span::styled(format!("{} ", fit(&record.name, name.saturating_sub(1))), theme.text()),
                Span::styled(format!("{} ", fit(&record.telling, telling.saturating_sub(1))), theme.dim()),
                Span::styled(fit(&record.key, room.saturating_sub(name + telling)), theme.dim()),
            ]);
            super::chosen_line(ctx, self.parent == Some(place), line)
        };
        records.map(line).collect()
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = if self.multi_line() { text } else { text.replace('\n', " ") };
        self.area.insert_str(text);
        self.typed();
    }

    fn keep(&mut self) -> Vec<Outcome> {
        if self.complaint().is_some() {
            self.insisted = true;
            return Vec::new();
        }
        let change =
            FieldEdit { column: self.field.column.clone(), shown: self.shown.clone(), new: self.value() };
        Outcome::Keep(self.row.clone(), change).closing()
    }

    fn save(&mut self) -> Vec<Outcome> {
        if self.complaint().is_some() {
            self.insisted = true;
            return Vec::new();
        }
        let fields = self.change().into_iter().collect();
        Outcome::Save(Edit { row: self.row.clone(), fields, retry: true }).closing()
    }

    /// The next value of the picklist, or the one before.
    fn choose(&mut self, next: bool) {
        let values = &self.field.picklist;
        let here = self.value().and_then(|value| values.iter().position(|known| *known == value));
        let at = match (here, next) {
            (None, _) => 0,
            (Some(at), true) => (at + 1) % values.len(),
            (Some(at), false) => (at + values.len() - 1) % values.len(),
        };
        let value = values[at].clone();
        self.area.select_all();
        self.area.insert_str(value);
    }
}

/// Whether a text is an id of Salesforce's, or the beginning of one: `001sd000000`.
fn is_id(text: &str) -> bool {
    let of_letters = text.bytes().all(|b| b.is_ascii_alphanumeric());
    Sfid::parse(text).is_some() || (of_letters && text.starts_with("00") && text.len() <= 18)
}

/// Draws the editor over everything else.
pub fn draw(ctx: &Context, editor: &Editor, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let rows = if editor.multi_line() { 12 } else { 3 };
    let width = screen.width.saturating_sub(4).min(90);
    let listed = editor.listed(screen.height, rows);
    let list = u16::try_from(listed).unwrap_or(0);
    let height = (rows + 5 + list).min(screen.height);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    super::clear(frame, area);
    let title = format!(" {} of {} ", editor.field.name, ctx.row_name(&editor.row));
    let block = Block::new()
        .borders(Borders::ALL)
        .border_type(BorderType::Thick)
        .border_style(theme.border(true))
        .title(Span::styled(clip(&title, usize::from(width.saturating_sub(20))), theme.title(true)))
        .title(
            Line::from(Span::styled(format!(" {} ", editor.field.type_text()), theme.dim())).right_aligned(),
        );
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let text_height = inner.height.saturating_sub(4 + list).max(1);
    let text_area =
        Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), height: text_height, ..inner };
    frame.render_widget(editor.area.as_ref(), text_area);
    let notes = Rect { y: inner.y + text_height, height: inner.height.saturating_sub(text_height), ..inner };
    frame.render_widget(Paragraph::new(notes_of(ctx, editor, listed, usize::from(inner.width))), notes);
}

/// What of a text cannot be seen while one edits it: blanks without width, control characters, marks of direction.
fn unseen(text: &str) -> String {
    let hidden: Vec<char> = text
        .chars()
        .filter(|c| *c != '\n' && sanitize(c.encode_utf8(&mut [0; 4])).len() > c.len_utf8())
        .collect();
    match hidden.as_slice() {
        [] => String::new(),
        [one] => format!(" · ▲ one of them cannot be seen: U+{:04X}", u32::from(*one)),
        [first, ..] => {
            format!(" · ▲ {} cannot be seen, the first is U+{:04X}", hidden.len(), u32::from(*first))
        }
    }
}

fn notes_of(ctx: &Context, editor: &Editor, listed: usize, width: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let room = width.saturating_sub(2);
    let verdict = match editor.complaint() {
        Some(complaint) => {
            let text = if editor.insisted {
                format!("✗ not saved: {complaint}")
            } else {
                format!("✗ {complaint}")
            };
            Line::from(Span::styled(format!(" {}", clip(&text, room)), theme.bad()))
        }
        None if editor.changed() => Line::from(Span::styled(" ✓ fits the field", theme.good())),
        None => Line::from(Span::styled(" unchanged", theme.dim())),
    };
    let length = editor.value().map_or(0, |value| units(&value));
    let count = match (editor.field.length, length) {
        (_, 0) => "empty is saved as NULL".to_owned(),
        (0, length) => format!("{length} characters"),
        (most, length) => format!("{length} of {most} characters"),
    };
    let count = format!("{count}{}", unseen(editor.value().as_deref().unwrap_or("")));
    let values = if editor.field.picklist.is_empty() {
        editor.parents_in_words()
    } else {
        format!(" · ↑↓ choose: {}", editor.field.picklist.join(", "))
    };
    // Enter stands for Ctrl-S where it can, so that the line fits 80 columns.
    let save = if editor.multi_line() { "Ctrl-S" } else { "Enter" };
    let mut lines = vec![
        verdict,
        Line::from(Span::styled(format!(" {}", clip(&format!("{count}{values}"), room)), theme.dim())),
    ];
    lines.extend(editor.parent_lines(ctx, listed, width));
    lines.extend([
        Line::default(),
        Line::from(vec![
            Span::styled(format!(" {save}"), theme.key()),
            Span::raw(" save and retry  "),
            Span::styled("Tab", theme.key()),
            Span::raw(" keep, edit another  "),
            Span::styled("Esc", theme.key()),
            Span::raw(" leave it as it was"),
        ]),
    ]);
    lines
}
