//! The pages of a job's result, in their order, with those that come next on their way: a page is asked for as soon as the head
//! of the one before tells where it is, while that one's records still come. Only a few are on their way, so that what is held
//! does not grow with the result.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use crate::domain::mappings::mapping::Mapping;
use crate::salesforce;
use crate::salesforce::bulk::{JobPage, PageRequest, Pages, is_too_long};
use crate::salesforce::retry::{TRIES, is_passing};
use crate::salesforce::sheet::Columns;

use super::fetch;
use crate::engine::Shared;

/// Pages that are on their way, or wait, beside the one that is next.
const AHEAD: usize = 1;

/// A page that comes, unless the one before it was the last one, or did not come.
type Coming = AbortOnDropHandle<Result<Option<JobPage>, salesforce::Error>>;

/// The pages of a job's result.
pub(super) struct PagesAhead {
    shared: Arc<Shared>,
    mapping: Arc<Mapping>,
    job: String,
    columns: Arc<Columns>,
    total: i64,
    coming: VecDeque<Coming>,
    /// Tells where the page behind those is.
    behind: oneshot::Receiver<Pages>,
    /// Of the page that is handed out next, as it was told: where it is, and how many records are before it.
    at: (Option<String>, i64),
    short: bool,
    /// Whether each page has the way for itself: several at a time came too slowly.
    alone: bool,
}

impl PagesAhead {
    /// The pages of a job's result of `total` records, from the locator on that was told after `read` of them.
    pub(super) fn new(
        shared: &Arc<Shared>,
        mapping: &Mapping,
        (job, columns, total): (&str, &Arc<Columns>, i64),
        at: (Option<String>, i64),
    ) -> PagesAhead {
        let pages = Pages::new(job, columns, total, at.1, at.0.as_deref());
        PagesAhead {
            shared: shared.clone(),
            mapping: Arc::new(mapping.clone()),
            job: job.to_owned(),
            columns: columns.clone(),
            total,
            coming: VecDeque::new(),
            at: (at.0, pages.read()),
            behind: known(pages),
            short: false,
            alone: false,
        }
    }

    /// Records on the pages that were handed out.
    pub(super) fn read(&self) -> i64 {
        self.at.1
    }

    /// The next page; `None` behind the last one.
    pub(super) async fn next(&mut self) -> Result<Option<JobPage>, salesforce::Error> {
        loop {
            while self.coming.len() <= if self.alone { 0 } else { AHEAD } {
                self.ask();
            }
            let Some(first) = self.coming.pop_front() else { return self.end() };
            let page = match first.await {
                Ok(page) => page,
                Err(failed) => match failed.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => return Err(self.shared.client.unusable("the program ends")),
                },
            };
            match page {
                Err(error) if is_too_long(&error) && !self.short => {
                    self.short = true;
                    self.go_back();
                }
                Err(error) if is_passing(&error) && !self.alone => {
                    let object = &self.mapping.object;
                    self.shared.log.of("reader").info(
                        format!("{object}: a page did not come beside the next one, so they are asked for one by one from here on"),
                        json!({"mapping": object, "cause": error.to_string()}),
                    );
                    self.alone = true;
                    self.go_back();
                }
                Ok(Some(page)) => {
                    self.at = (page.next.clone(), page.read);
                    return Ok(Some(page));
                }
                Ok(None) => return self.end(),
                Err(error) => return Err(error),
            }
        }
    }

    /// The end of the result, if all of it was handed out.
    fn end(&self) -> Result<Option<JobPage>, salesforce::Error> {
        match self.at.1 == self.total {
            true => Ok(None),
            false => Err(self.shared.client.unusable("a job's pages end before its records do")),
        }
    }

    /// Has one page more come.
    fn ask(&mut self) {
        let (tell, behind) = oneshot::channel();
        let before = std::mem::replace(&mut self.behind, behind);
        let tries = if self.alone { TRIES } else { 1 };
        let coming = fetch_page(self.shared.clone(), self.mapping.clone(), tries, before, tell);
        self.coming.push_back(AbortOnDropHandle::new(tokio::spawn(coming)));
    }

    /// From the page that is next on, all are asked for anew: those that are on their way begin elsewhere, or take its room.
    fn go_back(&mut self) {
        self.coming.clear();
        let pages = Pages::new(&self.job, &self.columns, self.total, self.at.1, self.at.0.as_deref());
        self.behind = known(if self.short { pages.shortened() } else { pages });
    }
}

/// A place that is known already.
fn known(pages: Pages) -> oneshot::Receiver<Pages> {
    let (tell, behind) = oneshot::channel();
    let _ = tell.send(pages);
    behind
}

/// Fetches the page that `before` tells, asking so many times while Salesforce only is not well, and tells what is behind it.
async fn fetch_page(
    shared: Arc<Shared>,
    mapping: Arc<Mapping>,
    tries: usize,
    before: oneshot::Receiver<Pages>,
    behind: oneshot::Sender<Pages>,
) -> Result<Option<JobPage>, salesforce::Error> {
    let Ok(pages) = before.await else { return Ok(None) };
    let mut request = PageRequest::new(pages, behind);
    let mut pause = Duration::from_millis(500);
    for _ in 1..tries {
        match fetch::timed(&shared, &mapping, shared.client.job_page(&mut request)).await {
            Err(error) if is_passing(&error) && !is_too_long(&error) => tokio::time::sleep(pause).await,
            done => return done.map(Some),
        }
        pause *= 2;
    }
    fetch::timed(&shared, &mapping, shared.client.job_page(&mut request)).await.map(Some)
}
