import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Alert, AlertState, Transition } from '../../src/domain/alert.ts';
import type { Command } from '../../src/domain/command.ts';
import type { Commit, SettledMessage } from '../../src/domain/commit.ts';
import type { Attempt, Delivery } from '../../src/domain/delivery.ts';
import { attributesMax } from '../../src/domain/device.ts';
import { disposition } from '../../src/domain/reading.ts';
import type { DeviceToken } from '../../src/domain/device-token.ts';
import type { SessionKind, SessionRow } from '../../src/domain/session-row.ts';
import { settledColumns } from '../../src/domain/settled-columns.ts';
import type { Engine } from '../../src/history/engine.ts';
import { CommitFailedError } from '../../src/history/engine.ts';
import type { CommandsQuery } from '../../src/history/reader.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { Row } from '../support/storage-commits.ts';
import { allReadings, commitOf, newSeries, plainBuckets, readingsOf, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { engineModelExam } from './engine-model.ts';

/** What the exam turns on an engine so that much happens in little time. */
export interface ExamOptions {
  readonly dir: string;
  readonly clock: FakeClock;
  readonly sealAfterMs: number;
  readonly sealCount: number;
  readonly resumeWindow: { readonly ms: number; readonly bytes: number };
  readonly quarantineBytesMax: number;
}

export type MakeEngine = (options: ExamOptions) => Engine;

/** The exam that every engine sits, on real files. `make` gives an engine for a folder, as often as it is asked. */
export function engineExam(name: string, make: MakeEngine): void {
  describe(`${name} as an engine`, () => {
    let clock: FakeClock;
    let folder: ReturnType<typeof tempFolder>;
    let engine: Engine;

    const options = (): ExamOptions => ({
      dir: folder.path,
      clock,
      sealAfterMs: 60_000,
      sealCount: 64,
      resumeWindow: { ms: 900_000, bytes: 1 << 20 },
      quarantineBytesMax: 10_000,
    });

    async function reopen(): Promise<Awaited<ReturnType<Engine['open']>>> {
      await engine.close();
      return engine.open();
    }

    beforeEach(() => {
      clock = new FakeClock();
      folder = tempFolder();
      engine = make(options());
    });
    afterEach(async () => {
      await engine.close();
      folder.remove();
    });

    it('a new store is empty and has an epoch that a cursor can carry', async () => {
      const recovered = await engine.open();
      expect(recovered).toMatchObject({
        seq: 0,
        lastCommitAt: 0,
        series: [],
        devices: [],
        alertStates: [],
        settled: [],
      });
      expect(recovered.epoch).toMatch(/^[A-Za-z0-9]{8,32}$/);
      const { epoch } = await reopen();
      expect(epoch).toBe(recovered.epoch);
    });

    it('two stores have different epochs', async () => {
      const other = tempFolder();
      const second = make({ ...options(), dir: other.path });
      expect((await engine.open()).epoch).not.toBe((await second.open()).epoch);
      await second.close();
      other.remove();
    });

    it('close may come twice, before open and late, and ends what is asked afterwards', async () => {
      await engine.close();
      await engine.open();
      await Promise.all([engine.close(), engine.close()]);
      await engine.close();
      await expect(engine.reader.stats()).rejects.toThrow('not open');
      await expect(engine.commit(commitOf(1, []))).rejects.toThrow('not open');
    });

    describe('readings', () => {
      it('come back with their time, value and kind, before and after a reopen', async () => {
        await engine.open();
        const values = [1.5, -0, Number.MIN_VALUE, -Number.MAX_VALUE, true, false, '', 'öffnen', 'a'.repeat(256)];
        await engine.commit(
          commitOf(
            1,
            values.map((value, index) => [1, index * 1_000, value] as const),
            { newSeries: newSeries(1) },
          ),
        );
        const expected = values.map((value, index) => ({ time: index * 1_000, value }));
        expect(await allReadings(engine, 1)).toEqual(expected);
        const recovered = await reopen();
        expect(await allReadings(engine, 1)).toEqual(expected);
        expect(recovered.series).toEqual([
          { id: 1, device: 'device-1', metric: 'value', time: 8_000, value: 'a'.repeat(256) },
        ]);
      });

      it('are told apart: stored, replaced, identical', async () => {
        await engine.open();
        const first = await engine.commit(commitOf(1, [[1, 5_000, 1]], { newSeries: newSeries(2) }));
        expect(first.dispositions).toBeNull();
        const second = await engine.commit(
          commitOf(2, [
            [1, 5_000, 1],
            [1, 5_000, 2],
            [1, 5_000, 2],
            [1, 4_000, 1],
            [1, 4_000, 1],
            [1, 5_000, true],
            [1, 6_000, 0],
            [1, 6_000, -0],
            [2, 1_000, 'on'],
            [2, 1_000, 'on'],
            [2, 1_000, 'off'],
          ]),
        );
        const { stored, replaced, identical } = disposition;
        expect([...(second.dispositions ?? [])].slice(0, 11)).toEqual([
          identical,
          replaced,
          identical,
          stored,
          identical,
          replaced,
          stored,
          replaced,
          stored,
          identical,
          replaced,
        ]);
        expect(await allReadings(engine, 1)).toEqual([
          { time: 4_000, value: 1 },
          { time: 5_000, value: true },
          { time: 6_000, value: -0 },
        ]);
        expect(await allReadings(engine, 2)).toEqual([{ time: 1_000, value: 'off' }]);
      });

      it('are told apart the same way when they lie in sealed chunks', async () => {
        await engine.open();
        const rows = Array.from({ length: 100 }, (_, index) => [1, index * 10, index] as const);
        await engine.commit(commitOf(1, rows, { newSeries: newSeries(1) }));
        await untilStats(engine, (stats) => stats.headReadings === 0);
        const { dispositions } = await engine.commit(
          commitOf(2, [
            [1, 500, 50],
            [1, 500, 51],
            [1, 505, 1],
            [1, 990, 99],
          ]),
        );
        const { stored, replaced, identical } = disposition;
        expect([...(dispositions ?? [])].slice(0, 4)).toEqual([identical, replaced, stored, identical]);
        const all = await allReadings(engine, 1);
        expect(all).toHaveLength(101);
        expect(all.filter(({ time }) => time >= 500 && time <= 510)).toEqual([
          { time: 500, value: 51 },
          { time: 505, value: 1 },
          { time: 510, value: 51 },
        ]);
      });

      it('that are all identical still make a commit', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [[1, 1, 1]], { newSeries: newSeries(1) }));
        await engine.commit(commitOf(2, [[1, 1, 1]]));
        expect((await reopen()).seq).toBe(2);
        const page = await engine.reader.log({ after: 0, readingsMax: 100 });
        expect(page.batches.map((batch) => [batch.seq, batch.readings.count])).toEqual([
          [1, 1],
          [2, 0],
        ]);
      });

      it('latest is the greatest time, also when only late readings came since it was sealed', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [[1, 9_000, 9]], { newSeries: newSeries(1) }));
        clock.advance(120_000);
        await untilStats(engine, (stats) => stats.headReadings === 0);
        await engine.commit(commitOf(2, [[1, 3_000, 3]]));
        expect((await reopen()).series).toMatchObject([{ time: 9_000, value: 9 }]);
      });

      it('the columns of a commit come back, the same memory', async () => {
        await engine.open();
        const commit = commitOf(1, [[1, 1, 2]], { newSeries: newSeries(1) });
        const { length } = commit.readings.times;
        const { readings } = await engine.commit(commit);
        expect(readings.times).toHaveLength(length);
        expect([readings.count, readings.series[0], readings.times[0], readings.values[0]]).toEqual([1, 1, 1, 2]);
      });
    });

    describe('a commit that is refused', () => {
      it('leaves no trace, hands its columns back, and its number and series are given out again', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [[1, 1, 1]], { newSeries: newSeries(1) }));
        const bad = commitOf(
          2,
          [
            [1, 2, 2],
            [9, 1, 1],
          ],
          {
            newSeries: [{ id: 2, device: 'ghost', metric: 'value' }],
            deviceFacts: [{ device: 'device-1', at: 5, status: 'online' }],
          },
        );
        const failure = await engine.commit(bad).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(CommitFailedError);
        expect(failure).toMatchObject({ outcome: 'rolled_back', reason: 'refused', readings: { count: 2 } });
        await engine.commit(
          commitOf(
            2,
            [
              [1, 3, 3],
              [2, 1, 1],
            ],
            { newSeries: [{ id: 2, device: 'real', metric: 'value' }] },
          ),
        );
        const recovered = await reopen();
        expect(recovered.devices.map(({ device, status }) => [device, status])).toEqual([
          ['device-1', null],
          ['real', null],
        ]);
        expect(await allReadings(engine, 1)).toEqual([
          { time: 1, value: 1 },
          { time: 3, value: 3 },
        ]);
      });

      it.each([
        ['a number out of turn', commitOf(3, [])],
        ['a gap in the series numbers', commitOf(1, [], { newSeries: [{ id: 2, device: 'a', metric: 'b' }] })],
        ['a value that is not finite', commitOf(1, [[1, 1, Number.NaN]], { newSeries: newSeries(1) })],
        ['a time that is not whole milliseconds', commitOf(1, [[1, 1.5, 1]], { newSeries: newSeries(1) })],
        ['a delivery whose id is taken', commitOf(1, [], { deliveries: [delivery('d1', 'w'), delivery('d1', 'w')] })],
      ])('because of %s can be followed by a good one', async (_, commit) => {
        await engine.open();
        await expect(engine.commit(commit)).rejects.toMatchObject({ outcome: 'rolled_back', reason: 'refused' });
        await engine.commit(commitOf(1, [[1, 1, 1]], { newSeries: newSeries(1), deliveries: [delivery('d1', 'w')] }));
        expect(await allReadings(engine, 1)).toEqual([{ time: 1, value: 1 }]);
      });
    });

    describe('devices', () => {
      it('are born in the commit of their first reading or fact, and facts are merged', async () => {
        await engine.open();
        const at = 1_790_000_001_000;
        const provisioned = { profile: 'fridge', key: 'pk1', needsApproval: true, at: 5 };
        await engine.commit(
          commitOf(1, [[1, 1, 1]], {
            newSeries: newSeries(1),
            deviceFacts: [
              { device: 'device-1', at, status: 'online', cause: 'heard', attributes: { model: 'a', rev: 1 } },
              { device: 'device-1', at, attributes: { rev: 2, ok: true }, clockCorrected: 2, provisioned },
              { device: 'quiet', at: at - 500, status: 'offline' },
            ],
          }),
        );
        await engine.commit(commitOf(2, [[1, 2, 1]], { deviceFacts: [{ device: 'device-1', at, clockCorrected: 3 }] }));
        const { devices } = await reopen();
        expect(devices).toEqual([
          {
            device: 'device-1',
            firstSeen: at,
            lastSeen: at + 1_000,
            status: 'online',
            statusAt: at,
            statusCause: 'heard',
            attributes: { model: 'a', rev: 2, ok: true },
            clockCorrected: 5,
            provisioned,
          },
          {
            device: 'quiet',
            firstSeen: at - 500,
            lastSeen: at - 500,
            status: 'offline',
            statusAt: at - 500,
            statusCause: null,
            attributes: {},
            clockCorrected: 0,
            provisioned: null,
          },
        ]);
      });

      it('keep as many attributes as a device may have, and the newest', async () => {
        await engine.open();
        const told = Array.from({ length: attributesMax + 1 }, (_, index): Record<string, number> => {
          return { [`a${index}`]: index };
        });
        const deviceFacts = told.map((attributes) => ({ device: 'device-1', at: 5, attributes }));
        await engine.commit(commitOf(1, [], { deviceFacts }));
        const { devices } = await reopen();
        expect(Object.keys(devices[0].attributes)).toEqual(told.slice(1).flatMap((one) => Object.keys(one)));
      });

      it('were last seen at their last commit, also when its readings are sealed', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [[1, 1, 1]], { newSeries: newSeries(1) }));
        await engine.commit(commitOf(2, [[1, 2, 1]]));
        clock.advance(120_000);
        await untilStats(engine, (stats) => stats.headReadings === 0);
        expect((await reopen()).devices).toMatchObject([{ lastSeen: 1_790_000_002_000 }]);
      });

      it('were last seen at their last commit, also when its readings are deleted', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [[1, 1, 1]], { newSeries: newSeries(1) }));
        await engine.commit(commitOf(2, [[1, 2, 1]]));
        clock.advance(120_000);
        await untilStats(engine, (stats) => stats.headReadings === 0);
        await engine.commit(commitOf(3, [], { deletions: [{ series: 1, from: 0, to: 10 }] }));
        const lost = {
          device: 'device-1',
          at: 1_790_000_004_000,
          status: 'offline',
          cause: 'connection_lost',
        } as const;
        await engine.commit(commitOf(4, [], { deviceFacts: [lost] }));
        expect((await reopen()).devices).toMatchObject([{ status: 'offline', lastSeen: 1_790_000_002_000 }]);
      });
    });

    describe('alerts', () => {
      it('episodes, transitions and states are kept, the last of each wins', async () => {
        await engine.open();
        const firing = alert('a1', { firedAt: 10 });
        const resolved: Alert = { ...firing, state: 'resolved', resolvedAt: 20, reason: 'cleared', value: 5 };
        const other = alert('a2', { firedAt: 15, device: 'device-2' });
        const fired = transition('t1', firing);
        const cleared = transition('t2', resolved);
        await engine.commit(commitOf(1, [], { transitions: [fired], alertStates: [alertState('firing', firing)] }));
        await engine.commit(
          commitOf(2, [], {
            transitions: [transition('t3', other), cleared],
            alertStates: [alertState('inactive', null)],
          }),
        );
        const { alertStates } = await reopen();
        expect(alertStates).toEqual([alertState('inactive', null)]);
        expect(await engine.reader.alert('a1')).toEqual(resolved);
        expect(await engine.reader.alert('none')).toBeNull();
        expect(await engine.reader.transitions('a1')).toEqual([fired, cleared]);
        expect(await engine.reader.alerts({ limit: 10 })).toEqual([other, resolved]);
        expect(await engine.reader.alerts({ limit: 10, state: 'firing' })).toEqual([other]);
        expect(await engine.reader.alerts({ limit: 10, state: 'resolved', ruleId: 'r1' })).toEqual([resolved]);
        expect(await engine.reader.alerts({ limit: 10, device: 'device-2' })).toEqual([other]);
        expect(await engine.reader.alerts({ limit: 10, ruleId: 'none' })).toEqual([]);
        expect(await engine.reader.alerts({ limit: 1, after: { firedAt: 15, id: 'a2' } })).toEqual([resolved]);
      });

      it('pages by (firedAt, id) give every episode once', async () => {
        await engine.open();
        const alerts = Array.from({ length: 25 }, (_, index) => alert(`a${index}`, { firedAt: Math.floor(index / 4) }));
        await engine.commit(commitOf(1, [], { transitions: alerts.map((of) => transition(`t${of.id}`, of)) }));
        const seen: string[] = [];
        for (let after: { firedAt: number; id: string } | undefined; ; ) {
          const page = await engine.reader.alerts({ limit: 4, after });
          seen.push(...page.map(({ id }) => id));
          const last = page.at(-1);
          if (!last) break;
          after = { firedAt: last.firedAt, id: last.id };
        }
        expect(seen).toHaveLength(25);
        expect(new Set(seen).size).toBe(25);
      });
    });

    describe('deliveries', () => {
      it('are pending from their commit on, and attempts move them', async () => {
        await engine.open();
        await engine.commit(
          commitOf(1, [], { deliveries: [delivery('d1', 'w1'), delivery('d2', 'w1'), delivery('d3', 'w2')] }),
        );
        expect(await engine.reader.delivery('d1')).toEqual({
          ...delivery('d1', 'w1'),
          seq: 1,
          state: 'pending',
          attempts: 0,
          nextAttemptAt: 0,
        });
        const first = attempt('d1', 1, { outcome: 'retry', nextAttemptAt: 77, status: 503 });
        await engine.commit(commitOf(2, [], { attempts: [first, attempt('d2', 1, { outcome: 'succeeded' })] }));
        const second = attempt('d1', 2, { outcome: 'failed', error: 'timeout', excerpt: null });
        expect(await engine.reader.delivery('d1')).toMatchObject({ state: 'pending', attempts: 1, nextAttemptAt: 77 });
        await engine.commit(commitOf(3, [], { attempts: [second] }));
        await reopen();
        expect(await engine.reader.delivery('d1')).toMatchObject({ state: 'failed', attempts: 2, nextAttemptAt: null });
        expect(await engine.reader.delivery('d2')).toMatchObject({ state: 'succeeded', attempts: 1 });
        expect(await engine.reader.attempts('d1')).toEqual([first, second]);
        expect((await engine.reader.stats()).pendingDeliveries).toBe(1);
      });

      it('of a webhook that is gone are cancelled while pending, and stay so', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [], { deliveries: ['d1', 'd2', 'd3'].map((id) => delivery(id, 'w1')) }));
        await engine.commit(commitOf(2, [], { deliveries: [delivery('d4', 'w2')] }));
        await engine.commit(
          commitOf(3, [], { attempts: [attempt('d1', 1, { outcome: 'succeeded' })], cancelledWebhooks: ['w1'] }),
        );
        await engine.commit(commitOf(4, [], { attempts: [attempt('d2', 1, { outcome: 'retry', nextAttemptAt: 5 })] }));
        const deliveries = await engine.reader.deliveries({ limit: 10, order: 'asc' });
        expect(deliveries.map(({ id, state, attempts }) => [id, state, attempts])).toEqual([
          ['d1', 'succeeded', 1],
          ['d2', 'cancelled', 1],
          ['d3', 'cancelled', 0],
          ['d4', 'pending', 0],
        ]);
      });

      it('are filtered and paged in both orders', async () => {
        await engine.open();
        for (let seq = 1; seq <= 6; seq++) {
          const ids = ['b', 'a', 'c'].map((letter) => `${letter}${seq}`);
          await engine.commit(
            commitOf(seq, [], { deliveries: ids.map((id) => delivery(id, id.startsWith('a') ? 'w1' : 'w2')) }),
          );
        }
        for (const order of ['asc', 'desc'] as const) {
          const seen: string[] = [];
          for (let after: { seq: number; id: string } | undefined; ; ) {
            const page = await engine.reader.deliveries({ limit: 5, order, after, state: 'pending', webhookId: 'w2' });
            seen.push(...page.map(({ id }) => id));
            const last = page.at(-1);
            if (!last) break;
            after = { seq: last.seq, id: last.id };
          }
          const expected = [1, 2, 3, 4, 5, 6].flatMap((seq) => [`b${seq}`, `c${seq}`]);
          expect(seen).toEqual(order === 'asc' ? expected : expected.reverse());
        }
      });
    });

    describe('tokens', () => {
      it('are put, put again, and revoked one by one or all of a device, and recovered', async () => {
        await engine.open();
        const tokens = [
          deviceToken('a', 't1'),
          deviceToken('a', 't2', 9),
          deviceToken('b', 't3'),
          deviceToken('b', 't4'),
          deviceToken('c', 't5'),
        ];
        await engine.commit(commitOf(1, [], { tokens: tokens.map((one) => ({ kind: 'put', token: one })) }));
        await engine.commit(
          commitOf(2, [], {
            tokens: [
              { kind: 'put', token: deviceToken('a', 't1', 7) },
              { kind: 'revoke', device: 'b', id: 't4' },
              { kind: 'revoke', device: 'c', id: null },
              { kind: 'revoke', device: 'nobody', id: null },
            ],
          }),
        );
        expect((await reopen()).tokens).toEqual([
          deviceToken('a', 't1', 7),
          deviceToken('a', 't2', 9),
          deviceToken('b', 't3'),
        ]);
      });
    });

    describe('sessions', () => {
      it('are rows that come back as they were, in the order in which they were first put', async () => {
        await engine.open();
        const shared = Uint8Array.from({ length: 64 }, (_, index) => index);
        const rows = [
          row('subscription', 'b', 'x', shared.subarray(3, 9)),
          row('session', 'a', '', shared.subarray(0, 0)),
          row('queued', 'a', '2', shared.subarray(60)),
          row('retained', '', 'some/topic', shared),
        ];
        const again = row('subscription', 'b', 'x', Uint8Array.of(1));
        await engine.commit(commitOf(1, [], { sessions: rows.map((one) => ({ op: 'put', row: one })) }));
        await engine.commit(commitOf(2, [], { sessions: [{ op: 'put', row: again }] }));
        expect((await reopen()).sessions).toEqual([again, ...rows.slice(1)]);
        expect(shared.length, 'the bytes of the caller stay').toBe(64);
      });

      it('are deleted one by one and client by client, but retained messages are nobody’s', async () => {
        await engine.open();
        const rows = ['session', 'subscription', 'queued', 'incoming', 'will'].flatMap((kind) =>
          ['a', 'b'].map((client) => row(kind as SessionKind, client, 'k', Uint8Array.of(1))),
        );
        const retained = row('retained', '', 't', Uint8Array.of(2));
        await engine.commit(commitOf(1, [], { sessions: [...rows, retained].map((one) => ({ op: 'put', row: one })) }));
        await engine.commit(
          commitOf(2, [], {
            sessions: [
              { op: 'clear', client: 'a' },
              { op: 'clear', client: '' },
              { op: 'delete', kind: 'queued', client: 'b', key: 'k' },
              { op: 'delete', kind: 'queued', client: 'b', key: 'other' },
            ],
          }),
        );
        const left = rows.filter(({ client, kind }) => client === 'b' && kind !== 'queued');
        expect((await reopen()).sessions).toEqual([...left, retained]);
      });

      it('are changed in order: put, deleted and put again in one commit is last and there', async () => {
        await engine.open();
        const first = row('queued', 'a', '1', Uint8Array.of(1));
        const second = row('queued', 'a', '2', Uint8Array.of(2));
        await engine.commit(
          commitOf(1, [], {
            sessions: [
              { op: 'put', row: first },
              { op: 'put', row: second },
              { op: 'delete', kind: 'queued', client: 'a', key: '1' },
              { op: 'put', row: first },
            ],
          }),
        );
        expect((await reopen()).sessions).toEqual([second, first]);
      });
    });

    describe('commands', () => {
      it('are kept as they are now, final ones for good; those that are open come back, oldest first', async () => {
        await engine.open();
        // Of the time of the commits, or it would soon be deleted as settled long ago.
        const settledAt = commitOf(2, []).at;
        const commands = [command('c1', 3), command('c2', 1), command('c3', 2)];
        await engine.commit(commitOf(1, [], { commands }));
        const done = { ...command('c3', 2), state: 'succeeded', result: { ok: [1, 'x', null] }, settledAt } as const;
        const sent = { ...command('c1', 3), state: 'sent', sentAt: 8 } as const;
        await engine.commit(commitOf(2, [], { commands: [done, sent] }));
        await engine.commit(commitOf(3, [], { commands: [{ ...done, state: 'expired' }, command('c3', 2)] }));
        expect((await reopen()).commands).toEqual([command('c2', 1), sent]);
        expect(await engine.reader.command('c3')).toEqual(done);
        expect(await engine.reader.command('none')).toBeNull();
      });

      it('are listed newest first, by device, page by page, also those made in one millisecond', async () => {
        await engine.open();
        const commands = Array.from({ length: 20 }, (_, index) =>
          command(`c${String(index).padStart(2, '0')}`, Math.floor(index / 5), index % 2 === 0 ? 'even' : 'odd'),
        );
        await engine.commit(commitOf(1, [], { commands }));
        const ids: string[] = [];
        for (let after: CommandsQuery['after']; ; ) {
          const page = await engine.reader.commands({ limit: 3, after });
          ids.push(...page.map(({ id }) => id));
          const last = page.at(-1);
          if (!last) break;
          after = { createdAt: last.createdAt, id: last.id };
        }
        expect(ids).toEqual(commands.map(({ id }) => id).toReversed());
        const even = await engine.reader.commands({ device: 'even', limit: 100 });
        expect(even.map(({ id }) => id)).toEqual(ids.filter((id) => Number(id.slice(1)) % 2 === 0));
      });

      it('that were settled more than thirty days ago are deleted, however many; open ones never are', async () => {
        await engine.open();
        const old = Array.from({ length: 600 }, (_, index) => ({
          ...command(`old${index}`, index),
          state: 'failed' as const,
          settledAt: index,
        }));
        await engine.commit(commitOf(1, [], { at: 1_000, commands: [...old, command('open', 1)] }));
        const later = 30 * 86_400_000 + 500;
        const recent = { ...command('recent', later), state: 'expired' as const, settledAt: later };
        await engine.commit(commitOf(2, [], { at: later, commands: [recent] }));
        clock.advance(10_000);
        let left = await engine.reader.commands({ limit: 1_000 });
        while (left.length > 102) left = await engine.reader.commands({ limit: 1_000 });
        expect(left.map(({ id }) => id)).toEqual([
          'recent',
          ...Array.from({ length: 100 }, (_, index) => `old${599 - index}`),
          'open',
        ]);
      });
    });

    describe('a forgotten device', () => {
      it('is gone with its tokens; its readings stay, and the next one brings it back as a new device', async () => {
        await engine.open();
        const token = { device: 'device-1', id: 't', hash: 'h', createdAt: 1, expiresAt: null };
        await engine.commit(
          commitOf(1, [[1, 1, 1]], {
            newSeries: newSeries(2),
            deviceFacts: [{ device: 'device-1', at: 5, attributes: { model: 'x' }, status: 'online' }],
            tokens: [{ kind: 'put', token }],
          }),
        );
        await engine.commit(commitOf(2, [[1, 2, 2]], { forgottenDevices: ['device-1', 'nobody'] }));
        const gone = await reopen();
        expect(gone.devices.map(({ device }) => device)).toEqual(['device-2']);
        expect([gone.tokens, gone.series.length]).toEqual([[], 2]);
        expect(await allReadings(engine, 1)).toHaveLength(2);
        await engine.commit(commitOf(3, [[1, 3, 3]]));
        const at = 1_790_000_003_000;
        expect((await reopen()).devices).toMatchObject([
          { device: 'device-1', firstSeen: at, lastSeen: at, status: null, attributes: {} },
          { device: 'device-2' },
        ]);
      });

      it('is born again by a fact of the same commit, without what was known of it before', async () => {
        await engine.open();
        const token = { device: 'device-1', id: 'new', hash: 'h', createdAt: 1, expiresAt: null };
        await engine.commit(
          commitOf(1, [], {
            newSeries: newSeries(1),
            deviceFacts: [{ device: 'device-1', at: 5, attributes: { model: 'x' } }],
            tokens: [{ kind: 'put', token: { ...token, id: 'old' } }],
          }),
        );
        const parts: Partial<Commit> = {
          forgottenDevices: ['device-1'],
          deviceFacts: [{ device: 'device-1', at: 9, attributes: { rev: 2 } }],
          tokens: [{ kind: 'put', token }],
        };
        await engine.commit(commitOf(2, [], parts));
        const { devices, tokens } = await reopen();
        expect(devices).toMatchObject([{ device: 'device-1', firstSeen: 9, attributes: { rev: 2 } }]);
        expect(tokens).toEqual([token]);
      });

      it('that only ever told facts leaves nothing behind', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [], { deviceFacts: [{ device: 'quiet', at: 5 }] }));
        await engine.commit(commitOf(2, [], { forgottenDevices: ['quiet'] }));
        await engine.commit(commitOf(3, [], { deviceFacts: [{ device: 'quiet', at: 7 }] }));
        expect((await reopen()).devices).toMatchObject([{ device: 'quiet', firstSeen: 7 }]);
      });
    });

    it('a refused commit leaves no token, session, command or removal behind', async () => {
      await engine.open();
      await engine.commit(commitOf(1, [[1, 1, 1]], { newSeries: newSeries(1), ...refused(3, 'stays') }));
      const token = { device: 'device-1', id: 't', hash: 'h', createdAt: 1, expiresAt: null };
      const parts: Partial<Commit> = {
        tokens: [{ kind: 'put', token }],
        sessions: [{ op: 'put', row: row('session', 'a', '', Uint8Array.of(1)) }],
        commands: [command('c', 1)],
        quarantineRemoved: [1],
        forgottenDevices: ['device-1'],
        newSeries: [{ id: 2, device: 'device-1', metric: 'other' }],
      };
      // The series does not exist, so the whole is refused.
      await expect(engine.commit(commitOf(2, [[99, 1, 1]], parts))).rejects.toThrow(CommitFailedError);
      await engine.commit(commitOf(2, [[1, 2, 1]]));
      const recovered = await reopen();
      expect(recovered).toMatchObject({ tokens: [], sessions: [], commands: [], devices: [{ device: 'device-1' }] });
      expect(await engine.reader.quarantined(1)).not.toBeNull();
      expect(recovered.series).toHaveLength(1);
    });

    describe('the quarantine', () => {
      it('keeps a refused message as it came', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [], refused(3, 'why')));
        await reopen();
        const [kept] = await engine.reader.quarantine({ limit: 5 });
        expect({ ...kept, payload: [...(kept?.payload ?? [])] }).toEqual({
          id: 1,
          receivedAt: 7,
          topic: 'devices/x/telemetry',
          payload: [65, 65, 65],
          client: null,
          sender: { device: 'device-1', forOthers: false },
          reason: 'payload_invalid',
          pointer: '/a',
          detail: 'why',
        });
      });

      it('gives back one message by its id, until it is removed, and no id is ever given twice', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [], refused(2_000, 'one')));
        await engine.commit(commitOf(2, [], refused(2_000, 'two')));
        expect(await engine.reader.quarantined(2)).toMatchObject({ id: 2, detail: 'two' });
        await engine.commit(commitOf(3, [], { quarantineRemoved: [2, 77] }));
        expect(await engine.reader.quarantined(2)).toBeNull();
        const { quarantineEntries, quarantineBytes } = await engine.reader.stats();
        await reopen();
        expect(await engine.reader.stats()).toMatchObject({ quarantineEntries: 1, quarantineBytes });
        expect([quarantineEntries, quarantineBytes < 2_500]).toEqual([1, true]);
        await engine.commit(commitOf(4, [], refused(5, 'three')));
        expect((await engine.reader.quarantine({ limit: 5 })).map(({ id }) => id)).toEqual([3, 1]);
      });

      it('is bounded by bytes: the oldest go, the newest stays whatever its size, ids go on', async () => {
        await engine.open();
        for (let seq = 1; seq <= 12; seq++) await engine.commit(commitOf(seq, [], refused(2_000, `n${seq}`)));
        const kept = await engine.reader.quarantine({ limit: 100 });
        expect(kept.map(({ id }) => id)).toEqual([12, 11, 10, 9]);
        const stats = await engine.reader.stats();
        expect(stats.quarantineEntries).toBe(4);
        expect(stats.quarantineBytes).toBeLessThanOrEqual(10_000);
        await reopen();
        expect((await engine.reader.stats()).quarantineBytes).toBe(stats.quarantineBytes);
        await engine.commit(commitOf(13, [], refused(50_000, 'large')));
        expect((await engine.reader.quarantine({ limit: 100 })).map(({ id }) => id)).toEqual([13]);
        expect(await engine.reader.quarantine({ limit: 100, before: 13 })).toEqual([]);
      });
    });

    describe('the log', () => {
      it('gives whole commits after a position, with their transitions and without identical readings', async () => {
        await engine.open();
        const of = alert('a1', { firedAt: 1 });
        await engine.commit(
          commitOf(
            1,
            [
              [1, 1, 1],
              [2, 1, 'x'],
            ],
            { newSeries: newSeries(2) },
          ),
        );
        await engine.commit(
          commitOf(
            2,
            [
              [1, 1, 1],
              [1, 2, true],
            ],
            { transitions: [transition('t1', of)] },
          ),
        );
        await engine.commit(commitOf(3, []));
        const page = await engine.reader.log({ after: 1, readingsMax: 10 });
        expect(page).toMatchObject({ last: 3, firstKept: 1 });
        expect(page.batches.map(({ seq, at }) => [seq, at])).toEqual([
          [2, 1_790_000_002_000],
          [3, 1_790_000_003_000],
        ]);
        expect(page.batches[0]?.readings).toMatchObject({ count: 1, series: new Uint32Array([1]), texts: [] });
        expect(page.batches[0]?.transitions).toEqual([transition('t1', of)]);
        expect(page.batches[1]?.transitions).toEqual([]);
        const all = await engine.reader.log({ after: 0, readingsMax: 1 });
        expect(all.batches.map(({ seq }) => seq)).toEqual([1]);
        expect(all.batches[0]?.readings.texts).toEqual(['x']);
        expect(await engine.reader.log({ after: 3, readingsMax: 10 })).toEqual({ batches: [], last: 3, firstKept: 1 });
      });

      it('remembers what was settled, oldest first, also over a reopen', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [], { settled: settledColumns([settledMessage(1), settledMessage(2)]) }));
        await engine.commit(
          commitOf(2, [[1, 1, 'text']], { settled: settledColumns([settledMessage(3)]), newSeries: newSeries(1) }),
        );
        expect((await reopen()).settled).toEqual([settledMessage(1), settledMessage(2), settledMessage(3)]);
      });

      it('is trimmed behind what is sealed and outside the window, and says from where it is kept', async () => {
        engine = make({ ...options(), resumeWindow: { ms: 20_000, bytes: 1 << 30 } });
        await engine.open();
        for (let seq = 1; seq <= 60; seq++) {
          await engine.commit(commitOf(seq, largeRows(seq), seq === 1 ? { newSeries: newSeries(1) } : {}));
        }
        const stats = await untilStats(engine, ({ firstKept }) => firstKept > 20);
        // Received a second apart, so twenty seconds back is the fortieth of sixty.
        expect(stats.firstKept).toBeLessThanOrEqual(40);
        const page = await engine.reader.log({ after: 0, readingsMax: 1 });
        // Trimming goes on behind the answers, never past the window.
        expect(page.firstKept).toBeGreaterThanOrEqual(stats.firstKept);
        expect(page.batches[0]?.seq).toBe(page.firstKept);
        expect(await allReadings(engine, 1)).toHaveLength(120_000);
        await reopen();
        const { firstKept } = await engine.reader.stats();
        expect(firstKept).toBeGreaterThanOrEqual(page.firstKept);
        expect(firstKept).toBeLessThanOrEqual(40);
        expect(await allReadings(engine, 1)).toHaveLength(120_000);
      });

      it('is bounded by bytes as well, whatever the time', async () => {
        engine = make({ ...options(), resumeWindow: { ms: 1e12, bytes: 300_000 } });
        await engine.open();
        for (let seq = 1; seq <= 100; seq++) {
          const rows = Array.from({ length: 1_000 }, (_, index) => [1, seq * 1_000 + index, index / 7] as const);
          await engine.commit(commitOf(seq, rows, seq === 1 ? { newSeries: newSeries(1) } : {}));
        }
        const stats = await untilStats(engine, ({ firstKept }) => firstKept > 50);
        expect(stats.firstKept).toBeLessThan(101);
        expect(stats.logReadings).toBe((101 - stats.firstKept) * 1_000);
      });
    });

    describe('sealing', () => {
      it('a slow series does not hold the log: part-filled heads are sealed by age', async () => {
        engine = make({ ...options(), resumeWindow: { ms: 5_000, bytes: 1 << 30 } });
        await engine.open();
        await engine.commit(commitOf(1, [[1, 1, 1]], { newSeries: newSeries(2) }));
        for (let seq = 2; seq <= 60; seq++) {
          await engine.commit(
            commitOf(
              seq,
              Array.from({ length: 1_000 }, (_, index) => [2, seq * 1_000 + index, index / 7] as const),
            ),
          );
        }
        // Series 1 has one reading, of the first commit, and nothing after it can go before it is sealed.
        expect((await engine.reader.stats()).firstKept).toBe(1);
        clock.advance(60_000 + 5_000);
        await untilStats(engine, ({ headReadings, firstKept }) => headReadings === 0 && firstKept > 30);
        expect(await allReadings(engine, 1)).toEqual([{ time: 1, value: 1 }]);
      });

      it('a read meanwhile sees each reading exactly once and everything acknowledged before it', async () => {
        await engine.open();
        let acknowledged = 0;
        const progress = { isDone: false };
        const write = async (): Promise<void> => {
          for (let seq = 1; seq <= 150; seq++) {
            const rows = Array.from({ length: 20 }, (_, index) => [1, (seq - 1) * 20 + index, seq] as const);
            await engine.commit(commitOf(seq, rows, seq === 1 ? { newSeries: newSeries(1) } : {}));
            acknowledged = seq * 20;
          }
          progress.isDone = true;
        };
        const read = async (order: 'asc' | 'desc'): Promise<number> => {
          let reads = 0;
          while (!progress.isDone) {
            const before = acknowledged;
            const page = await readingsOf(engine, { series: 1, from: 0, to: 1e9, order, limit: 10_000 });
            const times = page.map(({ time }) => time);
            if (order === 'desc') times.reverse();
            expect(times).toEqual(times.map((_, index) => index));
            expect(times.length).toBeGreaterThanOrEqual(before);
            const buckets = await plainBuckets(engine, { series: 1, from: 0, to: 1e9, width: 50, limit: 1_000 });
            const counts = buckets.map(({ values: [count] }) => Number(count));
            expect(counts.reduce((total, count) => total + count, 0)).toBeGreaterThanOrEqual(times.length);
            for (const count of counts.slice(0, -1)) expect(count).toBe(50);
            reads++;
          }
          return reads;
        };
        const [, ascending] = await Promise.all([write(), read('asc'), read('desc')]);
        expect(ascending).toBeGreaterThan(3);
        expect((await engine.reader.stats()).chunks).toBeGreaterThan(20);
        expect(await allReadings(engine, 1)).toHaveLength(3_000);
      });

      it('late readings that begin in the same millisecond as sealed ones do not overwrite them', async () => {
        await engine.open();
        await engine.commit(commitOf(1, spacedRows(0, 1), { newSeries: newSeries(1) }));
        await untilStats(engine, ({ headReadings }) => headReadings === 0);
        // Twice readings that are late, the second time beginning where the first did.
        await engine.commit(commitOf(2, [[1, 1_000, 9], ...spacedRows(1, 2)]));
        await untilStats(engine, ({ headReadings }) => headReadings === 0);
        await engine.commit(commitOf(3, [[1, 1_000, 8], ...spacedRows(2, 3)]));
        await untilStats(engine, ({ headReadings }) => headReadings === 0);
        await reopen();
        const all = await allReadings(engine, 1);
        expect(all).toHaveLength(3 * 64);
        expect(all.slice(0, 4)).toEqual([
          { time: 1_000, value: 8 },
          { time: 1_001, value: 2 },
          { time: 1_002, value: 3 },
          { time: 1_010, value: 1 },
        ]);
      });

      it('chunks with booleans, texts and numbers mixed are read like any other', async () => {
        await engine.open();
        const values = [true, 'open', 3.5, -0, false, 'öpen'];
        const rows = Array.from({ length: 200 }, (_, index) => [1, index, values[index % values.length] ?? 0] as const);
        await engine.commit(commitOf(1, rows, { newSeries: newSeries(1) }));
        await untilStats(engine, ({ headReadings }) => headReadings === 0);
        expect(await allReadings(engine, 1)).toEqual(rows.map(([, time, value]) => ({ time, value })));
        expect((await reopen()).series).toMatchObject([{ time: 199, value: rows[199]?.[2] }]);
      });

      it('the newest value keeps the sign of zero', async () => {
        await engine.open();
        await engine.commit(commitOf(1, [[1, 1, -0]], { newSeries: newSeries(1) }));
        clock.advance(120_000);
        await untilStats(engine, ({ headReadings }) => headReadings === 0);
        expect((await reopen()).series[0]?.value).toBe(-0);
      });
    });

    describe('pages', () => {
      it('of raw readings give every reading once, in both orders, whatever their size', async () => {
        await engine.open();
        const rows = Array.from({ length: 700 }, (_, index) => [1, index * 10, index] as const);
        await engine.commit(commitOf(1, rows, { newSeries: newSeries(1) }));
        await untilStats(engine, ({ headReadings }) => headReadings === 0);
        const late = Array.from({ length: 90 }, (_, index) => [1, index * 70 + 5, -index] as const);
        await engine.commit(commitOf(2, late));
        await fc.assert(
          fc.asyncProperty(fc.integer({ min: 20, max: 400 }), fc.constantFrom('asc', 'desc'), async (limit, order) => {
            const seen: number[] = [];
            let [from, to] = [0, 7_000];
            for (;;) {
              const page = await readingsOf(engine, { series: 1, from, to, order, limit });
              seen.push(...page.map(({ time }) => time));
              const last = page.at(-1);
              if (!last || page.length < limit) break;
              if (order === 'asc') from = last.time + 1;
              else to = last.time;
            }
            const expected = [...rows, ...late].map(([, time]) => time).sort((a, b) => a - b);
            expect(seen).toEqual(order === 'asc' ? expected : expected.reverse());
          }),
          { numRuns: 25 },
        );
      });
    });

    engineModelExam(() => ({ clock, engine, reopen }));
  });
}

