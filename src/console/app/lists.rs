//! What is listed, and how: filters with their history and names, sorting, searching; and what is copied from a list.

use crate::domain::errors::explain::{Explained, KnownError, explain};
use crate::domain::errors::filter::Filter;
use crate::domain::errors::sort::{Sort, SortBy};

use super::App;
use super::navigation::ListOrigin;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::{About, FilterLine, Overlay, Prompt};
use crate::console::pane::Pane;
use crate::console::panes::errors::Moved;
use crate::console::panes::record::RecordPane;
use crate::console::term::clipboard;

impl App {
    /// Lists errors by a filter; the way back leads to the one before.
    pub(super) fn list(&mut self, filter: &str) -> Vec<Effect> {
        if self.is_away() {
            return Vec::new();
        }
        self.errors.visit(filter);
        self.relist()
    }

    /// Lists what was chosen elsewhere: a mapping's errors, those of a cause. Esc comes back to where it was chosen.
    pub(super) fn drill(&mut self, filter: &str, label: Option<String>) -> Vec<Effect> {
        if self.is_away() {
            return Vec::new();
        }
        let (filter_now, label_now) = (self.errors.filter.clone(), self.errors.filter_label.clone());
        self.navigation.open_list(ListOrigin { from: self.ctx.focus, filter: filter_now, label: label_now });
        let mut effects = self.go(Pane::Errors);
        effects.extend(self.list(filter));
        self.errors.filter_label = label;
        effects
    }

    /// Back to where it was chosen.
    pub(super) fn undrill(&mut self) -> Vec<Effect> {
        if self.is_away() {
            return Vec::new();
        }
        let Some(ListOrigin { from: pane, filter, label }) = self.navigation.list_stack.pop() else {
            return Vec::new();
        };
        let of_group = self.errors.filter_label.is_some() && self.errors.filter.starts_with("group:");
        let from_groups =
            of_group && (pane == Pane::Errors || (pane == Pane::Mappings && self.navigation.of_mapping));
        self.navigation.group = from_groups.then(|| self.errors.filter.clone());
        let mut effects = self.list(&filter);
        self.errors.filter_label = label;
        effects.extend(self.go(pane));
        // Whoever looks through the causes goes on with the next one.
        if from_groups {
            effects.extend(self.groups());
        }
        effects
    }

    /// The list anew: by another filter, another order, with or without what needs nobody.
    fn relist(&mut self) -> Vec<Effect> {
        self.errors.begin();
        // What is under way is of the old filter; the new one is asked for when it is back.
        self.load_errors()
    }

    /// To the filter before, or on to the one after it.
    pub(super) fn visit(&mut self, newer: bool) -> Vec<Effect> {
        if self.is_away() {
            return Vec::new();
        }
        if self.errors.travel(newer) {
            self.navigation.list_stack.clear();
            return self.relist();
        }
        self.say(
            Tone::Neutral,
            if newer { "there is no later filter" } else { "there is no filter before this one" },
        );
        Vec::new()
    }

    /// Only what needs a person, or everything again.
    pub(super) fn actionable(&mut self) -> Vec<Effect> {
        if self.is_away() {
            return Vec::new();
        }
        self.errors.everything = !self.errors.everything;
        let text = if !self.errors.everything {
            "only what needs a person is listed"
        } else {
            "everything is listed"
        };
        self.say(Tone::Neutral, text);
        self.relist()
    }

    /// Shows the rows that wait for the selected one below it, or folds them again.
    pub(super) fn unfold(&mut self) -> Vec<Effect> {
        self.errors.touched = true;
        self.errors.moved = Moved::ByHand;
        let everything = self.errors.everything;
        let was = self.errors.selected().map(|error| error.id);
        let mut effects: Vec<Effect> = match self.errors.unfold() {
            true => self.load_blocked().into_iter().collect(),
            // Where they are listed themselves, they stand in their own places again.
            false if everything => self.load_errors(),
            false => Vec::new(),
        };
        self.settle(Pane::Errors);
        if self.errors.selected().map(|error| error.id) != was {
            effects.extend(self.debounce());
        }
        effects
    }

    /// Sorts by a column; by the one in force, the other way round.
    pub(super) fn sort(&mut self, by: SortBy) -> Vec<Effect> {
        if self.is_away() {
            return Vec::new();
        }
        let now = self.errors.sort;
        let descending = if by == now.by { !now.descending } else { by.begins_descending() };
        self.errors.sort = Sort { by, descending };
        self.relist()
    }

