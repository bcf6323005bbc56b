//! A query's words, texts and symbols, each with its place.

use super::fault::Fault;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'a> {
    /// As it was written; a text without its quotes.
    pub(super) raw: &'a str,
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Word,
    /// What stands between quotes, read.
    Text(String),
    Symbol(&'static str),
    End,
}

const SYMBOLS: [&str; 10] = ["<=", ">=", "!=", "<>", "=", "<", ">", "(", ")", ","];

/// Cuts a query into its tokens, of which the last is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if c == '\'' {
            let (value, length) = quoted(&rest[1..], at + 1)?;
            tokens.push(Token { raw: &rest[1..=length], at, kind: Kind::Text(value) });
            at += length + 2;
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            tokens.push(Token { raw: symbol, at, kind: Kind::Symbol(symbol) });
            at += symbol.len();
        } else {
            let ends = |c: char| c.is_whitespace() || "'=<>!(),".contains(c);
            let length = rest.find(ends).filter(|length| *length > 0).unwrap_or(match c {
                // A lone exclamation mark.
                '!' => 1,
                _ => rest.len(),
            });
            tokens.push(Token { raw: &rest[..length], at, kind: Kind::Word });
            at += length;
        }
    }
    tokens.push(Token { raw: "<EOF>", at: text.len(), kind: Kind::End });
    Ok(tokens)
}

/// A text up to its closing quote, and how long it was written. `at` is its place in the query.
fn quoted(text: &str, at: usize) -> Result<(String, usize), Fault> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '\'' => return Ok((value, place)),
            '\\' => {
                let escaped = chars.next().map(|(_, c)| c);
                value.push(match escaped.map(|c| c.to_ascii_lowercase()) {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some('b') => '\u{8}',
                    Some('f') => '\u{c}',
                    Some('u') => unicode(&mut chars).ok_or_else(|| illegal_escape(at + place))?,
                    Some(c @ ('\'' | '"' | '\\' | '%' | '_')) => c,
                    Some(_) => return Err(illegal_escape(at + place)),
                    None => break,
                });
            }
            c => value.push(c),
        }
    }
    Err(Fault::at("MALFORMED_QUERY", at + text.len(), "unexpected token: '<EOF>'"))
}

fn unicode(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
    char::from_u32(u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4)?)
}

fn illegal_escape(at: usize) -> Fault {
    Fault::at("MALFORMED_QUERY", at, "Illegal escape sequence in string literal")
}
