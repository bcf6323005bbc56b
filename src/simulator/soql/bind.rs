//! From a query as it was written to a plan: every object, field and relationship is found, or the query is refused as an
//! org refuses it. Nothing is taken for null because nobody knows it.

use super::ast::{Condition, FieldGroup, Function, Item, Name, Order, Query, Subject};
use super::conditions::{self, Known};
use super::fault::Fault;
use super::plan::{
    Children, Column, Field, Figure, Grouping, Join, Output, Path, Plan, Selection, Slot, Sort, Step, Test,
    Type,
};
use crate::simulator::schema::{FieldDef, Kind};
use crate::simulator::tables::{Keys, Seen, Snapshot, child_relationships};

/// The most steps to a parent's parent.
const STEPS: usize = 5;
/// The most rows to skip.
const SKIPPED: usize = 2_000;
/// The most records with all or all custom fields.
const ALL_FIELDS: usize = 200;
/// The most queries within the condition.
const JOINS: usize = 2;

/// Binds a query to what its asker sees, with deleted records or without. Quick: the records themselves are not looked
/// at.
///
/// # Errors
/// INVALID_TYPE, INVALID_FIELD and the other refusals of a query that can be parsed.
pub(in crate::simulator) fn bind(query: &Query, seen: Seen<'_>, all: bool) -> Result<Plan, Fault> {
    let Seen { snapshot, keys } = seen;
    let binder = Binder { snapshot: &snapshot, keys: Some(keys), is_rule: false };
    let object = snapshot.place(&query.from.text).ok_or_else(|| no_object(&query.from))?;
    let scope = Scope { object, alias: query.alias.as_deref() };
    let output = binder.output(query, scope)?;
    let mut selection = binder.selection(query, scope, matches!(output, Output::Groups(_)))?;
    binder.settle_candidates(&mut selection, all);
    Ok(Plan { snapshot, selection, output, all })
}

/// Binds the condition of a query which a rule of the org has: the place of its object, and the condition. A rule knows all
/// fields, also those that queries may not filter by, and asks no other queries.
///
/// # Errors
/// As of any query.
pub(super) fn bind_condition(query: &Query, snapshot: &Snapshot) -> Result<(usize, Test<Path>), Fault> {
    let binder = Binder { snapshot, keys: None, is_rule: true };
    let object = snapshot.place(&query.from.text).ok_or_else(|| no_object(&query.from))?;
    let scope = Scope { object, alias: None };
    let test = query.filter.as_ref().map(|condition| binder.filter(condition, scope)).transpose()?;
    Ok((object, test.unwrap_or(Test::All(Vec::new()))))
}

#[derive(Clone, Copy)]
struct Scope<'a> {
    object: usize,
    /// What the query calls the object.
    alias: Option<&'a str>,
}

struct Binder<'a> {
    snapshot: &'a Snapshot,
    /// Where keys are looked up.
    keys: Option<Keys<'a>>,
    is_rule: bool,
}

