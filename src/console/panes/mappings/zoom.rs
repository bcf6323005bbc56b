//! What is told of the selected mapping where the pane has the whole screen, besides what the overview says: the causes of
//! its errors, its last runs, its rules with their source, and what was tried of it in this console.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ratatui::text::{Line, Span};

use crate::client::about::AboutMapping;
use crate::console::context::Context;
use crate::console::widgets::cells::{ago, clip, count, fit};
use crate::domain::errors::group::Group;
use crate::domain::reports::overview::MappingStatus;
use crate::domain::reports::run::Run;

/// What was tried of a mapping: when, and what it came to.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// By a dry run.
    pub dry_run: Option<(DateTime<Utc>, String)>,
    /// By a comparison.
    pub verify: Option<(DateTime<Utc>, String)>,
}

/// What is known of the mapping that is looked at.
#[derive(Debug, Default)]
pub struct MappingZoom {
    /// What is told of which, or why nothing is.
    about: Option<(String, Result<AboutMapping, String>)>,
    /// Whether it may be another by now.
    pub stale: bool,
    tried: BTreeMap<String, Tried>,
}

impl MappingZoom {
    /// Whether it is to be asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.stale || self.about.as_ref().is_none_or(|(of, _)| of != name)
    }

    /// It came. What fails leaves what was known.
    pub fn take(&mut self, name: String, about: Result<AboutMapping, String>) {
        self.stale = false;
        let knows = matches!(&self.about, Some((of, Ok(_))) if *of == name);
        if about.is_ok() || !knows {
            self.about = Some((name, about));
        }
    }

    /// What is told of a mapping.
    pub fn of(&self, name: &str) -> Option<&Result<AboutMapping, String>> {
        self.about.as_ref().filter(|(of, _)| of == name).map(|(_, about)| about)
    }

    /// The cause of a mapping's errors that has a number, from 1.
    pub fn cause(&self, name: &str, number: usize) -> Option<&Group> {
        self.of(name)?.as_ref().ok()?.groups.get(number.checked_sub(1)?)
    }

    /// A dry run of a mapping came to this.
    pub fn note_dry_run(&mut self, name: &str, at: DateTime<Utc>, text: String) {
        self.tried.entry(name.to_owned()).or_default().dry_run = Some((at, text));
    }

    /// A comparison of a mapping came to this.
    pub fn note_verify(&mut self, name: &str, at: DateTime<Utc>, text: String) {
        self.tried.entry(name.to_owned()).or_default().verify = Some((at, text));
    }
}

/// A label, and what is told under it.
pub fn told(ctx: &Context, name: &str, text: &str, width: usize) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("  {}", fit(name, 12)), ctx.theme.label()),
        Span::styled(clip(text, width.saturating_sub(16)), ctx.theme.text()),
    ])
}

/// How late each way is: what waits to be sent, and when was read last.
pub fn lags(ctx: &Context, mapping: &MappingStatus, width: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let since = |time: DateTime<Utc>| ago((ctx.now - time).num_seconds());
    let waits = match (mapping.pending, mapping.oldest_pending) {
        (0, _) => "nothing waits to be sent".to_owned(),
        (1, oldest) => {
            format!("1 row waits{}", oldest.map(|at| format!(" since {}", since(at))).unwrap_or_default())
        }
        (rows, oldest) => {
            let oldest = oldest.map(|at| format!(", the oldest for {}", since(at))).unwrap_or_default();
            format!("{} rows wait{oldest}", count(rows, 0))
        }
    };
    let held = if mapping.held > 0 { format!(" · {} held", count(mapping.held, 0)) } else { String::new() };
    let wrote = mapping.last_write.map_or("never taken".to_owned(), |at| format!("taken {} ago", since(at)));
    let read = mapping.last_read.map_or("never read".to_owned(), |at| format!("read {} ago", since(at)));
    let late = match mapping.lag_seconds {
        Some(lag) if lag > 0 => format!(" · {} later than its interval says", ago(lag)),
        Some(_) => " · on time".to_owned(),
        None => String::new(),
    };
    let is_late = mapping.lag_seconds.is_some_and(|lag| lag > 0);
    let mut reads = told(ctx, "reads", &format!("{read}{late}"), width);
    if is_late {
        reads.spans[1].style = theme.warn();
    }
    vec![told(ctx, "sends", &format!("{waits}{held} · {wrote}"), width), reads]
}

/// What was tried of it in this console, with the keys that try it.
pub fn tried(ctx: &Context, zoom: &MappingZoom, name: &str, width: usize) -> Vec<Line<'static>> {
    let nothing = Tried::default();
    let tried = zoom.tried.get(name).unwrap_or(&nothing);
    let line = |label: &str, key: &str, result: &Option<(DateTime<Utc>, String)>| {
        let text = match result {
            Some((at, text)) => format!("{} {text}", ctx.clock(*at)),
            None => "not in this console yet".to_owned(),
        };
        let mut line = told(ctx, label, &text, width.saturating_sub(10));
        line.push_span(Span::styled(format!("  {key}"), ctx.theme.key()));
        line.push_span(Span::styled(if result.is_some() { " again" } else { " begins" }, ctx.theme.dim()));
        line
    };
    if ctx.is_attached() {
        return Vec::new();
    }
    vec![line("dry run", "t", &tried.dry_run), line("verify", "v", &tried.verify)]
}

/// A head, and the rule under it.
fn head(ctx: &Context, text: &str, width: usize) -> Line<'static> {
    Line::from(Span::styled(format!("  {}", clip(text, width.saturating_sub(3))), ctx.theme.label()))
}

