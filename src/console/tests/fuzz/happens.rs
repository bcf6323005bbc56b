//! What may happen to a console, by chance.

use crossterm::event::{MouseButton, MouseEventKind};
use proptest::prelude::*;

use super::engine::Manner;
use crate::console::command::COMMANDS;
use crate::console::tests::world::HOSTILE;

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Happens {
    Key(&'static str),
    /// One closes what lies open, and goes one of the [`WAYS`].
    Way(&'static str),
    Type(char),
    Paste(&'static str),
    Mouse(MouseEventKind, u16, u16),
    DoubleClick(u16, u16),
    Resize(u16, u16),
    Tick(i64),
    /// The engine's side tells of something by itself.
    Told(Tells),
    /// One of the answers that are outstanding comes; with `again` it comes once more later, as to one who asked twice.
    Answer {
        which: usize,
        manner: Manner,
        again: bool,
    },
    /// One of them never comes.
    Never(usize),
    /// All of them come.
    Rest,
}

#[derive(Clone, Copy, Debug)]
pub enum Tells {
    Errors(i64),
    Record,
    Log(i64),
    Overview,
    Lost,
    Restored,
    Missed,
    Progress,
    Stage,
}

/// Ways to where much can go wrong, which keys by chance seldom find; at `rest` all answers come.
const WAYS: &[&str] = &[
    "2 G Enter",
    "5 G Enter",
    "4 g Enter",
    "2 j Enter rest g e x Tab",
    "2 j Enter rest g e x Tab",
    "2 j Enter rest g e x Tab j e y Enter",
    "2 j Enter rest g j e x C-s",
    "2 j Enter rest g e x C-s j e y C-s",
    "2 j Enter e x Tab",
    "3 g e x Tab",
    "3 g e z Tab C-s",
    "3 j e x Enter",
    "3 C-s",
    "3 e BS Esc y",
    "3 Esc Esc",
    "3 Esc",
    "q q",
    "q",
    "C 2",
    "C",
    "2 j Enter rest f 1",
    "2 j w rest j m",
    "2 j w rest j Space w",
    "2 j w rest j w rest w i",
    "2 j w rest j r rest",
    "2 w w rest G w",
    "2 ! rest j w rest j Space w rest",
    "2 v Space j l l h d Space Esc",
    "2 > > <",
    "3 c rest l j h Enter",
    "3 c rest s Enter rest y rest",
    "3 c rest o Enter Esc",
    "y y",
    "3 f 2 y",
    "3 c l Enter",
    "3 m",
    "3 m m",
    "3 m rest m",
    "3 m m rest m m",
    "2 j m",
    "2 j i",
    "2 j i rest i",
    "2 j r",
    "2 G i rest r rest i",
    "2 k u rest n",
    "3 f 2 y",
    "3 f 3 y rest m",
    "1 d",
    ": d r a i n Space a l l Enter y",
    "2 A f Enter rest y",
    ": a d o p t Enter Enter rest Enter y Enter rest",
    ": a d o p t Space u n d o Enter rest Enter y rest",
    ": p l a n Enter rest G y r rest",
    "2 Space f Enter rest y",
    "1 s 3 y",
    "3 r",
    "2 r",
    "3 ] ] rest Enter",
    "3 ] ] ]",
    "/ c o d e : rest Tab Enter",
    "/ C-u j a n e Enter",
    "4 / w a r n Enter",
    "4 s l i n e Enter n N e E x",
    "1 j s 2",
    "1 v",
    "1 v rest s y",
    "1 t y",
    "1 L y",
    "1 p",
    "1 Enter",
    ": p a u s e Space a l l Enter y",
    ": t h e m e Enter j Enter",
    "2 A i",
    "2 A i rest y rest",
    "2 A r",
    "2 Space Space u",
    "2 Space Space u rest y rest",
    "2 f Enter",
    "2 f Enter rest y",
    "a rest Enter",
    "a rest u",
    "U rest y",
    "o 7 Enter",
    "M rest t j Enter",
    "s j Enter",
    "F n Enter",
    "4 S j Enter",
    "4 S Enter",
    "4 / w a r n Enter F n Enter",
    "4 K Enter",
    "4 p Enter",
    "4 t",
    "2 c rest f",
    "2 c rest o rest j m Enter",
    "2 c rest n x Enter",
    "2 c rest j m rest w",
    "b rest a x Enter",
    "b rest s Enter rest",
    "b rest Tab e rest",
    "b rest S-Tab Enter",
    "b rest Tab Tab Enter Esc",
    "b rest Enter",
    "b Esc",
];

const PASTES: [&str; 4] = [HOSTILE, "", "two\r\nlines\n", "5000"];

fn keys_there_are() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = COMMANDS.iter().flat_map(|command| command.keys).copied().collect();
    names.extend(["BS", "Delete", "C-a", "C-e", "C-k", "C-w", "C-x", "y", "n", "p", "s", "t", "H", "5"]);
    names
}

pub fn happens() -> impl Strategy<Value = Happens> {
    let places = || (0..130_u16, 0..45_u16);
    let manner = || (prop::bool::weighted(0.8), 0..60_usize).prop_map(|(well, turn)| Manner { well, turn });
    let mouse = prop::sample::select(vec![
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Right),
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::Moved,
        MouseEventKind::ScrollDown,
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollLeft,
    ]);
    let tells = prop_oneof![
        prop::sample::select(vec![1, 7, 400]).prop_map(Tells::Errors),
        Just(Tells::Record),
        (1..1_200_i64).prop_map(Tells::Log),
        Just(Tells::Overview),
        Just(Tells::Lost),
        Just(Tells::Restored),
        Just(Tells::Missed),
        Just(Tells::Progress),
        Just(Tells::Stage),
    ];
    prop_oneof![
        24 => prop::sample::select(keys_there_are()).prop_map(Happens::Key),
        14 => prop::sample::select(WAYS).prop_map(Happens::Way),
        3 => any::<char>().prop_map(Happens::Type),
        2 => prop::sample::select(&PASTES[..]).prop_map(Happens::Paste),
        3 => (mouse, places()).prop_map(|(kind, (x, y))| Happens::Mouse(kind, x, y)),
        1 => places().prop_map(|(x, y)| Happens::DoubleClick(x, y)),
        2 => places().prop_map(|(x, y)| Happens::Resize(x, y)),
        2 => (1..100_i64).prop_map(Happens::Tick),
        6 => tells.prop_map(Happens::Told),
        36 => (any::<usize>(), manner(), prop::bool::weighted(0.1))
            .prop_map(|(which, manner, again)| Happens::Answer { which, manner, again }),
        1 => any::<usize>().prop_map(Happens::Never),
        4 => Just(Happens::Rest),
    ]
}
