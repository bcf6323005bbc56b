//! Reads the text of a condition, word by word and then by descent: OR, AND, NOT, a test.

use super::{BadCondition, Cast, Comparison, Operand, Test, Truth};

/// Brackets and NOTs in each other, at most.
const DEPTH: usize = 50;
/// The longest condition, in bytes.
const LENGTH: usize = 10_000;

/// What a condition may be, for messages.
const ALLOWED: &str = "compare columns with values (=, <>, <, <=, >, >=, LIKE, IN, BETWEEN, IS NULL) and join with AND, OR, NOT, \
     such as: email IS NOT NULL AND phone LIKE '+49%'";

/// Words that begin or join something of the language and are no columns here.
const KEYWORDS: [&str; 17] = [
    "and", "or", "not", "is", "null", "true", "false", "unknown", "in", "like", "ilike", "between",
    "distinct", "from", "cast", "as", "with",
];

/// Words of SQL that promise what this language does not have.
const FOREIGN: [&str; 12] = [
    "select", "exists", "any", "all", "some", "case", "collate", "escape", "similar", "row", "array",
    "interval",
];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A bare word in lower case.
    Word(String),
    /// A quoted identifier.
    Name(String),
    Text(String),
    Number(String),
    Sign(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Word(word) if KEYWORDS.contains(&word.as_str()) || FOREIGN.contains(&word.as_str()) => {
                f.write_str(&word.to_uppercase())
            }
            Token::Word(word) => f.write_str(word),
            Token::Name(name) => write!(f, "{name:?}"),
            Token::Text(text) => write!(f, "'{text}'"),
            Token::Number(text) => f.write_str(text),
            Token::Sign(sign) => write!(f, "{sign:?}"),
        }
    }
}

fn bad(problem: impl Into<String>) -> BadCondition {
    BadCondition { problem: problem.into(), remedy: ALLOWED.to_owned() }
}

pub(super) fn read(text: &str) -> Result<Test, BadCondition> {
    if text.len() > LENGTH {
        return Err(bad(format!("is longer than {LENGTH} characters")));
    }
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, at: 0, depth: 0 };
    let test = reader.any()?;
    match reader.peek() {
        None => Ok(test),
        Some(Token::Sign(")")) => Err(bad("ends before the ), which closes no bracket")),
        Some(token) => Err(bad(format!("does not go on with {token} there"))),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, BadCondition> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (token, behind) = token(c, rest)?;
        tokens.push(token);
        rest = behind;
    }
    Ok(tokens)
}

/// The token that `rest` begins with, and what is behind it.
fn token(c: char, rest: &str) -> Result<(Token, &str), BadCondition> {
    const SIGNS: [&str; 10] = ["::", "<>", "!=", "<=", ">=", "=", "<", ">", "(", ")"];
    match c {
        '\'' => quoted(rest, '\'').map(|(text, behind)| (Token::Text(text), behind)),
        '"' => quoted(rest, '"').map(|(name, behind)| (Token::Name(name), behind)),
        _ if rest.starts_with("--") || rest.starts_with("/*") => {
            Err(bad(format!("has a comment ({:?})", &rest[..2])))
        }
        '0'..='9' | '.' | '-' | '+' => {
            number(rest).ok_or_else(|| bad(format!("has {:?}, which is not of the language", c.to_string())))
        }
        _ if c.is_alphabetic() || c == '_' => {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "_$.".contains(c))).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            if word.contains('.') {
                return Err(bad(format!("names {word}; a column stands alone, without table or schema")));
            }
            if behind.starts_with('\'') && ["e", "b", "x", "n"].contains(&word.to_lowercase().as_str()) {
                return Err(bad(format!("has {word}'...'; write a value as '...'")));
            }
            // As PostgreSQL folds names.
            Ok((Token::Word(word.to_ascii_lowercase()), behind))
        }
        ',' => Ok((Token::Sign(","), &rest[1..])),
        _ => SIGNS
            .iter()
            .find(|sign| rest.starts_with(**sign))
            .map(|sign| (Token::Sign(sign), &rest[sign.len()..]))
            .ok_or_else(|| bad(format!("has {:?}, which is not of the language", c.to_string()))),
    }
}

/// What stands between a quote and its partner, a doubled one being one of the text.
fn quoted(rest: &str, quote: char) -> Result<(String, &str), BadCondition> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\0' {
            return Err(bad("holds U+0000, which PostgreSQL cannot"));
        }
        if c != quote {
            text.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            text.push(quote);
        } else {
            return Ok((text, &rest[at + 1..]));
        }
    }
    Err(bad(format!("lacks a closing {quote}")))
}

