"""Objects of the org, as the library describes them: every kind of field that they have, and every kind of relation."""

from django.db import models
from heroku_connect.db import models as hc


class Account(hc.HerokuConnectModel):
    sf_object_name = "Account"
    sf_access = hc.READ_ONLY

    name = hc.Text(sf_field_name="Name", max_length=255)
    website = hc.URL(sf_field_name="Website")
    employees = hc.Number(sf_field_name="NumberOfEmployees", max_digits=8, decimal_places=0)


class User(hc.HerokuConnectModel):
    """An object without IsDeleted."""

    sf_object_name = "User"

    username = hc.Text(sf_field_name="Username", max_length=80)
    active = hc.Checkbox(sf_field_name="IsActive")


class Contact(hc.HerokuConnectModel):
    sf_object_name = "Contact"
    sf_access = hc.READ_WRITE

    last_name = hc.Text(sf_field_name="LastName", max_length=80)
    first_name = hc.Text(sf_field_name="FirstName", max_length=40)
    email = hc.Email(sf_field_name="Email")
    phone = hc.Phone(sf_field_name="Phone")
    title = hc.TextArea(sf_field_name="Title", max_length=128)
    birthdate = hc.Date(sf_field_name="Birthdate")
    level = hc.Picklist(
        sf_field_name="Level__c",
        choices=[(level, level) for level in ("Primary", "Secondary", "Tertiary")],
    )
    score = hc.Number(sf_field_name="Score__c", max_digits=18, decimal_places=2)
    legacy_code = hc.Text(sf_field_name="Legacy_Code__c", max_length=20)
    description = hc.TextAreaLong(sf_field_name="Description")
    created = hc.DateTime(sf_field_name="CreatedDate")
    account = hc.Lookup(
        Account, to_field="sf_id", sf_field_name="AccountId", on_delete=models.DO_NOTHING
    )
    external_id = hc.ExternalID(sf_field_name="External_Id__c")


class Invoice(hc.HerokuConnectModel):
    sf_object_name = "Invoice__c"
    sf_access = hc.READ_WRITE

    name = hc.Text(sf_field_name="Name", max_length=80)
    amount = hc.Currency(sf_field_name="Amount__c", max_digits=16, decimal_places=2)
    due = hc.Date(sf_field_name="Due_Date__c")
    billing_email = hc.Email(sf_field_name="Billing_Email__c")
    external_id = hc.ExternalID(sf_field_name="External_Id__c")


class InvoiceLine(hc.HerokuConnectModel):
    """Names its invoice by the external id, so that both can be made in one transaction."""

    sf_object_name = "Invoice_Line__c"
    sf_access = hc.READ_WRITE

    name = hc.Text(sf_field_name="Name", max_length=80)
    quantity = hc.Number(sf_field_name="Quantity__c", max_digits=10, decimal_places=2)
    taxed = hc.Checkbox(sf_field_name="Taxed__c")
    invoice = hc.MasterDetail(
        Invoice,
        to_field="external_id",
        sf_field_name="Invoice__r.External_Id__c",
        db_column="invoice__r__external_id__c",
        related_name="lines",
        on_delete=models.CASCADE,
    )
    external_id = hc.ExternalID(sf_field_name="External_Id__c")


class Product(hc.HerokuConnectModel):
    sf_object_name = "Product2"
    sf_access = hc.READ_WRITE

    name = hc.Text(sf_field_name="Name", max_length=255)
    weight = hc.Number(sf_field_name="Weight__c", max_digits=8, decimal_places=3)
    released = hc.DateTime(sf_field_name="Released_On__c")
    active = hc.Checkbox(sf_field_name="IsActive")
    external_id = hc.ExternalID(sf_field_name="External_Id__c")


class Favourite(models.Model):
    """A table of the application's own that points to one of Heroku Connect's."""

    contact = models.ForeignKey(
        Contact, to_field="external_id", db_constraint=False, on_delete=models.DO_NOTHING
    )
    note = models.CharField(max_length=40)
