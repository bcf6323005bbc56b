"""simple-salesforce, as its users write it, against the org at sys.argv[1] (host and port, by TLS), with the token sys.argv[2]
and the certificates of sys.argv[3]. Ends with 1 at the first surprise."""

import sys

import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

address, token, certificates = sys.argv[1:4]
session = requests.Session()
# The environment may name certificates and proxies of its own.
session.trust_env = False
session.verify = certificates


def client(token):
    return Salesforce(instance_url=f"https://{address}", session_id=token, version="62.0", session=session)


def refused(code, call, error=SalesforceMalformedRequest):
    try:
        answer = call()
    except error as told:
        assert told.content[0]["errorCode"] == code, told
    else:
        raise AssertionError(f"{code} was expected, not {answer}")


sf = client(token)
refused("INVALID_SESSION_ID", lambda: client("stale").query("SELECT Id FROM Account"), SalesforceExpiredSession)

assert any(found["name"] == "Contact" for found in sf.describe()["sobjects"])
assert any(field["name"] == "External_Id__c" for field in sf.Contact.describe()["fields"])

# One record.
made = sf.Account.create({"Name": "simple one"})
assert made["success"] and len(made["id"]) == 18
assert sf.Account.get(made["id"])["Name"] == "simple one"
assert sf.Account.update(made["id"], {"Name": "simple two"}) == 204
assert sf.Contact.upsert("External_Id__c/SS-1", {"LastName": "One", "AccountId": made["id"]}) == 201
assert sf.Contact.upsert("External_Id__c/SS-1", {"LastName": "Two"}) in (200, 204)
assert sf.Contact.get_by_custom_id("External_Id__c", "SS-1")["LastName"] == "Two"
refused("INVALID_FIELD", lambda: sf.Account.create({"Name": "x", "Nope__c": 1}))
refused("INVALID_EMAIL_ADDRESS", lambda: sf.Contact.create({"LastName": "x", "Email": "nobody"}))
refused("NOT_FOUND", lambda: sf.Account.get("001000000000000AAA"), SalesforceResourceNotFound)

# Queries.
found = sf.query("SELECT LastName, Account.Name FROM Contact WHERE Account.Name = 'simple two'")
assert [(record["LastName"], record["Account"]["Name"]) for record in found["records"]] == [("Two", "simple two")]
count = sf.query("SELECT COUNT() FROM Contact")["totalSize"]
assert len(list(sf.query_all_iter("SELECT Id FROM Contact"))) == count
refused("MALFORMED_QUERY", lambda: sf.query("SELECT Id FORM Account"))
refused("INVALID_FIELD", lambda: sf.query("SELECT Nope FROM Account"))
assert [record["Id"] for record in sf.search("FIND {simple tw*} RETURNING Account(Id)")["searchRecords"]] == [made["id"]]
assert sf.limits()["DailyApiRequests"]["Max"] > 0

# Bulk API 2.0, both ways.
loaded = sf.bulk2.Account.insert(records=[{"Name": "heap one", "Phone": "1"}, {"Name": "", "Phone": "2"}])
assert [(job["numberRecordsProcessed"], job["numberRecordsFailed"]) for job in loaded] == [(2, 1)], loaded
failed = sf.bulk2.Account.get_failed_records(loaded[0]["job_id"])
assert "REQUIRED_FIELD_MISSING" in failed, failed
read = "".join(sf.bulk2.Account.query("SELECT Name FROM Account WHERE Name LIKE 'heap %'"))
assert read.splitlines() == ['"Name"', '"heap one"'], read

# And the Bulk API before it.
loaded = sf.bulk.Account.insert([{"Name": "old heap", "NumberOfEmployees": 7}, {"Phone": "4"}])
assert [record["success"] for record in loaded] == [True, False], loaded
assert loaded[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING", loaded
read = sf.bulk.Account.query("SELECT Name, NumberOfEmployees, CreatedDate FROM Account WHERE Name = 'old heap'")
assert [(record["Name"], record["NumberOfEmployees"]) for record in read] == [("old heap", 7)], read
assert read[0]["CreatedDate"] > 1_000_000_000_000, read

assert sf.Account.delete(made["id"]) == 204
gone = sf.query_all(f"SELECT IsDeleted FROM Account WHERE Id = '{made['id']}'", include_deleted=True)
assert [record["IsDeleted"] for record in gone["records"]] == [True]
print("simple-salesforce: all as expected")