function alert(id: string, parts: { firedAt: number; device?: string }): Alert {
  return {
    id,
    rule: { id: 'r1', name: 'too high' },
    device: parts.device ?? 'device-1',
    metric: 'value',
    severity: 'critical',
    state: 'firing',
    value: 130.5,
    threshold: 120,
    startedAt: 1,
    firedAt: parts.firedAt,
    resolvedAt: null,
    reason: null,
  };
}

function transition(id: string, of: Alert): Transition {
  return {
    id,
    type: of.state === 'firing' ? 'alert.firing' : 'alert.resolved',
    sequence: 1,
    at: of.firedAt,
    alert: of,
  };
}

function delivery(id: string, webhookId: string): Delivery {
  return {
    id,
    webhookId,
    type: 'alert.firing',
    orderKey: 'r1 device-1 value',
    sequence: 3,
    body: '{"type":"alert.firing"}',
    createdAt: 99,
  };
}

function attempt(deliveryId: string, number: number, parts: Partial<Attempt>): Attempt {
  return {
    deliveryId,
    webhookId: 'w1',
    number,
    startedAt: 1_000 + number,
    durationMs: 12.5,
    outcome: 'retry',
    status: null,
    error: null,
    excerpt: 'ok',
    nextAttemptAt: null,
    ...parts,
  };
}

