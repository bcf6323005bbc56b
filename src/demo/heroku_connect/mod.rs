//! A database as Heroku Connect leaves it, for those who want to look, mend and leave: its tables, triggers and log, a
//! stand-in for its engine (`stand_in`) and one for its HTTP API (`api`), and an application that makes mistakes (`shop`). What to try stands in the
//! workspace, in `README.txt`.

pub mod api;
mod shop;
mod stand_in;
mod telling;

use std::path::Path;

use color_eyre::eyre::{Result, WrapErr};
use serde_json::{Map, Value, json};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Options, Workspace};

/// The schema, as Heroku Connect makes it.
const SCHEMA: &str = include_str!("../../../assets/demo/heroku_connect.sql");

/// What to try.
pub const WORDS: &str = "README.txt";
/// The configuration that takes over, as `import` would write it, ready to be used.
pub const TAKEOVER: &str = "takeover.toml";
/// What the stand-in for Heroku Connect's engine tells.
pub(super) const LOG: &str = "heroku.log";

/// The org whose tables these are.
const ORG: &str = "00Dsd0000000001EAA";

/// What Heroku Connect maps here: object, whether it is read only, and its fields.
const MAPPINGS: [Mapped; 3] = [
    Mapped {
        object: "Account",
        read_only: false,
        fields: "Name Phone Website Industry Rating NumberOfEmployees BillingCity External_Id__c CreatedDate",
    },
    Mapped {
        object: "Contact",
        read_only: false,
        fields: "LastName FirstName AccountId Email Phone Level__c External_Id__c CreatedDate",
    },
    Mapped { object: "Product2", read_only: true, fields: "Name ProductCode Family IsActive CreatedDate" },
];

/// One mapping of Heroku Connect.
struct Mapped {
    object: &'static str,
    read_only: bool,
    fields: &'static str,
}

impl Mapped {
    fn table(&self) -> String {
        self.object.to_lowercase()
    }

    /// Fields with their columns, those that every table has included.
    fn columns(&self) -> impl Iterator<Item = (&'static str, String)> {
        let own = self.fields.split(' ').chain(["IsDeleted", "SystemModstamp"]);
        own.map(|field| (field, field.to_lowercase())).chain([("Id", "sfid".to_owned())])
    }

    /// Whether only Salesforce writes it.
    fn is_system(&self, field: &str) -> bool {
        ["CreatedDate", "IsDeleted", "SystemModstamp", "Id"].contains(&field)
    }

    /// As Heroku Connect exports it.
    fn exported(&self) -> Value {
        let fields: Map<String, Value> =
            self.columns().map(|(field, _)| (field.to_owned(), json!({}))).collect();
        let access = if self.read_only { "read_only" } else { "read_write" };
        json!({"object_name": self.object, "config": {
            "access": access, "sf_notify_enabled": false, "sf_polling_seconds": 120, "sf_max_daily_api_calls": 30_000,
            "fields": fields, "indexes": {"Id": {"unique": true}, "SystemModstamp": {"unique": false}}}})
    }
}

