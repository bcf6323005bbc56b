//! How the console behaves in its terminal.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::demo::Session;
use crate::screen::Terminal;
use crate::workspace::{Office, filter, open_record};

#[test]
fn a_low_screen_without_colour_shows_the_record_and_a_signal_gives_the_terminal_back() {
    let mut session = Session::start(80, 24, &[("NO_COLOR", "1")]);
    session.wait_for("● running");
    session.keys("/");
    session.wait_for("Filter errors");
    session.keys("mapping:contact\r");
    session.wait_for("5 Pending · mapping:contact");
    session.wait_for("✗");
    session.keys("\r");
    session.wait_for("┏ 3 Record ·");
    session.wait_for("Fix  ");
    assert!(!session.saw_colour(), "a colour was sent");
    session.signal(Signal::SIGTERM);
    session.exit_code();
    assert!(session.saw("\x1b[?1049l"), "the alternate screen was not left");
    session.assert_nothing_left();
}

#[test]
fn a_terminal_that_vanishes_ends_the_demo_and_leaves_nothing() {
    let mut session = Session::demo(100, 30);
    session.wait_for("● running");
    session.hang_up();
    session.exit_code();
    session.assert_nothing_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_and_what_was_typed_stay_while_the_terminal_changes_its_size() {
    let office = Office::open().await;
    let mut terminal = office.console("one", 120, 40);
    let row = open_record(&mut terminal);
    terminal.keys("e");
    terminal.wait_for("save and retry");
    terminal.keys("\x01\x0bhalf typed");
    for (columns, lines) in [(80, 24), (40, 10), (120, 40)] {
        terminal.resize(columns, lines);
        if lines < 15 {
            terminal.wait_for("need 60x15, have 40x10");
            // What nobody can see does not change. The new size itself may draw once more; the third frame says that
            // the keys before Ctrl-L were heard.
            let drawn = terminal.times_sent("60x15");
            terminal.keys("?\x1b[200~pasted\x1b[201~\x7f\x0c\x0c\x0c");
            terminal.wait_for_times("60x15", drawn + 3);
        } else {
            terminal.wait_for("half typed ");
            terminal.wait_for("10 of 80 characters");
            terminal.wait_for(&format!("Email of Contact {row}"));
            terminal.wait_for("Esc leave it as it was ");
        }
    }
    // A key and a new size that come at the same instant are both heard.
    for round in 1..=40 {
        terminal.resize(40, 10);
        terminal.wait_for("need 60x15, have 40x10");
        terminal.keys("?");
        terminal.resize(120, 40);
        terminal.wait_for(" of 80 characters");
        terminal.keys(&format!("\x01\x0b{}", "x".repeat(round)));
        terminal.wait_for(&format!(" {round} of 80 characters"));
    }
    // What is pasted into a line stays one.
    terminal.keys("\x01\x0b\x1b[200~jane@acme.com\rand more\x1b[201~");
    terminal.wait_for("jane@acme.com and more");
    terminal.keys("\x01\x0bjane@acme.com\t");
    terminal.wait_until("the editor is gone", |screen| !screen.contains("save and retry"));
    terminal.keys("jj");
    terminal.keys("e");
    terminal.wait_for(&format!("Description of Contact {row}"));
    terminal.keys("\x01\x0b\x1b[200~one\rtwo\r\rfour\x1b[201~");
    terminal.wait_for("13 of");
    terminal.keys("\x13");
    terminal.wait_for("✓ Salesforce took it at");
    assert_eq!(office.contact("description", row).await.as_deref(), Some("one\ntwo\n\nfour"));
    assert_eq!(office.contact("email", row).await.as_deref(), Some("jane@acme.com"));
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_z_gives_the_shell_a_sane_terminal_and_fg_brings_everything_back() {
    let office = Office::open().await;
    let shell = ["bash", "--norc", "--noprofile", "-i"].map(str::to_owned);
    let mut command = office.command("one", &shell);
    command.env("PS1", "ready> ");
    let mut terminal = Terminal::start(command, 100, 30);
    terminal.wait_for("ready> ");
    terminal.keys(&format!("{}\r", office.words().join(" ")));
    terminal.wait_for("1 of 8");
    filter(&mut terminal, "code:EMAIL", "1 of 8");
    terminal.keys("jj");
    terminal.wait_for("3 of 8");
    let selected = terminal.cursor_line();

    terminal.keys("\x1a");
    terminal.wait_for("Stopped");
    terminal.keys("stty -a\r");
    terminal.wait_for(" echo ");
    let settings = terminal.line_with("icanon");
    assert!(!settings.contains("-icanon") && !settings.contains("-isig"), "{settings}");
    // The terminal may be another size by then.
    terminal.resize(110, 36);
    terminal.keys("fg\r");
    terminal.wait_for("┏ 2 Errors  5 Pending · code:EMAIL");
    terminal.wait_for("3 of 8");
    terminal.wait_for("1 Mappings");
    terminal.wait_for("4 Log");
    let number =
        |line: &str| line.split_whitespace().skip_while(|word| *word != "Contact").nth(1).map(str::to_owned);
    assert_eq!(number(&terminal.cursor_line()), number(&selected), "{selected}");
    assert!(number(&selected).is_some(), "{selected}");

    terminal.keys("q");
    // Older prompts stand above.
    terminal.wait_until("the shell asks again", |screen| screen.trim_end().ends_with("ready>"));
    terminal.keys("echo left $?\r");
    terminal.wait_for("left 0");
    terminal.keys("exit\r");
    terminal.exit_code();
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_and_panics_give_the_terminal_back() {
    let office = Office::open().await;
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT] {
        let mut terminal = office.console("one", 80, 24);
        terminal.signal(signal);
        assert_eq!(terminal.exit_code(), 0, "{signal}");
        terminal.wait_for_bytes("\x1b[?1049l");
        terminal.wait_for_bytes("\x1b[?2004l");
        assert!(terminal.is_sane(), "{signal}");
    }
    // A part that works beside the loop panics: the console does not go on in a terminal that is no longer its own.
    let mut command = office.command("one", &office.words());
    command.env("SYNCDECK_FAILPOINTS", "console_task=panic");
    let mut terminal = Terminal::start(command, 80, 24);
    terminal.wait_for_bytes("the failpoint console_task is set to panic");
    assert_eq!(terminal.exit_code(), 1);
    let sent = String::from_utf8_lossy(&terminal.sent()).into_owned();
    let (_, after) = sent.rsplit_once("\x1b[?1049l").unwrap();
    assert!(after.contains("the failpoint console_task") && !after.contains("\x1b[?2026h"), "{after}");
    assert!(terminal.is_sane());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_whose_terminal_takes_nothing_ends_on_a_signal_and_stops_its_engine() {
    let mut office = Office::open().await;
    office.world.stop_engine().await;
    office.world.write(&office.world.written().replace("engine = \"service\"\n", ""));
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut terminal = office.console("one", 120, 40);
        office.until_runs(&terminal).await;
        terminal.stall();
        terminal.signal(signal);
        assert_eq!(terminal.exit_code(), 1, "{signal}");
        office.until_none_runs().await;
    }
}

#[test]
fn a_panic_of_the_demo_is_reported_in_a_sane_terminal_and_leaves_nothing() {
    let mut session = Session::start(100, 30, &[("SYNCDECK_FAILPOINTS", "console_key=panic")]);
    session.wait_for("● running");
    session.keys("j");
    session.wait_for_bytes("the failpoint console_key is set to panic");
    assert_ne!(session.exit_code(), 0);
    let sent = String::from_utf8_lossy(&session.sent()).into_owned();
    let (_, after) = sent.rsplit_once("\x1b[?1049l").unwrap();
    assert!(after.contains("the failpoint console_key") && !after.contains("\x1b[?2026h"), "{after}");
    assert!(session.is_sane());
    session.assert_nothing_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_terminal_gets_what_it_can_show() {
    let office = Office::open().await;
    let surroundings = [
        ("TERM", "xterm-256color", true, true),
        ("TERM", "screen", true, true),
        ("TERM", "linux", true, false),
        ("TERM", "dumb", false, false),
        ("NO_COLOR", "1", false, true),
        ("LC_ALL", "de_DE.ISO-8859-1", true, false),
    ];
    for (name, value, colour, beyond_ascii) in surroundings {
        let mut terminal = office.console_in(value, 80, 24, &[(name, value)]);
        terminal.keys("\r");
        terminal.wait_for("jane");
        terminal.wait_for("Email");
        terminal.wait_for("edit");
        terminal.keys("e");
        terminal.wait_for("save and retry");
        // Part of the text selected, as Shift and the arrows do.
        terminal.keys("\x1b[1;2D\x1b[1;2D");
        terminal.keys("x");
        terminal.wait_for("13 of 80 characters");
        terminal.keys("\x03");
        assert_eq!(terminal.exit_code(), 0, "{name}={value}");
        terminal.wait_for_bytes("\x1b[?1049l");
        assert_eq!(terminal.saw_colour(), colour, "{name}={value}");
        assert_eq!(!terminal.sent().is_ascii(), beyond_ascii, "{name}={value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_changes_nothing_is_written_and_a_step_is_one_small_write() {
    let mut office = Office::open().await;
    let trace = office.home("one").join("trace");
    let mut words = office.words();
    let strace = Command::new("strace").arg("-V").output().is_ok();
    if strace {
        let tracing = ["strace", "-f", "-e", "trace=write", "-e", "signal=none", "-s", "16", "-o"];
        words.splice(0..0, tracing.map(str::to_owned).into_iter().chain([trace.display().to_string()]));
    } else {
        eprintln!("skipped: writes are not counted, there is no strace");
    }
    // The engine goes on looking for what changed; here is no room for the number of its requests.
    let mut terminal = Terminal::start(office.command("one", &words), 80, 24);
    terminal.wait_for("1 of 8");
    terminal.comes_to_rest(Duration::from_secs(3));
    office.world.stop_engine().await;
    terminal.resize(120, 40);
    terminal.wait_for("1 of 8");
    terminal.keys("jz");
    terminal.wait_for("2 of 8");
    terminal.comes_to_rest(Duration::from_secs(3));

    let before = terminal.sent().len();
    terminal.keys("j");
    terminal.wait_for("3 of 8");
    terminal.comes_to_rest(Duration::from_secs(1));
    let sent = terminal.sent().split_off(before);
    let frames = String::from_utf8_lossy(&sent).matches("\x1b[?2026h").count();
    assert!(frames == 1 && sent.len() < 600, "{frames} frames, {} bytes", sent.len());
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
    if strace {
        let trace = std::fs::read_to_string(trace).unwrap();
        let frames: Vec<&str> =
            trace.lines().filter(|line| line.contains("write(1, \"\\33[?2026h")).collect();
        // One that another thread's call came into ends on a line of its own.
        let (whole, begun) =
            (format!(", {0}) = {0}", sent.len()), format!(", {} <unfinished ...>", sent.len()));
        let is_step = |line: &&str| line.ends_with(&whole) || line.ends_with(&begun);
        assert!(frames.iter().any(is_step), "no write of {} bytes\n{trace}", sent.len());
    }
}