function alertState(phase: AlertState['phase'], of: Alert | null): AlertState {
  return {
    ruleId: 'r1',
    device: 'device-1',
    metric: 'value',
    phase,
    since: null,
    sinceReceived: null,
    value: null,
    alert: of,
    sequence: 1,
  };
}

function refused(size: number, detail: string): Partial<Commit> {
  const payload = new Uint8Array(size).fill(65);
  const common = {
    receivedAt: 7,
    topic: 'devices/x/telemetry',
    client: null,
    sender: { device: 'device-1', forOthers: false },
    reason: 'payload_invalid',
    pointer: '/a',
  };
  return { quarantine: [{ ...common, payload, detail }] };
}

function deviceToken(device: string, id: string, expiresAt: number | null = null): DeviceToken {
  return { device, id, hash: `hash of ${id}`, createdAt: 5, expiresAt };
}

function row(kind: SessionKind, client: string, key: string, bytes: Uint8Array): SessionRow {
  return { kind, client, key, bytes };
}

function command(id: string, createdAt: number, device = 'device-1'): Command {
  return {
    id,
    device,
    name: 'restart',
    params: { after: [1, null, 'ä'] },
    state: 'queued',
    result: null,
    createdAt,
    expiresAt: createdAt + 1_000,
    sentAt: null,
    settledAt: null,
  };
}

function settledMessage(packetId: number): SettledMessage {
  return { client: packetId % 2 === 0 ? 'even' : 'ödd', packetId, hash: Number.MAX_SAFE_INTEGER - packetId };
}

/** So many that trimming their commit is worth its while. */
function largeRows(seq: number): Row[] {
  return Array.from({ length: 2_000 }, (_, index) => [1, seq * 10_000 + index, Math.sqrt(seq * 10_000 + index)]);
}

/** Every ten milliseconds from 1,000 + `offset` on. */
function spacedRows(offset: number, value: number): Row[] {
  return Array.from({ length: 64 }, (_, index) => [1, 1_000 + index * 10 + offset, value]);
}
