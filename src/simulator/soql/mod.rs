//! SOQL, right or refused. A text is parsed (`tokens`, `literals`, `parser` to an `ast`), bound to the org's objects
//! (`bind`, `conditions` to a `plan`), and run on what the org held when it came (`run`, `groups`, by `cells`). What is
//! not understood is refused with a `fault`: a query never finds less because a name or a value means nothing.
//!
//! Not there: TYPEOF, GROUP BY ROLLUP and CUBE, functions of dates and places, USING SCOPE but for everything, WITH.

mod ast;
mod bind;
mod cells;
mod columns;
mod conditions;
mod fault;
mod groups;
mod literals;
mod parser;
mod plan;
mod rule;
mod run;
mod tokens;

pub(super) use ast::Query;
pub(super) use bind::bind;
pub(super) use columns::columns;
pub(super) use fault::Fault;
pub(super) use parser::parse;
pub(super) use rule::{check_condition, condition, holds_for};
pub(super) use run::{Answer, Rows, run};

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::simulator::fields::Fields;
    use crate::simulator::records::Record;
    use crate::simulator::schema::demo_objects;
    use crate::simulator::tables::{Seen, Table};
    use crate::simulator::users::User;

    type Row = (Option<String>, Option<String>, Option<i32>, Option<usize>);

    /// Contacts, of which some belong to one of three accounts.
    fn tables(rows: &[Row]) -> Vec<Table> {
        let at: DateTime<Utc> = DateTime::UNIX_EPOCH;
        let objects =
            demo_objects().into_iter().filter(|def| ["Account", "Contact"].contains(&def.name.as_str()));
        let mut tables: Vec<Table> = objects.map(|def| Table::of(def, at)).collect();
        let put = |table: &mut Table, fields: Value| {
            let fields: Map<String, Value> = serde_json::from_value(fields).unwrap();
            let id = table.records.next_id(&table.def.prefix);
            let record = Record::new(id.clone(), Fields::of(&fields), at, User::Person);
            table.index(&record);
            table.records.put(record);
            id
        };
        let accounts = ["a", "B", "a"].map(|name| put(&mut tables[0], json!({"Name": name})));
        for (at, (key, name, score, account)) in rows.iter().enumerate() {
            let key = key.as_ref().map(|key| format!("{key}{at}"));
            let account = account.map(|at| &accounts[at]);
            put(
                &mut tables[1],
                json!({"External_Id__c": key, "Title": name, "Score__c": score, "AccountId": account}),
            );
        }
        tables
    }

    fn count(tables: &[Table], condition: &str) -> usize {
        let text = format!("SELECT COUNT() FROM Contact{condition}");
        let plan = parse(&text).and_then(|query| bind(&query, Seen::of(tables), false));
        match plan.and_then(run) {
            Ok(Answer::Count(count)) => count,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let row = (
            prop::option::of("[aB]"),
            prop::option::of("[abAB]{1,2}"),
            prop::option::of(-2..3),
            prop::option::of(0..3_usize),
        );
        prop::collection::vec(row, 0..20)
    }

    fn terms() -> impl Strategy<Value = String> {
        let op = || prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
        prop_oneof![
            ("Title|Account\\.Name", op(), "[abAB]{1,2}")
                .prop_map(|(field, op, text)| format!("{field} {op} '{text}'")),
            (op(), -2..3).prop_map(|(op, number)| format!("Score__c {op} {number}")),
            "Title LIKE '[ab%_]{1,3}'",
            "(Title|Account\\.Name) (NOT )?IN \\('[abAB]', '[ab]{2}'\\)",
            "(Score__c|AccountId|Title) (=|!=) null",
            "AccountId (NOT )?IN \\(SELECT Id FROM Account WHERE Name = '[ab]'\\)",
        ]
    }

    #[test]
    fn queries_in_queries_are_limited() {
        let tables = tables(&[]);
        let refused = |text: &str| match parse(text).and_then(|query| bind(&query, Seen::of(&tables), false))
        {
            Err(fault) => fault.told(text).lines().last().unwrap_or_default().to_owned(),
            Ok(_) => String::new(),
        };
        let children = "(SELECT Id FROM Contacts)";
        assert_eq!(refused(&format!("SELECT {children} FROM Account")), "");
        assert_eq!(
            refused(&format!("SELECT {children}, {children} FROM Account")),
            "Cannot follow the same aggregate relationship twice: Contacts"
        );
        let many = vec![children; 21].join(",");
        assert_eq!(
            refused(&format!("SELECT {many} FROM Account")),
            "Maximum 20 sub-selects for child relationships are allowed"
        );
        let accounts = |levels: usize| {
            let inner = (0..levels - 1)
                .fold("Id".to_owned(), |inner, _| format!("(SELECT {inner} FROM ChildAccounts)"));
            format!("SELECT {inner} FROM Account")
        };
        assert_eq!(refused(&accounts(5)), "");
        assert_eq!(refused(&accounts(6)), "Maximum 5 levels of relationships are allowed");
        assert_eq!(
            refused("SELECT (SELECT Id FROM Contacts OFFSET 2001) FROM Account"),
            "Maximum SOQL offset allowed is 2000"
        );
        let join = "AccountId IN (SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact))";
        assert_eq!(
            refused(&format!("SELECT Id FROM Contact WHERE {join}")),
            "Nesting of semi join sub-selects is not supported"
        );
    }

    proptest! {
        #[test]
        fn a_record_is_found_by_a_condition_or_by_its_contrary(rows in rows(), term in terms()) {
            // A query stands neither in NOT nor in OR.
            prop_assume!(!term.contains("SELECT"));
            let tables = tables(&rows);
            let without = count(&tables, &format!(" WHERE NOT ({term})"));
            prop_assert_eq!(count(&tables, &format!(" WHERE {term}")) + without, rows.len());
        }

        #[test]
        fn and_finds_less_than_each_and_or_what_remains(rows in rows(), a in terms(), b in terms()) {
            let tables = tables(&rows);
            let (one, other) = (count(&tables, &format!(" WHERE {a}")), count(&tables, &format!(" WHERE {b}")));
            let both = count(&tables, &format!(" WHERE ({a}) AND ({b})"));
            prop_assert!(both <= one.min(other));
            if !a.contains("SELECT") && !b.contains("SELECT") {
                let any = count(&tables, &format!(" WHERE ({a}) OR ({b})"));
                prop_assert_eq!(any, one + other - both);
            }
        }

        #[test]
        fn a_query_within_finds_what_the_parents_field_finds(rows in rows(), name in "[ab]") {
            let tables = tables(&rows);
            let within = format!(" WHERE AccountId IN (SELECT Id FROM Account WHERE Name = '{name}')");
            prop_assert_eq!(count(&tables, &within), count(&tables, &format!(" WHERE Account.Name = '{name}'")));
        }

        #[test]
        fn an_index_finds_what_a_search_finds(rows in rows(), keys in prop::collection::vec("[abAB][0-9]", 1..5)) {
            let tables = tables(&rows);
            let list = keys.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(",");
            let indexed = count(&tables, &format!(" WHERE External_Id__c IN ({list})"));
            let searched = count(&tables, &format!(" WHERE External_Id__c IN ({list}) OR Title = 'no such'"));
            prop_assert_eq!(indexed, searched);
        }

        #[test]
        fn groups_hold_every_record_once(rows in rows()) {
            let tables = tables(&rows);
            let text = "SELECT Account.Name, COUNT(Id) n FROM Contact GROUP BY Account.Name";
            let plan = parse(text).and_then(|query| bind(&query, Seen::of(&tables), false)).unwrap();
            let Ok(Answer::Groups(groups)) = run(plan) else { panic!("no groups") };
            let sum: u64 = groups.iter().filter_map(|group| group["n"].as_u64()).sum();
            prop_assert_eq!(sum, rows.len() as u64);
            prop_assert!(groups.len() <= 3);
        }
    }
}
