//! The screen in ASCII alone, for terminals and fonts that have nothing else: every sign has a letter that stands for
//! it, and what data holds beyond ASCII becomes a question mark.

use ratatui::buffer::Buffer;

/// Writes every cell in ASCII.
pub fn plain(buffer: &mut Buffer) {
    let cells = &mut buffer.content;
    for at in 0..cells.len() {
        if cells[at].symbol().is_ascii() {
            continue;
        }
        // The cell before is in ASCII by now.
        let beside = |at: Option<usize>, is: fn(&u8) -> bool| {
            at.and_then(|at| cells.get(at)?.symbol().as_bytes().first()).is_some_and(is)
        };
        let of_a_word = beside(at.checked_sub(1), u8::is_ascii_alphanumeric);
        let of_a_number = beside(Some(at + 1), u8::is_ascii_digit);
        let stands = stand_in(cells[at].symbol(), of_a_word, of_a_number);
        cells[at].set_symbol(stands);
    }
}

/// What stands for a sign that may end a word or begin a number.
fn stand_in(symbol: &str, of_a_word: bool, of_a_number: bool) -> &'static str {
    match symbol {
        // More, or less, than before.
        "▲" if of_a_number => "+",
        "▼" if of_a_number => "-",
        // The order of a column, as `--sort -seen` has it.
        "↑" if of_a_word => "+",
        "↓" if of_a_word => "-",
        "─" | "╌" => "-",
        "│" => "|",
        "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" => "+",
        // The frame of what has the keys.
        "━" => "=",
        "┃" | "┏" | "┓" | "┗" | "┛" => "#",
        "●" | "✓" => "*",
        "○" => "o",
        "▲" => "!",
        "▶" | "▸" => ">",
        "▾" => "v",
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
        // No part of any name.
        "…" => "~",
        "▌" => "|",
        "█" | "▓" => "#",
        // Where one is in a list, in the side of a frame.
        "▐" => "%",
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
        assert!(text.is_ascii() && text.starts_with("#= ?"), "{text}");
        assert_eq!(buffer.area, area);
    }

    #[test]
    fn what_stands_for_a_sign_reads_as_nothing_else() {
        for (drawn, read) in [
            ("seen↓ code", "seen- code"),
            ("tries↑", "tries+"),
            ("errors 7 ▲203 in 1 h", "errors 7 +203 in 1 h"),
            ("▼3", "-3"),
            ("▲ errors", "! errors"),
            ("EXTERNAL_ID…", "EXTERNAL_ID~"),
            ("┏━ Errors ━┓┌─ Log ─┐", "#= Errors =#+- Log -+"),
            ("┃│", "#|"),
            (" ↑↓ choose", " ^v choose"),
        ] {
            let mut buffer = Buffer::with_lines([drawn]);
            plain(&mut buffer);
            assert_eq!(buffer, Buffer::with_lines([read]));
        }
    }
}
