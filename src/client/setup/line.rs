//! A line of a plan, a takeover or its way back: what it is to its reader; how it looks is up to who shows it.

/// A line. Its text may hold line ends: the first line is the thing, the others the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupLine {
    /// What is to be minded before anything else.
    Warning(String),
    /// What the items below are about.
    Heading(String),
    /// One of them.
    Item(String),
    /// A sentence.
    Text(String),
    /// A command of the shell, to be copied.
    Command(String),
    /// Rows of text in columns.
    Table {
        /// What the columns are.
        head: Vec<&'static str>,
        /// The rows.
        rows: Vec<Vec<String>>,
    },
    /// Nothing.
    Blank,
}

impl SetupLine {
    /// As text, for a clipboard or a file.
    pub fn plain(&self) -> String {
        match self {
            SetupLine::Warning(text) | SetupLine::Heading(text) | SetupLine::Text(text) => {
                text.replace('\n', "\n  ")
            }
            SetupLine::Item(text) | SetupLine::Command(text) => format!("  {}", text.replace('\n', "\n    ")),
            SetupLine::Table { head, rows } => aligned(head, rows),
            SetupLine::Blank => String::new(),
        }
    }
}

/// A table as text.
fn aligned(head: &[&'static str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(head.get(at).map_or(0, |name| name.len()))
    };
    let line = |cells: &[&str]| {
        let cells = cells.iter().enumerate().map(|(at, cell)| format!("{cell:<0$}", width(at)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    std::iter::once(line(head)).chain(rows).collect::<Vec<_>>().join("\n")
}
