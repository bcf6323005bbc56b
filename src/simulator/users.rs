//! The people of an org: whom the app speaks for, and somebody at a browser. Each is a record of the object User.

use serde_json::{Value, json};

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// Whom the app speaks for.
    Integration,
    /// Somebody at a browser.
    Person,
}

impl User {
    /// In the order of their ids.
    pub(super) const ALL: [User; 2] = [User::Integration, User::Person];

    pub(super) fn id(self) -> &'static str {
        match self {
            User::Integration => "005sd0000000001AAA",
            User::Person => "005sd0000000002AAA",
        }
    }

    /// The fields of the record; the app's user has the name with which the app logs in.
    pub(super) fn fields(self, username: &str) -> Value {
        match self {
            User::Integration => json!({"Username": username, "FirstName": "Integration", "LastName": "User",
                "Email": username, "IsActive": true}),
            User::Person => json!({"Username": "admin@acme.example", "FirstName": "Ada", "LastName": "Admin",
                "Email": "admin@acme.example", "IsActive": true}),
        }
    }
}
