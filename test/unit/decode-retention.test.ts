// What is kept of a payload keeps nothing else of it: not the megabytes around a name, nor the chunk around a message.
// Method: many long payloads are decoded, a short piece of each is kept, and the heap is measured after collection.
import { expect, it } from 'vitest';
import { ownText } from '../../src/base/own-text.ts';
import { decodeBare } from '../../src/decode/bare.ts';
import { foreignDevice } from '../../src/decode/foreign-name.ts';
import { decodeInflux } from '../../src/decode/influx.ts';
import { decodeTelemetry } from '../../src/decode/native.ts';
import { ownPayload } from '../../src/ingest/embedded/sessions/packet.ts';
import { SeriesRegistry } from '../../src/pipeline/series-registry.ts';
import { heapUsed } from '../fuzz/exercise.ts';

const padding = ' '.repeat(200_000);
const payloads = 100;
/** A tenth of what the payloads would take. */
const keptMax = (payloads * padding.length) / 10;

const influx = (line: string) =>
  decodeInflux(Buffer.from(`#${padding}\n${line}`), { precision: 'ns', device: null, fallback: null }).devices[0];

const pieces: readonly (readonly [what: string, keep: (index: number) => unknown])[] = [
  ['a bare text', (index) => decodeBare(Buffer.from(`${padding}some words that are long ${index}`))],
  ['a text of JSON', (index) => decodeTelemetry(Buffer.from(`${padding}{"a":"some words that are long ${index}"}`))],
  ['a device of line protocol', (index) => influx(`m,device=device-with-a-long-name-${index} a=1`).device],
  ['a text of line protocol', (index) => influx(`m,device=d a="some words that are long ${index}"`).readings[0].value],
  [
    'a device of a foreign topic',
    (index) => foreignDevice(`device-with-a-long-name-${index}/${padding}`.split('/')[0]),
  ],
];

it.each(pieces)('%s does not keep its payload', (_what, keep) => {
  const kept = [keep(0)];
  const before = heapUsed();
  for (let index = 1; index < payloads; index++) kept.push(keep(index));
  expect(heapUsed() - before).toBeLessThan(keptMax);
  expect(kept).toHaveLength(payloads);
});

it('a series does not keep the payload that its names came from', () => {
  const registry = new SeriesRegistry({ seriesMax: 1_000, metricsMax: 1_000 });
  const before = heapUsed();
  for (let index = 0; index < payloads; index++) {
    const { device, readings } = influx(`climate-with-a-long-name-${index},device=device-with-a-long-name value=1`);
    registry.assign(device, readings[0].metric);
  }
  expect(heapUsed() - before).toBeLessThan(keptMax);
  expect(registry.size).toBe(payloads);
});

it('the payload of a session is as large as itself', () => {
  const chunk = Buffer.alloc(65_536, 'x');
  const own = ownPayload(chunk.subarray(100, 300));
  expect(own).toEqual(Buffer.alloc(200, 'x'));
  expect(Buffer.isBuffer(own) && own.buffer.byteLength).toBe(200);
});

it('a text of its own is the same text', () => {
  for (const text of ['', 'short', 'längere Wörter 🌡 und mehr', 'x'.repeat(300)]) expect(ownText(text)).toBe(text);
});
