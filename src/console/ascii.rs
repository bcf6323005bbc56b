//! The screen in ASCII alone, for terminals and fonts that have nothing else: every sign has a letter that stands for
//! it, and what data holds beyond ASCII becomes a question mark.

use ratatui::buffer::Buffer;

/// Writes every cell in ASCII.
pub fn plain(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let stands = stand_in(cell.symbol());
            cell.set_symbol(stands);
        }
    }
}

fn stand_in(symbol: &str) -> &'static str {
    match symbol {
        "─" | "━" | "╌" => "-",
        "│" | "┃" => "|",
        "┌" | "┐" | "└" | "┘" | "┏" | "┓" | "┗" | "┛" | "├" | "┤" | "┬" | "┴" | "┼" => {
            "+"
        }
        "●" | "✓" => "*",
        "▲" | "▶" => ">",
        "✎" => "*",
        "✗" => "x",
        "◌" | "·" => ".",
        "◐" | "↻" => "~",
        "≠" => "!",
        "⇄" => "=",
        "→" => ">",
        "←" => "<",
        "↑" => "^",
        "↓" => "v",
        "–" | "—" => "-",
        "…" => "_",
        "▌" => "|",
        "█" | "▓" => "#",
        "░" => ".",
        "▁" | "▂" => "_",
        "▃" | "▄" => "-",
        "▅" | "▆" => "=",
        "▇" => "#",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    #[test]
    fn nothing_but_ascii_is_left() {
        let mut buffer = Buffer::with_lines(["┏━ 株 é ● ok ━┓"]);
        let area: Rect = buffer.area;
        plain(&mut buffer);
        let text: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert!(text.is_ascii() && text.starts_with("+- ?"), "{text}");
        assert_eq!(buffer.area, area);
    }
}
