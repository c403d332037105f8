import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { SessionChange } from '../../src/domain/session-row.ts';
import { SessionJournal } from '../../src/ingest/embedded/sessions/session-journal.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** A disk that answers when it is told to, in order, as the pipeline does. */
class Disk {
  readonly rows = new Map<string, string>();
  readonly batches: (readonly SessionChange[])[] = [];
  readonly #answers: PromiseWithResolvers<void>[] = [];

  readonly write = (changes: readonly SessionChange[]): Promise<void> => {
    this.batches.push(changes);
    const answer = Promise.withResolvers<void>();
    this.#answers.push(answer);
    return answer.promise;
  };

  get waiting(): number {
    return this.#answers.length;
  }

  /** Answers the oldest write: committed, or rolled back. */
  async answer(committed: boolean): Promise<void> {
    const batch = this.batches[this.batches.length - this.#answers.length];
    const answer = this.#answers.shift();
    if (committed) {
      for (const change of batch) this.#apply(change);
      answer?.resolve();
    } else answer?.reject(new Error('disk full'));
    await turn();
  }

  #apply(change: SessionChange): void {
    if (change.op === 'put') {
      const { client, key, bytes } = change.row;
      this.rows.set(`${client}/${key}`, Buffer.from(bytes).toString());
    } else if (change.op === 'delete') this.rows.delete(`${change.client}/${change.key}`);
    else for (const name of this.rows.keys()) if (name.startsWith(`${change.client}/`)) this.rows.delete(name);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const bytes = (text: string) => (): Uint8Array => Buffer.from(text);

function setup(): { disk: Disk; clock: FakeClock; journal: SessionJournal } {
  const disk = new Disk();
  const clock = new FakeClock();
  return { disk, clock, journal: new SessionJournal({ write: disk.write, clock, log: silentLog }) };
}

describe('the journal', () => {
  it('writes at once what somebody waits for, and with it everything noted before', async () => {
    const { disk, journal } = setup();
    journal.put('queued', 'a', '1', bytes('one'), true);
    journal.put('subscription', 'a', 't', bytes('two'));
    const written = journal.written();
    await turn();
    expect(disk.batches.map((batch) => batch.length)).toEqual([2]);
    await disk.answer(true);
    await written;
    expect(disk.rows).toEqual(
      new Map([
        ['a/1', 'one'],
        ['a/t', 'two'],
      ]),
    );
  });

  it('writes nothing of a message that was queued and acknowledged within its patience', async () => {
    const { disk, clock, journal } = setup();
    journal.put('queued', 'a', '1', bytes('one'), true);
    journal.put('queued', 'a', '1', bytes('one, sent'));
    journal.delete('queued', 'a', '1');
    clock.advance(1_000);
    await turn();
    expect(disk.batches).toEqual([]);
  });

  it('writes what nobody waits for after a moment, once and as it is by then', async () => {
    const { disk, clock, journal } = setup();
    let state = 'first';
    journal.put('queued', 'a', '1', () => Buffer.from(state), true);
    clock.advance(19);
    await turn();
    expect(disk.batches).toEqual([]);
    state = 'second';
    clock.advance(1);
    await turn();
    await disk.answer(true);
    expect(disk.rows).toEqual(new Map([['a/1', 'second']]));
    expect(disk.batches).toHaveLength(1);
  });

  it('writes the deletion of a row whose writing is under way', async () => {
    const { disk, journal } = setup();
    journal.put('queued', 'a', '1', bytes('one'), true);
    const first = journal.written();
    await turn();
    journal.delete('queued', 'a', '1');
    const second = journal.written();
    await turn();
    await disk.answer(true);
    await first;
    expect(disk.rows.size).toBe(1);
    await disk.answer(true);
    await second;
    expect(disk.rows.size).toBe(0);
  });

  it('tells those who wait of a failed commit, and writes it again', async () => {
    const { disk, clock, journal } = setup();
    journal.put('subscription', 'a', 't', bytes('one'));
    const failing = expect(journal.written()).rejects.toThrow('disk full');
    await turn();
    await disk.answer(false);
    await failing;
    clock.advance(1_000);
    await turn();
    await disk.answer(true);
    expect(disk.rows).toEqual(new Map([['a/t', 'one']]));
  });

  it('ends in the state that was noted, whichever commits fail', async () => {
    const step = fc.oneof(
      fc.record({
        op: fc.constant('put' as const),
        client: fc.constantFrom('a', 'b'),
        key: fc.constantFrom('1', '2', '3'),
      }),
      fc.record({
        op: fc.constant('delete' as const),
        client: fc.constantFrom('a', 'b'),
        key: fc.constantFrom('1', '2', '3'),
      }),
      fc.record({ op: fc.constant('clear' as const), client: fc.constantFrom('a', 'b') }),
      fc.record({ op: fc.constant('write' as const) }),
      fc.record({ op: fc.constant('answer' as const), committed: fc.boolean() }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
        const { disk, clock, journal } = setup();
        const model = new Map<string, string>();
        const everPut = new Set<string>();
        for (const [index, action] of steps.entries()) {
          if (action.op === 'put') {
            const name = `${action.client}/${action.key}`;
            journal.put('queued', action.client, action.key, bytes(String(index)), !everPut.has(name));
            everPut.add(name);
            model.set(name, String(index));
          } else if (action.op === 'delete') {
            journal.delete('queued', action.client, action.key);
            model.delete(`${action.client}/${action.key}`);
          } else if (action.op === 'clear') {
            journal.clear(action.client);
            for (const name of model.keys()) if (name.startsWith(action.client)) model.delete(name);
          } else if (action.op === 'write') {
            journal.written().catch(() => {});
            await turn();
          } else if (disk.waiting > 0) await disk.answer(action.committed);
        }
        for (let rounds = 0; rounds < 4; rounds++) {
          clock.advance(1_000);
          await turn();
          while (disk.waiting > 0) await disk.answer(true);
        }
        expect(disk.rows).toEqual(model);
      }),
      { numRuns: 500 },
    );
  });
});
