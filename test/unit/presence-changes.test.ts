import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceFact, DeviceRecord, StatusCause, StatusChange } from '../../src/domain/device.ts';
import { PipelineRig, settle } from '../support/pipeline-rig.ts';

// Which status changes a commit carries, and which deliveries are planned in it.

let rig: PipelineRig;
/** The changes of every plan that was asked for, commit by commit. */
let planned: (readonly StatusChange[])[];

beforeEach(() => {
  rig = new PipelineRig();
  planned = [];
  rig.plan = (_, __, changes) => {
    planned.push(changes);
    return [];
  };
});

function fact(device: string, status: 'online' | 'offline', cause?: StatusCause): DeviceFact {
  return { device, at: rig.clock.now(), status, cause };
}

async function commit(...facts: readonly DeviceFact[]): Promise<string[]> {
  for (const one of facts) rig.submit('fact', { facts: [one] });
  await settle();
  return (planned.at(-1) ?? []).map(
    ({ device, status, cause, previous }) => `${device} ${previous}>${status} ${cause}`,
  );
}

function known(device: string, status: 'online' | 'offline'): DeviceRecord {
  const base = { device, firstSeen: 1, lastSeen: 1, statusAt: 1, statusCause: null };
  return { ...base, status, attributes: {}, clockCorrected: 0, provisioned: null };
}

describe('a status', () => {
  it('changes once, however often it is said', async () => {
    expect(await commit(fact('a', 'online', 'connected'))).toEqual(['a null>online connected']);
    expect(await commit(fact('a', 'online', 'reported'))).toEqual([]);
    expect(await commit(fact('a', 'offline'), fact('b', 'online', 'heard'))).toEqual([
      'a online>offline reported',
      'b null>online heard',
    ]);
  });

  it('that comes and goes within one commit has not changed', async () => {
    await commit(fact('a', 'online', 'connected'));
    expect(await commit(fact('a', 'offline', 'connection_lost'), fact('a', 'online', 'connected'))).toEqual([]);
    expect(rig.store.commits.at(-1)?.deviceFacts).toHaveLength(2);
  });

  it('that connections and silence tell of what is known is not worth a row; what devices say is', async () => {
    await commit(fact('a', 'offline', 'reported'));
    const commits = rig.store.commits.length;
    await commit(fact('a', 'offline', 'connection_lost'));
    expect(rig.store.commits).toHaveLength(commits);
    await commit(fact('a', 'offline', 'reported'));
    expect(rig.store.commits).toHaveLength(commits + 1);
  });

  it('of before a restart is confirmed without being told again, and changes when it is another', async () => {
    rig.pipeline.load([known('a', 'online'), known('b', 'online')]);
    expect(await commit(fact('a', 'online', 'heard'), fact('b', 'offline', 'silent'))).toEqual([
      'b online>offline silent',
    ]);
    expect(rig.store.commits.at(-1)?.deviceFacts).toHaveLength(2);
    const commits = rig.store.commits.length;
    await commit(fact('a', 'online', 'heard'));
    expect(rig.store.commits).toHaveLength(commits);
  });

  it('has not changed when the commit failed', async () => {
    rig.store.failures.push({ kind: 'wait' });
    expect(await commit(fact('a', 'online', 'connected'))).toEqual(['a null>online connected']);
    rig.clock.advance(10_000);
    await settle();
    expect(await commit(fact('a', 'online', 'connected'))).toEqual(['a null>online connected']);
  });

  it('of a device that was forgotten is unknown again', async () => {
    await commit(fact('a', 'online', 'connected'));
    rig.submit('forget', { changes: { forgottenDevices: ['a'] } });
    await settle();
    expect(planned.at(-1)).toEqual([]);
    expect(await commit(fact('a', 'online', 'connected'))).toEqual(['a null>online connected']);
  });
});
