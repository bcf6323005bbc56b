//! What each kind of thing looks like. Sixteen colours that every terminal has, so that light and dark both read
//! well; without colour the attributes carry the same differences, and words and signs carry the meaning.

use ratatui::style::{Color, Modifier, Style};

/// The looks in force.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    color: bool,
}

impl Theme {
    /// With colours, or with attributes alone.
    pub fn new(color: bool) -> Theme {
        Theme { color }
    }

    fn fg(self, color: Color, otherwise: Modifier) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new().add_modifier(otherwise) }
    }

    /// Plain text.
    pub fn text(self) -> Style {
        Style::new()
    }

    /// What is beside the point.
    pub fn dim(self) -> Style {
        self.fg(Color::DarkGray, Modifier::DIM)
    }

    /// Heads of columns, labels.
    pub fn label(self) -> Style {
        self.dim()
    }

    /// What matters.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The frame of a pane, and of the one that has the keys.
    pub fn border(self, focused: bool) -> Style {
        if focused { self.fg(Color::Cyan, Modifier::BOLD) } else { self.dim() }
    }

    /// The title of a pane.
    pub fn title(self, focused: bool) -> Style {
        if focused {
            self.fg(Color::Cyan, Modifier::BOLD).add_modifier(Modifier::BOLD)
        } else {
            self.strong()
        }
    }

    /// The selected line, in the pane that has the keys and in others. Reversed, never only coloured.
    pub fn selected(self, focused: bool) -> Style {
        if focused {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        }
    }

    /// It works.
    pub fn good(self) -> Style {
        self.fg(Color::Green, Modifier::empty())
    }

    /// It needs a look.
    pub fn warn(self) -> Style {
        self.fg(Color::Yellow, Modifier::BOLD)
    }

    /// It failed.
    pub fn bad(self) -> Style {
        self.fg(Color::Red, Modifier::BOLD)
    }

    /// A key to press.
    pub fn key(self) -> Style {
        self.fg(Color::Cyan, Modifier::BOLD)
    }

    /// It differs.
    pub fn differs(self) -> Style {
        self.fg(Color::Yellow, Modifier::UNDERLINED)
    }
}
