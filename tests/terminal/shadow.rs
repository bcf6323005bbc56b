//! A comparison beside Heroku Connect, by keys in the console of the connection that is attached to it.

use crate::adopt::Left;
use crate::screen::Terminal;
use crate::workspace::CONTACTS;
use crate::world::World;

/// All that a comparison could have written, to the letter.
const ROWS: &str =
    "SELECT concat_ws(' ', (SELECT string_agg(c::text, E'\\n' ORDER BY id) FROM salesforce.contact c),
    (SELECT string_agg(l::text, E'\\n' ORDER BY id) FROM salesforce._trigger_log l),
    (SELECT count(*) FROM pg_class WHERE relnamespace <> 'pg_toast'::regnamespace))";

/// Runs the command; its line takes the keys once it shows.
fn command(terminal: &mut Terminal) {
    terminal.keys(":");
    terminal.wait_for("Commands and things");
    terminal.keys("shadow\r");
}

#[tokio::test(flavor = "multi_thread")]
async fn salesforce_is_compared_round_by_round_and_nothing_is_written() {
    let world = World::without_engine(CONTACTS).await;
    let left = Left::behind(&world).await;
    let before = left.text(ROWS).await;
    let mut terminal = left.console("");
    command(&mut terminal);
    // The connection that is attached has no login to the org.
    terminal.wait_for("name a configuration");
    terminal.keys("\r");
    terminal.wait_for("Compare with which configuration?");
    terminal.keys("\x15other.toml\r");
    terminal.wait_for("name a configuration of what shows");
    terminal.keys("f");
    terminal.wait_for("Compare with which configuration?");
    terminal.keys("\x15own.toml\r");
    terminal.wait_for("comparing Contact with the org");
    terminal.wait_for("It compares until what differs has caught up or stays");
    terminal.keys("t");
    terminal.wait_for("Compare for how long?");
    terminal.keys("\x158h\r");
    terminal.wait_for("It compares for 8 h");
    terminal.keys("\r");
    terminal.wait_for("round 1: ");
    terminal.wait_for("the next round begins in");
    // It goes on beside other work.
    terminal.keys("\x1b");
    terminal.wait_until("it is aside", |screen| !screen.contains("round 1: "));
    command(&mut terminal);
    terminal.wait_for("round 1: ");
    terminal.keys("s");
    terminal.wait_for("Stop here, and see what was found so far?");
    terminal.keys("y");
    terminal.wait_for("Compared beside Heroku Connect");
    terminal.wait_for("over 1 round, stopped before its time.");
    terminal.wait_for("Contact: 2 rows, ");
    assert_eq!(left.text(ROWS).await, before);
    terminal.keys("\x1b");
    terminal.wait_until("it is closed", |screen| !screen.contains("Compared beside"));
    // A login that the connection has by now is taken: its tables tell what is mapped.
    left.give_login();
    command(&mut terminal);
    terminal.wait_for("It compares until what differs has caught up or stays");
    terminal.keys("\x1b");
    terminal.wait_until("it is closed", |screen| !screen.contains("It compares until"));
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
}
