//! The people of an org: whom the app speaks for, and somebody at a browser. Each is a record of the object User; and what
//! else every org has: their profiles, a queue, and itself.

use serde_json::{Value, json};

use super::ids::make_id;

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
                "Email": username, "IsActive": true, "ProfileId": make_id("00e", 2)}),
            User::Person => json!({"Username": "admin@acme.example", "FirstName": "Ada", "LastName": "Admin",
                "Email": "admin@acme.example", "IsActive": true, "ProfileId": make_id("00e", 1)}),
        }
    }
}

/// The records that every org has of an object, in the order of their ids.
pub(super) fn own_records(object: &str, username: &str) -> Vec<Value> {
    match object {
        "User" => User::ALL.map(|user| user.fields(username)).into(),
        "Profile" => ["System Administrator", "Minimum Access - API Only Integrations"]
            .map(|name| json!({"Name": name}))
            .into(),
        "Group" => vec![json!({"Name": "Support", "DeveloperName": "Support", "Type": "Queue"})],
        "Organization" => vec![json!({"Name": "Acme", "InstanceName": "SIM1", "IsSandbox": false,
            "OrganizationType": "Developer Edition"})],
        _ => Vec::new(),
    }
}
