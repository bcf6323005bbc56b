//! What `columns=true` answers in place of a query's records: its columns, by which command lines lay a table out.

use serde_json::{Value, json};

use super::plan::{Children, Column, Figure, Grouping, Output, Path, Plan, Type};

/// The columns of a query that was understood.
pub(in crate::simulator) fn columns(plan: &Plan) -> Value {
    let def = &plan.snapshot.views[plan.selection.object].def;
    let (columns, grouped) = match &plan.output {
        Output::Count => (Vec::new(), false),
        Output::Records(columns) => (of_records(columns), false),
        Output::Groups(grouping) => (of_groups(grouping), true),
    };
    let selects_id = |column: &Value| column["columnName"] == "Id";
    json!({"columnMetadata": columns, "entityName": def.name, "groupBy": grouped,
        "idSelected": columns.iter().any(selects_id), "keyPrefix": def.prefix})
}

/// Fields of one parent stand together, as joined columns of its relationship.
fn of_records(columns: &[Column]) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    for column in columns {
        match column {
            Column::Field(path) => {
                let steps: Vec<&str> = path.steps.iter().map(|step| step.name.as_str()).collect();
                join(&mut told, &steps, path);
            }
            Column::Children(children) => told.push(of_children(children)),
        }
    }
    told
}

fn join(columns: &mut Vec<Value>, steps: &[&str], path: &Path) {
    let [step, rest @ ..] = steps else {
        columns.push(column(&path.field.name, Some(path.field.kind), path.field.name.ends_with("__c")));
        return;
    };
    let at = columns.iter().position(|known| known["columnName"] == *step).unwrap_or_else(|| {
        columns.push(column(step, None, false));
        columns.len() - 1
    });
    let mut inner = columns[at]["joinColumns"].take().as_array().cloned().unwrap_or_default();
    join(&mut inner, rest, path);
    columns[at]["joinColumns"] = Value::from(inner);
}

fn of_children(children: &Children) -> Value {
    let mut told = column(&children.name, None, false);
    told["aggregate"] = json!(true);
    told["joinColumns"] = Value::from(of_records(&children.columns));
    told
}

fn of_groups(grouping: &Grouping) -> Vec<Value> {
    let of = |(name, place): &(String, usize)| {
        let figure = &grouping.figures[*place];
        let mut told = column(name, Some(figure.kind()), false);
        if let Figure::Of(function, path) = figure {
            told["aggregate"] = json!(true);
            told["displayName"] = json!(format!("{}({})", function.word().to_lowercase(), path.spelt()));
        }
        told
    };
    grouping.columns.iter().map(of).collect()
}

/// One column; without a type it holds others.
fn column(name: &str, kind: Option<Type>, custom: bool) -> Value {
    let apex = match kind {
        None => Value::Null,
        Some(Type::Id) => json!("Id"),
        Some(Type::Text) => json!("String"),
        Some(Type::Number) => json!("Double"),
        Some(Type::Int) => json!("Integer"),
        Some(Type::Boolean) => json!("Boolean"),
        Some(Type::Date) => json!("Date"),
        Some(Type::Instant) => json!("Datetime"),
    };
    json!({"aggregate": false, "apexType": apex, "booleanType": kind == Some(Type::Boolean), "columnName": name,
        "custom": custom, "displayName": name, "foreignKeyName": null, "insertable": false, "joinColumns": [],
        "numberType": matches!(kind, Some(Type::Number | Type::Int)),
        "textType": matches!(kind, Some(Type::Id | Type::Text)), "updatable": false})
}