impl Binder<'_> {
    fn output(&self, query: &Query, scope: Scope<'_>) -> Result<Output, Fault> {
        let grouped = !query.groups.is_empty()
            || query.select.iter().any(|item| matches!(item, Item::Aggregate { .. }));
        match query.select.as_slice() {
            [Item::Count { at }] if grouped => Err(Fault::unexpected("COUNT", *at)),
            [Item::Count { .. }] if query.order.is_empty() => Ok(Output::Count),
            [Item::Count { .. }] => {
                let at = query.order[0].subject.name().at;
                Err(Fault::at("MALFORMED_QUERY", at, "ORDER BY is not allowed with count()"))
            }
            _ if grouped => self.grouping(query, scope).map(Output::Groups),
            _ => self.columns(query, scope).map(Output::Records),
        }
    }

    fn columns(&self, query: &Query, scope: Scope<'_>) -> Result<Vec<Column>, Fault> {
        let mut columns = Vec::new();
        for item in &query.select {
            match item {
                Item::Field { name, alias: None } => columns.push(Column::Field(self.path(name, scope)?)),
                Item::Field { alias: Some(alias), .. } => {
                    let message = "only aggregate expressions use field aliasing";
                    return Err(Fault::at("MALFORMED_QUERY", alias.at, message));
                }
                Item::Fields { group } => columns.extend(self.group_of_fields(*group, query, scope)?),
                Item::Children(children) => columns.push(self.children(children, scope)?),
                Item::Aggregate { field, .. } => return Err(Fault::unexpected("(", field.at)),
                Item::Count { at } => return Err(Fault::unexpected("COUNT", *at)),
            }
        }
        let mut seen = std::collections::HashSet::new();
        for column in &columns {
            match column {
                Column::Field(path) if !seen.insert(path.spelt()) => {
                    let message = format!("duplicate field selected: {}", path.spelt());
                    return Err(Fault::new("INVALID_FIELD", message));
                }
                Column::Children(children) if !seen.insert(children.name.clone()) => {
                    let message =
                        format!("Cannot follow the same aggregate relationship twice: {}", children.name);
                    return Err(Fault::malformed(message));
                }
                _ => {}
            }
        }
        Ok(columns)
    }

    fn group_of_fields(
        &self,
        group: FieldGroup,
        query: &Query,
        scope: Scope<'_>,
    ) -> Result<Vec<Column>, Fault> {
        if group != FieldGroup::Standard && query.limit.is_none_or(|limit| limit > ALL_FIELDS) {
            let message = format!("The SOQL FIELDS function must have a LIMIT of at most {ALL_FIELDS}");
            return Err(Fault::malformed(message));
        }
        let def = &self.snapshot.views[scope.object].def;
        let wanted = |field: &&FieldDef| match group {
            FieldGroup::All => true,
            FieldGroup::Standard => !field.is_custom(),
            FieldGroup::Custom => field.is_custom(),
        };
        let own = |field: &FieldDef| {
            let field = Field::of(field, &def.name);
            Column::Field(Path { steps: Vec::new(), slot: Slot::of(&field.name), field })
        };
        Ok(def.fields.iter().filter(wanted).map(own).collect())
    }

    fn children(&self, query: &Query, scope: Scope<'_>) -> Result<Column, Fault> {
        let parent = &self.snapshot.views[scope.object].def.name;
        let objects = self.snapshot.views.iter().map(|view| view.def.as_ref());
        let wanted = &query.from;
        let found = child_relationships(objects, parent)
            .into_iter()
            .find(|child| child.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&wanted.text)));
        let place = found.as_ref().and_then(|found| self.snapshot.place(&found.child));
        let (Some(found), Some(object)) = (found, place) else {
            return Err(Fault::at(
                "INVALID_TYPE",
                wanted.at,
                format!(
                    "Didn't understand relationship '{}' in FROM part of query call. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names.",
                    wanted.text
                ),
            ));
        };
        let scope = Scope { object, alias: query.alias.as_deref() };
        let Output::Records(columns) = self.output(query, scope)? else {
            return Err(Fault::at(
                "MALFORMED_QUERY",
                wanted.at,
                "Only root queries support aggregate expressions",
            ));
        };
        let selection = self.selection(query, scope, false)?;
        let name = found.name.unwrap_or_default();
        Ok(Column::Children(Box::new(Children { name, lookup: found.field, selection, columns })))
    }

    /// Filter, order and limits; of a grouped query only the filter is of its records.
    fn selection(&self, query: &Query, scope: Scope<'_>, grouped: bool) -> Result<Selection, Fault> {
        let filter = query.filter.as_ref().map(|condition| self.filter(condition, scope)).transpose()?;
        let mut order = Vec::new();
        for Order { subject, descending, nulls_last } in query.order.iter().filter(|_| !grouped) {
            let Subject::Field(name) = subject else {
                let name = subject.name();
                return Err(Fault::at("MALFORMED_QUERY", name.at, "Only grouped queries sort by aggregates"));
            };
            let by = self.path(name, scope)?;
            if !by.field.searchable {
                let message = format!("field '{}' can not be sorted in a query call", by.field.name);
                return Err(Fault::at("INVALID_FIELD", name.at, message));
            }
            order.push(Sort { by, descending: *descending, nulls_last: *nulls_last });
        }
        if query.offset.is_some_and(|offset| offset > SKIPPED) {
            let message = format!("Maximum SOQL offset allowed is {SKIPPED}");
            return Err(Fault::new("NUMBER_OUTSIDE_VALID_RANGE", message));
        }
        Ok(Selection {
            object: scope.object,
            filter,
            candidates: None,
            order,
            limit: query.limit,
            offset: query.offset.unwrap_or(0),
        })
    }

    fn filter(&self, condition: &Condition, scope: Scope<'_>) -> Result<Test<Path>, Fault> {
        let mut joins = 0;
        let mut resolve = |subject: &Subject| match subject {
            Subject::Field(name) => {
                let path = self.path(name, scope)?;
                if !path.field.searchable && !self.is_rule {
                    let message = format!("field '{}' can not be filtered in a query call", path.field.name);
                    return Err(Fault::at("INVALID_FIELD", name.at, message));
                }
                Ok((path.clone(), path.field))
            }
            Subject::Aggregate(function, name) => Err(Fault::unexpected(function.word(), name.at)),
        };
        let mut join = |left: &Field, query: &Query, at: usize| {
            joins += 1;
            if self.is_rule {
                return Err(Fault::at("MALFORMED_QUERY", at, "a rule's condition has no SELECT in it"));
            }
            if joins > JOINS {
                let message = format!("Maximum {JOINS} semi join sub-selects are allowed");
                return Err(Fault::at("MALFORMED_QUERY", at, message));
            }
            self.join(left, query, at, scope)
        };
        conditions::test(condition, &mut Known { resolve: &mut resolve, join: &mut join })
    }

    /// `left IN (SELECT ...)`: both sides are ids of the same objects.
    fn join(&self, left: &Field, query: &Query, at: usize, outer: Scope<'_>) -> Result<Join, Fault> {
        let malformed = |message: String| Err(Fault::at("MALFORMED_QUERY", at, message));
        if left.kind != Type::Id {
            return malformed(format!(
                "The left operand field in the where expression for outer query should be an id field, cannot use: '{}'",
                left.name
            ));
        }
        let object = self.snapshot.place(&query.from.text).ok_or_else(|| no_object(&query.from))?;
        if object == outer.object {
            return malformed("The inner and outer selects should not be on the same object type".to_owned());
        }
        let [Item::Field { name, alias: None }] = query.select.as_slice() else {
            return malformed("Sub-selects of semi joins select one id field".to_owned());
        };
        if !query.groups.is_empty() || !query.order.is_empty() || query.limit.or(query.offset).is_some() {
            return malformed("Semi join sub-selects have no GROUP BY, ORDER BY or LIMIT".to_owned());
        }
        let scope = Scope { object, alias: query.alias.as_deref() };
        let select = self.path(name, scope)?;
        if select.field.kind != Type::Id || !select.steps.is_empty() {
            return malformed(format!("The inner select field '{}' should be an id field", select.spelt()));
        }
        if !left.points_to.iter().any(|object| select.field.points_to.contains(object)) {
            return malformed(format!(
                "The inner select field '{}' and the left operand field '{}' in the where expression should point to the same entity type",
                select.field.name, left.name
            ));
        }
        let mut selection = self.selection(query, scope, false)?;
        self.settle_candidates(&mut selection, false);
        Ok(Join { selection, select })
    }

    /// A field by its path in any case.
    fn path(&self, name: &Name, scope: Scope<'_>) -> Result<Path, Fault> {
        let mut parts: Vec<&str> = name.text.split('.').collect();
        let own = &self.snapshot.views[scope.object].def.name;
        let called = |part: &str| {
            part.eq_ignore_ascii_case(own)
                || scope.alias.is_some_and(|alias| part.eq_ignore_ascii_case(alias))
        };
        // The object's own name or alias; a relationship of that name goes first.
        if parts.len() > 1 && called(parts[0]) && self.step(&[scope.object], parts[0]).is_none() {
            parts.remove(0);
        }
        let (last, parents) = parts.split_last().unwrap_or((&"", &[]));
        if parents.len() > STEPS {
            let message = format!("Relationships may be {STEPS} levels deep in {}", name.text);
            return Err(Fault::at("INVALID_FIELD", name.at, message));
        }
        let mut steps: Vec<Step> = Vec::new();
        let mut objects = vec![scope.object];
        for parent in parents {
            let Some(step) = self.step(&objects, parent) else {
                return Err(Fault::at(
                    "INVALID_FIELD",
                    name.at,
                    format!(
                        "Didn't understand relationship '{parent}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names."
                    ),
                ));
            };
            objects.clone_from(&step.objects);
            steps.push(step);
        }
        match objects.as_slice() {
            [object] => {
                let def = &self.snapshot.views[*object].def;
                let field = def.field(last).ok_or_else(|| no_column(last, &def.name, name.at))?;
                let field = Field::of(field, &def.name);
                Ok(Path { steps, slot: Slot::of(&field.name), field })
            }
            // Of a parent of several objects, only what all of them have.
            objects => {
                let (slot, field) =
                    self.field_of_any(objects, last).ok_or_else(|| no_column(last, "Name", name.at))?;
                Ok(Path { steps, slot, field })
            }
        }
    }

    fn step(&self, objects: &[usize], name: &str) -> Option<Step> {
        // Nobody knows which object the parent's parent is of.
        let [object] = objects else { return None };
        let def = &self.snapshot.views[*object].def;
        def.fields.iter().find_map(|field| {
            let (relationship, parents) = match &field.kind {
                Kind::Lookup { object, relationship } => (relationship, std::slice::from_ref(object)),
                Kind::Polymorphic { objects, relationship } => (relationship, objects.as_slice()),
                _ => return None,
            };
            let objects: Vec<usize> =
                parents.iter().filter_map(|parent| self.snapshot.place(parent)).collect();
            let named = relationship.eq_ignore_ascii_case(name) && !objects.is_empty();
            named.then(|| Step { name: relationship.clone(), lookup: field.name.clone(), objects })
        })
    }

    fn field_of_any(&self, objects: &[usize], name: &str) -> Option<(Slot, Field)> {
        let names: Vec<String> =
            objects.iter().map(|object| self.snapshot.views[*object].def.name.clone()).collect();
        let field = |name: &str, kind, points_to| Field {
            name: name.to_owned(),
            kind,
            exact: kind == Type::Id,
            searchable: true,
            groupable: true,
            points_to,
        };
        match name.to_ascii_lowercase().as_str() {
            "id" => Some((Slot::Id, field("Id", Type::Id, names))),
            "name" => Some((Slot::of("Name"), field("Name", Type::Text, Vec::new()))),
            "type" => Some((Slot::Object, field("Type", Type::Text, Vec::new()))),
            _ => None,
        }
    }

    // ---- groups ------------------------------------------------------------------------------------------------------

    fn grouping(&self, query: &Query, scope: Scope<'_>) -> Result<Grouping, Fault> {
        if query.groups.is_empty() && query.limit.is_some() {
            let message = "Non-grouped query that uses overall aggregate functions cannot also use LIMIT";
            return Err(Fault::malformed(message));
        }
        let mut keys = Vec::new();
        for name in &query.groups {
            let path = self.path(name, scope)?;
            if !path.field.groupable {
                let message = format!("field '{}' can not be grouped in a query call", path.field.name);
                return Err(Fault::at("MALFORMED_QUERY", name.at, message));
            }
            keys.push(path);
        }
        let mut figures: Vec<Figure> = keys.iter().cloned().map(Figure::Key).collect();
        let mut columns: Vec<(String, usize)> = Vec::new();
        let mut unnamed = 0;
        for item in &query.select {
            let (subject, alias) = match item {
                Item::Field { name, alias } => (Subject::Field(name.clone()), alias),
                Item::Aggregate { function, field, alias } => {
                    (Subject::Aggregate(*function, field.clone()), alias)
                }
                Item::Count { at } => return Err(Fault::unexpected("COUNT", *at)),
                Item::Fields { .. } | Item::Children(_) => {
                    return Err(Fault::malformed("Grouped queries select grouped fields and aggregates"));
                }
            };
            let figure = self.figure(&subject, scope, &mut figures, "Field")?;
            let name = match (alias, &figures[figure]) {
                (Some(alias), _) => alias.text.clone(),
                (None, Figure::Key(path)) => path.field.name.clone(),
                (None, Figure::Of(..)) => {
                    unnamed += 1;
                    format!("expr{}", unnamed - 1)
                }
            };
            if columns.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
                return Err(Fault::malformed(format!("duplicate alias: {name}")));
            }
            columns.push((name, figure));
        }
        let having = match &query.having {
            None => None,
            Some(condition) => Some(conditions::test(
                condition,
                &mut Known {
                    resolve: &mut |subject| {
                        let figure = self.figure(subject, scope, &mut figures, "Field")?;
                        let kind = figures[figure].kind();
                        Ok((figure, Field { kind, ..figures[figure].path().field.clone() }))
                    },
                    join: &mut |_, _, at| {
                        Err(Fault::at(
                            "MALFORMED_QUERY",
                            at,
                            "Semi join sub-selects are not allowed in HAVING",
                        ))
                    },
                },
            )?),
        };
        let mut order = Vec::new();
        for Order { subject, descending, nulls_last } in &query.order {
            let by = self.figure(subject, scope, &mut figures, "Ordered field")?;
            order.push(Sort { by, descending: *descending, nulls_last: *nulls_last });
        }
        Ok(Grouping { keys, figures, columns, having, order })
    }

    /// Where a figure of a group is worked out; a new one joins the others.
    fn figure(
        &self,
        subject: &Subject,
        scope: Scope<'_>,
        figures: &mut Vec<Figure>,
        what: &str,
    ) -> Result<usize, Fault> {
        let name = subject.name();
        let path = self.path(name, scope)?;
        let wanted = match subject {
            Subject::Field(_) => Figure::Key(path),
            Subject::Aggregate(function, _) => {
                let keyed = figures.contains(&Figure::Key(path.clone()));
                if keyed
                    && matches!(function, Function::Count | Function::CountDistinct)
                    && path.slot == Slot::Id
                {
                    let message = format!("Grouped field should not be aggregated: {}", path.spelt());
                    return Err(Fault::at("MALFORMED_QUERY", name.at, message));
                }
                if !aggregates(*function, &path.field) {
                    let message = format!(
                        "field {} does not support aggregate operator {}",
                        path.field.name,
                        function.word()
                    );
                    return Err(Fault::at("MALFORMED_QUERY", name.at, message));
                }
                Figure::Of(*function, path)
            }
        };
        if let Some(at) = figures.iter().position(|figure| *figure == wanted) {
            return Ok(at);
        }
        if let Figure::Key(path) = &wanted {
            let message = format!("{what} must be grouped or aggregated: {}", path.spelt());
            return Err(Fault::malformed(message));
        }
        figures.push(wanted);
        Ok(figures.len() - 1)
    }

    // ---- indexes -----------------------------------------------------------------------------------------------------

    /// Notes the records that can match at all: an equation on Id or on a key is looked up, not searched for. The index of
    /// keys has no deleted records.
    fn settle_candidates(&self, selection: &mut Selection, all: bool) {
        let texts = |subject: &Path, texts: &mut dyn Iterator<Item = &String>| -> Option<Vec<String>> {
            if !subject.steps.is_empty() {
                return None;
            }
            if subject.slot == Slot::Id {
                return Some(texts.cloned().collect());
            }
            let (keys, place) = (self.keys?, selection.object);
            let field = self.snapshot.views[place].def.field(&subject.field.name)?;
            let is_indexed = field.unique && !all && subject.field.kind == Type::Text;
            is_indexed
                .then(|| texts.flat_map(|text| keys.ids_by(self.snapshot, place, field, text)).collect())
        };
        selection.candidates = selection.filter.as_ref().and_then(|filter| conditions::keys(filter, &texts));
    }
}

/// Whether a function can be worked out for a field.
fn aggregates(function: Function, field: &Field) -> bool {
    let number = matches!(field.kind, Type::Number | Type::Int);
    match function {
        Function::Sum | Function::Avg => number,
        Function::Count | Function::CountDistinct | Function::Min | Function::Max => {
            field.searchable && field.kind != Type::Boolean
        }
    }
}

fn no_object(name: &Name) -> Fault {
    Fault::at(
        "INVALID_TYPE",
        name.at,
        format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
            name.text
        ),
    )
}

fn no_column(name: &str, entity: &str, at: usize) -> Fault {
    Fault::at(
        "INVALID_FIELD",
        at,
        format!(
            "No such column '{name}' on entity '{entity}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names."
        ),
    )
}
