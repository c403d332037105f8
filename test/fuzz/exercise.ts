import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { seededRandom } from '../../src/base/random.ts';
import { Mutator } from './mutator.ts';
import { type FuzzInput, type FuzzTarget, inputOf, randomOf } from './target.ts';

/** Something that should not have come out. */
export interface Finding {
  readonly index: number;
  readonly input: FuzzInput;
  readonly error: unknown;
}

export interface Exercised {
  readonly target: string;
  readonly inputs: number;
  readonly seconds: number;
  readonly accepted: number;
  /** By code. */
  readonly refused: ReadonlyMap<string, number>;
  /** The first few. */
  readonly findings: readonly Finding[];
  /** The slowest input, ms: for a person to look at. */
  readonly slowestMs: number;
  /** Bytes of heap more at the end than after a tenth of the inputs, both after garbage collection. */
  readonly growth: number;
}

const findingsMax = 3;

/**
 * Shows a target so many inputs made from its seeds. The same seed makes the same inputs, and input `index` does not
 * depend on those before it: only what a target remembers does.
 */
export function exercise(target: FuzzTarget, count: number, seed: number): Exercised {
  const feed = target.start();
  const refused = new Map<string, number>();
  const findings: Finding[] = [];
  let accepted = 0;
  let slowestMs = 0;
  let heapBefore = 0;
  const started = performance.now();
  let last = started;
  for (let index = 0; index < count && findings.length < findingsMax; index++) {
    if (index === Math.floor(count / 10)) heapBefore = heapUsed();
    const mutator = new Mutator(randomOf(seed, index, seededRandom));
    const input = inputOf(target.seeds, mutator);
    try {
      const code = feed(input, mutator);
      if (code === null) accepted++;
      else refused.set(code, (refused.get(code) ?? 0) + 1);
    } catch (error) {
      findings.push({ index, input, error });
    }
    const now = performance.now();
    slowestMs = Math.max(slowestMs, now - last);
    last = now;
  }
  const seconds = (performance.now() - started) / 1_000;
  const growth = Math.max(heapUsed() - heapBefore, 0);
  return { target: target.name, inputs: count, seconds, accepted, refused, findings, slowestMs, growth };
}

/** One line that makes the finding again, and what it was. */
export function findingText(target: string, seed: number, { index, input, error }: Finding): string {
  const topic = input.topic === '' ? '' : ` on ${JSON.stringify(input.topic)}`;
  const payload = input.payload.subarray(0, 400);
  const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${target}, seed ${seed}, input ${index}${topic}: ${payload.toString('hex')}\n  ${JSON.stringify(payload.toString())}\n  ${shown}`;
}

/**
 * How many times as long the target takes for four times the bytes of the same; linear is 4. 1 when it is too quick to
 * tell. What looks worse than `suspect` is measured again a few times, because a busy machine looks like that, too.
 */
export function growthOfTime(target: FuzzTarget, bytes: number, suspect: number): number {
  let worst = 1;
  for (const { topic, payload } of target.seeds) {
    for (const piece of payload.length === 0 ? [] : piecesOf(payload)) {
      let found = growthFor(target, { topic, payload }, piece, bytes);
      for (let again = 0; again < 4 && found > suspect; again++) {
        found = Math.min(found, growthFor(target, { topic, payload }, piece, bytes));
      }
      worst = Math.max(worst, found);
    }
  }
  return worst;
}

function growthFor(target: FuzzTarget, { topic, payload }: FuzzInput, piece: Buffer, bytes: number): number {
  const [short, long] = [bytes, bytes * 4].map((length) => {
    const input = { topic, payload: Buffer.alloc(length, piece) };
    payload.copy(input.payload, 0, 0, Math.min(payload.length, length));
    return Math.min(...[1, 2, 3].map(() => timeOf(target, input)));
  });
  return long > 4 ? long / short : 1;
}

function timeOf(target: FuzzTarget, input: FuzzInput): number {
  const feed = target.start();
  const mutator = new Mutator(seededRandom(1));
  const from = performance.now();
  feed(input, mutator);
  return performance.now() - from;
}

/** What is repeated behind a seed: its own middle, and what grammars turn on. */
function piecesOf(payload: Buffer): readonly Buffer[] {
  const own = payload.subarray(Math.floor(payload.length / 3), Math.floor(payload.length / 3) + 24);
  return [
    own,
    ...['[', '{"a":', '\\', '"', ',', ' ', '\n', '1', 'a=1,', '[{"n":"a","v":1},', '+/', '{a}-'].map((text) =>
      Buffer.from(text),
    ),
  ].filter(({ length }) => length > 0);
}

let collect: (() => void) | undefined;

/** Bytes of heap in use after garbage collection. */
export function heapUsed(): number {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    const exposed: unknown = runInNewContext('gc');
    if (typeof exposed !== 'function') throw new Error('there is no garbage collector to ask');
    collect = () => void Reflect.apply(exposed, undefined, []);
  }
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
