//! What each kind of thing looks like. Without colour the attributes carry the same differences, and words and signs
//! carry the meaning; the selected line is always reversed, never only coloured.

use std::collections::BTreeMap;
use std::str::FromStr;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::invalid_setting::InvalidSetting;
use crate::config::console::THEMES;

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

/// Names in the configuration (`[console.colors]`), in the order of `Role`.
pub const ROLES: [&str; 8] = ["dim", "border", "focus", "good", "warn", "bad", "key", "differs"];

/// The looks in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// What it is called, one of [`THEMES`].
    pub name: &'static str,
    /// Of each role; `None` where attributes stand for colours.
    colors: Option<[Color; 8]>,
    /// Of the text and of the screen behind it; `None` where they are the terminal's own.
    ground: Option<(Color, Color)>,
    /// Nothing is drawn but ASCII.
    pub ascii: bool,
    bold: bool,
    always: Always,
}

/// What holds in every theme: it is said by the terminal and by the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Always {
    /// Nothing may be drawn but ASCII.
    pub ascii: bool,
    /// No colours, for `NO_COLOR` and terminals that have none.
    pub no_color: bool,
    /// There are colours enough to fit a background.
    pub colorful: bool,
    /// What `auto` stands for, where the terminal says what its background is.
    pub background: Option<Background>,
    /// `[console.colors]`, by role.
    pub own: [Option<Color>; 8],
}

/// What the terminal draws on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// Light text on dark.
    Dark,
    /// Dark text on light.
    Light,
}

