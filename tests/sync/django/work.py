"""What an application does with Heroku Connect's tables by way of django-heroku-connect.

Reads the names of steps, one a line, and says of each that it is done, or what went wrong. Whatever Salesforce has to answer
comes between two steps: nothing here waits.
"""

import datetime
import io
import json
import os
import subprocess
import sys
import traceback
import uuid
import zoneinfo
from decimal import Decimal

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.exceptions import FieldDoesNotExist  # noqa: E402
from django.core.management import CommandError, call_command  # noqa: E402
from django.db import connection, connections, transaction  # noqa: E402
from django.db.models import F  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402
from heroku_connect import models as hc_models  # noqa: E402
from heroku_connect.db.exceptions import WriteNotSupportedError  # noqa: E402
from heroku_connect.models import TriggerLog, TriggerLogArchive  # noqa: E402
from heroku_connect.test.utils import heroku_cli, no_heroku_connect_write_restrictions  # noqa: E402
from heroku_connect.utils import WriteAlgorithm  # noqa: E402
from shop.models import Account, Contact, Favourite, Invoice, InvoiceLine, Product, User  # noqa: E402

TEXT = 'two\nlines, "quoted" \\ and => an arrow, ünïcode'
NOON = datetime.datetime(2026, 7, 1, 12, 0, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
# What it keeps from one step to another, as it was when it was made.
kept = {}


def key(number):
    """An external id that the other side of the test can tell, too."""
    return uuid.UUID(int=number)


def contact(number):
    return Contact.objects.get(external_id=key(number))


def entries(row, model=TriggerLog):
    """What the log has of a row, in its order."""
    return model.objects.filter(table_name=row.get_heroku_connect_table_name(), record_id=row.id)


def same(got, wanted):
    assert got == wanted, f"{got!r} is not {wanted!r}"


def refused(kind, function, *args, **kwargs):
    try:
        with transaction.atomic():
            function(*args, **kwargs)
    except kind:
        return
    raise AssertionError(f"{function} is not refused")


def writes(mode):
    """The library asks Heroku's API for it, which is not there any more: the operator's guide says to say it so."""
    hc_models.get_unique_connection_write_mode = lambda: mode


# --- set-up -------------------------------------------------------------------------------------------------------------------


def sets_up():
    """The application's own tables come beside Heroku Connect's, and nothing of those is made anew."""
    call_command("check", stdout=io.StringIO())
    call_command("migrate", run_syncdb=True, verbosity=0)
    refused(CommandError, call_command, "create_development_schema")
    get_user_model().objects.create_superuser("ann", "ann@example.com", "secret")
    same(Contact.get_heroku_connect_table_name(), "contact")


def writes_the_mapping():
    call_command("makemappings", "-o", os.environ["MAPPING"])


# --- rows ---------------------------------------------------------------------------------------------------------------------


def creates():
    acme = Account.objects.filter(name="Acme").first()
    ada = Contact.objects.create(
        last_name="Lovelace",
        email="ada@example.com",
        birthdate=datetime.date(1815, 12, 10),
        level="Primary",
        score=Decimal("12.34"),
        description=TEXT,
        account=acme,
        external_id=key(1),
    )
    kept["ada"] = ada
    fresh = contact(1)
    same((fresh._hc_lastop, fresh._hc_err, fresh.sf_id), ("PENDING", None, None))
    # Of a double the library takes more digits than it was given.
    same((round(fresh.score, 2), fresh.birthdate, fresh.description), (ada.score, ada.birthdate, TEXT))

    log = entries(ada).get()
    same((log.action, log.state, log.is_archived, log.sf_id), ("INSERT", "NEW", False, None))
    assert log.created_at <= datetime.datetime.now(datetime.timezone.utc) and log.txid, log
    values = log.values_as_dict
    same((values["description"], values["score__c"], values["title"]), (TEXT, "12.34", None))
    same((values["external_id__c"], "_hc_lastop" in values), (key(1).hex, False))
    same((log.get_model(), log.related().get(), log.related(exclude_self=True).count()), (ada, log, 0))
    same(TriggerLog.objects.latest(), log)
    assert str(log).startswith(f"#{log.id} INSERT contact|{ada.id}"), str(log)

    made = Contact.objects.bulk_create(
        Contact(last_name=f"Many {number}", external_id=key(number)) for number in (2, 3, 4)
    )
    kept["many"] = made[0]
    same(Contact.objects.get_or_create(external_id=key(2), defaults={"last_name": "No"})[1], False)
    same(Contact.objects.update_or_create(external_id=key(3), defaults={"title": "Third"})[1], False)
    same([log.action for log in entries(contact(3))], ["INSERT", "UPDATE"])
    same(entries(contact(3)).last().values_as_dict, {"title": "Third"})

    with transaction.atomic():
        invoice = Invoice.objects.create(
            name="I-1", amount=Decimal("1234567.89"), due=datetime.date(2026, 8, 1), external_id=key(11)
        )
        for number in (21, 22):
            invoice.lines.create(name=f"L-{number}", quantity=Decimal("2.5"), taxed=True, external_id=key(number))
    refused(ZeroDivisionError, lambda: Invoice.objects.create(name="Never", external_id=key(12)) and 1 / 0)
    same(TriggerLog.objects.filter(table_name="invoice__c").count(), 1)

    Product.objects.create(
        name="Engine", weight=Decimal("1.250"), released=NOON, active=False, external_id=key(31)
    )
    Favourite.objects.create(contact=ada, note="first")


def finds_them_in_salesforce():
    for row in [*Contact.objects.all(), *Invoice.objects.all(), *InvoiceLine.objects.all(), *Product.objects.all()]:
        same((row._hc_lastop, row._hc_err, len(row.sf_id)), ("SYNCED", None, 18))
        assert row.system_mod_stamp.tzinfo and row.is_deleted is not True, row.__dict__
    ada = contact(1)
    same((round(ada.score, 2), ada.birthdate, ada.description), (Decimal("12.34"), datetime.date(1815, 12, 10), TEXT))
    assert ada.created.tzinfo, ada.created
    done = entries(ada, TriggerLogArchive).get()
    same((done.state, done.is_archived, done.sf_id, done.get_model()), ("SUCCESS", True, ada.sf_id, ada))
    assert done.processed_at >= done.created_at, done.__dict__
    same(entries(ada).count(), 0)

    line = InvoiceLine.objects.select_related("invoice").get(external_id=key(21))
    same((line.invoice.name, round(line.invoice.amount, 2), line.quantity), ("I-1", Decimal("1234567.89"), Decimal("2.5")))
    same(Invoice.objects.get(lines__name="L-22").lines.count(), 2)
    product = Product.objects.get()
    same((product.weight, product.released, product.active), (Decimal("1.250"), NOON, False))
    same(User.objects.get(username="ann@example.com").active, True)
    same(Favourite.objects.get(contact__last_name="Lovelace").contact, ada)


def follows_an_account():
    acme = Account.objects.get(name="Acme")
    same((acme.website, acme.employees), ("https://acme.example.com", Decimal(12)))
    ada = contact(1)
    ada.account = acme
    ada.save(update_fields=["account"])
    same(Contact.objects.filter(account__name="Acme").get(), ada)


def changes():
    ada = contact(1)
    ada.first_name = "Ada"
    ada.save()
    ada.phone = "+12025550143"
    ada.save(update_fields=["phone"])
    Contact.objects.filter(external_id=key(1)).update(score=Decimal("13.34"), phone=F("phone"))
    rows = list(Contact.objects.filter(external_id__in=[key(2), key(3)]))
    for row in rows:
        row.title = f"Title of {row.last_name}"
    Contact.objects.bulk_update(rows, ["title"])
    with transaction.atomic():
        line = InvoiceLine.objects.select_for_update().get(external_id=key(21))
        line.quantity += 1
        line.taxed = False
        line.save()


def saves_rows_as_it_once_made_them():
    """An instance that is kept knows nothing of what came since: no record, no time, no outcome."""
    ada, many = kept["ada"], kept["many"]
    same((ada.sf_id, ada._hc_lastop), (None, None))
    before = contact(2).sf_id, contact(2).title
    ada.title = "Countess"
    ada.save()
    assert contact(1).sf_id, "a row must not lose its record"
    many.title = before[1]
    many.save()
    same((contact(2).sf_id, contact(2).title), before)
    # One that was read while something went on, and in which nothing else is changed.
    line = InvoiceLine.objects.get(external_id=key(22))
    line._hc_lastop, line._hc_err = "INSERTED", '{"msg": "an old one"}'
    line.save()
    line.refresh_from_db()
    same((line._hc_lastop, line._hc_err), ("SYNCED", None))


def finds_nothing_pending():
    for row in [*Contact.objects.all(), *InvoiceLine.objects.all()]:
        same((row._hc_lastop, row._hc_err, len(row.sf_id)), ("SYNCED", None, 18))
    assert contact(1).created and contact(2).created and contact(2).system_mod_stamp, contact(2).__dict__
    line = InvoiceLine.objects.get(external_id=key(22))
    same(entries(line, TriggerLogArchive).last().state, "IGNORED")


def leaves_what_is_read_only():
    refused(WriteNotSupportedError, Account.objects.create, name="Mine")
    acme = Account.objects.get(name="Acme")
    refused(WriteNotSupportedError, acme.save)
    refused(WriteNotSupportedError, acme.delete)
    with no_heroku_connect_write_restrictions():
        Account.objects.filter(sf_id=acme.sf_id).update(website="https://elsewhere.example.com")


def deletes():
    contact(4).delete()
    Contact.objects.filter(external_id=key(3)).delete()
    # Its lines go with it.
    Invoice.objects.get(external_id=key(11)).delete()
    same(InvoiceLine.objects.count(), 0)


# --- what fails ---------------------------------------------------------------------------------------------------------------


def writes_what_is_refused():
    Contact.objects.create(last_name="Bad", email="no-at-sign", external_id=key(5))
    Contact.objects.create(last_name="Taken", legacy_code="TAKEN-1", external_id=key(6))
    row = contact(2)
    row.legacy_code, row.title = "TAKEN-2", "Second"
    row.save()


def sees_what_was_refused():
    failed = TriggerLog.objects.failed().filter(table_name="contact")
    same([log.get_model().external_id for log in failed], [key(5), key(6), key(2)])
    for number, part, op in ((5, "email", "INSERT"), (6, "duplicate value", "INSERT"), (2, "duplicate value", "UPDATE")):
        row = contact(number)
        error = json.loads(row._hc_err)
        same((row._hc_lastop, error["op"]), ("FAILED", op))
        log = entries(row).get(state="FAILED")
        assert part in error["msg"].lower() and error["msg"] in log.sf_message, (error, log.sf_message)
        same(log.action, op)
    same(set(entries(contact(2)).get().values_as_dict), {"legacy_code__c", "title"})


def mends_the_value():
    row = contact(5)
    row.email = "mended@example.com"
    with transaction.atomic():
        row.save()
        same((contact(5)._hc_lastop, contact(5)._hc_err), ("PENDING", None))


def redoes_by_capturing_again():
    """With ordered writes an insert is captured again as a whole, an update with the columns that it had."""
    writes(WriteAlgorithm.ORDERED_WRITES)
    for number in (6, 2):
        row = contact(number)
        with transaction.atomic():
            failed = entries(row).get(state="FAILED")
            failed.redo()
            again = entries(row).get(state="NEW")
            same((entries(row).get(id=failed.id).state, again.action), ("REQUEUED", failed.action))
            if number == 2:
                same(set(again.values_as_dict), {"legacy_code__c", "title"})
                same(again.sf_id, row.sf_id)


def writes_what_is_refused_again():
    Contact.objects.filter(external_id=key(1)).update(legacy_code="TAKEN-3")
    Contact.objects.filter(external_id=key(6)).update(email="no-at-sign")


def acts_in_the_admin(action, row):
    """As a person does: looks at the list, marks the entry, chooses what is to be done."""
    client = Client()
    client.force_login(get_user_model().objects.get(username="ann"))
    url = reverse("admin:heroku_connect_triggerlog_changelist")
    shown = client.get(url + "?state__exact=FAILED")
    assert shown.status_code == 200 and "FAILED" in shown.content.decode(), shown
    failed = entries(row).get(state="FAILED")
    same(client.get(reverse("admin:heroku_connect_triggerlog_change", args=[failed.id])).status_code, 200)
    answer = client.post(url, {"action": action, "_selected_action": [failed.id]}, follow=True)
    assert "1 failed trigger logs" in answer.content.decode(), answer.content.decode()
    return failed.id


def retries_in_the_admin():
    writes(WriteAlgorithm.MERGE_WRITES)
    acts_in_the_admin("retry_failed_logs_action", contact(1))


def ignores_in_the_admin():
    kept["ignored"] = acts_in_the_admin("ignore_failed_logs_action", contact(6))


def finds_it_ignored():
    same(TriggerLog.objects.failed().count(), 0)
    same(TriggerLogArchive.objects.get(id=kept["ignored"]).state, "IGNORED")


def redoes_what_heroku_connect_left():
    """Of its time there are a failed insert in the log, and one in the archive with an update after it."""
    writes(WriteAlgorithm.MERGE_WRITES)
    row = contact(2)
    same((row._hc_lastop, json.loads(row._hc_err)["msg"]), ("FAILED", "locked"))
    with transaction.atomic():
        entries(row).get().redo()
        same(entries(row).get().state, "NEW")
    old = list(entries(contact(3), TriggerLogArchive))
    same([(log.action, log.state) for log in old], [("INSERT", "FAILED"), ("UPDATE", "FAILED")])
    same(set(TriggerLogArchive.objects.failed().related_to(old[0])), set(old))
    with transaction.atomic():
        for log in old:
            log.redo()
        same([log.state for log in entries(contact(3), TriggerLogArchive)], ["REQUEUED", "REQUEUED"])
        same([log.values for log in entries(contact(3))], [log.values for log in old])


# --- capture by hand ----------------------------------------------------------------------------------------------------------


def unseen():
    """What the rest of the transaction writes is not captured."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL xmlbinary TO 'hex'")


def captures_by_hand():
    ada = contact(1)
    # In one transaction: a read that came between would bring back what the record has.
    with transaction.atomic():
        unseen()
        Contact.objects.filter(id=ada.id).update(first_name="Augusta", title="Lady")
        same(entries(ada).count(), 0)
        (log,) = TriggerLog.capture_update_from_model("contact", ada.id, update_fields=("first_name", "title"))
        same((log.state, log.action, log.sf_id), ("NEW", "UPDATE", ada.sf_id))
        same(log.values_as_dict, {"firstname": "Augusta", "title": "Lady"})
        # The library names no column where none is given, and so does the entry.
        (log,) = log.capture_update()
        same((log.state, log.values_as_dict), ("NEW", {}))

    with transaction.atomic():
        unseen()
        Contact.objects.create(last_name="Unseen", external_id=key(8))
    row = contact(8)
    same((row._hc_lastop, entries(row).count()), ("SYNCED", 0))
    with transaction.atomic():
        (log,) = TriggerLog.capture_insert_from_model("contact", row.id, exclude_fields=("phone",))
        same((log.state, log.action, log.get_model()), ("NEW", "INSERT", row))
        same((log.values_as_dict["lastname"], "_hc_err" in log.values_as_dict), ("Unseen", False))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT salesforce.hc_capture_insert_from_row(hstore(c.*), 'contact'::text, ARRAY['title'])"
                " FROM salesforce.contact c WHERE id = %s",
                [row.id],
            )
            values = TriggerLog.objects.get(id=cursor.fetchone()[0]).values_as_dict
        same((values["id"], "sfid" in values, "title" in values), (str(row.id), True, False))
    for capture in (TriggerLog.capture_insert_from_model, TriggerLog.capture_update_from_model):
        refused(TriggerLog.DoesNotExist, capture, "contact", 1_000_000)
    refused(FieldDoesNotExist, TriggerLog.capture_update_from_model, "contact", row.id, update_fields=("none",))
    refused(LookupError, TriggerLog.capture_insert_from_model, "nothing", 1, exclude_fields=("name",))


# --- a copy for developers ----------------------------------------------------------------------------------------------------


def loads_the_schema():
    """The library's command prints the schema; the operator's guide names the second one that goes with it."""
    settings = connection.settings_dict
    url = "postgres://{USER}:@{HOST}:{PORT}/{NAME}".format(**settings)
    copy = os.environ["COPY_NAME"]
    psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", settings["HOST"], "-U", settings["USER"], "-d", copy]
    for schema in ("syncdeck", "salesforce"):
        text = io.StringIO()
        with heroku_cli(stdout=url):
            call_command("load_remote_schema", "--app", "shop", "--schema", schema, stdout=text)
        loaded = subprocess.run(psql, input=text.getvalue(), text=True, capture_output=True)
        assert loaded.returncode == 0, loaded.stderr
    connections.databases["copy"] = {**settings, "NAME": copy}
    row = Contact.objects.using("copy").create(last_name="Copy", external_id=key(1))
    row.refresh_from_db()
    same((row._hc_lastop, TriggerLog.objects.using("copy").get().state), ("PENDING", "NEW"))


# --- what the library asks Heroku Connect's API -------------------------------------------------------------------------------


def health():
    """What the library's health check says of the connection."""
    from heroku_connect.contrib.heroku_connect_health_check.backends import HerokuConnectHealthCheck

    check = HerokuConnectHealthCheck()
    check.check_status()
    return [str(error) for error in check.errors]


def imports_its_mappings():
    """Nobody let this account in so far: the library asks for it."""
    text = io.StringIO()
    app = os.environ["HEROKU_APP_NAME"]
    call_command("import_mappings", "--app", app, "--wait", "--wait-interval", "0", stdout=text)
    assert "Linking the current user" in text.getvalue(), text.getvalue()


def finds_it_healthy():
    same(health(), [])


def finds_it_paused_and_a_mapping_broken():
    (paused, broken) = health()
    assert "is 'PAUSED'" in paused, paused
    assert "mapping Contact" in broken and "BAD_CONFIG" in broken, broken


def finds_merged_writes():
    same(hc_models.get_unique_connection_write_mode(), WriteAlgorithm.MERGE_WRITES)


def is_not_let_in_with_another_key():
    try:
        call_command("import_mappings", "--app", os.environ["HEROKU_APP_NAME"], stdout=io.StringIO())
    except CommandError:
        return
    raise AssertionError("the key is taken")


def main():
    for line in sys.stdin:
        step = line.strip()
        try:
            globals()[step]()
        except BaseException:  # noqa: BLE001
            print(f"{step} failed: {json.dumps(traceback.format_exc())}", flush=True)
            return
        finally:
            connections.close_all()
        print(f"{step} done", flush=True)


main()
