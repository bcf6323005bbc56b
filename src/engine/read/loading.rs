//! A load under way: what it stores and tells, whichever way its records come, and the polls that go on in between.

use std::sync::Arc;

use tokio::time::Instant;

use crate::domain::mappings::mapping::{Mapping, Stamp};
use crate::domain::reports::overview::LoadProgress;
use crate::domain::reports::run::{Run, RunKind};
use crate::postgres::reports::status::{Lease, ReadCursor};
use crate::postgres::tables::load::LoadJob;
use crate::postgres::tables::rows::RecordRow;

use super::apply;
use super::changes::look;
use super::fetch::{self, ReadError};
use super::gone::Met;
use crate::engine::Shared;

/// A load under way.
pub(super) struct Load<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) mapping: &'a Mapping,
    pub(super) lease: &'a Lease,
    pub(super) run: Run,
    pub(super) progress: LoadProgress,
    /// Of a reload, the records that were met: rows of others go.
    pub(super) met: Met,
    /// When it was polled last.
    pub(super) polled: Instant,
}

impl Load<'_> {
    /// Applies records, but for those whose row holds a later state.
    pub(super) async fn apply(&mut self, mut rows: Vec<RecordRow>) -> Result<(), ReadError> {
        let store = &self.shared.store;
        let count = rows.len();
        let overtaken = store.overtaken(self.mapping, &rows).await?;
        rows.retain(|row| {
            !row.get("sfid").and_then(|id| id.as_str()).is_some_and(|id| overtaken.contains(id))
        });
        let asked_at = self.progress.began_at;
        let applied = apply::apply(self.shared, self.lease, self.mapping, &rows, asked_at).await?;
        store.want_reread(&self.mapping.table, &applied.skipped).await?;
        apply::note(&mut self.run, count, &applied);
        self.progress.done += count as i64;
        Ok(())
    }

    /// Tells the progress.
    pub(super) async fn tell(&self) -> Result<(), ReadError> {
        self.tell_with(None).await
    }

    /// Tells the progress, and keeps the job that is so far. Extends the lease with it.
    ///
    /// # Errors
    /// Also that another engine has it, which goes on with the load.
    pub(super) async fn tell_with(&self, job: Option<&LoadJob>) -> Result<(), ReadError> {
        let length = fetch::lease_length(self.shared, self.mapping);
        let store = &self.shared.store;
        Ok(store.load_goes_on(self.lease, length, &self.mapping.object, &self.progress, job).await?)
    }

    /// Extends the lease.
    ///
    /// # Errors
    /// Also that another engine has it, which goes on with the load.
    pub(super) async fn renew(&self) -> Result<(), ReadError> {
        let length = fetch::lease_length(self.shared, self.mapping);
        match self.shared.store.lease(self.lease, length).await? {
            true => Ok(()),
            false => Err(self.lease.lost().into()),
        }
    }

    /// Forgets what it met and counted: the records are read from the first one on.
    pub(super) fn begin_anew(&mut self) {
        (self.met, self.progress.done) = (Met::default(), 0);
        (self.run.records, self.run.failed) = (0, 0);
        self.run.codes.clear();
    }

    /// Polls in the midst of a reload when it is time.
    pub(super) async fn poll_when_due(&mut self, cursor: &mut ReadCursor) -> Result<(), ReadError> {
        // What a poll read is told from an older page by its stamp.
        let told_apart = self.mapping.system.stamp == Some(Stamp::SystemModstamp);
        if cursor.loaded && told_apart && self.polled.elapsed() >= self.mapping.rules.poll_interval {
            self.poll(cursor).await?;
        }
        Ok(())
    }

    /// What changed while the load goes on.
    async fn poll(&mut self, cursor: &mut ReadCursor) -> Result<(), ReadError> {
        let mut run = Run::begin(&self.mapping.object, RunKind::Poll);
        look(self.shared, self.lease, self.mapping, cursor, &mut run).await?;
        self.shared.metrics.read(&self.mapping.object, run.changed);
        if run.changed + run.failed > 0 {
            self.shared.store.keep_run(&run).await?;
        }
        self.polled = Instant::now();
        Ok(())
    }
}
