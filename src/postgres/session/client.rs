//! A session from the pool. Behind a transaction pooler (PgBouncer's `pool_mode = transaction`) a session is only ours
//! within a transaction: there each statement gets one of its own, with our settings, and nothing is prepared for later.

use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::join3;
use futures_util::{FutureExt, SinkExt};
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::{Row, Statement};

use crate::postgres::Params;
use crate::postgres::session::connect::{OUR_PATH, USERS_PATH};
use crate::postgres::session::storable::{refs, storable};

/// A session.
pub(in crate::postgres) struct PooledClient {
    object: deadpool_postgres::Object,
    /// What each transaction is set to, behind a pooler.
    settings: Option<Arc<str>>,
    /// Statements that are asked at once take turns there: each has a transaction of its own.
    turn: Mutex<()>,
}

/// A transaction, which ends with its drop unless it is committed.
pub(in crate::postgres) struct Transaction<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    pooled: bool,
    /// Users' rows were written; what they defer to the end is theirs too.
    wrote_rows: Arc<AtomicBool>,
}

/// Between BEGIN and COMMIT of one statement; whoever gives up on it leaves no open transaction.
struct Open<'a> {
    client: &'a deadpool_postgres::Object,
    done: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.done {
            // The first poll sends it, and nobody waits for the answer.
            let _ = self.client.batch_execute("ROLLBACK").now_or_never();
        }
    }
}

impl PooledClient {
    pub fn new(object: deadpool_postgres::Object, settings: Option<Arc<str>>) -> PooledClient {
        PooledClient { object, settings, turn: Mutex::new(()) }
    }

    /// What `ask` asks; behind a pooler in a transaction of its own.
    async fn alone<T>(
        &self,
        ask: impl AsyncFnOnce(&deadpool_postgres::Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, tokio_postgres::Error> {
        let Some(settings) = &self.settings else { return ask(&self.object).await };
        let _turn = self.turn.lock().await;
        let mut open = Open { client: &self.object, done: false };
        self.object.batch_execute(&format!("BEGIN; {settings}")).await?;
        let answer = ask(&self.object).await?;
        self.object.batch_execute("COMMIT").await?;
        open.done = true;
        Ok(answer)
    }

    pub async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        let params = storable(params);
        self.alone(async |client| client.query(sql, &refs(&params)).await).await
    }

    pub async fn query_one(&self, sql: &str, params: Params<'_>) -> Result<Row, tokio_postgres::Error> {
        let params = storable(params);
        self.alone(async |client| client.query_one(sql, &refs(&params)).await).await
    }

    pub async fn query_opt(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, tokio_postgres::Error> {
        let params = storable(params);
        self.alone(async |client| client.query_opt(sql, &refs(&params)).await).await
    }

    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, tokio_postgres::Error> {
        let params = storable(params);
        self.alone(async |client| client.execute(sql, &refs(&params)).await).await
    }

    /// As PostgreSQL takes it, with no transaction around: for what brings its own, or can have none.
    pub async fn batch_execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.object.batch_execute(sql).await
    }

    pub async fn transaction(&mut self) -> Result<Transaction<'_>, tokio_postgres::Error> {
        let settings = self.settings.clone();
        let inner = self.object.transaction().await?;
        if let Some(settings) = &settings {
            inner.batch_execute(settings).await?;
        }
        Ok(Transaction { inner, pooled: settings.is_some(), wrote_rows: Arc::default() })
    }
}

