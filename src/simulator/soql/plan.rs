//! A query that the org understood: every name is a place, every value has its field's type.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::ast::{Function, Op};
use crate::simulator::schema::{FieldDef, Kind};
use crate::simulator::tables::Snapshot;

/// What is to be done, and on which records.
#[derive(Debug)]
pub(in crate::simulator) struct Plan {
    pub(super) snapshot: Snapshot,
    pub(super) selection: Selection,
    pub(super) output: Output,
    /// Deleted records, too.
    pub(super) all: bool,
}

/// Which records of an object, and in which order.
#[derive(Debug)]
pub(super) struct Selection {
    /// The object's place in the snapshot.
    pub(super) object: usize,
    pub(super) filter: Option<Test<Path>>,
    /// Ids of the records that can match at all, where an index tells.
    pub(super) candidates: Option<Vec<String>>,
    pub(super) order: Vec<Sort<Path>>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

#[derive(Debug)]
pub(super) enum Output {
    /// Of `COUNT()`.
    Count,
    Records(Vec<Column>),
    Groups(Grouping),
}

#[derive(Debug)]
pub(super) enum Column {
    Field(Path),
    Children(Box<Children>),
}

/// Records that look up to each of those that are found.
#[derive(Debug)]
pub(super) struct Children {
    /// The relationship.
    pub(super) name: String,
    pub(super) lookup: String,
    pub(super) selection: Selection,
    pub(super) columns: Vec<Column>,
}

#[derive(Debug)]
pub(super) struct Grouping {
    pub(super) keys: Vec<Path>,
    /// What is worked out for each group: for SELECT, HAVING and ORDER BY.
    pub(super) figures: Vec<Figure>,
    /// Name in the answer, and which figure it is.
    pub(super) columns: Vec<(String, usize)>,
    pub(super) having: Option<Test<usize>>,
    pub(super) order: Vec<Sort<usize>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Figure {
    Key(Path),
    Of(Function, Path),
}

impl Figure {
    /// What its values are.
    pub(super) fn kind(&self) -> Type {
        match self {
            Figure::Key(path) | Figure::Of(Function::Min | Function::Max, path) => path.field.kind,
            Figure::Of(Function::Count | Function::CountDistinct, _) => Type::Int,
            Figure::Of(Function::Sum | Function::Avg, _) => Type::Number,
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Figure::Key(path) | Figure::Of(_, path) => path,
        }
    }
}

/// A field of the record itself, or of one that it looks up to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
    pub(super) slot: Slot,
    pub(super) field: Field,
}

impl Path {
    /// All its names, in the org's own spelling.
    pub(super) fn spelt(&self) -> String {
        let steps = self.steps.iter().map(|step| step.name.as_str());
        steps.chain([self.field.name.as_str()]).collect::<Vec<_>>().join(".")
    }
}

/// From a record to its parent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// The relationship.
    pub(super) name: String,
    pub(super) lookup: String,
    /// Where the parent may be: more than one place, when the field looks up to several objects.
    pub(super) objects: Vec<usize>,
}

/// Where a record keeps a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Id,
    IsDeleted,
    Created,
    CreatedBy,
    Modified,
    ModifiedBy,
    /// The name of the object, of a record that may be of several.
    Object,
    Stored(String),
}

impl Slot {
    pub(super) fn of(name: &str) -> Slot {
        match name {
            "Id" => Slot::Id,
            "IsDeleted" => Slot::IsDeleted,
            "CreatedDate" => Slot::Created,
            "CreatedById" => Slot::CreatedBy,
            "LastModifiedById" => Slot::ModifiedBy,
            "LastModifiedDate" | "SystemModstamp" => Slot::Modified,
            other => Slot::Stored(other.to_owned()),
        }
    }
}

/// What a query may do with a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Type,
    /// Whether its texts are told apart by their case; ids are.
    pub(super) exact: bool,
    /// Whether it may be filtered and sorted by.
    pub(super) searchable: bool,
    pub(super) groupable: bool,
    /// The objects that an id is of.
    pub(super) points_to: Vec<String>,
}

impl Field {
    pub(super) fn of(def: &FieldDef, object: &str) -> Field {
        let (kind, points_to) = match &def.kind {
            _ if def.name == "Id" => (Type::Id, vec![object.to_owned()]),
            Kind::Lookup { object, .. } => (Type::Id, vec![object.clone()]),
            Kind::Polymorphic { objects, .. } => (Type::Id, objects.clone()),
            Kind::Number { .. } => (Type::Number, Vec::new()),
            Kind::Int => (Type::Int, Vec::new()),
            Kind::Boolean => (Type::Boolean, Vec::new()),
            Kind::Date => (Type::Date, Vec::new()),
            Kind::Datetime => (Type::Instant, Vec::new()),
            Kind::Text | Kind::Long | Kind::Email | Kind::Phone | Kind::Picklist(_) => {
                (Type::Text, Vec::new())
            }
        };
        Field {
            name: def.name.clone(),
            kind,
            exact: def.case_sensitive || kind == Type::Id,
            searchable: def.is_searchable(),
            groupable: def.is_groupable(),
            points_to,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Id,
    Text,
    Number,
    Int,
    Boolean,
    Date,
    Instant,
}

impl Type {
    /// As Salesforce calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Type::Id => "id",
            Type::Text => "string",
            Type::Number => "double",
            Type::Int => "int",
            Type::Boolean => "boolean",
            Type::Date => "date",
            Type::Instant => "dateTime",
        }
    }
}

/// A condition, on the fields of a record or on the figures of a group.
#[derive(Debug)]
pub(super) enum Test<S> {
    All(Vec<Test<S>>),
    Any(Vec<Test<S>>),
    Not(Box<Test<S>>),
    Compare { subject: S, op: Op, with: Operand },
    Like { subject: S, pattern: Vec<Piece> },
    In { subject: S, negated: bool, set: Set },
    Join { subject: S, negated: bool, inner: Box<Join> },
}

/// The query within a condition.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) selection: Selection,
    pub(super) select: Path,
}

/// Values of a list: ids and texts are looked up, others are tried one by one.
#[derive(Debug, Default)]
pub(super) struct Set {
    pub(super) texts: HashSet<String>,
    pub(super) others: Vec<Operand>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Null,
    Bool(bool),
    Number {
        value: f64,
        text: String,
    },
    /// In lower case, unless the field tells case apart; an id in its long form.
    Text(String),
    /// As it is stored.
    Date(String),
    Instant(DateTime<Utc>),
    /// Dates from one up to another.
    Days(String, String),
    /// Instants from one up to another.
    Span(DateTime<Utc>, DateTime<Utc>),
}

/// A piece of a LIKE pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// `%`
    Any,
    /// `_`
    One,
    Char(char),
}

#[derive(Debug)]
pub(super) struct Sort<S> {
    pub(super) by: S,
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}
