import type { Random } from '../../src/base/random.ts';
import { RejectedError } from '../../src/base/errors.ts';
import { errorCodes } from '../../src/contract/error-codes.ts';
import type { Decoded } from '../../src/decode/decoded.ts';
import type { DecodedReading } from '../../src/decode/native.ts';
import { textBytesMax } from '../../src/domain/reading.ts';
import { isDeviceId, isMetricName } from '../../src/domain/series.ts';
import { Mutator } from './mutator.ts';

/** A message; the topic is empty for what has none. */
export interface FuzzInput {
  readonly topic: string;
  readonly payload: Buffer;
}

/** Something that takes bytes from strangers. */
export interface FuzzTarget {
  readonly name: string;
  /** What is right, or was meant to be: mutations begin here. */
  readonly seeds: readonly FuzzInput[];
  /** A new one, which may remember. */
  start(): Feed;
}

/**
 * Takes an input; `mutator` is for whatever else is random about it. Answers null when it was accepted, else the code or
 * the name of its refusal. Everything thrown is a finding, a promise about accepted input that does not hold, too.
 */
export type Feed = (input: FuzzInput, mutator: Mutator) => string | null;

export function payloadsOnly(payloads: readonly Uint8Array[]): readonly FuzzInput[] {
  return payloads.map((payload) => ({ topic: '', payload: Buffer.from(payload) }));
}

/** Input number `index` of a run, whatever came before it. */
export function inputOf(seeds: readonly FuzzInput[], mutator: Mutator): FuzzInput {
  const { topic } = mutator.pick(seeds);
  const payload = mutator.mutated(payloadsOf(seeds));
  if (topic === '' || !mutator.once(4)) return { topic, payload };
  return { topic: mutator.mutated(topicsOf(seeds)).toString('utf8'), payload };
}

/** The randomness of input number `index`: the same however many came before. */
export function randomOf(seed: number, index: number, make: (seed: number) => Random): Random {
  return make(Math.imul(seed, 0x9e3779b1) + Math.imul(index, 0x85ebca6b));
}

/** Runs what refuses as decoders refuse, and holds the refusal to its contract. */
export function rejecting(take: () => void): string | null {
  try {
    take();
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    const { code, message, pointer } = error;
    if (!(code in errorCodes)) throw new Error(`the code ${code} is not in the registry`, { cause: error });
    if (message === '') throw new Error(`a refusal without a word: ${code}`, { cause: error });
    if (pointer !== '' && !pointer.startsWith('/')) throw new Error(`no pointer: ${pointer}`, { cause: error });
    return code;
  }
  return null;
}

/** Runs what refuses with an error of its own. */
export function refusing(own: new (message: string) => Error, take: () => void): string | null {
  try {
    take();
  } catch (error) {
    if (!(error instanceof own)) throw error;
    return error.name;
  }
  return null;
}

/** What every dialect promises of what it takes. */
export function expectSound({ devices, replies, requests }: Decoded): void {
  for (const { device, through, readings, timePointers, valuePointers } of devices) {
    if (!isDeviceId(device)) throw new Error(`a device is called ${JSON.stringify(device)}`);
    if (through !== undefined && !isDeviceId(through)) throw new Error(`a device speaks through ${through}`);
    expectReadings(readings, timePointers);
    if (valuePointers && valuePointers.length !== readings.length) throw new Error('a value without its place');
  }
  for (const { device, id, result } of replies) {
    if (!isDeviceId(device) || id === '') throw new Error('a reply of nobody, or to nothing');
    JSON.stringify(result);
  }
  for (const { topic } of requests) {
    if (topic === '' || /[+#\0]/.test(topic)) throw new Error(`a request goes to ${JSON.stringify(topic)}`);
  }
}

export function expectReadings(readings: readonly DecodedReading[], timePointers: readonly string[]): void {
  if (readings.length !== timePointers.length) throw new Error('a reading without a place for its time');
  for (const { metric, time, value } of readings) {
    if (!isMetricName(metric) || metric === '__proto__')
      throw new Error(`a metric is called ${JSON.stringify(metric)}`);
    if (time !== null && !Number.isSafeInteger(time)) throw new Error(`a time is ${time}`);
    if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`a value is ${value}`);
    if (typeof value === 'string' && (Buffer.byteLength(value) > textBytesMax || !value.isWellFormed()))
      throw new Error('a text is too long, or no text');
  }
}

const payloads = new WeakMap<readonly FuzzInput[], readonly Buffer[]>();
const topics = new WeakMap<readonly FuzzInput[], readonly Buffer[]>();

function payloadsOf(seeds: readonly FuzzInput[]): readonly Buffer[] {
  const known = payloads.get(seeds) ?? seeds.map(({ payload }) => payload);
  payloads.set(seeds, known);
  return known;
}

function topicsOf(seeds: readonly FuzzInput[]): readonly Buffer[] {
  const known = topics.get(seeds) ?? seeds.map(({ topic }) => Buffer.from(topic));
  topics.set(seeds, known);
  return known;
}
