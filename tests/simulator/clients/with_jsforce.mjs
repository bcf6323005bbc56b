// jsforce, as its users write it, against the org whose address is the first argument. Ends with 1 at the first surprise.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const jsforce = createRequire(`${process.env.SYNCDECK_CLIENTS}/`)('jsforce');
const [loginUrl, clientId, clientSecret] = process.argv.slice(2);
const conn = new jsforce.Connection({ oauth2: { loginUrl, clientId, clientSecret }, version: '62.0' });
const refused = (code) => (error) => error.errorCode === code || assert.fail(`${error.errorCode}: ${error.message}`);

await conn.authorize({ grant_type: 'client_credentials' });
const identity = await conn.identity();
assert.equal(identity.user_id.slice(0, 3), '005');
assert.ok((await conn.describeGlobal()).sobjects.some(({ name }) => name === 'Contact'));
const described = await conn.sobject('Contact').describe();
assert.ok(described.fields.some(({ name, externalId }) => name === 'External_Id__c' && externalId));
assert.ok(described.childRelationships.length > 0);

// One record: made, read, changed, put by its key, gone, and found among what is gone.
const account = conn.sobject('Account');
const made = await account.create({ Name: 'jsforce one' });
assert.ok(made.success && made.id.length === 18);
assert.equal((await account.retrieve(made.id)).Name, 'jsforce one');
assert.ok((await account.update({ Id: made.id, Name: 'jsforce two' })).success);
const contact = conn.sobject('Contact');
const key = { LastName: 'One', External_Id__c: 'JS-1', AccountId: made.id };
assert.equal((await contact.upsert(key, 'External_Id__c')).created, true);
assert.equal((await contact.upsert({ ...key, LastName: 'Two' }, 'External_Id__c')).created, false);
await assert.rejects(account.create({ Name: 'x', Nope__c: 1 }), refused('INVALID_FIELD'));
await assert.rejects(contact.create({ LastName: 'x', Email: 'nobody' }), refused('INVALID_EMAIL_ADDRESS'));

// Many: each with a result of its own, the bad one among them.
const many = await contact.create([{ LastName: 'a' }, { LastName: 'b', Email: 'nobody' }, { LastName: 'c' }]);
assert.deepEqual(many.map(({ success }) => success), [true, false, true]);
assert.equal(many[1].errors[0].statusCode ?? many[1].errors[0].errorCode, 'INVALID_EMAIL_ADDRESS');
assert.equal((await contact.upsert([{ LastName: 'd', External_Id__c: 'JS-2' }], 'External_Id__c'))[0].created, true);

// Queries: parents, children, sums, pages, refusals.
const found = await conn.query(
  `SELECT Id, LastName, Account.Name FROM Contact WHERE Account.Name = 'jsforce two' AND External_Id__c = 'JS-1'`);
assert.deepEqual(found.records.map((record) => [record.LastName, record.Account.Name]), [['Two', 'jsforce two']]);
const children = await conn.query(`SELECT Id, (SELECT LastName FROM Contacts) FROM Account WHERE Id = '${made.id}'`);
assert.equal(children.records[0].Contacts.records[0].LastName, 'Two');
const sums = await conn.query('SELECT COUNT(Id) n FROM Contact');
let paged = 0;
await new Promise((end, fail) => {
  conn.query('SELECT Id FROM Contact').on('record', () => { paged += 1; }).on('end', end).on('error', fail)
    .run({ autoFetch: true, maxFetch: 10_000, headers: { 'Sforce-Query-Options': 'batchSize=200' } });
});
assert.equal(paged, sums.records[0].n);
await assert.rejects(conn.query('SELECT Nope FROM Account'), refused('INVALID_FIELD'));
await assert.rejects(conn.query('SELECT Id FROM Nope'), refused('INVALID_TYPE'));
await assert.rejects(conn.query('SELECT Id FORM Account'), refused('MALFORMED_QUERY'));
await assert.rejects(conn.tooling.query('SELECT Id FROM SandboxProcess'), refused('INVALID_TYPE'));
const heard = await conn.search('FIND {jsforce tw*} IN NAME FIELDS RETURNING Account(Id, Name), Contact(Id)');
assert.deepEqual(heard.searchRecords.map(({ Id }) => Id), [made.id]);
await assert.rejects(conn.search('FIND {} RETURNING Account'), refused('MALFORMED_SEARCH'));
assert.deepEqual(await conn.recent(), []);
assert.ok((await conn.limits()).DailyApiRequests.Max > 0);

// Bulk API 2.0, both ways.
const input = [{ Name: 'bulk one', Phone: '1' }, { Name: 'bulk two', Phone: '2' }, { Name: '', Phone: '3' }];
const loaded = await conn.bulk2.loadAndWaitForResults({
  object: 'Account', operation: 'insert', input, pollTimeout: 60_000, pollInterval: 100,
});
assert.deepEqual([loaded.successfulResults.length, loaded.failedResults.length], [2, 1]);
assert.match(loaded.failedResults[0].sf__Error, /REQUIRED_FIELD_MISSING/);
const read = await conn.bulk2.query(`SELECT Name FROM Account WHERE Name LIKE 'bulk %'`, { pollTimeout: 60_000, pollInterval: 100 });
assert.deepEqual((await read.toArray()).map(({ Name }) => Name).sort(), ['bulk one', 'bulk two']);

// And the Bulk API before it.
conn.bulk.pollInterval = 50;
conn.bulk.pollTimeout = 600_000;
const heap = await conn.bulk.load('Account', 'insert', [{ Name: 'old bulk', NumberOfEmployees: 7 }, { Name: null, Phone: '4' }]);
assert.deepEqual(heap.map(({ success }) => success), [true, false]);
assert.match(heap[1].errors[0], /^REQUIRED_FIELD_MISSING:/);
const old = await (await conn.bulk.query(`SELECT Name, NumberOfEmployees FROM Account WHERE Name = 'old bulk'`)).toArray();
assert.deepEqual(old, [{ Name: 'old bulk', NumberOfEmployees: '7' }]);

// All or none, with a reference from one to the next.
const composite = (last) => conn.request({
  method: 'POST', url: '/services/data/v62.0/composite', headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ allOrNone: true, compositeRequest: [
    { method: 'POST', url: '/services/data/v62.0/sobjects/Account', referenceId: 'a', body: { Name: 'composite' } },
    { method: 'POST', url: '/services/data/v62.0/sobjects/Contact', referenceId: 'b', body: { AccountId: '@{a.id}', ...last } },
  ] }),
});
assert.deepEqual((await composite({ LastName: 'c' })).compositeResponse.map(({ httpStatusCode }) => httpStatusCode), [201, 201]);
assert.deepEqual((await composite({})).compositeResponse.map(({ httpStatusCode }) => httpStatusCode), [400, 400]);
assert.equal((await conn.query(`SELECT Id FROM Account WHERE Name = 'composite'`)).totalSize, 1);

assert.ok((await account.destroy(made.id)).success);
assert.equal((await conn.query(`SELECT IsDeleted FROM Account WHERE Id = '${made.id}'`, { scanAll: true })).records[0].IsDeleted, true);
await assert.rejects(account.retrieve(made.id), refused('NOT_FOUND'));
console.log('jsforce: all as expected');
