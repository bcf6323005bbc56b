//! How a piece of the screen looks, by what it means: the roles of a theme, and what is said by attributes alone.

use std::collections::BTreeMap;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::console::theme::{Always, ROLES, Theme};

/// A look that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// Whatever it is: the text alone says it.
    Any,
    /// As the terminal writes.
    Plain,
    /// As the terminal writes, but bold.
    Bold,
    Dim,
    Border,
    Focus,
    Good,
    Warn,
    Bad,
    Key,
    Differs,
    /// The line that a key acts on.
    Selected,
    /// The name of a connection whose data is real.
    Production,
    /// Where a text that is searched for stands.
    Found,
}

/// The looks of a theme's roles, in the order of [`ROLES`].
const OF_ROLES: [Look; 8] =
    [Look::Dim, Look::Border, Look::Focus, Look::Good, Look::Warn, Look::Bad, Look::Key, Look::Differs];

/// The colour of each role in [`telling`], from this one on.
const FIRST: u8 = 100;

/// A theme that has another colour for every role, so that a cell's colour tells its role: in the others, two roles may
/// share one.
pub fn telling() -> Theme {
    let colors = ROLES.iter().zip(FIRST..).map(|(role, color)| ((*role).to_owned(), color.to_string()));
    Theme::configured("dark", &colors.collect::<BTreeMap<_, _>>(), Always::default()).unwrap()
}

/// The role that a cell drawn in [`telling`] has, or none.
pub fn role(cell: &Cell) -> Option<Look> {
    match cell.fg {
        Color::Indexed(color) => OF_ROLES.get(usize::from(color.checked_sub(FIRST)?)).copied(),
        _ => None,
    }
}

/// The colours of what has none of its own: the text's and what is behind it.
pub fn ground(theme: Theme) -> (Color, Color) {
    let mut one = Buffer::empty(Rect::new(0, 0, 1, 1));
    theme.ground(&mut one);
    (one[(0, 0)].fg, one[(0, 0)].bg)
}

impl Look {
    /// What it is in a theme.
    pub fn style(self, theme: Theme) -> Style {
        match self {
            Look::Any | Look::Plain => theme.text(),
            Look::Bold => theme.strong(),
            Look::Dim => theme.dim(),
            Look::Border => theme.border(false),
            Look::Focus => theme.border(true),
            Look::Good => theme.good(),
            Look::Warn => theme.warn(),
            Look::Bad => theme.bad(),
            Look::Key => theme.key(),
            Look::Differs => theme.differs(),
            Look::Selected => theme.selected(true),
            Look::Production => theme.production(),
            Look::Found => theme.found(),
        }
    }

    /// Whether a cell looks so in a theme; more attributes than that say no less.
    pub fn is_of(self, cell: &Cell, theme: Theme) -> bool {
        let style = self.style(theme);
        let reversed = |modifier: Modifier| modifier.contains(Modifier::REVERSED);
        self == Look::Any
            || (cell.fg == style.fg.unwrap_or_else(|| ground(theme).0)
                && cell.modifier.contains(style.add_modifier)
                && reversed(cell.modifier) == reversed(style.add_modifier))
    }
}

#[test]
fn the_telling_theme_has_a_colour_for_every_role() {
    for (at, look) in OF_ROLES.into_iter().enumerate() {
        let cell = Cell::default().set_style(look.style(telling())).clone();
        assert_eq!(role(&cell), Some(look), "{}", ROLES[at]);
    }
    assert_eq!(role(&Cell::default()), None);
}
