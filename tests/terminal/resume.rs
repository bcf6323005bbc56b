//! Leaving and coming back: through tmux.

use std::process::{Command, Output};

use crate::screen::Terminal;
use crate::workspace::{Office, open_record};

/// A tmux server of its own, by its socket; it ends with the test.
struct Tmux(String);

impl Tmux {
    fn run(&self, words: &[&str]) -> Output {
        Command::new("tmux").args(["-S", &self.0]).args(words).output().unwrap()
    }

    fn words(&self, words: &[&str]) -> Vec<String> {
        let own = ["tmux", "-S", &self.0, "-f", "/dev/null"];
        own.iter().chain(words).map(|word| (*word).to_owned()).collect()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_tmux_one_detaches_comes_back_and_copies() {
    if Command::new("tmux").arg("-V").output().is_err() {
        eprintln!("skipped: there is no tmux");
        return;
    }
    let office = Office::open().await;
    let tmux = Tmux(office.home("one").join("tmux").display().to_string());
    let mut words = tmux.words(&["new-session", "-s", "deck", "-x", "120", "-y", "40"]);
    words.push(office.words().join(" "));
    words.extend([";", "set", "-g", "set-clipboard", "on"].map(str::to_owned));
    let mut terminal = Terminal::start(office.command("one", &words), 120, 40);
    terminal.wait_for("1 of 8");
    let row = open_record(&mut terminal);
    // What is copied is in tmux's own buffer too.
    terminal.keys("y");
    let email = office.contact("email", row).await.unwrap();
    terminal.wait_for(&format!("set-clipboard on): {email}"));
    office
        .world
        .until("tmux has the copied value", async || tmux.run(&["show-buffer"]).stdout == email.as_bytes())
        .await;

    terminal.keys("\x02d");
    assert_eq!(terminal.exit_code(), 0);
    let mut terminal = Terminal::start(office.command("one", &tmux.words(&["attach"])), 110, 36);
    terminal.wait_for("┏ 3 Record");
    terminal.wait_for(&email);
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
    // The console was all that the server had; it ends when the client has.
    let ended = async || !tmux.run(&["list-sessions"]).status.success();
    office.world.until("tmux's server has ended", ended).await;
}
