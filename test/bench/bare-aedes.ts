/**
 * A plain aedes on a free port, as its own documentation sets it up: it acknowledges at once and keeps nothing. Says how
 * many messages it was sent when it is stopped. Run as a process by the ingest bench.
 */
import { createServer } from 'node:net';
import { Aedes } from 'aedes';

let received = 0;
const aedes = await Aedes.createBroker({
  authorizePublish: (_client, _packet, done) => {
    received++;
    done(null);
  },
});
const server = createServer({ noDelay: true }, (socket) => {
  aedes.handle(socket);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address && typeof address === 'object') console.log(`ready: MQTT mqtt://127.0.0.1:${address.port}`);
});
process.on('SIGTERM', () => {
  console.log(`received ${received}`);
  process.exit(0);
});
