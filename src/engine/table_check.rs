//! The guard looks whether the tables are still what the mappings need: triggers dropped or switched off, columns gone
//! or of another type. What cannot be captured cannot be saved, but it is noticed and named within seconds; a table
//! that does not fit waits, and no other table is concerned.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde_json::json;

use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::state::MappingState;
use crate::postgres::errors::sync_errors::NewError;
use crate::postgres::schema::table_check::Defect;

use super::Shared;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(3);
/// The operation under which its errors are listed.
const OP: &str = "schema";

/// What the guard knows.
#[derive(Default)]
pub(super) struct TableCheck {
    /// Tables that do not fit their mapping.
    unfit: RwLock<HashSet<String>>,
    /// Mappings with any defect.
    defective: RwLock<HashSet<String>>,
}

impl TableCheck {
    /// Whether a table cannot be read or written as its mapping says.
    pub(super) fn is_unfit(&self, table: &str) -> bool {
        self.unfit.read().is_ok_and(|tables| tables.contains(table))
    }

    /// Whether anything is wrong with a mapping's table.
    pub(super) fn is_defective(&self, mapping: &str) -> bool {
        self.defective.read().is_ok_and(|mappings| mappings.contains(mapping))
    }
}

/// Runs until the end of the engine.
pub(super) async fn run(shared: Arc<Shared>) {
    while shared.pause(INTERVAL).await {
        look(&shared).await;
    }
}

/// Lists what is wrong for all tables alike.
async fn keep_common(shared: &Shared, defects: &[Defect]) {
    let common = || defects.iter().filter(|defect| defect.table.is_empty());
    let codes: Vec<&str> = common().map(|defect| defect.code).collect();
    let _ = shared.store.resolve_other_errors("", OP, &codes).await;
    for Defect { code, message, .. } in common() {
        let error = NewError::classified("", OP, ErrorSource::Engine, code, message, Vec::new());
        let _ = shared.store.keep_mapping_error("", &error, None).await;
    }
}

/// Looks at every table, and keeps or resolves the errors.
pub(super) async fn look(shared: &Shared) {
    let mappings = shared.mappings();
    let defects = shared.store.defects(&mappings).await;
    let Some(defects) = shared.trouble.check("the tables cannot be looked at", defects) else { return };
    keep_common(shared, &defects).await;
    let tables = defects.iter().filter(|defect| defect.unfit).map(|defect| defect.table.clone());
    let tables: HashSet<String> = tables.collect();
    let mut defective = HashSet::new();
    for mapping in mappings.iter() {
        let of_this: Vec<_> = defects.iter().filter(|defect| defect.table == mapping.table).collect();
        let codes: Vec<&str> = of_this.iter().map(|defect| defect.code).collect();
        let _ = shared.store.resolve_other_errors(&mapping.object, OP, &codes).await;
        let Some(first) = of_this.first() else {
            if shared.guard.is_defective(&mapping.object) {
                let _ = shared.store.set_mapping_state(&mapping.object, MappingState::Ok, None).await;
                shared.log.of("guard").info(
                    format!("{}: the table is as it must be again", mapping.object),
                    json!({"mapping": mapping.object}),
                );
            }
            continue;
        };
        defective.insert(mapping.object.clone());
        if !shared.guard.is_defective(&mapping.object) {
            shared.log.of("guard").error(
                format!("{}: {}", mapping.object, first.message),
                json!({"mapping": mapping.object, "code": first.code}),
            );
        }
        for defect in &of_this {
            let error = NewError::classified(
                &mapping.object,
                OP,
                ErrorSource::Engine,
                defect.code,
                &defect.message,
                Vec::new(),
            );
            let _ = shared.store.keep_mapping_error(&mapping.table, &error, None).await;
        }
        let detail = format!("{}: {}", first.code, first.message);
        let _ = shared.store.set_mapping_state(&mapping.object, MappingState::Broken, Some(&detail)).await;
    }
    let news = shared.guard.defective.read().is_ok_and(|before| *before != defective);
    if let (Ok(mut unfit), Ok(mut known)) = (shared.guard.unfit.write(), shared.guard.defective.write()) {
        (*unfit, *known) = (tables, defective);
    }
    if news {
        let _ = shared.store.notify("errors").await;
        let _ = shared.store.notify("overview").await;
    }
}
