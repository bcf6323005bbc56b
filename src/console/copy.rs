//! A copied text where the terminal's clipboard is of no use: a program of the operator's takes it, or a file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::client::api::ClientError;
use crate::config::console::CopyTo;
use crate::config::edit::write_private;

/// How long a program may take for a text.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How much of what a program says about its failure is told, in bytes.
const SAID: u64 = 400;

/// Gives a text away; says to whom.
///
/// # Errors
/// When the program cannot be started, fails, or does not end in time; when the file cannot be written.
pub(super) async fn copy(to: &CopyTo, text: &str) -> Result<String, ClientError> {
    let (to, text) = (to.clone(), text.to_owned());
    let copied = tokio::task::spawn_blocking(move || copy_to(&to, &text, PATIENCE));
    copied
        .await
        .unwrap_or_else(|_| Err(ClientError::refused("not copied: the console broke while it copied")))
}

/// A path as it is typed, in which `~` is the operator's home.
pub(super) fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

fn copy_to(to: &CopyTo, text: &str, patience: Duration) -> Result<String, ClientError> {
    match to {
        CopyTo::File(path) => {
            let path = at_home(path);
            let shown = path.display();
            let done = write_private(&path, text);
            done.map_err(|error| ClientError::refused(format!("not copied: {error}")))?;
            Ok(format!("copied into {shown}"))
        }
        CopyTo::Command(words) => {
            let program = words.first().map_or("", String::as_str);
            let done = run(words, text, patience);
            done.map_err(|why| {
                let text = format!("not copied: {program} {why}\nconsole.copy in the configuration names it");
                ClientError::refused(text)
            })?;
            Ok(format!("copied with {program}"))
        }
    }
}

/// Runs a program without a shell, with a text on its standard input.
fn run(words: &[String], text: &str, patience: Duration) -> Result<(), String> {
    let [program, arguments @ ..] = words else { return Err("is no program".to_owned()) };
    // A file and not a pipe: a program that stays to serve the clipboard keeps it open, and nothing waits for that.
    let mut said = tempfile::tempfile().map_err(|error| format!("was not started: {error}"))?;
    let kept = said.try_clone().map_err(|error| format!("was not started: {error}"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::from(kept))
        // It stays when the console is stopped with Ctrl-Z.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        let text = text.to_owned();
        // One that does not read would hold whoever writes; it is ended then, and so is the writing.
        drop(std::thread::spawn(move || drop(input.write_all(text.as_bytes()))));
    }
    match wait(&mut child, patience) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("failed: {}", told(&mut said).unwrap_or_else(|| status.to_string()))),
        Ok(None) => {
            end_group(&child);
            let _ = child.kill();
            let _ = child.wait();
            Err(format!("did not end within {} s", patience.as_secs_f32()))
        }
        Err(error) => Err(format!("was lost: {error}")),
    }
}

/// Ends a program with those that it started, which may hold what is written to it.
fn end_group(child: &Child) {
    use nix::sys::signal::{Signal, killpg};
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = killpg(nix::unistd::Pid::from_raw(id), Signal::SIGKILL);
    }
}

/// How a program ended; `None` when it did not in time.
fn wait(child: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let until = Instant::now() + patience;
    loop {
        match child.try_wait()? {
            None if Instant::now() < until => std::thread::sleep(LOOK),
            ended => return Ok(ended),
        }
    }
}

/// The beginning of what a program said.
fn told(said: &mut File) -> Option<String> {
    let mut bytes = Vec::new();
    said.seek(SeekFrom::Start(0)).ok()?;
    said.take(SAID).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> CopyTo {
        CopyTo::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Long enough for any machine.
    const LONG: Duration = Duration::from_secs(120);

    #[test]
    fn a_program_gets_the_whole_text_and_no_shell_sees_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copied");
        let text = format!("$(touch x); `id` {}", "é".repeat(200_000));
        let to = command(&["dd", "status=none", &format!("of={}", path.display())]);
        assert_eq!(copy_to(&to, &text, LONG).unwrap(), "copied with dd");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_program_that_fails_or_is_not_there_is_told_of() {
        let told = |words: &[&str]| copy_to(&command(words), "x", LONG).unwrap_err().to_string();
        assert!(told(&["/nowhere/xclip"]).starts_with("not copied: /nowhere/xclip cannot be started: "));
        let failed = told(&["cat", "/nowhere/at all"]);
        assert!(
            failed.starts_with("not copied: cat failed: ") && failed.contains("/nowhere/at all"),
            "{failed}"
        );
    }

    #[test]
    fn a_program_that_never_ends_is_ended() {
        let to = command(&["sleep", "1000"]);
        let told = copy_to(&to, &"x".repeat(1_000_000), Duration::from_millis(50)).unwrap_err().to_string();
        assert!(told.starts_with("not copied: sleep did not end within 0.05 s"), "{told}");
    }

    #[test]
    fn a_program_that_stays_in_the_background_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let line = format!("cat >/dev/null; sleep 1000 & echo $! >{}", pid.display());
        assert_eq!(copy_to(&command(&["sh", "-c", &line]), "x", LONG).unwrap(), "copied with sh");
        let pid = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        // It is there still, and held nobody up.
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[test]
    fn a_file_holds_what_was_copied_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copied");
        let to = CopyTo::File(path.display().to_string());
        for text in ["first", "second"] {
            assert_eq!(copy_to(&to, text, LONG).unwrap(), format!("copied into {}", path.display()));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let nowhere = CopyTo::File("/nowhere/copied".to_owned());
        let told = copy_to(&nowhere, "x", LONG).unwrap_err().to_string();
        assert!(told.starts_with("not copied: cannot write /nowhere/copied"), "{told}");
    }
}
