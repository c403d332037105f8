/**
 * What a gateway weighs with 100,000 slow series: 25,000 devices of 4 metrics, each of which sends a message a minute over
 * MQTT at QoS 1. All of it is the real thing but the clock, which runs fast; before it is turned on, the engine comes to
 * the end of what it has to do, so that sealing, merging and summing up get the turns that they would have. The process
 * that is weighed holds the gateway and nothing else. The log must stay bounded meanwhile.
 *
 *   node test/bench/slow-series.ts [series] [minutes]
 */
import { tempFolder } from '../support/temp-folder.ts';
import { clockBegin, ClockedGateway } from './clocked-gateway.ts';
import { report } from './figure.ts';
import { GatewayFacts } from './gateway-facts.ts';
import { packetId, publishPacket, Sender } from './sender.ts';
import { mustEqual, shown } from './statistics.ts';

const seriesCount = Number(process.argv[2] ?? 100_000);
const minutes = Number(process.argv[3] ?? 60);
const aimBytes = 300 << 20;
const metricsPerDevice = 4;
const devices = seriesCount / metricsPerDevice;
const batches = 20;
const perBatch = devices / batches;
const batchMs = 60_000 / batches;
const connections = 8;
const mebibytes = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(0)} MiB`;

// Whoever starts a gateway for the first time pays for what later starts find kept.
const before = tempFolder();
await (await ClockedGateway.start(before.path)).stop();
before.remove();

const folder = tempFolder();
const gateway = await ClockedGateway.start(folder.path);
const lanes = await Promise.all(
  Array.from({ length: connections }, async (_, lane) => {
    const sender = await Sender.connect(gateway.mqttPort, `lane-${lane}`);
    return { sender, sent: 0 };
  }),
);
let acknowledged = 0;
let published = 0;
let allAcknowledged = Promise.withResolvers<void>();
for (const { sender } of lanes) {
  sender.broken.catch((error: unknown) => allAcknowledged.reject(error));
  sender.onAcks((count) => {
    acknowledged += count;
    if (acknowledged === published) allAcknowledged.resolve();
  });
}

let facts = await gateway.advance(0);
const idle = facts.rss;
let rssMax = 0;
let logMax = 0;
for (let minute = 0; minute < minutes; minute++) {
  for (let batch = 0; batch < batches; batch++) {
    await publish(minute, batch);
    facts = await gateway.advance(batchMs);
    rssMax = Math.max(rssMax, facts.rss);
    logMax = Math.max(logMax, facts.stats.logReadings);
  }
  if (minute % 10 === 9) {
    const { stats, rss, anonymous } = facts;
    console.log(
      `  ${minute + 1} minutes: ${mebibytes(rss)} resident (${mebibytes(anonymous)} of them no file), ${shown(stats.chunks)} chunks, ${shown(stats.headReadings)} readings in heads`,
    );
  }
}
const { chunkReadings, headReadings, chunks, usedBytes, sealedBytes, mergedBytes } = facts.stats;
mustEqual('readings in chunks and heads', chunkReadings + headReadings, seriesCount * minutes);
for (const { sender } of lanes) sender.close();
await new GatewayFacts(gateway.httpPort).mustHold(published, seriesCount * minutes);
await gateway.stop();
folder.remove();

console.log(
  `${shown(seriesCount)} series, ${shown(minutes)} minutes: ${shown(chunks)} chunks of ${(chunkReadings / chunks).toFixed(0)} readings, at most ${shown(logMax)} readings in the log, written again ${(mergedBytes / sealedBytes).toFixed(2)} times`,
);
console.log(
  `  idle ${mebibytes(idle)}, at most ${mebibytes(rssMax)} (${mebibytes(facts.peak)} in passing), at the end ${mebibytes(facts.rss)}`,
);
report({
  what: `history: resident at most, ${shown(seriesCount)} series at one reading a minute`,
  aim: `≤ ${mebibytes(aimBytes)}`,
  measured: mebibytes(rssMax),
  met: rssMax <= aimBytes,
});
report({
  what: 'history: bytes a reading of slow series, the whole file',
  aim: '',
  measured: (usedBytes / (seriesCount * minutes)).toFixed(2),
  met: null,
});

/** What the devices of a batch send in a minute; resolves when all of it is acknowledged. */
async function publish(minute: number, batch: number): Promise<void> {
  const at = clockBegin + minute * 60_000 + batch * batchMs;
  allAcknowledged = Promise.withResolvers<void>();
  published += perBatch;
  for (const [index, lane] of lanes.entries()) {
    const packets: Buffer[] = [];
    for (let device = batch * perBatch + index; device < (batch + 1) * perBatch; device += connections) {
      packets.push(
        publishPacket(
          `devices/slow-${device}/telemetry`,
          packetId(lane.sent++),
          `{"ts":${at + (device % 2_900)},"values":{"temperature":${value(minute, device, 20)},"humidity":${value(minute, device + 1, 40)},"pressure":${value(minute, device + 2, 990)},"battery":${value(minute, device + 3, 3)}}}`,
        ),
      );
    }
    lane.sender.send(Buffer.concat(packets));
  }
  await allAcknowledged.promise;
}

function value(minute: number, seed: number, base: number): number {
  return base + ((minute * 7 + seed) % 300) / 10;
}
