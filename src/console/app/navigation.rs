//! Where one came from: what each step back leads to.

use crate::console::command::Id;
use crate::console::overlays::HerokuView;
use crate::console::pane::Pane;
use crate::domain::names::RowRef;

/// The way back.
#[derive(Debug)]
pub struct Navigation {
    /// The pane from which the record was opened: one step back.
    pub came_from: Pane,
    /// Whether that had the whole screen.
    pub came_zoomed: bool,
    /// The records from which relatives were gone to: one step back each.
    pub record_stack: Vec<RowRef>,
    /// Heroku Connect's list from which a record was opened: the step back from that record leads to it.
    pub heroku_list: Option<HerokuOrigin>,
    /// From where lists were opened: one step back each.
    pub list_stack: Vec<ListOrigin>,
    /// The filter of the group whose errors were listed, when one comes back to the groups.
    pub group: Option<String>,
    /// Whether the groups that showed last were those of a mapping, chosen among the mappings.
    pub of_mapping: bool,
    /// Whether an operation on all errors of a group was begun right from the groups.
    pub from_groups: bool,
    /// The row whose parent is to be gone to, once it is known.
    pub to_parent: Option<RowRef>,
    /// The digit that was pressed last, where it was one.
    pub digit: Option<usize>,
    /// The configuration that was named last where a plan or a takeover needs one.
    pub setup_file: Option<String>,
    /// The number of the last look at what a configuration makes of the database.
    pub setups: u64,
    /// The number of the last list that Heroku Connect's API was asked for.
    pub heroku_asks: u64,
    /// With which command leaving an open record's changes was tried just now.
    pub leaving: Option<Id>,
}

/// Heroku Connect's list, and the record that was opened from it.
#[derive(Debug)]
pub struct HerokuOrigin {
    /// The list.
    pub view: Box<HerokuView>,
    /// The row of the record.
    pub row: RowRef,
    /// How many records one step back each lead to from there: a relative that is gone to leads back to the record first.
    pub depth: usize,
}

/// A list that was opened from a pane.
#[derive(Debug)]
pub struct ListOrigin {
    /// The pane.
    pub from: Pane,
    /// The filter that was in force.
    pub filter: String,
    /// What that was called.
    pub label: Option<String>,
}

impl Navigation {
    /// A list is opened. Whoever went back to the pane by its number begins anew from there.
    pub fn open_list(&mut self, opened: ListOrigin) {
        let before = |other: &ListOrigin| other.from == opened.from && other.from != Pane::Errors;
        let before = self.list_stack.iter().position(before);
        let first = before.and_then(|at| self.list_stack.drain(at..).next());
        self.list_stack.push(first.unwrap_or(opened));
    }
}

impl Default for Navigation {
    fn default() -> Navigation {
        Navigation {
            came_from: Pane::Errors,
            came_zoomed: false,
            record_stack: Vec::new(),
            heroku_list: None,
            list_stack: Vec::new(),
            group: None,
            of_mapping: false,
            from_groups: false,
            to_parent: None,
            digit: None,
            setup_file: None,
            setups: 0,
            heroku_asks: 0,
            leaving: None,
        }
    }
}
