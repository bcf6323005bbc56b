//! Which requests are under way. Of each kind there is one at most, and one more is remembered.

/// A kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    under_way: bool,
    again: bool,
}

impl InFlight {
    /// True when the request may go now; else it goes when the one under way is back.
    pub fn start(&mut self) -> bool {
        self.again = self.under_way;
        !std::mem::replace(&mut self.under_way, true)
    }

    /// Whether an answer is waited for.
    pub fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// It is back. True when another was wanted meanwhile.
    pub fn finish(&mut self) -> bool {
        self.under_way = false;
        std::mem::take(&mut self.again)
    }
}

/// All kinds of requests.
#[derive(Debug, Default)]
pub struct InFlightRequests {
    /// The overview.
    pub overview: InFlight,
    /// The list of errors.
    pub errors: InFlight,
    /// The rows that wait for those of unfolded lines.
    pub blocked: InFlight,
    /// How many errors match.
    pub count: InFlight,
    /// The open record.
    pub record: InFlight,
    /// The log.
    pub log: InFlight,
    /// What waits.
    pub pending: InFlight,
    /// The groups of errors, read again while they show.
    pub groups: InFlight,
    /// What is told of the mapping that has the whole screen.
    pub about: InFlight,
    /// The last hour of groups.
    pub hours: InFlight,
    /// What remedies would mend of a group.
    pub fit: InFlight,
    /// The conditions that stand.
    pub standing: InFlight,
    /// What became of lines that were sent.
    pub answers: InFlight,
    /// What the rows of listed errors say.
    pub words: InFlight,
    /// What became of the rows of an operation.
    pub tally: InFlight,
    /// The records that a lookup may name.
    pub parents: InFlight,
    /// How many errors have the cause of the open record's.
    pub cause: InFlight,
    /// The trends, read again while they show.
    pub trends: InFlight,
    /// Alerts, read again while they show.
    pub alerts: InFlight,
    /// Whether the record that is asked for is asked for after what was saved or sent last.
    pub awaits_answer: bool,
    /// Whether a plan of an operation is being made.
    pub planning: bool,
}

impl InFlightRequests {
    /// What was asked for while there was no way to the database never left.
    pub fn forget(&mut self) {
        let (groups, trends, alerts) = (self.groups, self.trends, self.alerts);
        let (awaits_answer, planning) = (self.awaits_answer, self.planning);
        *self = InFlightRequests {
            groups,
            trends,
            alerts,
            awaits_answer,
            planning,
            ..InFlightRequests::default()
        };
    }

    /// Whether PostgreSQL owes an answer that shows.
    pub fn is_answer_owed(&self) -> bool {
        [self.overview, self.errors, self.record, self.log].iter().any(InFlight::is_under_way)
    }
}