/// A running demo of a database that Heroku Connect keeps.
pub struct HerokuConnectDemo {
    /// The workspace: where `syncdeck.toml` is.
    pub workspace: Workspace,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl HerokuConnectDemo {
    /// Sets everything up and going.
    ///
    /// # Errors
    /// Names what is missing and the remedy; nothing is left behind.
    pub async fn start(options: &Options) -> Result<HerokuConnectDemo> {
        let workspace = Workspace::start(options).await?;
        let exported: Vec<Value> = MAPPINGS.iter().map(Mapped::exported).collect();
        let export = json!({"version": 1, "connection": {"organization_id": ORG, "app_name": api::APP,
            "features": {"poll_db_no_merge": false}}, "mappings": exported});
        write(&workspace.dir.join("export.json"), &format!("{export:#}\n"))?;
        let pause = workspace.dir.join("paused");
        // One that an earlier demo left.
        let _ = std::fs::remove_file(&pause);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let sql = connect(&workspace).await?;
        sql.batch_execute(SCHEMA).await.wrap_err("the schema cannot be laid out")?;
        let log = workspace.dir.join(LOG);
        let log = std::fs::File::create(&log).wrap_err_with(|| format!("cannot write {}", log.display()))?;
        let told = workspace.connect_api.clone();
        let database = sql.query_one("SELECT current_database()::text", &[]).await?.get(0);
        if let Some(told) = &told {
            let mut stand = told.stand();
            stand.mappings = MAPPINGS.iter().map(|mapped| api::MappingStand::new(mapped.object)).collect();
            stand.diagnosis = api::diagnosis();
            stand.org = Some(ORG.to_owned());
            stand.database = Some(database);
            stand.pause = Some(pause.clone());
        }
        let mut stand_in = stand_in::StandIn::new(workspace.org.clone(), pause, log, told, stop.clone());
        stand_in.tell("info", &format!("what to try: {}", workspace.dir.join(WORDS).display()), "");
        stand_in.poll(&sql).await.wrap_err("the records cannot be read")?;
        // Whoever asks from now on is told something.
        stand_in.tell_read();
        stand_in.tell_counts(&sql).await.wrap_err("the records cannot be counted")?;
        tasks.spawn(stand_in.run(sql));
        tasks.spawn(shop::run(connect(&workspace).await?, stop.clone()));
        Ok(HerokuConnectDemo { workspace, tasks, stop })
    }

    /// How many entries of the log have each state.
    ///
    /// # Errors
    /// When PostgreSQL cannot be asked.
    pub async fn entries(&self) -> Result<Value> {
        let sql = connect(&self.workspace).await?;
        let counts = "SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM (SELECT state, count(*) n FROM (
            SELECT state FROM salesforce._trigger_log UNION ALL SELECT state FROM salesforce._trigger_log_archive) e GROUP BY 1) s";
        Ok(sql.query_one(counts, &[]).await?.get(0))
    }

    /// Stops everything in good order.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn connect(workspace: &Workspace) -> Result<Client> {
    let connected = tokio_postgres::connect(&workspace.database_url(), NoTls).await;
    let (sql, connection) = connected.wrap_err("no connection to the private PostgreSQL")?;
    tokio::spawn(connection);
    Ok(sql)
}

/// The mappings as an engine of ours has them.
pub(super) fn mappings() -> String {
    let mapping = |of: &Mapped| {
        let fields: Vec<String> = of.fields.split(' ').map(|field| format!("{field:?}")).collect();
        let access = if of.read_only { "access = \"read_only\"\n" } else { "" };
        let key =
            if of.fields.contains("External_Id__c") { "external_id = \"External_Id__c\"\n" } else { "" };
        format!("\n[[mapping]]\nobject = \"{}\"\nfields = [{}]\n{access}{key}", of.object, fields.join(", "))
    };
    MAPPINGS.iter().map(mapping).collect()
}

pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).wrap_err_with(|| format!("cannot write {}", path.display()))
}

/// What to try, from a second terminal.
pub(super) fn words(dir: &Path, database: &str, org: &str, client_id: &str) -> String {
    let dir = dir.display();
    format!(
        "A database as Heroku Connect leaves it, with a stand-in for its engine at work. `syncdeck demo --heroku-connect`\n\
         shows its errors: mend one, and watch it go through; `:plan`, `:shadow`, `:adopt` and `:adopt undo` there look, compare, leave\n\
         and come back, with {TAKEOVER}. Its API has a stand-in too, from a second terminal:\n\n    \
         cd {dir}\n    syncdeck status\n    syncdeck heroku diagnose\n    syncdeck mapping all pause --yes\n    \
         syncdeck mapping all resume\n\nOr leave as it is done elsewhere:\n\n    \
         cd {dir}\n    export DATABASE_URL='{database}' SALESFORCE_SECRET=simulated-secret\n    \
         syncdeck import heroku-connect export.json --config own.toml --login-url {org} --client-id {client_id}\n    \
         syncdeck plan --config own.toml\n    \
         syncdeck shadow --config own.toml --for 30s\n\n\
         Heroku Connect is paused as long as the file `paused` is there; adopt waits three minutes for its last sign of life,\n\
         and --allow-two-engines says that you know better:\n\n    \
         touch paused\n    syncdeck adopt --config own.toml --allow-two-engines\n    syncdeck run --config own.toml\n\n\
         And back:\n\n    syncdeck adopt --undo --config own.toml\n    rm paused\n"
    )
}
