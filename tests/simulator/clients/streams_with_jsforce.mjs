// jsforce's Streaming API (faye), as its users write it: change events of accounts, and the same once more from where another
// client stopped. Ends with 1 at the first surprise.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const jsforce = createRequire(`${process.env.SYNCDECK_CLIENTS}/`)('jsforce');
const { StreamingExtension } = createRequire(`${process.env.SYNCDECK_CLIENTS}/`)('jsforce/lib/api/streaming');
const [loginUrl, clientId, clientSecret] = process.argv.slice(2);
const conn = new jsforce.Connection({
  oauth2: { loginUrl, clientId, clientSecret }, version: '62.0', callOptions: { client: 'witness' },
});
await conn.authorize({ grant_type: 'client_credentials' });

const channel = '/data/AccountChangeEvent';
// Listens from a replay id on, and gives events one by one.
const listen = (replay) => {
  const client = conn.streaming.createClient([new StreamingExtension.Replay(channel, replay)]);
  const events = [];
  const waiting = [];
  const subscription = client.subscribe(channel, (event) => {
    const next = waiting.shift();
    if (next) next(event); else events.push(event);
  });
  const next = () => (events.length ? Promise.resolve(events.shift()) : new Promise((resolve) => waiting.push(resolve)));
  return { ready: subscription, next, end: () => client.disconnect() };
};
const header = (event) => event.payload.ChangeEventHeader;

const first = listen(-1);
await first.ready;
const account = conn.sobject('Account');
const { id } = await account.create({ Name: 'heard' });
const created = await first.next();
assert.equal(header(created).changeType, 'CREATE');
assert.deepEqual([header(created).entityName, header(created).recordIds, created.payload.Name], ['Account', [id], 'heard']);
assert.match(header(created).changeOrigin, /^com\/salesforce\/api\/rest\/62\.0;client=/);
await account.update({ Id: id, Name: 'heard twice' });
const updated = await first.next();
assert.deepEqual([header(updated).changeType, header(updated).changedFields.includes('Name')], ['UPDATE', true]);
assert.ok(updated.event.replayId > created.event.replayId);
first.end();
await account.destroy(id);

// Another one, from where the first event was.
const second = listen(created.event.replayId);
await second.ready;
assert.deepEqual([header(await second.next()).changeType, header(await second.next()).changeType], ['UPDATE', 'DELETE']);
second.end();

// What nobody selected is refused.
const refused = conn.streaming.createClient([]).subscribe('/data/ContactChangeEvent', () => {});
await assert.rejects(Promise.resolve(refused), (error) => /^400::The channel you requested/.test(error.message));
console.log('jsforce: all as expected');
process.exit(0);
