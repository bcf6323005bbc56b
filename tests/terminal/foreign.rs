//! The log of another program in the console, in a real terminal: from the line of a request that failed to the row that it
//! is about, and back; a source that fails, comes back, and is switched off and on.

use std::io::Write;

use crate::workspace::Office;

/// A request id of AppLink's.
const REQUEST: &str = "00Dbc0000000000000-f2f3ed60-2dbd-4edd-b707-9dee97d89c7c";

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_failing_request_leads_to_its_record_and_back() {
    let office = Office::open().await;
    let path = office.home("ops").join("shop.log");
    let mut log = std::fs::File::create(&path).unwrap();
    let source = format!("[[log.source]]\nname = \"shop\"\nkind = \"file\"\npath = {path:?}\n[[mapping]]\n");
    office.world.write(&office.world.written().replacen("[[mapping]]\n", &source, 1));
    let row = office.world.text("SELECT max(id)::text FROM salesforce.contact").await.unwrap();
    let mut terminal = office.console("ops", 120, 40);
    terminal.keys("4z");
    terminal.wait_for("┏ 4 Log");
    let at = "2026-11-20T14:02:15.000000+00:00";
    writeln!(
        log,
        "{at} app[web.1]: level=error msg=\"the form was refused\" mapping=Contact row={row} request-id={REQUEST}\n\
         {at} app[web.1]: level=info msg=\"something else\" request-id=other\n\
         {at} heroku[router]: at=info method=POST path=\"/contact\" host=shop.example.com request_id={REQUEST} fwd=\"10.0.0.1\" dyno=web.1 connect=1ms service=31ms status=500 bytes=0 protocol=https"
    )
    .unwrap();
    terminal.wait_for("shop[router]");
    // The engine's own lines would come behind it.
    terminal.keys("/source:shop\r");
    terminal.wait_for("4 Log · source:shop");
    terminal.keys("G");
    terminal.wait_until("its line is the newest", |screen| {
        screen.contains("4 Log · source:shop") && screen.contains("shop[router]")
    });
    // Everything of that request, and nothing else.
    terminal.keys("t");
    terminal.wait_until("the request alone shows", |screen| {
        screen.contains(&format!("request:{REQUEST}"))
            && screen.contains("the form was refused")
            && screen.contains("status=500")
            && !screen.contains("something else")
    });
    terminal.keys("g");
    terminal.keys("\r");
    terminal.wait_until("its record shows", |screen| {
        screen.contains("3 Record")
            && screen.contains(&format!("Contact {row}"))
            && screen.contains("INVALID_EMAIL_ADDRESS")
    });
    terminal.keys("\x1b");
    terminal.wait_until("the request's lines show again", |screen| screen.contains("the form was refused"));
    terminal.keys("\x1b");
    terminal.wait_for("something else");
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_is_in_the_header_until_it_is_back_and_each_can_be_switched() {
    let office = Office::open().await;
    let path = office.home("ops").join("late.log");
    let source = format!("[[log.source]]\nname = \"late\"\nkind = \"file\"\npath = {path:?}\n[[mapping]]\n");
    office.world.write(&office.world.written().replacen("[[mapping]]\n", &source, 1));
    let mut terminal = office.console("ops", 120, 40);
    terminal.keys("4z");
    terminal.wait_for("▲ log of late fails");
    terminal.wait_for("there is no file");
    std::fs::write(&path, "level=warn msg=\"here it is\"\n").unwrap();
    terminal.wait_until("it is back", |screen| {
        screen.contains("here it is") && !screen.contains("log of late fails")
    });
    terminal.keys("SG");
    terminal.wait_until("it is listed", |screen| {
        screen.contains("Where lines come from") && screen.contains("on   late             works")
    });
    terminal.keys("\r\x1b");
    terminal.wait_until("its lines are hidden", |screen| {
        screen.contains("4 Log · late off") && !screen.contains("here it is")
    });
    // A filter under a name, and the switch, are there again in the next console.
    terminal.keys("/level:warn\rFloud\r");
    terminal.wait_for("the filter is kept as loud");
    terminal.keys("zq");
    assert_eq!(terminal.exit_code(), 0);
    let mut next = office.console("ops", 120, 40);
    next.wait_for("4 Log · level:warn · late off");
    next.keys("SG\r\x1b");
    next.wait_for("here it is");
    next.keys("\x1b");
    next.wait_until("the filter is gone", |screen| !screen.contains("level:warn"));
    next.keys("4K");
    next.wait_for("Filter the log by");
    next.keys("\r");
    next.wait_for("4 Log · level:warn");
    next.keys("q");
    assert_eq!(next.exit_code(), 0);
}