    /// Opens the line in which a filter is typed.
    pub(super) fn filter(&mut self) -> Vec<Effect> {
        let pane = if self.ctx.focus == Pane::Log { Pane::Log } else { Pane::Errors };
        let mappings = self.ctx.overview.as_ref().map_or(&[][..], |overview| overview.mappings.as_slice());
        let mappings = mappings.iter().map(|mapping| mapping.name.clone()).collect();
        let line = match pane {
            Pane::Log => {
                let mut line = FilterLine::new(pane, &self.log.filter, self.log.typed.clone(), mappings);
                line.fields = self.log.fields();
                line.sources = self.log.sources.all().iter().map(|source| source.name.clone()).collect();
                line
            }
            _ => FilterLine::new(pane, &self.errors.filter, self.errors.trail.typed.clone(), mappings),
        };
        self.overlays.push(Overlay::Filter(line));
        let preview = self.preview();
        let mut effects = self.go(pane);
        effects.extend(preview);
        effects
    }

    /// Lists what matches as a filter is typed; one that cannot be read yet leaves what shows.
    pub(super) fn list_while_typing(&mut self, text: &str) -> Vec<Effect> {
        if self.ctx.database.lost.is_some() || Filter::parse(text, self.ctx.now).is_err() {
            return Vec::new();
        }
        if self.errors.type_filter(text) { self.load_errors() } else { Vec::new() }
    }

    /// Nothing was typed after all.
    pub(super) fn end_typing(&mut self) -> Vec<Effect> {
        let lost = self.ctx.database.lost.is_some();
        if self.errors.untype_filter() && !lost { self.load_errors() } else { Vec::new() }
    }

    /// Asks for the name under which the filter is kept.
    pub(super) fn ask_filter_name(&mut self) -> Vec<Effect> {
        let (pane, filter) = match self.ctx.focus {
            Pane::Log => (Pane::Log, &self.log.filter),
            _ => (Pane::Errors, &self.errors.filter),
        };
        // One that has a name already is the likeliest to be kept anew.
        let named = self.ctx.settings.saved_filters(pane).filter(|(_, other)| other == filter);
        let names = named.map(|(name, _)| name.to_owned()).collect();
        let about = About::FilterName { pane, filter: filter.clone() };
        self.overlays.push(Overlay::Prompt(Prompt::new(about, names)));
        Vec::new()
    }

    /// Keeps a filter under a name.
    pub(super) fn keep_filter(&mut self, pane: Pane, name: &str, filter: String) -> Vec<Effect> {
        let saved = match pane {
            Pane::Log => &mut self.ctx.settings.log_filters,
            _ => &mut self.ctx.settings.filters,
        };
        saved.insert(name.to_owned(), filter);
        self.say(Tone::Good, format!("the filter is kept as {name}; : and its name filters by it"));
        vec![Effect::SaveState(Box::new(self.session()))]
    }

    /// Filters by one that was kept.
    pub(super) fn filter_by_kept(&mut self, pane: Pane, filter: &str) -> Vec<Effect> {
        if pane != Pane::Log {
            return self.drill(filter, None);
        }
        let mut effects = self.go(Pane::Log);
        self.log.remember(filter);
        match self.log.set_filter(filter, self.ctx.now) {
            Ok(effect) => effects.extend(effect),
            Err(why) => self.say(Tone::Bad, why),
        }
        effects
    }

    /// Asks what to search the log for.
    pub(super) fn ask_search(&mut self) -> Vec<Effect> {
        let before = self.log.search.as_ref().map(|(text, _)| text.clone());
        self.overlays.push(Overlay::Prompt(Prompt::new(About::Search, before.into_iter().collect())));
        Vec::new()
    }

    /// Searches the log.
    pub(super) fn search_log(&mut self, text: &str) -> Vec<Effect> {
        match self.log.set_search(text) {
            Ok(true) => self.say(Tone::Neutral, "n and N go on to other lines with it, Esc ends the search"),
            Ok(false) => self.say(Tone::Neutral, format!("no line that shows has {text}")),
            Err(why) => self.say(Tone::Bad, why),
        }
        Vec::new()
    }

