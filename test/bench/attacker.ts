/**
 * Somebody who means no good to a broker, as a process of its own, so that it costs nobody else's event loop:
 *
 *   node test/bench/attacker.ts oversized|half-open|frozen [MQTT port]
 *
 * Says `ready` once it is at work and, on SIGTERM, what it has done.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [kind, mqttPort] = process.argv.slice(2);
const port = Number(mqttPort);
const halfOpenCount = 10_000;
/** Sockets that are opened together: all of them in two seconds. */
const openedAtOnce = 100;
const streamedBytes = 50 << 20;
const done = { connections: 0, cut: 0, writtenBytes: 0 };

process.on('SIGTERM', () => {
  console.log(JSON.stringify(done));
  process.exit(0);
});

if (kind === 'oversized') await oversized();
else if (kind === 'half-open') await halfOpen();
else if (kind === 'frozen') await frozen();
else throw new Error(`there is no attack ${kind}`);

/** One connection after another: a PUBLISH of 50 MB that really comes, or one that says it has 256 MB. */
async function oversized(): Promise<void> {
  console.log('ready');
  for (let turn = 0; ; turn++) {
    const socket = await introduced(`oversized-${turn}`);
    // 50 MB and the largest remaining length there is (MQTT 3.1.1 section 2.2.3).
    socket.write(Buffer.from(turn % 2 === 0 ? [0x30, 0x80, 0x80, 0x80, 0x19] : [0x30, 0xff, 0xff, 0xff, 0x7f]));
    await stream(socket);
    socket.destroy();
    await sleep(100);
  }
}

/** Writes until the other side has had enough. */
async function stream(socket: Socket): Promise<void> {
  const piece = Buffer.alloc(1 << 16, 0x61);
  for (let sent = 0; sent < streamedBytes && !socket.destroyed; sent += piece.length) {
    const isTaken = await new Promise<boolean>((resolve) => {
      socket.once('close', () => resolve(false));
      socket.write(piece, (error) => resolve(!error));
    });
    if (!isTaken) break;
    done.writtenBytes += piece.length;
    socket.removeAllListeners('close');
  }
  if (socket.destroyed || socket.errored) done.cut++;
}

/** Sockets that never say who they are; whether they are let stay is the other side's affair. */
async function halfOpen(): Promise<void> {
  console.log('ready');
  while (done.connections < halfOpenCount) {
    for (let index = 0; index < openedAtOnce; index++) {
      const socket = connect(port, '127.0.0.1');
      done.connections++;
      socket.on('error', () => {});
      socket.once('close', () => done.cut++);
    }
    await sleep(20);
  }
}

/** Subscribes to everything and reads nothing of it. */
async function frozen(): Promise<void> {
  const socket = await introduced('frozen');
  const subscribed = new Promise((resolve) => socket.once('data', resolve));
  const filter = Buffer.from('devices/#');
  socket.write(Buffer.from([0x82, 5 + filter.length, 0, 1, 0, filter.length, ...filter, 0]));
  await subscribed;
  socket.pause();
  socket.once('close', () => done.cut++);
  console.log('ready');
  // A socket that is not read keeps no process alive.
  setInterval(() => {}, 60_000);
}

async function introduced(clientId: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  const name = Buffer.from(clientId);
  socket.write(
    Buffer.from([0x10, 12 + name.length, 0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 0, 0, name.length, ...name]),
  );
  await new Promise((resolve) => {
    socket.once('data', resolve);
    socket.once('close', resolve);
  });
  done.connections++;
  return socket;
}
