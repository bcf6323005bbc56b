//! How many keys it takes from an error that one sees to Salesforce's yes, on a demo in its first minutes: one where a remedy
//! mends the value, two where one of a list is chosen, three besides the value where that has to be typed.

use crate::demo::Session;

/// A console on which keys are counted.
struct Counted {
    session: Session,
    keys: usize,
}

impl Counted {
    /// Lists what matches, and waits for the record of the line that is selected; its row. Nothing of it is counted: one
    /// would stand there without it, sooner or later.
    fn stand_on(&mut self, filter: &str, object: &str, field: &str) -> i32 {
        self.session.keys("2/");
        self.session.wait_for("Filter errors");
        self.session.keys(&format!("\x15{filter}\r"));
        // The frame has no room for all of it.
        self.session.wait_for(&format!("5 Pending · {}", &filter[..24]));
        let title = format!("3 Record · {object} ");
        // The field at fault is selected once the record is read, and stays so: nothing is done by itself.
        let mark = format!("▶ {field}");
        self.session
            .wait_until("its record shows", |screen| screen.contains(&title) && screen.contains(&mark));
        let line = self.session.line_with(&title);
        let row = line.split(&title).nth(1).and_then(|rest| rest.split(' ').next());
        self.keys = 0;
        row.and_then(|row| row.parse().ok()).unwrap_or_else(|| panic!("no row in {line}"))
    }

    fn key(&mut self, key: &str) {
        self.session.keys(key);
        self.keys += 1;
    }

    /// Gives the field at fault another value, whose letters are not counted; `clear` takes away what stands there.
    fn edit(&mut self, clear: bool, value: &str) {
        self.key("e");
        self.session.wait_for("save and retry");
        if clear {
            self.key("\x15");
        }
        self.session.keys(value);
        self.session.wait_for("✓ fits the field");
        self.key("\r");
    }

    /// Salesforce took the row: its line says so, and so does the row. Tells how many keys that took.
    fn is_mended(&mut self, object: &str, row: i32) -> usize {
        let name = format!("{object} {row}");
        let taken = |line: &str| line.contains(&name) && line.contains("taken");
        self.session.wait_until("Salesforce took it", |screen| screen.lines().any(taken));
        let table = object.to_lowercase();
        // Its row is written a moment after the org took it, where the reader had it locked.
        let synced = format!("SELECT (sfid IS NOT NULL)::text FROM salesforce.{table} WHERE id = {row}");
        self.session.wait_for_sql(&synced, "true");
        self.keys
    }
}

#[test]
fn a_record_is_mended_by_one_key_or_by_three_beside_what_is_typed() {
    let mut session = Session::demo(120, 40);
    session.wait_for("● running");
    let mut console = Counted { session, keys: 0 };

    // An e-mail address with a comma for a dot: its first remedy gives a value that fits.
    let row = console.stand_on("code:EMAIL mapping:contact state:open", "Contact", "Email");
    console.key("m");
    assert_eq!(console.is_mended("Contact", row), 1);

    // A word that is near no value of its list: one of those is chosen.
    let row = console.stand_on("code:PICKLIST mapping:lead state:open", "Lead", "Rating");
    console.key("m");
    console.session.wait_for("Rating of Lead");
    console.key("2");
    assert_eq!(console.is_mended("Lead", row), 2);
    let chosen = format!("SELECT rating FROM salesforce.lead WHERE id = {row}");
    assert!(["Hot", "Warm", "Cold"].contains(&console.session.sql(&chosen).as_str()));

    // A name that is missing has to be typed.
    let row = console.stand_on("code:REQUIRED mapping:lead state:open", "Lead", "LastName");
    console.edit(false, "Rau");
    assert_eq!(console.is_mended("Lead", row), 2);

    // A number in words is no number: what stands there goes, and another one is typed.
    let row = console.stand_on("field:Phone mapping:contact state:open", "Contact", "Phone");
    console.edit(true, "+1 206 555 0152");
    assert_eq!(console.is_mended("Contact", row), 3);
    console.session.keys("q");
    assert_eq!(console.session.exit_code(), 0);
}
