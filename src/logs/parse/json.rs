//! An object of JSON: pino and bunyan (numeric levels, milliseconds), zap (`ts` in seconds), logrus, structlog (`event`),
//! log4j's ECS (`@timestamp`, `log.level`). Members of inner objects become fields, `req.method`. Read by hand: a line is
//! borrowed as far as it goes, and numbers keep their digits.

use std::borrow::Cow;

use memchr::memchr2;

use super::{LineFormat, ParsedEntry, Value, entry};

/// Objects in objects that are taken apart; deeper ones stay JSON.
const DEPTH: usize = 4;

/// A line of JSON.
pub(super) fn read(line: &str) -> Option<ParsedEntry<'_>> {
    if !line.starts_with('{') {
        return None;
    }
    let mut entry = ParsedEntry::new(LineFormat::Json);
    let mut scan = Scan { text: line, at: 0 };
    scan.object("", 0, &mut entry)?;
    scan.blanks();
    if scan.at < line.len() {
        return None;
    }
    entry.say("event");
    let says_nothing = entry.message.is_empty() && entry.fields.is_empty();
    (!says_nothing).then_some(entry)
}

/// A place in a text of JSON.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Steps over a byte, with the blanks before it.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The members of an object, whose names follow that of the object itself.
    fn object(&mut self, name: &str, depth: usize, entry: &mut ParsedEntry<'a>) -> Option<()> {
        self.expect(b'{')?;
        self.blanks();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.blanks();
            let key = self.string()?;
            let key = if depth == 0 { key } else { Cow::Owned([name, &key].join(".")) };
            self.expect(b':')?;
            self.blanks();
            match self.peek()? {
                b'{' if depth < DEPTH => self.object(&key, depth + 1, entry)?,
                _ => {
                    let value = self.value()?;
                    entry.take(key, value);
                }
            }
            self.blanks();
            let next = self.peek()?;
            self.at += 1;
            match next {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn value(&mut self) -> Option<Value<'a>> {
        let begin = self.at;
        match self.peek()? {
            b'"' => self.string().map(Value::Text),
            b'{' | b'[' => {
                self.nested()?;
                Some(Value::Json(&self.text[begin..self.at]))
            }
            b't' | b'f' | b'n' => {
                let word = ["true", "false", "null"]
                    .into_iter()
                    .find(|word| self.text[begin..].starts_with(word))?;
                self.at += word.len();
                Some(Value::Json(word))
            }
            _ => {
                let is_number =
                    |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
                self.at += self.text.as_bytes()[begin..].iter().take_while(|byte| is_number(byte)).count();
                let number = &self.text[begin..self.at];
                entry::is_number(number).then_some(Value::Number(Cow::Borrowed(number)))
            }
        }
    }

    /// Steps over a list or an object as it is. It is not called by itself, so that no depth is too much.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// A string in its quotes.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        let begin = self.at;
        let stop = begin + memchr2(b'"', b'\\', &self.text.as_bytes()[begin..])?;
        self.at = stop;
        if self.text.as_bytes()[stop] == b'"' {
            self.at += 1;
            return Some(Cow::Borrowed(&self.text[begin..stop]));
        }
        let mut plain = self.text[begin..stop].to_owned();
        loop {
            let rest = &self.text[self.at..];
            let next = memchr2(b'"', b'\\', rest.as_bytes())?;
            plain.push_str(&rest[..next]);
            self.at += next + 1;
            if rest.as_bytes()[next] == b'"' {
                return Some(Cow::Owned(plain));
            }
            plain.push(self.escaped()?);
        }
    }

    /// The character that an escape stands for, behind its backslash.
    fn escaped(&mut self) -> Option<char> {
        let escape = self.peek()?;
        self.at += 1;
        Some(match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let first = self.unit()?;
                self.after_half(first)
            }
            _ => return None,
        })
    }

    /// The character of a UTF-16 unit and, where that is the first half of one, of the escape behind it.
    fn after_half(&mut self, first: u16) -> char {
        let begin = self.at;
        if (0xd800..0xdc00).contains(&first) && self.text[begin..].starts_with("\\u") {
            self.at += 2;
            if let Some(Ok(whole)) = self.unit().and_then(|second| char::decode_utf16([first, second]).next())
            {
                return whole;
            }
            self.at = begin;
        }
        char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }
}
