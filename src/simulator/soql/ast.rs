//! A query as it was written. Every name knows its place in the text, for the refusal that may come.

use super::literals::Literal;

/// A name, or a path of names with points, and the offset where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) at: usize,
}

/// SELECT ... FROM ...
#[derive(Clone, Debug, PartialEq)]
pub(in crate::simulator) struct Query {
    pub(super) select: Vec<Item>,
    /// The object; in a query within SELECT the relationship to the children.
    pub(super) from: Name,
    pub(super) alias: Option<String>,
    pub(super) filter: Option<Condition>,
    pub(super) groups: Vec<Name>,
    pub(super) having: Option<Condition>,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<usize>,
    pub(super) offset: Option<usize>,
}

impl Query {
    /// The object that is asked, as it was written.
    pub(in crate::simulator) fn object(&self) -> &str {
        &self.from.text
    }

    /// Whether its records come in the order of their ids, as they are read in chunks of a big table.
    pub(in crate::simulator) fn is_in_order_of_ids(&self) -> bool {
        self.order.is_empty() && self.limit.is_none()
    }

    /// Why the Bulk API does not take it.
    pub(in crate::simulator) fn refused_in_bulk(&self) -> Option<&'static str> {
        let aggregate = |item: &Item| matches!(item, Item::Count { .. } | Item::Aggregate { .. });
        if !self.groups.is_empty() || self.select.iter().any(aggregate) {
            return Some("Aggregate Relationships not supported in Bulk Query");
        }
        if self.select.iter().any(|item| matches!(item, Item::Children(_))) {
            return Some("Nested Relationships not supported in Bulk Query");
        }
        if self.offset.is_some() {
            return Some("Offset not supported in Bulk Query");
        }
        let standard = |group: FieldGroup| group == FieldGroup::Standard;
        let all = self.select.iter().any(|item| matches!(item, Item::Fields { group } if !standard(*group)));
        all.then_some("Only FIELDS(STANDARD) is supported in Bulk Query")
    }
}

/// What is selected.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// `COUNT()`
    Count {
        at: usize,
    },
    Field {
        name: Name,
        alias: Option<Name>,
    },
    /// `MAX(Amount) most`
    Aggregate {
        function: Function,
        field: Name,
        alias: Option<Name>,
    },
    /// `FIELDS(STANDARD)`
    Fields {
        group: FieldGroup,
    },
    /// `(SELECT Id FROM Contacts)`
    Children(Box<Query>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldGroup {
    All,
    Standard,
    Custom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Count,
    CountDistinct,
    Sum,
    Avg,
    Min,
    Max,
}

impl Function {
    pub(super) fn of_word(word: &str) -> Option<Function> {
        match word.to_ascii_uppercase().as_str() {
            "COUNT" => Some(Function::Count),
            "COUNT_DISTINCT" => Some(Function::CountDistinct),
            "SUM" => Some(Function::Sum),
            "AVG" => Some(Function::Avg),
            "MIN" => Some(Function::Min),
            "MAX" => Some(Function::Max),
            _ => None,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Function::Count => "COUNT",
            Function::CountDistinct => "COUNT_DISTINCT",
            Function::Sum => "SUM",
            Function::Avg => "AVG",
            Function::Min => "MIN",
            Function::Max => "MAX",
        }
    }
}

/// What is compared or sorted by.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Subject {
    Field(Name),
    /// In HAVING and ORDER BY of a grouped query.
    Aggregate(Function, Name),
}

impl Subject {
    pub(super) fn name(&self) -> &Name {
        match self {
            Subject::Field(name) | Subject::Aggregate(_, name) => name,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare {
        subject: Subject,
        op: Op,
        value: Literal,
    },
    In {
        subject: Subject,
        negated: bool,
        values: Vec<Literal>,
    },
    /// `AccountId IN (SELECT Id FROM Account)`
    Join {
        subject: Subject,
        negated: bool,
        query: Box<Query>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) subject: Subject,
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}
