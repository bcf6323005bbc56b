//! SOQL's grammar, by recursive descent. As in Salesforce's own, AND and OR do not stand side by side without
//! parentheses, and NOT stands alone or within them.

use super::ast::{Condition, FieldGroup, Function, Item, Name, Op, Order, Query, Subject};
use super::fault::Fault;
use super::literals::Literal;
use super::tokens::{Kind, Token, tokens};

/// The longest query.
const LONGEST: usize = 100_000;
/// How deep parentheses and queries may stand in each other: no text may use up the stack.
const DEEPEST: usize = 50;
/// How many queries may ask for children, and how many levels there may be, the first of which is the query itself.
const CHILDREN: usize = 20;
const LEVELS: usize = 5;

/// Words that end a list and so are no aliases.
const CLAUSES: [&str; 12] =
    ["FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "USING", "WITH", "FOR", "ALL", "UPDATE"];

/// Parses a query.
///
/// # Errors
/// MALFORMED_QUERY in Salesforce's words.
pub(in crate::simulator) fn parse(text: &str) -> Result<Query, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::malformed("A query string has to be specified"));
    }
    if text.chars().count() > LONGEST {
        let message = "SOQL statements cannot be longer than 100000 characters.";
        return Err(Fault::new("QUERY_TOO_COMPLICATED", message));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, children: 0, level: 1, in_join: false };
    let query = parser.query()?;
    match parser.peek().kind {
        Kind::End => Ok(query),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    /// Queries for children so far.
    children: usize,
    level: usize,
    in_join: bool,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token<'a> {
        // The last token is the end, and nothing steps over it.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn unexpected(&self) -> Fault {
        let token = self.peek();
        Fault::unexpected(token.raw, token.at)
    }

    fn is_word(&self, word: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Word && token.raw.eq_ignore_ascii_case(word)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        self.at += usize::from(there);
        there
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let there = matches!(self.peek().kind, Kind::Symbol(found) if found == symbol);
        self.at += usize::from(there);
        there
    }

    fn expect_word(&mut self, word: &str) -> Result<(), Fault> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), Fault> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Whether the token after this one opens a parenthesis.
    fn before_parenthesis(&self) -> bool {
        self.tokens.get(self.at + 1).is_some_and(|next| next.kind == Kind::Symbol("("))
    }

    fn name(&mut self) -> Result<Name, Fault> {
        let token = self.peek();
        let is_part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let reserved = ["SELECT", "FROM", "WHERE"].iter().any(|word| token.raw.eq_ignore_ascii_case(word));
        if token.kind != Kind::Word || reserved || !token.raw.split('.').all(is_part) {
            return Err(self.unexpected());
        }
        let name = Name { text: token.raw.to_owned(), at: token.at };
        self.at += 1;
        Ok(name)
    }

    fn alias(&mut self) -> Result<Option<Name>, Fault> {
        let token = self.peek();
        let clause = CLAUSES.iter().any(|word| token.raw.eq_ignore_ascii_case(word));
        if token.kind == Kind::Word && !clause && !token.raw.contains('.') {
            self.name().map(Some)
        } else {
            Ok(None)
        }
    }

    /// One level deeper, where there is one.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Parser<'a>) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth == DEEPEST {
            return Err(Fault::new("QUERY_TOO_COMPLICATED", "The query is nested too deeply"));
        }
        self.depth += 1;
        let parsed = inner(self);
        self.depth -= 1;
        parsed
    }

    fn query(&mut self) -> Result<Query, Fault> {
        self.expect_word("SELECT")?;
        let mut select = vec![self.item()?];
        while self.take_symbol(",") {
            select.push(self.item()?);
        }
        if let Some(at) = lone_count(&select) {
            return Err(Fault::unexpected("(", at + "COUNT".len()));
        }
        self.expect_word("FROM")?;
        let from = self.name()?;
        let alias = self.alias()?.map(|name| name.text);
        if self.take_word("USING") {
            self.expect_word("SCOPE")?;
            self.expect_word("EVERYTHING")?;
        }
        let filter = if self.take_word("WHERE") { Some(self.condition()?) } else { None };
        let groups = if self.take_word("GROUP") { self.groups()? } else { Vec::new() };
        let having =
            if !groups.is_empty() && self.take_word("HAVING") { Some(self.condition()?) } else { None };
        let order = if self.take_word("ORDER") { self.order()? } else { Vec::new() };
        let limit = if self.take_word("LIMIT") { Some(self.number()?) } else { None };
        let offset = if self.take_word("OFFSET") { Some(self.number()?) } else { None };
        if self.take_word("FOR") && !["VIEW", "REFERENCE"].iter().any(|word| self.take_word(word)) {
            return Err(self.unexpected());
        }
        Ok(Query { select, from, alias, filter, groups, having, order, limit, offset })
    }

    fn item(&mut self) -> Result<Item, Fault> {
        if !self.in_join && self.take_symbol("(") {
            return self.children();
        }
        if !self.before_parenthesis() {
            let name = self.name()?;
            return Ok(Item::Field { name, alias: self.alias()? });
        }
        let at = self.peek().at;
        if self.take_word("FIELDS") {
            return self.fields();
        }
        let function = self.function()?;
        if function == Function::Count && self.take_symbol(")") {
            return Ok(Item::Count { at });
        }
        let field = self.name()?;
        self.expect_symbol(")")?;
        Ok(Item::Aggregate { function, field, alias: self.alias()? })
    }

    fn children(&mut self) -> Result<Item, Fault> {
        let refused = |at, message| Err(Fault::at("MALFORMED_QUERY", at, message));
        let at = self.peek().at;
        if self.children == CHILDREN {
            return refused(
                at,
                format!("Maximum {CHILDREN} sub-selects for child relationships are allowed"),
            );
        }
        if self.level == LEVELS {
            return refused(at, format!("Maximum {LEVELS} levels of relationships are allowed"));
        }
        self.children += 1;
        self.level += 1;
        let query = self.deeper(|parser| parser.query())?;
        self.level -= 1;
        self.expect_symbol(")")?;
        Ok(Item::Children(Box::new(query)))
    }

    /// An aggregate function with its opening parenthesis.
    fn function(&mut self) -> Result<Function, Fault> {
        let token = self.peek();
        let function = Some(token).filter(|token| token.kind == Kind::Word);
        let function = function.and_then(|token| Function::of_word(token.raw));
        let function = function.ok_or_else(|| self.unexpected())?;
        self.at += 1;
        self.expect_symbol("(")?;
        Ok(function)
    }

    fn fields(&mut self) -> Result<Item, Fault> {
        self.expect_symbol("(")?;
        let groups =
            [("ALL", FieldGroup::All), ("STANDARD", FieldGroup::Standard), ("CUSTOM", FieldGroup::Custom)];
        let group = groups.into_iter().find(|(word, _)| self.is_word(word)).map(|(_, group)| group);
        let group = group.ok_or_else(|| self.unexpected())?;
        self.at += 1;
        self.expect_symbol(")")?;
        Ok(Item::Fields { group })
    }

    fn groups(&mut self) -> Result<Vec<Name>, Fault> {
        self.expect_word("BY")?;
        let mut groups = vec![self.name()?];
        while self.take_symbol(",") {
            groups.push(self.name()?);
        }
        Ok(groups)
    }

    fn order(&mut self) -> Result<Vec<Order>, Fault> {
        self.expect_word("BY")?;
        let mut order = Vec::new();
        loop {
            let subject = self.subject()?;
            let descending = self.take_word("DESC");
            if !descending {
                self.take_word("ASC");
            }
            let nulls_last = self.take_word("NULLS") && {
                let last = self.take_word("LAST");
                if !last {
                    self.expect_word("FIRST")?;
                }
                last
            };
            order.push(Order { subject, descending, nulls_last });
            if !self.take_symbol(",") {
                return Ok(order);
            }
        }
    }

    fn number(&mut self) -> Result<usize, Fault> {
        let token = self.peek();
        let is_number = token.kind == Kind::Word && token.raw.bytes().all(|byte| byte.is_ascii_digit());
        let number = token.raw.parse().ok().filter(|_| is_number).ok_or_else(|| self.unexpected())?;
        self.at += 1;
        Ok(number)
    }

    fn subject(&mut self) -> Result<Subject, Fault> {
        if !self.before_parenthesis() {
            return self.name().map(Subject::Field);
        }
        let function = self.function()?;
        let field = self.name()?;
        self.expect_symbol(")")?;
        Ok(Subject::Aggregate(function, field))
    }

    fn condition(&mut self) -> Result<Condition, Fault> {
        if self.take_word("NOT") {
            return Ok(Condition::Not(Box::new(self.deeper(Parser::simple)?)));
        }
        let first = self.simple()?;
        for (word, join) in
            [("AND", Condition::All as fn(Vec<Condition>) -> Condition), ("OR", Condition::Any)]
        {
            if self.is_word(word) {
                let mut terms = vec![first];
                while self.take_word(word) {
                    terms.push(self.simple()?);
                }
                return Ok(join(terms));
            }
        }
        Ok(first)
    }

    fn simple(&mut self) -> Result<Condition, Fault> {
        if self.take_symbol("(") {
            let inner = self.deeper(Parser::condition)?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        if self.is_word("NOT") {
            return Err(self.unexpected());
        }
        let subject = self.subject()?;
        let negated = self.take_word("NOT");
        if negated || self.is_word("IN") {
            self.expect_word("IN")?;
            return self.in_list(subject, negated);
        }
        let op = match (&self.peek().kind, self.peek().raw) {
            (Kind::Symbol("="), _) => Op::Eq,
            (Kind::Symbol("!=" | "<>"), _) => Op::Ne,
            (Kind::Symbol("<"), _) => Op::Lt,
            (Kind::Symbol("<="), _) => Op::Le,
            (Kind::Symbol(">"), _) => Op::Gt,
            (Kind::Symbol(">="), _) => Op::Ge,
            (Kind::Word, word) if word.eq_ignore_ascii_case("LIKE") => Op::Like,
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(Condition::Compare { subject, op, value: self.literal()? })
    }

    fn in_list(&mut self, subject: Subject, negated: bool) -> Result<Condition, Fault> {
        self.expect_symbol("(")?;
        if self.is_word("SELECT") {
            if self.in_join {
                let message = "Nesting of semi join sub-selects is not supported";
                return Err(Fault::at("MALFORMED_QUERY", self.peek().at, message));
            }
            self.in_join = true;
            let query = Box::new(self.deeper(|parser| parser.query())?);
            self.in_join = false;
            self.expect_symbol(")")?;
            return Ok(Condition::Join { subject, negated, query });
        }
        let mut values = vec![self.literal()?];
        while self.take_symbol(",") {
            values.push(self.literal()?);
        }
        self.expect_symbol(")")?;
        Ok(Condition::In { subject, negated, values })
    }

    fn literal(&mut self) -> Result<Literal, Fault> {
        let token = self.peek();
        let literal = match &token.kind {
            Kind::Text(value) => Some(Literal::Text { value: value.clone(), raw: token.raw.to_owned() }),
            Kind::Word => Literal::of_word(token.raw),
            _ => None,
        };
        let literal = literal.ok_or_else(|| self.unexpected())?;
        self.at += 1;
        Ok(literal)
    }
}

/// `COUNT()` beside anything else.
fn lone_count(select: &[Item]) -> Option<usize> {
    let count = select.iter().find_map(|item| match item {
        Item::Count { at } => Some(*at),
        _ => None,
    });
    count.filter(|_| select.len() > 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> String {
        parse(text).unwrap_err().told(text).lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_sync_clients_send_is_read() {
        let query = parse("SELECT Id, Owner.Name FROM Contact WHERE SystemModstamp >= 2025-01-01T00:00:00.000Z AND (Name = 'O\\'Hara' OR Id IN ('a','b')) ORDER BY SystemModstamp ASC, Id DESC NULLS LAST LIMIT 5 OFFSET 2").unwrap();
        let order: Vec<_> = query
            .order
            .iter()
            .map(|by| (by.subject.name().text.as_str(), by.descending, by.nulls_last))
            .collect();
        assert_eq!(order, [("SystemModstamp", false, false), ("Id", true, true)]);
        assert_eq!((query.limit, query.offset), (Some(5), Some(2)));
        let Some(Condition::All(terms)) = query.filter else { panic!("{:?}", query.filter) };
        let Condition::Any(choices) = &terms[1] else { panic!("{:?}", terms[1]) };
        let Condition::Compare { op: Op::Eq, value: Literal::Text { value, .. }, .. } = &choices[0] else {
            panic!("{:?}", choices[0])
        };
        assert_eq!(value, "O'Hara");
        assert_eq!(parse("select count() from Account a").unwrap().select, [Item::Count { at: 7 }]);
    }

    #[test]
    fn what_it_does_not_understand_is_named() {
        for (text, token) in [
            ("SELECT Id, FROM Account", "FROM"),
            ("SELECT Id FROM Account WHERE", "<EOF>"),
            ("SELECT Id FROM Account a invalid", "invalid"),
            ("SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'", "OR"),
            ("SELECT Id FROM Account WHERE Name = 'a' AND NOT Name = 'b'", "NOT"),
            ("SELECT Id FROM Account WHERE Name = \"a\"", "\"a\""),
            ("SELECT Id FROM Account WHERE Name = 'a", "<EOF>"),
            ("SELECT Id FROM Account LIMIT -1", "-1"),
            ("SELECT Id FROM Account LIMIT +5", "+5"),
            ("SELECT Id FROM Account LIMIT '5'", "5"),
            ("SELECT 'COUNT'(Id) FROM Account", "COUNT"),
            ("SELECT Id FROM Account ORDER Name", "Name"),
            ("SELECT COUNT(), Id FROM Account", "("),
            ("SELECT * FROM Account", "*"),
            ("SELECT Id FROM Account WHERE Name = :name", ":name"),
            ("SELECT Id FROM Account ALL ROWS", "ALL"),
            ("SELECT FIELDS(SOME) FROM Account", "SOME"),
            ("SELECT SUM() FROM Account", ")"),
            ("SELECT TYPEOF What WHEN Account THEN Phone END FROM Task", "WHEN"),
        ] {
            assert_eq!(message(text), format!("unexpected token: '{token}'"), "{text}");
        }
        assert_eq!(message(" "), "A query string has to be specified");
        assert_eq!(
            message("SELECT Id FROM A WHERE Name = '\\q'"),
            "Illegal escape sequence in string literal"
        );
        let deep = format!("SELECT Id FROM A WHERE {}Name = 'x'", "(".repeat(60_000));
        assert_eq!(parse(&deep).unwrap_err().code, "QUERY_TOO_COMPLICATED");
    }

    /// A condition, and whether it needs parentheses within another.
    fn conditions() -> impl Strategy<Value = String> {
        let literal = prop_oneof![
            "'[a-z%_]{0,5}'",
            "-?[0-9]{1,9}(\\.[0-9]{1,4})?",
            Just("null".to_owned()),
            Just("2026-01-01".to_owned()),
            Just("2026-01-01T00:00:00.000Z".to_owned()),
            Just("LAST_N_DAYS:3".to_owned()),
        ];
        let field = "[A-Z][a-z]{1,5}__r\\.[A-Z][a-z]{1,5}|[A-Z][a-z]{1,6}__c";
        let compare = (field, "=|!=|<|<=|>|>=|<>| LIKE ", literal.clone())
            .prop_map(|(field, op, value)| format!("{field}{op}{value}"));
        let list = (field, "IN|NOT IN", prop::collection::vec(literal, 1..4))
            .prop_map(|(field, op, values)| format!("{field} {op} ({})", values.join(" , ")));
        prop_oneof![compare, list].prop_recursive(4, 30, 4, |inner| {
            let join = |word: &'static str| {
                move |terms: Vec<String>| {
                    terms.iter().map(|term| format!("({term})")).collect::<Vec<_>>().join(word)
                }
            };
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(join(" AND ")),
                prop::collection::vec(inner.clone(), 2..4).prop_map(join(" or ")),
                inner.prop_map(|term| format!("NOT({term})")),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(SELECT |FROM |WHERE |COUNT\\(|FIELDS\\(|NOT |IN |[a-z'=<>!(),.:\\\\é ]){0,14}") {
            if let Err(fault) = parse(&text) {
                let _ = fault.told(&text);
            }
        }

        #[test]
        fn what_follows_the_grammar_is_read_and_what_breaks_off_is_not(condition in conditions()) {
            let text = format!("SELECT Id FROM Thing__c WHERE {condition} ORDER BY Id LIMIT 7");
            let query = parse(&text);
            prop_assert!(query.is_ok(), "{text}: {query:?}");
            let (cut, _) = text.split_at(text.len() - " ORDER BY Id LIMIT 7".len() - 1);
            prop_assert!(!condition.ends_with(')') || parse(cut).is_err(), "{cut}");
        }
    }
}