impl Background {
    /// By `COLORFGBG`, which rxvt, konsole and others set to `foreground;background` or `foreground;default;background`
    /// in the sixteen colours; one that is no number tells nothing.
    pub fn told(variable: &str) -> Option<Background> {
        let (_, background) = variable.rsplit_once(';')?;
        match background.parse::<u8>().ok()? {
            0..=6 | 8 => Some(Background::Dark),
            7 | 9..=15 => Some(Background::Light),
            _ => None,
        }
    }
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
/// Each at least 10:1 on black, which is drawn behind it: a terminal's own background may be anything.
const CONTRAST: [Color; 8] = of_256([231, 231, 51, 46, 226, 217, 51, 226]);
const WHITE_ON_BLACK: (Color, Color) = (Color::Indexed(231), Color::Indexed(16));

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
        Theme {
            name: if color { "16" } else { "mono" },
            colors: color.then_some(SIXTEEN),
            ground: None,
            ascii: false,
            bold: false,
            always: Always::default(),
        }
    }

    /// One of [`THEMES`], as it is where nothing else is said.
    pub fn named(name: &str) -> Option<Theme> {
        Theme::new(true).chosen(name)
    }

    /// Another one of [`THEMES`] under the same terminal and configuration.
    pub fn chosen(self, name: &str) -> Option<Theme> {
        let name = THEMES.into_iter().find(|known| *known == name)?;
        let always = self.always;
        let plain = Theme { name, ascii: always.ascii, always, ..Theme::new(true) };
        let mut theme = match (name, always.background) {
            ("dark", _) | ("auto", Some(Background::Dark)) => Theme { colors: Some(DARK), ..plain },
            ("light", _) | ("auto", Some(Background::Light)) => Theme { colors: Some(LIGHT), ..plain },
            ("contrast", _) => {
                Theme { colors: Some(CONTRAST), ground: Some(WHITE_ON_BLACK), bold: true, ..plain }
            }
            ("mono", _) => Theme { colors: None, ..plain },
            ("ascii", _) => Theme { ascii: true, ..plain },
            // The terminal's own sixteen colours fit its background, whatever it is.
            _ => plain,
        };
        if let Some(colors) = &mut theme.colors {
            for (color, own) in colors.iter_mut().zip(always.own) {
                *color = own.unwrap_or(*color);
            }
        }
        if always.no_color {
            (theme.colors, theme.ground) = (None, None);
        }
        Some(theme)
    }

    /// Whether it is another one on another background.
    pub fn follows(self) -> bool {
        self.name == "auto" && self.always.colorful && !self.always.no_color
    }

    /// The terminal says what it draws on.
    pub fn on(mut self, background: Background) -> Theme {
        if self.always.colorful {
            self.always.background = Some(background);
        }
        self.chosen(self.name).unwrap_or(self)
    }

    /// A theme with some colours of one's own: `good = "#5fd700"`, `dim = "244"`, `bad = "lightred"`.
    ///
    /// # Errors
    /// A role or a colour that there is not, with what there is.
    pub fn configured(
        name: &str,
        own: &BTreeMap<String, String>,
        mut always: Always,
    ) -> Result<Theme, InvalidSetting> {
        for (role, color) in own {
            let refuse = |problem: String, remedy: String| InvalidSetting {
                entry: format!("colors.{role}"),
                problem,
                remedy,
            };
            let at = ROLES.iter().position(|known| known == role).ok_or_else(|| {
                refuse("nothing is called so".to_owned(), format!("use one of {}", ROLES.join(", ")))
            })?;
            let color = Color::from_str(color).map_err(|_| {
                let remedy = "use a word such as lightred, a number from 0 to 255, or #rrggbb";
                refuse(format!("{color:?} is no colour"), remedy.to_owned())
            })?;
            always.own[at] = Some(color);
        }
        let theme = Theme { always, ..Theme::new(true) };
        Ok(theme.chosen(name).unwrap_or(theme))
    }

    /// Draws what has no colour of its own in the theme's, the whole screen with it.
    pub fn ground(self, buffer: &mut Buffer) {
        let Some((text, behind)) = self.ground else { return };
        for cell in &mut buffer.content {
            cell.fg = if cell.fg == Color::Reset { text } else { cell.fg };
            cell.bg = if cell.bg == Color::Reset { behind } else { cell.bg };
        }
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

    fn configured(name: &str, own: &BTreeMap<String, String>) -> Result<Theme, InvalidSetting> {
        Theme::configured(name, own, Always::default())
    }

    fn own(role: &str, color: &str) -> BTreeMap<String, String> {
        [(role.to_owned(), color.to_owned())].into()
    }

    #[test]
    fn every_theme_is_there_and_takes_colours_of_ones_own() {
        for name in THEMES {
            assert!(Theme::named(name).is_some(), "{name}");
        }
        let theme = configured("dark", &own("good", "#5fd700")).unwrap();
        assert_eq!(theme.good().fg, Some(Color::Rgb(0x5f, 0xd7, 0)));
        assert!(configured("dark", &own("goood", "red")).unwrap_err().remedy.contains("dim, border"));
        for wrong in ["reddish", "256", "-1"] {
            let refused = configured("dark", &own("good", wrong)).unwrap_err();
            assert!(refused.problem.contains("is no colour") && refused.remedy.contains("#rrggbb"));
        }
    }

    #[test]
    fn another_theme_keeps_what_the_terminal_and_the_configuration_say() {
        let always = Always { ascii: true, ..Always::default() };
        let theme = Theme::configured("dark", &own("good", "114"), always).unwrap().chosen("light").unwrap();
        assert_eq!((theme.name, theme.ascii), ("light", true));
        assert_eq!((theme.good().fg, theme.bad().fg), (Some(Color::Indexed(114)), Some(Color::Indexed(160))));
        let ascii = configured("ascii", &BTreeMap::new()).unwrap();
        assert!(
            ascii.ascii && !ascii.chosen("dark").unwrap().ascii,
            "it was the theme's, not the terminal's"
        );
    }

    #[test]
    fn auto_fits_the_background_that_the_terminal_tells() {
        for (variable, background) in [
            ("15;0", Some(Background::Dark)),
            ("0;15", Some(Background::Light)),
            ("0;default;7", Some(Background::Light)),
            ("15;default", None),
            ("", None),
        ] {
            assert_eq!(Background::told(variable), background, "{variable:?}");
        }
        let of = |background| {
            let theme =
                Theme::configured("auto", &BTreeMap::new(), Always { background, ..Always::default() });
            theme.unwrap().good()
        };
        assert_eq!(of(Some(Background::Light)), Theme::named("light").unwrap().good());
        assert_eq!(of(Some(Background::Dark)), Theme::named("dark").unwrap().good());
        assert_eq!(of(None), Theme::named("16").unwrap().good());
    }

    #[test]
    fn a_background_that_is_told_later_is_followed_by_auto_alone() {
        let always = Always { colorful: true, ..Always::default() };
        let of = |name| Theme::configured(name, &BTreeMap::new(), always).unwrap();
        assert!(of("auto").follows() && !of("dark").follows());
        let auto = of("auto").on(Background::Light);
        assert_eq!(auto.good(), Theme::named("light").unwrap().good());
        assert_eq!(auto.on(Background::Dark).good(), Theme::named("dark").unwrap().good());
        let dark = of("dark").on(Background::Light);
        assert_eq!(dark.good(), Theme::named("dark").unwrap().good());
        assert_eq!(dark.chosen("auto").unwrap(), auto, "it is remembered until auto is chosen");
        let few = Theme::configured("auto", &BTreeMap::new(), Always::default()).unwrap();
        assert_eq!((few.follows(), few.on(Background::Light)), (false, few), "sixteen colours fit any");
        let plain = Always { no_color: true, ..always };
        assert!(!Theme::configured("auto", &BTreeMap::new(), plain).unwrap().follows());
    }

    #[test]
    fn high_contrast_brings_its_own_background() {
        let mut buffer = Buffer::with_lines(["text"]);
        buffer[(0, 0)].set_style(Theme::named("contrast").unwrap().bad());
        Theme::named("contrast").unwrap().ground(&mut buffer);
        let colors = |x: u16| (buffer[(x, 0)].fg, buffer[(x, 0)].bg);
        assert_eq!(colors(0), (Color::Indexed(217), Color::Indexed(16)));
        assert_eq!(colors(1), WHITE_ON_BLACK);
        let mut plain = Buffer::with_lines(["text"]);
        Theme::named("dark").unwrap().ground(&mut plain);
        assert_eq!(plain, Buffer::with_lines(["text"]));
    }

    #[test]
    fn without_colours_no_role_has_one() {
        let always = Always { no_color: true, ..Always::default() };
        for name in THEMES {
            let theme = Theme::configured(name, &own("good", "red"), always).unwrap();
            let styles =
                [theme.dim(), theme.border(true), theme.good(), theme.bad(), theme.differs(), theme.found()];
            assert!(styles.iter().all(|style| style.fg.is_none() && style.bg.is_none()), "{name}");
            assert_eq!(theme.ground, None, "{name}");
        }
    }
}
