//! The condition of the rule `where`: which rows take part. A small language, read here and nowhere else, so that no text
//! of an operator ever becomes SQL: columns are compared with values (`=`, `<>`, `<`, `LIKE`, `IN`, `BETWEEN`, `IS NULL`),
//! values may be cast (`date '2026-01-01'`, `'5'::integer`), and tests are joined by `AND`, `OR`, `NOT` and brackets.
//! The compiled form names columns in quotes, binds every value as a parameter, and names the schema of each operator.

mod parse;

use std::fmt;

/// A condition as it was written, and what it means. Two are equal when they are written alike.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    test: Result<Test, BadCondition>,
}

/// Why a condition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}\n{remedy}")]
pub struct BadCondition {
    /// What is wrong, with the word at fault.
    pub problem: String,
    /// What is allowed.
    pub remedy: String,
}

/// A condition for PostgreSQL: `sql` holds a place (`$n`) for each of `values`, which are bound as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// True, false or NULL for a row whose columns are in scope by their bare names.
    pub sql: String,
    /// In the order of their places.
    pub values: Vec<String>,
}

/// What must hold of a row.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare(Operand, Comparison, Operand),
    IsNull(Operand),
    Is(Operand, Truth),
    Differs(Operand, Operand),
    Boolean(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Column(String),
    /// A value, and the SQL type that it was cast to; without one PostgreSQL takes the type of what it is compared with.
    Value(String, Option<Cast>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
    LikeAnyCase,
    NotLikeAnyCase,
}

impl Comparison {
    /// PostgreSQL's operator.
    fn operator(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::Unequal => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Like => "~~",
            Comparison::NotLike => "!~~",
            Comparison::LikeAnyCase => "~~*",
            Comparison::NotLikeAnyCase => "!~~*",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

/// A type that a value may be cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cast {
    Text,
    Integer,
    Bigint,
    Numeric,
    Double,
    Boolean,
    Date,
    Time,
    Timestamp,
    TimestampTz,
}

impl Cast {
    /// PostgreSQL's name of it.
    fn sql(self) -> &'static str {
        match self {
            Cast::Text => "text",
            Cast::Integer => "int4",
            Cast::Bigint => "int8",
            Cast::Numeric => "numeric",
            Cast::Double => "float8",
            Cast::Boolean => "bool",
            Cast::Date => "date",
            Cast::Time => "time",
            Cast::Timestamp => "timestamp",
            Cast::TimestampTz => "timestamptz",
        }
    }
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// Names what is not of the language, with what is.
    pub fn parse(text: &str) -> Result<Condition, BadCondition> {
        let text = text.trim();
        Ok(Condition { text: text.to_owned(), test: Ok(parse::read(text)?) })
    }

    /// Reads a condition that was stored, perhaps by another version. One that cannot be read keeps every row out, for
    /// nobody knows which it was to keep out; see [`Condition::fault`].
    pub fn stored(text: &str) -> Condition {
        Condition { text: text.trim().to_owned(), test: parse::read(text.trim()) }
    }

    /// Why it cannot be read.
    pub fn fault(&self) -> Option<&BadCondition> {
        self.test.as_ref().err()
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns that it looks at, in the order of their first mention.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns = Vec::new();
        if let Ok(test) = &self.test {
            test.each_column(&mut |column| {
                if !columns.contains(&column) {
                    columns.push(column);
                }
            });
        }
        columns
    }

    /// For PostgreSQL; the first value's place is `$first`.
    pub fn compile(&self, first: usize) -> Compiled {
        let mut compiled = Compiled { sql: String::new(), values: Vec::new() };
        match &self.test {
            Ok(test) => test.write(first, &mut compiled),
            Err(_) => compiled.sql += "false",
        }
        compiled
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Condition) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Test {
    fn each_column<'a>(&'a self, see: &mut impl FnMut(&'a str)) {
        let mut operand = |of: &'a Operand| {
            if let Operand::Column(name) = of {
                see(name);
            }
        };
        match self {
            Test::All(tests) | Test::Any(tests) => tests.iter().for_each(|test| test.each_column(see)),
            Test::Not(test) => test.each_column(see),
            Test::Compare(left, _, right) | Test::Differs(left, right) => {
                operand(left);
                operand(right);
            }
            Test::IsNull(of) | Test::Is(of, _) => operand(of),
            Test::Boolean(column) => see(column),
        }
    }

    fn write(&self, first: usize, out: &mut Compiled) {
        match self {
            Test::All(tests) => join(tests, " AND ", first, out),
            Test::Any(tests) => join(tests, " OR ", first, out),
            Test::Not(test) => {
                out.sql += "(NOT ";
                test.write(first, out);
                out.sql += ")";
            }
            Test::Compare(left, comparison, right) => {
                out.sql += "(";
                left.write(first, out);
                out.sql += &format!(" OPERATOR(pg_catalog.{}) ", comparison.operator());
                right.write(first, out);
                out.sql += ")";
            }
            Test::IsNull(of) => {
                out.sql += "(";
                of.write(first, out);
                out.sql += " IS NULL)";
            }
            Test::Is(of, truth) => {
                out.sql += "(";
                of.write(first, out);
                out.sql += match truth {
                    Truth::True => " IS TRUE)",
                    Truth::False => " IS FALSE)",
                    Truth::Unknown => " IS UNKNOWN)",
                };
            }
            // `IS DISTINCT FROM` would take its operator from the search path.
            Test::Differs(left, right) => {
                let unequal = Test::Compare(left.clone(), Comparison::Unequal, right.clone());
                let nulls: Vec<&Operand> =
                    [left, right].into_iter().filter(|of| matches!(of, Operand::Column(_))).collect();
                out.sql += "CASE WHEN ";
                for (at, of) in nulls.iter().enumerate() {
                    out.sql += if at > 0 { " OR " } else { "" };
                    Test::IsNull((*of).clone()).write(first, out);
                }
                out.sql += " THEN ";
                match nulls.as_slice() {
                    [left, right] => {
                        Test::IsNull((*left).clone()).write(first, out);
                        out.sql += " OPERATOR(pg_catalog.<>) ";
                        Test::IsNull((*right).clone()).write(first, out);
                    }
                    // A value is never NULL.
                    _ => out.sql += "true",
                }
                out.sql += " ELSE ";
                unequal.write(first, out);
                out.sql += " END";
            }
            Test::Boolean(column) => out.sql += &quote(column),
        }
    }
}

fn join(tests: &[Test], word: &str, first: usize, out: &mut Compiled) {
    out.sql += "(";
    for (at, test) in tests.iter().enumerate() {
        out.sql += if at > 0 { word } else { "" };
        test.write(first, out);
    }
    out.sql += ")";
}

impl Operand {
    fn write(&self, first: usize, out: &mut Compiled) {
        match self {
            Operand::Column(name) => out.sql += &quote(name),
            Operand::Value(text, cast) => {
                out.sql += &format!("${}", first + out.values.len());
                if let Some(cast) = cast {
                    out.sql += &format!("::pg_catalog.{}", cast.sql());
                }
                out.values.push(text.clone());
            }
        }
    }
}

/// A quoted identifier.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compiled(text: &str) -> (String, Vec<String>) {
        let Compiled { sql, values } =
            Condition::parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}")).compile(1);
        (sql, values)
    }

    #[test]
    fn conditions_become_sql_with_every_value_bound() {
        for (text, sql, values) in [
            ("email IS NOT NULL", r#"(NOT ("email" IS NULL))"#, vec![]),
            ("Email = 'a''b'", r#"("email" OPERATOR(pg_catalog.=) $1)"#, vec!["a'b"]),
            (r#""Odd ""name""" = 'x'"#, r#"("Odd ""name""" OPERATOR(pg_catalog.=) $1)"#, vec!["x"]),
            (
                "score__c >= -1.5 and not vip__c",
                r#"(("score__c" OPERATOR(pg_catalog.>=) $1::pg_catalog.numeric) AND (NOT "vip__c"))"#,
                vec!["-1.5"],
            ),
            (
                "a = 'x' OR b = 'y' AND c <> d",
                r#"(("a" OPERATOR(pg_catalog.=) $1) OR (("b" OPERATOR(pg_catalog.=) $2) AND ("c" OPERATOR(pg_catalog.<>) "d")))"#,
                vec!["x", "y"],
            ),
            (
                "(a = 'x' OR b = 'y') AND c != 'z'",
                r#"((("a" OPERATOR(pg_catalog.=) $1) OR ("b" OPERATOR(pg_catalog.=) $2)) AND ("c" OPERATOR(pg_catalog.<>) $3))"#,
                vec!["x", "y", "z"],
            ),
            (
                "rating NOT IN ('Hot', 'Cold')",
                r#"(NOT (("rating" OPERATOR(pg_catalog.=) $1) OR ("rating" OPERATOR(pg_catalog.=) $2)))"#,
                vec!["Hot", "Cold"],
            ),
            ("phone NOT LIKE '+49%'", r#"("phone" OPERATOR(pg_catalog.!~~) $1)"#, vec!["+49%"]),
            (
                "n BETWEEN 1 AND 5",
                r#"(("n" OPERATOR(pg_catalog.>=) $1::pg_catalog.numeric) AND ("n" OPERATOR(pg_catalog.<=) $2::pg_catalog.numeric))"#,
                vec!["1", "5"],
            ),
            (
                "birthdate > date '2000-01-01' AND createddate < '2026-01-01'::timestamp with time zone",
                r#"(("birthdate" OPERATOR(pg_catalog.>) $1::pg_catalog.date) AND ("createddate" OPERATOR(pg_catalog.<) $2::pg_catalog.timestamptz))"#,
                vec!["2000-01-01", "2026-01-01"],
            ),
            (
                "n = CAST('5' AS double precision)",
                r#"("n" OPERATOR(pg_catalog.=) $1::pg_catalog.float8)"#,
                vec!["5"],
            ),
            ("vip__c IS NOT TRUE", r#"(NOT ("vip__c" IS TRUE))"#, vec![]),
            ("vip__c = true", r#"("vip__c" OPERATOR(pg_catalog.=) $1::pg_catalog.bool)"#, vec!["true"]),
            (
                "a IS DISTINCT FROM 'x'",
                r#"CASE WHEN ("a" IS NULL) THEN true ELSE ("a" OPERATOR(pg_catalog.<>) $1) END"#,
                vec!["x"],
            ),
            (
                "a IS NOT DISTINCT FROM b",
                r#"(NOT CASE WHEN ("a" IS NULL) OR ("b" IS NULL) THEN ("a" IS NULL) OPERATOR(pg_catalog.<>) ("b" IS NULL) ELSE ("a" OPERATOR(pg_catalog.<>) "b") END)"#,
                vec![],
            ),
        ] {
            let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
            assert_eq!(compiled(text), (sql.to_owned(), values), "{text}");
        }
    }

    #[test]
    fn whatever_else_sql_can_say_is_refused_by_name() {
        for (text, part) in [
            ("op.ok(name)", "op.ok"),
            ("lower(name) = 'x'", "the function lower()"),
            ("vip) OR (vip", "ends before the )"),
            ("true", "compared with nothing"),
            ("1 = 1", "two values"),
            ("name = 'x'; DROP TABLE account", "\";\""),
            ("name = 'x' -- and so on", "\"--\""),
            ("name = /* no */ 'x'", "\"/*\""),
            ("EXISTS (SELECT 1)", "EXISTS"),
            ("name IN (SELECT x FROM y)", "SELECT"),
            ("name = ANY('{a}')", "ANY"),
            ("name = $1", "\"$\""),
            ("name = $$x$$", "\"$\""),
            ("name = E'x'", "E'"),
            ("name = NULL", "IS NULL"),
            ("name || 'x' = 'y'", "\"|\""),
            ("n + 1 = 2", "\"+\""),
            ("name::text = 'x'", "only a value"),
            ("name = 'x'::regclass", "regclass"),
            ("name = 'x' COLLATE \"C\"", "COLLATE"),
            ("name ~ 'x'", "\"~\""),
            ("name LIKE 'x' ESCAPE '!'", "ESCAPE"),
            ("name = 'x", "closing '"),
            ("\"name = 'x'", "closing \""),
            ("name =", "ends"),
            ("AND name = 'x'", "AND"),
            ("name = 'x' name", "name"),
            ("(name = 'x'", "closing )"),
            ("name = 'a\0b'", "U+0000"),
        ] {
            let bad = Condition::parse(text).map(|of| of.compile(1)).unwrap_err();
            assert!(bad.problem.contains(part), "{text}: {}", bad.problem);
            assert!(!bad.remedy.is_empty());
        }
        let deep = format!("{}a = 'x'{}", "(".repeat(100), ")".repeat(100));
        assert!(Condition::parse(&deep).unwrap_err().problem.contains("brackets"));
        let denied = "NOT ".repeat(100) + "a = 'x'";
        assert!(Condition::parse(&denied).is_err());
    }

    #[test]
    fn a_stored_condition_that_cannot_be_read_keeps_every_row_out() {
        let condition = Condition::stored("op.ok(name)");
        assert!(condition.fault().is_some_and(|fault| fault.problem.contains("op.ok")));
        assert_eq!((condition.compile(1).sql.as_str(), condition.text()), ("false", "op.ok(name)"));
        assert_eq!(Condition::stored(" a = 'x' "), Condition::parse("a = 'x'").unwrap());
    }

    #[test]
    fn the_columns_are_told_once_each() {
        let condition = Condition::parse("a = 'x' AND (b < c OR NOT a IS NULL) AND d").unwrap();
        assert_eq!(condition.columns(), ["a", "b", "c", "d"]);
    }

    proptest! {
        /// No text makes the reader panic, and what it lets through holds nothing of its values.
        #[test]
        fn values_never_reach_the_sql(value in "[a-z0-9'\"$;()\\\\-]{0,20}", text in "\\PC{0,40}") {
            let _ = Condition::parse(&text);
            let quoted = value.replace('\'', "''");
            let (sql, values) = compiled(&format!("name = '{quoted}'"));
            prop_assert_eq!(sql, r#"("name" OPERATOR(pg_catalog.=) $1)"#);
            prop_assert_eq!(values, vec![value]);
        }
    }
}
