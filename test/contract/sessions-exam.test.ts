// The exam that the persistences of aedes sit: ours has to pass it as it is.
import assert from 'node:assert';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { SessionChange } from '../../src/domain/session-row.ts';
import { SessionStore } from '../../src/ingest/embedded/sessions/session-store.ts';
import { FakeClock } from '../support/fake-clock.ts';

interface ExamContext {
  readonly assert: object;
  plan(count: number): void;
  diagnostic(text: string): void;
}

type Exam = (options: {
  readonly test: (name: string, body: (context: ExamContext) => Promise<void>) => void;
  readonly persistence: () => SessionStore;
  readonly testAsync: true;
}) => void;

const exam = createRequire(import.meta.url)('aedes-persistence/abstract.js') as Exam;

const none = Number.MAX_SAFE_INTEGER;
const limits = {
  sessionsMax: 0,
  sessionBytesMax: none,
  queueMessagesMax: 0,
  queueBytesMax: none,
  sessionExpiry: none,
  retainedMax: 0,
  retainedBytesMax: none,
};

/** Counts what is asserted, as a planned test of `node:test` does. */
function counted(count: () => void): object {
  return new Proxy(assert, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== 'function') return found;
      return (...parameters: unknown[]): unknown => {
        count();
        return Reflect.apply(found, target, parameters);
      };
    },
  });
}

let written: SessionChange[] = [];
let sat = 0;

exam({
  test: (name, body) => {
    sat++;
    test(name, async () => {
      let asserted = 0;
      let planned: number | null = null;
      written = [];
      await body({
        assert: counted(() => asserted++),
        plan: (count) => {
          planned = count;
        },
        diagnostic: () => {},
      });
      if (planned !== null) expect(asserted).toBe(planned);
    });
  },
  persistence: () =>
    new SessionStore(limits, {
      write: async (changes) => void written.push(...changes),
      clock: new FakeClock(),
      log: silentLog,
    }),
  testAsync: true,
});

test('the exam has as many questions as it had when this was written, or more', () => {
  expect(sat).toBeGreaterThanOrEqual(40);
});