    /// What the selected line of the log means.
    pub(super) fn explain(&mut self) -> Vec<Effect> {
        match self.log.selected().map(|line| explain(&line.logfmt())) {
            Some(Explained::Known(known)) => {
                let told = |known: &KnownError| {
                    let remedies =
                        known.entry.remedies.iter().map(|remedy| format!("\n→ {}", remedy.plainly()));
                    format!("{}\n{}", known.entry.cause, remedies.collect::<String>())
                };
                let text = known.iter().map(told).collect::<Vec<_>>().join("\n\n");
                let title = known.first().map(|known| known.entry.title.clone()).unwrap_or_default();
                self.overlays.push(Overlay::info(title, text));
            }
            Some(Explained::NoError) => self.say(Tone::Neutral, "this line is no error"),
            Some(Explained::Unknown(Some(code))) => {
                self.say(Tone::Neutral, format!("the catalogue does not know the code {code}"));
            }
            Some(Explained::Unknown(None)) | None => {
                self.say(Tone::Neutral, "the catalogue has nothing to say about this line");
            }
        }
        Vec::new()
    }

    // ---- copying -------------------------------------------------------------------------------------------------

    /// The selected value or line, for the clipboard.
    pub(super) fn copy(&mut self) -> Vec<Effect> {
        let text = match self.ctx.focus {
            Pane::Mappings => self.mapping().map(|mapping| mapping.name.clone()),
            Pane::Errors => self.errors.selected().map(|error| format!("{}: {}", error.code, error.message)),
            Pane::Record if self.selection.record.is_none() => {
                self.rowless().map(|error| format!("{}: {}", error.code, error.message))
            }
            Pane::Record => self.selection.record.as_ref().and_then(RecordPane::copied),
            Pane::Log => self.log.selected().map(|line| line.logfmt()),
            Pane::Groups => self.groups.selected().map(|group| format!("{}: {}", group.code, group.template)),
            Pane::Pending => self
                .pending
                .selected()
                .map(|pending| format!("{} {}: {}", pending.mapping, pending.row.row, pending.reason)),
        };
        self.copied(text, "nothing to copy here")
    }

    /// The address of the record in Salesforce, for the clipboard.
    pub(super) fn copy_link(&mut self) -> Vec<Effect> {
        let record = match self.ctx.focus {
            Pane::Record | Pane::Pending => {
                let selected = self.pending.selected().map(|pending| &pending.row);
                let shown = |row| self.ctx.focus == Pane::Record || selected == Some(row);
                self.selection.record.as_ref().filter(|pane| shown(&pane.row)).and_then(|pane| {
                    let view = pane.view.as_ref()?;
                    Some((view.mapping.clone(), view.sfid.clone()?))
                })
            }
            _ => self.errors.selected().and_then(|error| Some((error.mapping.clone(), error.sfid.clone()?))),
        };
        let url = self.ctx.overview.as_ref().and_then(|overview| overview.connection.instance_url.clone());
        match (record, url) {
            (Some((object, sfid)), Some(url)) => {
                let url = url.trim_end_matches('/').to_owned();
                self.copied(Some(format!("{url}/lightning/r/{object}/{sfid}/view")), "")
            }
            (None, _) => self.copied(None, "Salesforce has no record for it yet"),
            (_, None) => {
                self.copied(None, "the address of the org is not known until the engine has signed in")
            }
        }
    }

    /// A whole text, for the clipboard: how long it is stands in the last line.
    pub(super) fn copy_text(&mut self, text: String) -> Vec<Effect> {
        let shown = match text.lines().count() {
            1 => "the command".to_owned(),
            lines => format!("{lines} lines"),
        };
        self.copy_as(text, &shown)
    }

    fn copied(&mut self, text: Option<String>, without: &str) -> Vec<Effect> {
        let Some(text) = text else {
            self.say(Tone::Neutral, without);
            return Vec::new();
        };
        let shown = text.clone();
        self.copy_as(text, &shown)
    }

    /// Copies a text; `shown` is what is said of it.
    fn copy_as(&mut self, text: String, shown: &str) -> Vec<Effect> {
        if let Some(to) = self.ctx.settings.copy.clone() {
            self.say(Tone::Neutral, "copying ...");
            return vec![Effect::CopyTo { to, text }];
        }
        // Before the text, which may fill the line.
        let cut = match clipboard::fitting(&text).len() {
            fitting if fitting < text.len() => format!(", cut to its first {} kB", fitting / 1_000),
            _ => String::new(),
        };
        let tmux =
            if self.ctx.settings.tmux { " (tmux passes it on with: set -g set-clipboard on)" } else { "" };
        self.say(Tone::Good, format!("copied{cut}{tmux}: {shown}"));
        vec![Effect::Copy(text)]
    }
}
