//! The SQL of capture. What is captured does not depend on the session that writes: where its settings would print a value
//! another way, they are set for the moment. That is looked for with each row, and done only where it must be.

use crate::domain::mappings::mapping::{Access, Mapping};
use crate::domain::names::fitting;

use crate::postgres::{literal, quote};

/// The functions that capture the changes of a table, as Heroku Connect names its own.
pub(in crate::postgres) const LOGGER: &str = "logger";
/// See [`LOGGER`].
pub(in crate::postgres) const STATUS: &str = "status";

/// A setting by which values of some types are printed.
struct Setting {
    name: &'static str,
    /// What it is to be.
    wanted: &'static str,
    /// Whether it prints another way, in SQL.
    is_odd: &'static str,
    /// The types that it is about; none for those that nearly every table has.
    types: &'static [&'static str],
    /// Whether tables of composites and ranges, whose values hold others, are looked at with it. Not where most sessions
    /// have something odd: their every row would cost more for nothing.
    of_any: bool,
}

/// What a mapped field may be printed by comes first, and is always looked at.
const SETTINGS: [Setting; 7] = [
    Setting {
        name: "DateStyle",
        wanted: "ISO, YMD",
        is_odd: "pg_catalog.left(pg_catalog.current_setting('DateStyle'), 3) OPERATOR(pg_catalog.<>) 'ISO'",
        types: &[],
        of_any: true,
    },
    Setting {
        name: "extra_float_digits",
        wanted: "1",
        // From 1 on it is all the same.
        is_odd: "pg_catalog.current_setting('extra_float_digits') OPERATOR(pg_catalog.<) '1' COLLATE pg_catalog.\"C\"",
        types: &[],
        of_any: true,
    },
    Setting {
        name: "TimeZone",
        wanted: "UTC",
        is_odd: "pg_catalog.current_setting('TimeZone') OPERATOR(pg_catalog.<>) 'UTC'",
        types: &["timestamp with time zone"],
        of_any: true,
    },
    Setting {
        name: "IntervalStyle",
        wanted: "postgres",
        is_odd: "pg_catalog.current_setting('IntervalStyle') OPERATOR(pg_catalog.<>) 'postgres'",
        types: &["interval"],
        of_any: true,
    },
    Setting {
        name: "bytea_output",
        wanted: "hex",
        is_odd: "pg_catalog.current_setting('bytea_output') OPERATOR(pg_catalog.<>) 'hex'",
        types: &["bytea"],
        of_any: true,
    },
    Setting {
        name: "lc_monetary",
        wanted: "C",
        is_odd: "pg_catalog.current_setting('lc_monetary') OPERATOR(pg_catalog.<>) 'C'",
        types: &["money"],
        of_any: false,
    },
    Setting {
        name: "search_path",
        wanted: "",
        is_odd: "pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) ''",
        types: &["regclass", "regproc", "regprocedure", "regoper", "regoperator", "regtype", "regcollation"],
        of_any: false,
    },
];

/// A type whose values hold values of others.
pub(in crate::postgres) const ANY: &str = "any";

/// Puts into a template how settings are looked at, kept, set and set back, for columns of these types.
fn with_settings(template: &str, types: &[&str]) -> String {
    let is_about = |setting: &&Setting| {
        setting.types.is_empty()
            || types.iter().any(|of| setting.types.contains(of) || *of == ANY && setting.of_any)
    };
    let settings: Vec<&Setting> = SETTINGS.iter().filter(is_about).collect();
    let each = |joint: &str, text: &dyn Fn(usize, &Setting) -> String| {
        let texts: Vec<String> = settings.iter().enumerate().map(|(at, of)| text(at, of)).collect();
        texts.join(joint)
    };
    let kept = each(", ", &|_, of| format!("pg_catalog.current_setting('{}')", of.name));
    let set = each(", ", &|_, of| format!("pg_catalog.set_config('{}', '{}', true)", of.name, of.wanted));
    let set_back =
        each(", ", &|at, of| format!("pg_catalog.set_config('{}', settings[{}], true)", of.name, at + 1));
    template
        .replace("{is_odd}", &each(" OR ", &|_, of| of.is_odd.to_owned()))
        .replace("{settings}", &kept)
        .replace("{set}", &set)
        .replace("{set_back}", &set_back)
}

/// What stands beside the mapped tables. `schema` and `hstore` are quoted.
pub(in crate::postgres) fn of_connection(schema: &str, hstore: &str) -> String {
    with_settings(
        concat!(
            include_str!("../../../assets/sql/connection.sql"),
            "\n",
            include_str!("../../../assets/sql/keys.sql")
        ),
        &[ANY],
    )
    .replace("{schema}", schema)
    .replace("{schema_literal}", &schema.replace('\'', "''"))
    .replace("{hstore}", hstore)
    .replace("{hstore_literal}", &hstore.replace('\'', "''"))
}

/// What keys are compared by, which indexes of tables need. `schema` is quoted.
pub(in crate::postgres) fn of_keys(schema: &str) -> String {
    include_str!("../../../assets/sql/keys.sql").replace("{schema}", schema)
}

/// The capture of one mapped table whose columns are of these types.
pub(in crate::postgres) fn of_mapping(
    mapping: &Mapping,
    schema: &str,
    hstore: &str,
    types: &[&str],
) -> String {
    let (first_state, nothing_state, is_read_only) = match mapping.access {
        Access::ReadOnly => ("'READONLY'", "'READONLY'", "true"),
        Access::ReadWrite => ("'NEW'", "'IGNORE'", "false"),
    };
    with_settings(include_str!("../../../assets/sql/mapping.sql"), types)
        .replace("{schema}", schema)
        .replace("{table}", &quote(&mapping.table))
        .replace("{table_literal}", &literal(&mapping.table))
        .replace("{logger}", &quote(&function(&mapping.table, LOGGER)))
        .replace("{status}", &quote(&function(&mapping.table, STATUS)))
        .replace("{first_state}", first_state)
        .replace("{nothing_state}", nothing_state)
        .replace("{is_read_only}", is_read_only)
        .replace("{hstore}", hstore)
}

/// The name of one of a table's two functions.
pub(in crate::postgres) fn function(table: &str, which: &str) -> String {
    fitting(&format!("hc_{table}_{which}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_a_table_can_be_printed_by_are_looked_at() {
        let looked_at = |types: &[&str]| {
            let sql = with_settings("{is_odd}", types);
            SETTINGS
                .iter()
                .map(|of| of.name)
                .filter(|name| sql.contains(&format!("'{name}'")))
                .collect::<Vec<_>>()
        };
        assert_eq!(looked_at(&["character varying", "date"]), ["DateStyle", "extra_float_digits"]);
        assert_eq!(looked_at(&["timestamp with time zone"]), ["DateStyle", "extra_float_digits", "TimeZone"]);
        assert_eq!(looked_at(&[ANY]).len(), 5);
        let whole = of_connection("\"s\"", "\"public\"");
        assert!(!["{schema", "{set", "{hstore", "{is_odd"].iter().any(|place| whole.contains(place)));
    }
}
