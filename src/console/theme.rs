//! What each kind of thing looks like. Without colour the attributes carry the same differences, and words and signs
//! carry the meaning; the selected line is always reversed, never only coloured.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::Unfit;
use ratatui::style::{Color, Modifier, Style};

/// A kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Dim,
    Border,
    Focus,
    Good,
    Warn,
    Bad,
    Key,
    Differs,
}

/// Names in the configuration (`[console.colors]`), in the order of [`Role`].
pub const ROLES: [&str; 8] = ["dim", "border", "focus", "good", "warn", "bad", "key", "differs"];

/// The looks in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Of each role; `None` where attributes stand for colours.
    colors: Option<[Color; 8]>,
    /// Nothing is drawn but ASCII.
    pub ascii: bool,
    bold: bool,
}

/// Sixteen colours that every terminal has, so that light and dark both read well.
const SIXTEEN: [Color; 8] = [
    Color::DarkGray,
    Color::DarkGray,
    Color::Cyan,
    Color::Green,
    Color::Yellow,
    Color::Red,
    Color::Cyan,
    Color::Yellow,
];
const DARK: [Color; 8] = of_256([246, 240, 80, 114, 221, 210, 80, 222]);
const LIGHT: [Color; 8] = of_256([241, 248, 25, 28, 130, 160, 25, 94]);
const CONTRAST: [Color; 8] = [
    Color::Reset,
    Color::Reset,
    Color::LightCyan,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightRed,
    Color::LightCyan,
    Color::LightYellow,
];

const fn of_256(numbers: [u8; 8]) -> [Color; 8] {
    let mut colors = [Color::Reset; 8];
    let mut at = 0;
    while at < 8 {
        colors[at] = Color::Indexed(numbers[at]);
        at += 1;
    }
    colors
}

impl Theme {
    /// With sixteen colours, or with attributes alone.
    pub fn new(color: bool) -> Theme {
        Theme { colors: color.then_some(SIXTEEN), ascii: false, bold: false }
    }

    /// One of [`THEMES`](crate::config::console::THEMES). `auto` has the terminal's own sixteen colours, which fit its background whatever it is.
    pub fn named(name: &str) -> Option<Theme> {
        let plain = Theme::new(true);
        Some(match name {
            "auto" | "16" => plain,
            "dark" => Theme { colors: Some(DARK), ..plain },
            "light" => Theme { colors: Some(LIGHT), ..plain },
            "contrast" => Theme { colors: Some(CONTRAST), bold: true, ..plain },
            "mono" => Theme::new(false),
            "ascii" => Theme { ascii: true, ..plain },
            _ => return None,
        })
    }

    /// A theme with some colours of one's own: `good = "#5fd700"`, `dim = "244"`, `bad = "lightred"`.
    ///
    /// # Errors
    /// A role or a colour that there is not, with what there is.
    pub fn configured(name: &str, own: &BTreeMap<String, String>) -> Result<Theme, Unfit> {
        let mut theme = Theme::named(name).unwrap_or(Theme::new(true));
        for (role, color) in own {
            let refuse =
                |problem: String, remedy: String| Unfit { entry: format!("colors.{role}"), problem, remedy };
            let at = ROLES.iter().position(|known| known == role).ok_or_else(|| {
                refuse("nothing is called so".to_owned(), format!("use one of {}", ROLES.join(", ")))
            })?;
            let color = Color::from_str(color).map_err(|_| {
                let remedy = "use a word such as lightred, a number from 0 to 255, or #rrggbb";
                refuse(format!("{color:?} is no colour"), remedy.to_owned())
            })?;
            if let Some(colors) = &mut theme.colors {
                colors[at] = color;
            }
        }
        Ok(theme)
    }

    /// The same without colours, for `NO_COLOR` and terminals that have none.
    pub fn without_colors(self) -> Theme {
        Theme { colors: None, ..self }
    }

    fn of(self, role: Role, otherwise: Modifier) -> Style {
        match self.colors {
            Some(colors) if self.bold => {
                Style::new().fg(colors[role as usize]).add_modifier(otherwise - Modifier::DIM)
            }
            Some(colors) => Style::new().fg(colors[role as usize]),
            None => Style::new().add_modifier(otherwise),
        }
    }

    /// Plain text.
    pub fn text(self) -> Style {
        Style::new()
    }

    /// What is beside the point.
    pub fn dim(self) -> Style {
        self.of(Role::Dim, Modifier::DIM)
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
        if focused { self.of(Role::Focus, Modifier::BOLD) } else { self.of(Role::Border, Modifier::DIM) }
    }

    /// The title of a pane.
    pub fn title(self, focused: bool) -> Style {
        if focused {
            self.of(Role::Focus, Modifier::BOLD).add_modifier(Modifier::BOLD)
        } else {
            self.strong()
        }
    }

    /// The selected line, in the pane that has the keys and in others.
    pub fn selected(self, focused: bool) -> Style {
        if focused {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        }
    }

    /// It works.
    pub fn good(self) -> Style {
        self.of(Role::Good, Modifier::empty())
    }

    /// It needs a look.
    pub fn warn(self) -> Style {
        self.of(Role::Warn, Modifier::BOLD)
    }

    /// It failed.
    pub fn bad(self) -> Style {
        self.of(Role::Bad, Modifier::BOLD)
    }

    /// A key to press.
    pub fn key(self) -> Style {
        self.of(Role::Key, Modifier::BOLD)
    }

    /// It differs.
    pub fn differs(self) -> Style {
        self.of(Role::Differs, Modifier::UNDERLINED)
    }

    /// The name of a connection whose data is real: nobody takes it for another one.
    pub fn production(self) -> Style {
        self.bad().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// Where a text that is searched for stands.
    pub fn found(self) -> Style {
        self.warn().add_modifier(Modifier::UNDERLINED | Modifier::BOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(role: &str, color: &str) -> BTreeMap<String, String> {
        [(role.to_owned(), color.to_owned())].into()
    }

    #[test]
    fn every_theme_is_there_and_takes_colours_of_ones_own() {
        for name in crate::config::console::THEMES {
            assert!(Theme::named(name).is_some(), "{name}");
        }
        let theme = Theme::configured("dark", &own("good", "#5fd700")).unwrap();
        assert_eq!(theme.good().fg, Some(Color::Rgb(0x5f, 0xd7, 0)));
        assert!(Theme::configured("dark", &own("goood", "red")).unwrap_err().remedy.contains("dim, border"));
        for wrong in ["reddish", "256", "-1"] {
            let refused = Theme::configured("dark", &own("good", wrong)).unwrap_err();
            assert!(refused.problem.contains("is no colour") && refused.remedy.contains("#rrggbb"));
        }
    }

    #[test]
    fn without_colours_no_role_has_one() {
        let theme = Theme::named("dark").unwrap().without_colors();
        let styles =
            [theme.dim(), theme.border(true), theme.good(), theme.bad(), theme.differs(), theme.found()];
        assert!(styles.iter().all(|style| style.fg.is_none() && style.bg.is_none()));
    }
}
