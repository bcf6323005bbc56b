"""tap-salesforce, as its users run it: discovers the org, reads its contacts by REST and by its Bulk API, and goes on from its own
state. It knows one login, https://login.salesforce.com: HTTPS_PROXY and REQUESTS_CA_BUNDLE of the environment lead there.
Ends with 1 at the first surprise."""

import json
import os
import subprocess
import sys
import tempfile

KEPT = ["Ada", "Bob", "Eve"]

kept = tempfile.TemporaryDirectory()
folder = kept.name


def file(name, value):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as told:
        json.dump(value, told)
    return path


def tap(api_type, *arguments):
    config = file("config.json", {"client_id": "simulated-app", "client_secret": "simulated-secret",
        "refresh_token": "5Aep861SIMULATED", "start_date": "2020-01-01T00:00:00Z", "api_type": api_type,
        "select_fields_by_default": "true"})
    program = [sys.executable, "-c", "from tap_salesforce import main; main()", "--config", config, *arguments]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def read(api_type, *arguments):
    messages = [json.loads(line) for line in tap(api_type, *arguments).splitlines()]
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    states = [message["value"] for message in messages if message["type"] == "STATE"]
    return records, states[-1]


for api_type in ["REST", "BULK"]:
    catalog = json.loads(tap(api_type, "--discover"))
    names = {stream["stream"] for stream in catalog["streams"]}
    assert {"Account", "Contact", "Invoice__c", "User"} <= names, names
    for stream in catalog["streams"]:
        head = next(entry["metadata"] for entry in stream["metadata"] if entry["breadcrumb"] == [])
        if stream["stream"] == "Contact":
            assert head["valid-replication-keys"] == ["SystemModstamp"], head
            head.update({"selected": True, "replication-method": "INCREMENTAL", "replication-key": "SystemModstamp"})
    properties = file("catalog.json", catalog)

    records, state = read(api_type, "--properties", properties)
    told = {record["LastName"]: record for record in records}
    assert sorted(told) == KEPT, told
    assert [told[name]["IsDeleted"] for name in KEPT] == [False, False, True], told
    assert (told["Ada"]["Score__c"], told["Bob"]["Email"]) == (1.5, None), told
    assert told["Ada"]["Birthdate"].startswith("1815-12-10"), told
    assert told["Ada"]["Description"] == 'first, "second"\nthird', told
    bookmark = state["bookmarks"]["Contact"]["SystemModstamp"]
    assert bookmark.startswith("20"), state

    # From the newest on: at least that one comes again, and none that is older.
    records, _ = read(api_type, "--properties", properties, "--state", file("state.json", state))
    assert 1 <= len(records) <= len(KEPT), records
    assert all(record["SystemModstamp"] >= bookmark for record in records), (bookmark, records)

print("tap-salesforce: all as expected")
