//! SOQL, the part that sync clients send: SELECT fields (one step to a parent) or COUNT(), FROM, WHERE with AND, OR,
//! NOT and parentheses, ORDER BY, LIMIT, OFFSET.

use chrono::{DateTime, NaiveDate, Utc};

/// A parsed query.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) count: bool,
    /// Field paths in the order of the SELECT, `Name` or `Owner.Name`.
    pub(super) fields: Vec<String>,
    pub(super) object: String,
    pub(super) condition: Option<Condition>,
    /// Field and whether it goes down.
    pub(super) order: Vec<(String, bool)>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Compare { field: String, op: Op, value: Literal },
    In { field: String, negated: bool, values: Vec<Literal> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Date(NaiveDate),
    Instant(DateTime<Utc>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Symbol(&'static str),
}

/// Parses a query.
///
/// # Errors
/// Salesforce's words: `unexpected token: 'x'`.
pub(super) fn parse(text: &str) -> Result<Query, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let query = parser.query()?;
    match parser.peek() {
        None => Ok(query),
        Some(token) => Err(unexpected(token)),
    }
}

fn unexpected(token: &Token) -> String {
    let text = match token {
        Token::Word(word) | Token::Text(word) => word.as_str(),
        Token::Symbol(symbol) => symbol,
    };
    format!("unexpected token: '{text}'")
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    const SYMBOLS: [&str; 10] = ["<=", ">=", "!=", "<>", "=", "<", ">", "(", ")", ","];
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
        } else if c == '\'' {
            let (literal, after) = quoted(&rest[1..])?;
            tokens.push(Token::Text(literal));
            rest = after;
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            tokens.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        } else {
            let end = rest
                .find(|c: char| c.is_whitespace() || "'=<>!(),".contains(c))
                .filter(|end| *end > 0)
                .unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    Ok(tokens)
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut literal = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Ok((literal, &text[at + 1..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => literal.push('\n'),
                Some('r') => literal.push('\r'),
                Some('t') => literal.push('\t'),
                Some(other) => literal.push(other),
                None => break,
            },
            c => literal.push(c),
        }
    }
    Err("unexpected token: '<EOF>'".to_owned())
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token =
            self.tokens.get(self.at).cloned().ok_or_else(|| "unexpected token: '<EOF>'".to_owned())?;
        self.at += 1;
        Ok(token)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        self.at += usize::from(there);
        there
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.at += usize::from(there);
        there
    }

    fn expect_word(&mut self, word: &str) -> Result<(), String> {
        if self.take_word(word) {
            Ok(())
        } else {
            Err(self.peek().map_or_else(|| "unexpected token: '<EOF>'".to_owned(), unexpected))
        }
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), String> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.peek().map_or_else(|| "unexpected token: '<EOF>'".to_owned(), unexpected))
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next()? {
            Token::Word(word) if word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') => {
                Ok(word)
            }
            other => Err(unexpected(&other)),
        }
    }

    fn query(&mut self) -> Result<Query, String> {
        self.expect_word("SELECT")?;
        let mut fields = vec![self.name()?];
        let count = fields[0].eq_ignore_ascii_case("COUNT") && self.take_symbol("(");
        if count {
            self.expect_symbol(")")?;
            fields.clear();
        }
        while !count && self.take_symbol(",") {
            fields.push(self.name()?);
        }
        self.expect_word("FROM")?;
        let object = self.name()?;
        let condition = if self.take_word("WHERE") { Some(self.any_of()?) } else { None };
        let order = if self.take_word("ORDER") { self.order()? } else { Vec::new() };
        let limit = if self.take_word("LIMIT") { Some(self.number()?) } else { None };
        let offset = if self.take_word("OFFSET") { self.number()? } else { 0 };
        Ok(Query { count, fields, object, condition, order, limit, offset })
    }

    fn order(&mut self) -> Result<Vec<(String, bool)>, String> {
        self.expect_word("BY")?;
        let mut order = Vec::new();
        loop {
            let field = self.name()?;
            let down = self.take_word("DESC");
            if !down {
                self.take_word("ASC");
            }
            if self.take_word("NULLS") && !self.take_word("FIRST") {
                self.expect_word("LAST")?;
            }
            order.push((field, down));
            if !self.take_symbol(",") {
                return Ok(order);
            }
        }
    }

    fn number(&mut self) -> Result<usize, String> {
        match self.next()? {
            Token::Word(word) => word.parse().map_err(|_| unexpected(&Token::Word(word))),
            other => Err(unexpected(&other)),
        }
    }

    fn any_of(&mut self) -> Result<Condition, String> {
        let mut left = self.all_of()?;
        while self.take_word("OR") {
            left = Condition::Or(Box::new(left), Box::new(self.all_of()?));
        }
        Ok(left)
    }

    fn all_of(&mut self) -> Result<Condition, String> {
        let mut left = self.one()?;
        while self.take_word("AND") {
            left = Condition::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Condition, String> {
        if self.take_word("NOT") {
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        if self.take_symbol("(") {
            let inner = self.any_of()?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        let field = self.name()?;
        let negated = self.take_word("NOT");
        if self.take_word("IN") {
            return self.in_list(field, negated);
        }
        let op = match self.next()? {
            Token::Symbol("=") => Op::Eq,
            Token::Symbol("!=" | "<>") => Op::Ne,
            Token::Symbol("<") => Op::Lt,
            Token::Symbol("<=") => Op::Le,
            Token::Symbol(">") => Op::Gt,
            Token::Symbol(">=") => Op::Ge,
            Token::Word(word) if word.eq_ignore_ascii_case("LIKE") => Op::Like,
            other => return Err(unexpected(&other)),
        };
        Ok(Condition::Compare { field, op, value: self.literal()? })
    }

    fn in_list(&mut self, field: String, negated: bool) -> Result<Condition, String> {
        self.expect_symbol("(")?;
        let mut values = vec![self.literal()?];
        while self.take_symbol(",") {
            values.push(self.literal()?);
        }
        self.expect_symbol(")")?;
        Ok(Condition::In { field, negated, values })
    }

    fn literal(&mut self) -> Result<Literal, String> {
        match self.next()? {
            Token::Text(text) => Ok(Literal::Text(text)),
            Token::Word(word) => word_literal(&word).ok_or_else(|| unexpected(&Token::Word(word))),
            other => Err(unexpected(&other)),
        }
    }
}

fn word_literal(word: &str) -> Option<Literal> {
    match word.to_ascii_lowercase().as_str() {
        "null" => return Some(Literal::Null),
        "true" => return Some(Literal::Bool(true)),
        "false" => return Some(Literal::Bool(false)),
        _ => {}
    }
    if let Ok(number) = word.parse() {
        return Some(Literal::Number(number));
    }
    if let Some(time) = super::checks::parse_datetime(word) {
        return Some(Literal::Instant(time));
    }
    NaiveDate::parse_from_str(word, "%Y-%m-%d").ok().map(Literal::Date)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_sync_clients_send_is_read() {
        let query = parse("SELECT Id, Owner.Name FROM Contact WHERE SystemModstamp >= 2025-01-01T00:00:00.000Z AND (Name = 'O\\'Hara' OR Id IN ('a','b')) ORDER BY SystemModstamp ASC, Id DESC LIMIT 5 OFFSET 2").unwrap();
        assert_eq!(query.fields, ["Id", "Owner.Name"]);
        assert_eq!(query.order, [("SystemModstamp".to_owned(), false), ("Id".to_owned(), true)]);
        assert_eq!((query.limit, query.offset), (Some(5), 2));
        let Some(Condition::And(_, right)) = query.condition else { panic!("{:?}", query.condition) };
        let Condition::Or(left, _) = *right else { panic!("{right:?}") };
        assert_eq!(
            *left,
            Condition::Compare {
                field: "Name".to_owned(),
                op: Op::Eq,
                value: Literal::Text("O'Hara".to_owned())
            }
        );
        assert!(parse("select count() from Account").unwrap().count);
    }

    #[test]
    fn what_it_does_not_understand_is_named() {
        assert_eq!(parse("SELECT Id, FROM Account").unwrap_err(), "unexpected token: 'Account'");
        assert_eq!(parse("SELECT Id FROM Account WHERE").unwrap_err(), "unexpected token: '<EOF>'");
        assert_eq!(parse("SELECT Id FROM Account invalid").unwrap_err(), "unexpected token: 'invalid'");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(SELECT |FROM |WHERE |[a-z'=<>!(),. ]){0,12}") {
            let _ = parse(&text);
        }
    }
}