impl Transaction<'_> {
    pub async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.inner.query(sql, &refs(&storable(params))).await
    }

    pub async fn query_one(&self, sql: &str, params: Params<'_>) -> Result<Row, tokio_postgres::Error> {
        self.inner.query_one(sql, &refs(&storable(params))).await
    }

    pub async fn query_opt(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, tokio_postgres::Error> {
        self.inner.query_opt(sql, &refs(&storable(params))).await
    }

    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, tokio_postgres::Error> {
        self.inner.execute(sql, &refs(&storable(params))).await
    }

    /// Executes a statement that writes users' rows, under the search path that applications have by default: users'
    /// triggers may count on it. So may whoever made a function or an operator there for the engine to call; therefore the
    /// statement names the schema of each of its own, unless PostgreSQL has one of exactly these types.
    pub async fn write_rows(&self, sql: &str, params: Params<'_>) -> Result<u64, tokio_postgres::Error> {
        let (statement, params) = (self.prepared(sql).await?, storable(params));
        self.among_users(self.inner.execute(&statement, &refs(&params))).await
    }

    /// The same for a statement that returns rows.
    pub async fn write_rows_returning(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let (statement, params) = (self.prepared(sql).await?, storable(params));
        self.among_users(self.inner.query(&statement, &refs(&params))).await
    }

    /// Copies users' rows in, in PostgreSQL's text format, piece by piece as it comes, under the same search path. Returns how
    /// many rows came of it.
    pub async fn copy_rows(
        &self,
        sql: &str,
        mut text: mpsc::Receiver<Bytes>,
    ) -> Result<u64, tokio_postgres::Error> {
        self.wrote_rows.store(true, Ordering::Relaxed);
        self.inner.batch_execute(&set_path(USERS_PATH)).await?;
        let mut sink = pin!(self.inner.copy_in::<_, Bytes>(sql).await?);
        while let Some(piece) = text.recv().await {
            sink.send(piece).await?;
        }
        let copied = sink.finish().await?;
        self.inner.batch_execute(&set_path(OUR_PATH)).await?;
        Ok(copied)
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if self.pooled { self.inner.prepare(sql).await } else { self.inner.prepare_cached(sql).await }
    }

    /// A prepared statement is sent by its first poll: all three are on their way at once, in this order.
    async fn among_users<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        self.wrote_rows.store(true, Ordering::Relaxed);
        let (there, back) = (set_path(USERS_PATH), set_path(OUR_PATH));
        let (there, answer, back) =
            join3(self.inner.batch_execute(&there), statement, self.inner.batch_execute(&back)).await;
        there?;
        let answer = answer?;
        back.map(|()| answer)
    }

    pub async fn commit(self) -> Result<(), tokio_postgres::Error> {
        if !self.wrote_rows.load(Ordering::Relaxed) {
            return self.inner.commit().await;
        }
        let path = set_path(USERS_PATH);
        self.inner.batch_execute(&path).await?;
        self.inner.commit().await
    }

    pub async fn rollback(self) -> Result<(), tokio_postgres::Error> {
        self.inner.rollback().await
    }

    pub async fn savepoint(&mut self, name: &str) -> Result<Transaction<'_>, tokio_postgres::Error> {
        let wrote_rows = self.wrote_rows.clone();
        Ok(Transaction { pooled: self.pooled, inner: self.inner.savepoint(name).await?, wrote_rows })
    }
}

impl<'a> Deref for Transaction<'a> {
    type Target = deadpool_postgres::Transaction<'a>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

fn set_path(path: &str) -> String {
    format!("SET LOCAL search_path TO {path}")
}

/// Statements that run for every batch are parsed and planned once a session, not once a batch; but for sessions behind
/// a pooler, where the next statement may meet another server's session.
pub(in crate::postgres) trait Cached {
    /// As `execute`.
    async fn execute_cached(&self, sql: &str, params: Params<'_>) -> Result<u64, tokio_postgres::Error>;
    /// As `query`.
    async fn query_cached(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, tokio_postgres::Error>;
}

impl Cached for PooledClient {
    async fn execute_cached(&self, sql: &str, params: Params<'_>) -> Result<u64, tokio_postgres::Error> {
        if self.settings.is_some() {
            return self.execute(sql, params).await;
        }
        self.object.execute(&self.object.prepare_cached(sql).await?, &refs(&storable(params))).await
    }

    async fn query_cached(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        if self.settings.is_some() {
            return self.query(sql, params).await;
        }
        self.object.query(&self.object.prepare_cached(sql).await?, &refs(&storable(params))).await
    }
}

impl Cached for Transaction<'_> {
    async fn execute_cached(&self, sql: &str, params: Params<'_>) -> Result<u64, tokio_postgres::Error> {
        if self.pooled {
            return self.execute(sql, params).await;
        }
        self.inner.execute(&self.inner.prepare_cached(sql).await?, &refs(&storable(params))).await
    }

    async fn query_cached(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        if self.pooled {
            return self.query(sql, params).await;
        }
        self.inner.query(&self.inner.prepare_cached(sql).await?, &refs(&storable(params))).await
    }
}