/// A number with its sign: `-1.5`, `2e3`.
fn number(rest: &str) -> Option<(Token, &str)> {
    let unsigned = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(unsigned);
    let mut any = length > 0;
    if unsigned[length..].starts_with('.') {
        let behind = digits(&unsigned[length + 1..]);
        any |= behind > 0;
        length += 1 + behind;
    }
    let exponent = unsigned[length..].strip_prefix(['e', 'E']).map_or(0, |text| {
        let signed = text.strip_prefix(['-', '+']).unwrap_or(text);
        match digits(signed) {
            0 => 0,
            count => 1 + text.len() - signed.len() + count,
        }
    });
    length += exponent + rest.len() - unsigned.len();
    any.then(|| (Token::Number(rest[..length].trim_start_matches('+').to_owned()), &rest[length..]))
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, BadCondition> {
        let token = self.tokens.get(self.at).cloned().ok_or_else(|| bad("ends too early"))?;
        self.at += 1;
        Ok(token)
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(found)) if found == word)
            || matches!(self.peek(), Some(Token::Sign(found)) if *found == word);
        self.at += usize::from(found);
        found
    }

    fn must(&mut self, word: &str) -> Result<(), BadCondition> {
        if self.takes(word) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(token) => bad(format!("has {token} where {} belongs", word.to_uppercase())),
            None => bad(format!("lacks a closing {}", word.to_uppercase())),
        })
    }

    /// One level deeper; brackets without end must not end our stack.
    fn deeper(&mut self) -> Result<(), BadCondition> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(bad(format!("has more than {DEPTH} brackets and NOTs in each other")));
        }
        Ok(())
    }

    fn any(&mut self) -> Result<Test, BadCondition> {
        let mut tests = vec![self.all()?];
        while self.takes("or") {
            tests.push(self.all()?);
        }
        Ok(if tests.len() > 1 { Test::Any(tests) } else { tests.swap_remove(0) })
    }

    fn all(&mut self) -> Result<Test, BadCondition> {
        let mut tests = vec![self.denied()?];
        while self.takes("and") {
            tests.push(self.denied()?);
        }
        Ok(if tests.len() > 1 { Test::All(tests) } else { tests.swap_remove(0) })
    }

    fn denied(&mut self) -> Result<Test, BadCondition> {
        if self.takes("not") {
            self.deeper()?;
            let test = Test::Not(Box::new(self.denied()?));
            self.depth -= 1;
            return Ok(test);
        }
        if self.takes("(") {
            self.deeper()?;
            let test = self.any()?;
            self.must(")")?;
            self.depth -= 1;
            return Ok(test);
        }
        self.test()
    }

    /// One comparison, or a column of the type boolean.
    fn test(&mut self) -> Result<Test, BadCondition> {
        let left = self.operand()?;
        if self.takes("is") {
            return self.is(left);
        }
        let denied = self.takes("not");
        let test = match self.peek() {
            Some(Token::Word(word)) if word == "in" => self.among(left)?,
            Some(Token::Word(word)) if word == "between" => self.between(left)?,
            Some(Token::Word(word)) if word == "like" || word == "ilike" => {
                let comparison = match (word.as_str(), denied) {
                    ("like", false) => Comparison::Like,
                    ("like", true) => Comparison::NotLike,
                    (_, false) => Comparison::LikeAnyCase,
                    (_, true) => Comparison::NotLikeAnyCase,
                };
                self.at += 1;
                let right = self.operand()?;
                return compare(left, comparison, right);
            }
            _ if denied => return Err(bad("has NOT where IN, LIKE or BETWEEN must follow")),
            Some(Token::Sign(sign)) => {
                let comparison = match *sign {
                    "=" => Comparison::Equal,
                    "<>" | "!=" => Comparison::Unequal,
                    "<" => Comparison::Less,
                    "<=" => Comparison::LessOrEqual,
                    ">" => Comparison::Greater,
                    ">=" => Comparison::GreaterOrEqual,
                    _ => return boolean(left),
                };
                self.at += 1;
                let right = self.operand()?;
                return compare(left, comparison, right);
            }
            _ => return boolean(left),
        };
        Ok(if denied { Test::Not(Box::new(test)) } else { test })
    }

    fn is(&mut self, left: Operand) -> Result<Test, BadCondition> {
        let denied = self.takes("not");
        if !matches!(left, Operand::Column(_)) {
            return Err(bad("asks IS of a value, which says nothing about a row"));
        }
        let test = match self.next()? {
            Token::Word(word) if word == "null" => Test::IsNull(left),
            Token::Word(word) if word == "true" => Test::Is(left, Truth::True),
            Token::Word(word) if word == "false" => Test::Is(left, Truth::False),
            Token::Word(word) if word == "unknown" => Test::Is(left, Truth::Unknown),
            Token::Word(word) if word == "distinct" => {
                self.must("from")?;
                Test::Differs(left, self.operand()?)
            }
            token => {
                return Err(bad(format!(
                    "has {token} behind IS; NULL, TRUE, FALSE, UNKNOWN and DISTINCT FROM may stand there"
                )));
            }
        };
        Ok(if denied { Test::Not(Box::new(test)) } else { test })
    }

    fn among(&mut self, left: Operand) -> Result<Test, BadCondition> {
        self.at += 1;
        self.must("(")?;
        let mut tests = Vec::new();
        loop {
            let right = self.operand()?;
            tests.push(compare(left.clone(), Comparison::Equal, right)?);
            if !self.takes(",") {
                break;
            }
        }
        self.must(")")?;
        Ok(Test::Any(tests))
    }

    fn between(&mut self, left: Operand) -> Result<Test, BadCondition> {
        self.at += 1;
        let least = self.operand()?;
        self.must("and")?;
        let most = self.operand()?;
        Ok(Test::All(vec![
            compare(left.clone(), Comparison::GreaterOrEqual, least)?,
            compare(left, Comparison::LessOrEqual, most)?,
        ]))
    }

    /// A column or a value.
    fn operand(&mut self) -> Result<Operand, BadCondition> {
        match self.next()? {
            Token::Name(name) => self.column(name),
            Token::Text(text) => {
                let cast = if self.takes("::") { Some(self.cast()?) } else { None };
                Ok(Operand::Value(text, cast))
            }
            Token::Number(text) => {
                let cast = if self.takes("::") { self.cast()? } else { Cast::Numeric };
                Ok(Operand::Value(text, Some(cast)))
            }
            Token::Word(word) if word == "cast" => {
                self.must("(")?;
                let value = match self.operand()? {
                    Operand::Value(text, _) => text,
                    Operand::Column(name) => return Err(only_values(&name)),
                };
                self.must("as")?;
                let cast = self.cast()?;
                self.must(")")?;
                Ok(Operand::Value(value, Some(cast)))
            }
            Token::Word(word) if word == "true" || word == "false" => {
                Ok(Operand::Value(word, Some(Cast::Boolean)))
            }
            Token::Word(word) if word == "null" => {
                Err(bad("compares with NULL, which is never true; write IS NULL or IS NOT NULL"))
            }
            Token::Word(word) if KEYWORDS.contains(&word.as_str()) || FOREIGN.contains(&word.as_str()) => {
                Err(bad(format!("has {}, which is not of the language there", word.to_uppercase())))
            }
            Token::Word(word) => {
                // `date '2026-01-01'`
                let here = self.at;
                if let Ok(cast) = self.named_cast(&word)
                    && let Some(Token::Text(text)) = self.peek().cloned()
                {
                    self.at += 1;
                    return Ok(Operand::Value(text, Some(cast)));
                }
                self.at = here;
                self.column(word)
            }
            token => Err(bad(format!("has {token} where a column or a value belongs"))),
        }
    }

    fn column(&mut self, name: String) -> Result<Operand, BadCondition> {
        match self.peek() {
            Some(Token::Sign("(")) => Err(bad(format!("calls the function {name}()"))),
            Some(Token::Sign("::")) => Err(only_values(&name)),
            _ => Ok(Operand::Column(name)),
        }
    }

    fn cast(&mut self) -> Result<Cast, BadCondition> {
        match self.next()? {
            Token::Word(word) => self.named_cast(&word),
            token => Err(bad(format!("has {token} where a type belongs"))),
        }
    }

    /// The type of that name; those of several words take theirs.
    fn named_cast(&mut self, word: &str) -> Result<Cast, BadCondition> {
        let cast = match word {
            "text" | "varchar" => Cast::Text,
            "int" | "integer" | "int4" => Cast::Integer,
            "bigint" | "int8" => Cast::Bigint,
            "numeric" | "decimal" => Cast::Numeric,
            "float8" => Cast::Double,
            "double" if self.takes("precision") => Cast::Double,
            "boolean" | "bool" => Cast::Boolean,
            "date" => Cast::Date,
            "time" => Cast::Time,
            "timestamptz" => Cast::TimestampTz,
            "timestamp" if self.takes("with") => {
                self.must("time")?;
                self.must("zone")?;
                Cast::TimestampTz
            }
            "timestamp" => Cast::Timestamp,
            _ => {
                return Err(bad(format!(
                    "has the type {word}; text, integer, bigint, numeric, double precision, boolean, date, time, timestamp and \
                     timestamptz are allowed"
                )));
            }
        };
        Ok(cast)
    }
}

fn only_values(name: &str) -> BadCondition {
    bad(format!("casts {name}: only a value can be cast, such as '5'::integer"))
}

/// A comparison, which must be about the row.
fn compare(left: Operand, comparison: Comparison, right: Operand) -> Result<Test, BadCondition> {
    if let (Operand::Value(left, _), Operand::Value(right, _)) = (&left, &right) {
        return Err(bad(format!("compares two values ({left} and {right}) and no column")));
    }
    Ok(Test::Compare(left, comparison, right))
}

/// A column that stands alone is true or false.
fn boolean(of: Operand) -> Result<Test, BadCondition> {
    match of {
        Operand::Column(name) => Ok(Test::Boolean(name)),
        Operand::Value(text, _) => Err(bad(format!("has the value {text} compared with nothing"))),
    }
}
