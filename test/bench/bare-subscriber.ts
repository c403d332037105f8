/**
 * The least that a program behind a broker can be: connections of mqtt.js on one shared subscription that acknowledge at
 * once and keep nothing. Says `ready` when all are subscribed and `received` at `count` messages. Run as a process by the
 * external bench.
 *
 *   node test/bench/bare-subscriber.ts <url> <filter> <connections> <count>
 */
import { connectAsync } from 'mqtt';

const [url = '', filter = '', connections = '1', count = '1'] = process.argv.slice(2);
let received = 0;
for (let index = 0; index < Number(connections); index++) {
  const client = await connectAsync(url, { clientId: `bare-${index}`, clean: false });
  client.on('message', () => {
    if (++received === Number(count)) console.log(`received ${received}`);
  });
  await client.subscribeAsync(filter, { qos: 1 });
}
console.log('ready');