/// The causes of its errors, its last runs and its rules, in at most so many lines. What is left out is counted.
pub fn lists(
    ctx: &Context,
    zoom: &MappingZoom,
    name: &str,
    (width, height): (usize, usize),
) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let about = match zoom.of(name) {
        None => return vec![Line::from(Span::styled("  reading ...", theme.dim()))],
        Some(Err(why)) => {
            return vec![Line::from(Span::styled(
                format!("  {}", clip(why, width.saturating_sub(3))),
                theme.bad(),
            ))];
        }
        Some(Ok(about)) => about,
    };
    let causes = about.groups.iter().enumerate().map(|(at, group)| cause(ctx, at, group, width));
    let causes: Vec<Line<'static>> = causes.collect();
    let runs: Vec<Line<'static>> = about.runs.iter().map(|run| run_line(ctx, run, width)).collect();
    let sections = [
        (
            "causes of its errors: a digit lists one, c shows them all",
            "no error of it needs a person",
            causes,
        ),
        ("last runs", "no run of it is noted", runs),
        ("rules that are not as by default", "all its rules are as by default", rules(ctx, about, width)),
    ];
    let wanted: Vec<usize> = sections.iter().map(|(_, _, lines)| lines.len().max(1)).collect();
    let rooms = share_out(&wanted, height.saturating_sub(sections.len()));
    let mut all = Vec::new();
    for ((title, none, lines), room) in sections.into_iter().zip(rooms) {
        if room == 0 {
            continue;
        }
        let hidden = lines.len().saturating_sub(room);
        let more = if hidden > 0 { format!(" (+{hidden})") } else { String::new() };
        all.push(head(ctx, &format!("{title}{more}"), width));
        if lines.is_empty() {
            all.push(Line::from(Span::styled(format!("    {none}"), theme.dim())));
        }
        all.extend(lines.into_iter().take(room));
    }
    all
}

/// So many lines shared out among parts that want so many: each gets one after the other, until none wants more.
fn share_out(wanted: &[usize], mut lines: usize) -> Vec<usize> {
    let mut rooms = vec![0; wanted.len()];
    while lines > 0 && rooms.iter().zip(wanted).any(|(room, wanted)| room < wanted) {
        for (room, wanted) in rooms.iter_mut().zip(wanted) {
            if *room < *wanted && lines > 0 {
                *room += 1;
                lines -= 1;
            }
        }
    }
    rooms
}

fn cause(ctx: &Context, at: usize, group: &Group, width: usize) -> Line<'static> {
    let room = width.saturating_sub(4 + 8 + 2);
    let code = clip(&group.code, (room / 3).max(10));
    let message = room.saturating_sub(code.chars().count() + 2);
    Line::from(vec![
        Span::styled(format!("  {} ", at + 1), ctx.theme.key()),
        Span::styled(count(group.count, 7), ctx.theme.warn()),
        Span::styled(format!("  {}", fit(&group.template, message)), ctx.theme.text()),
        Span::styled(format!("  {code}"), ctx.theme.dim()),
    ])
}

fn run_line(ctx: &Context, run: &Run, width: usize) -> Line<'static> {
    let theme = ctx.theme;
    let what = match run.kind.word() {
        "send" => format!("{} sent, {} taken", count(run.records, 0), count(run.changed, 0)),
        _ => format!("{} read, {} changed", count(run.records, 0), count(run.changed, 0)),
    };
    let failed = match (&run.failure, run.failed) {
        (Some(why), _) => format!(" · failed: {why}"),
        (None, 0) => String::new(),
        (None, failed) => format!(" · {} failed", count(failed, 0)),
    };
    let style = if failed.is_empty() { theme.text() } else { theme.warn() };
    let took = ago((run.ended_at - run.began_at).num_seconds());
    let text = format!("{what} in {took}{failed}");
    Line::from(vec![
        Span::styled(format!("    {} ", ctx.clock(run.began_at)), theme.dim()),
        Span::styled(fit(run.kind.word(), 5), theme.label()),
        Span::styled(clip(&text, width.saturating_sub(20)), style),
    ])
}

/// The rules with where each comes from, and who set it; the ones that stand by default are counted.
fn rules(ctx: &Context, about: &AboutMapping, width: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let line = |rule: &crate::client::api::ShownRule| {
        let source = match about.set_by.get(&rule.key) {
            Some(by) => {
                let at = ctx.local(by.at).format("%m-%d %H:%M");
                format!("set by {} {at}", clip(&by.actor, 24))
            }
            None => rule.origin.to_owned(),
        };
        let room = width.saturating_sub(6 + source.chars().count());
        Line::from(vec![
            Span::styled(
                format!("    {}", fit(&format!("{} = {}", rule.key, rule.value), room)),
                theme.text(),
            ),
            Span::styled(format!(" {source}"), theme.dim()),
        ])
    };
    let mut lines: Vec<Line<'static>> = about.rules.iter().map(line).collect();
    if about.by_default > 0 && !lines.is_empty() {
        lines.push(Line::from(Span::styled(
            format!("    {} others are as by default", about.by_default),
            theme.dim(),
        )));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shared_out_among_those_that_want_them() {
        assert_eq!(share_out(&[9, 2, 1], 6), [3, 2, 1]);
        assert_eq!(share_out(&[1, 1, 1], 9), [1, 1, 1]);
        assert_eq!(share_out(&[5, 5, 5], 2), [1, 1, 0]);
    }
}
