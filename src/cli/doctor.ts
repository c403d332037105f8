import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { loadConfig } from '../config/load.ts';
import { EngineOpenError } from '../history/engine.ts';
import { type DataLock, lockDataFolder } from '../storage/data-lock.ts';
import { Doctor } from '../storage/sqlite/safekeeping/doctor.ts';
import { setAside } from '../storage/sqlite/safekeeping/doctor-repair.ts';
import { type OlderCopy, olderCopies } from '../storage/sqlite/safekeeping/older-copies.ts';
import type { Finding } from '../storage/sqlite/safekeeping/finding.ts';
import { openForExamination, openForWriting, StoreRefusedError } from '../storage/sqlite/schema.ts';
import { flagPaths, type GatewayFlags } from './gateway-flags.ts';
import { countText, Progress } from './transfer/progress.ts';

export interface DoctorFlags extends GatewayFlags {
  readonly repair?: boolean;
  readonly json?: boolean;
}

/** `pulsegate doctor`: says what of a store is damaged. The exit code is 0 when nothing is, 1 otherwise. */
export async function doctor(flags: DoctorFlags): Promise<void> {
  const config = loadConfig({ file: flags.config, env: process.env, flags: flagPaths(flags) });
  const { dir } = config.data;
  const path = join(dir, 'pulsegate.db');
  if (!existsSync(path)) throw new StoreRefusedError(`There is no database at ${path}; --data says where it is.`);
  const lock = await lockUnlessHeld(dir, flags.repair ?? false);
  try {
    const { findings, summary } = examine(path, lock !== null);
    const copies = await olderCopies(dir);
    if (flags.json) console.log(JSON.stringify({ ...summary, copies, findings }, null, 2));
    else console.log([told(findings, summary), ...copies.map(copyLine)].join('\n'));
    if (findings.length === 0) return;
    process.exitCode = 1;
    if (flags.repair) console.error(repair(path, findings));
    else if (!flags.json && findings.some(isMendable)) {
      console.log('"pulsegate doctor --repair" sets aside what is damaged, so that the gateway goes on with the rest.');
    }
  } finally {
    lock?.release();
  }
}

/** Null when a gateway holds the folder, which only a repair minds. */
async function lockUnlessHeld(dir: string, isNeeded: boolean): Promise<DataLock | null> {
  try {
    return await lockDataFolder(dir);
  } catch (error) {
    if (!(error instanceof EngineOpenError) || isNeeded) throw error;
    return null;
  }
}

interface Summary {
  readonly commits: number;
  readonly chunks: number;
  readonly readings: number;
  readonly rollups: number;
}

function examine(path: string, isQuiet: boolean): { readonly findings: readonly Finding[]; readonly summary: Summary } {
  const database = openForExamination(path);
  const progress = new Progress({ out: process.stderr, clock: systemClock, noun: 'readings' });
  try {
    const patient = new Doctor(database, { isQuiet });
    const findings: Finding[] = [];
    for (const finding of patient.examine()) {
      if (finding) findings.push(finding);
      progress.update({ count: patient.examined.readings, share: null });
    }
    return { findings, summary: patient.examined };
  } finally {
    progress.end();
    database.close();
  }
}

function repair(path: string, findings: readonly Finding[]): string {
  for (const finding of findings) if (finding.kind === 'mode') chmodSync(finding.file, 0o600);
  if (findings.some(({ kind }) => kind === 'file')) {
    return 'The file itself is damaged, which cannot be mended in place: "pulsegate restore" a backup into another folder.';
  }
  const aside = `${path.replace(/\.db$/, '')}.damaged-${new Date(systemClock.now()).toISOString().replace(/[-:]|\.\d+/g, '')}.ndjson`;
  const database = openForWriting(path, { busyTimeoutMs: 0, pagesMax: null });
  try {
    const rows = setAside(database, findings, aside);
    return rows === 0
      ? 'Mended; nothing is lost.'
      : `Set aside ${countText(rows)} ${rows === 1 ? 'row' : 'rows'} in ${aside}. What is said of them above is lost to the gateway, which starts with the rest.`;
  } finally {
    database.close();
  }
}

function isMendable({ kind }: Finding): boolean {
  return kind !== 'file';
}

function told(findings: readonly Finding[], { commits, chunks, readings, rollups }: Summary): string {
  const examined = `${countText(chunks)} chunks with ${countText(readings)} readings, ${countText(rollups)} rollups and ${countText(commits)} commits of the log`;
  if (findings.length === 0) return `Healthy: ${examined}.`;
  return [...findings.map(lineOf), `Looked at ${examined}: ${countText(findings.length)} found.`].join('\n');
}

/** Not a fault: whoever deletes readings has to know of it. */
function copyLine({ file, bytes }: OlderCopy): string {
  return `${file} (${countText(bytes)} bytes) was made before an upgrade: it still holds readings that were deleted since. Delete it once nobody wants to go back.`;
}

function lineOf(finding: Finding): string {
  switch (finding.kind) {
    case 'file':
      return `The file is damaged: ${finding.detail}`;
    case 'chunk': {
      const { device, metric, firstTime, lastTime, readings, detail } = finding;
      return `${device}/${metric}: ${countText(readings)} readings from ${moment(firstTime)} to ${moment(lastTime)} cannot be told: ${detail}`;
    }
    case 'commit': {
      const { seq, at, readings, isNeeded, detail } = finding;
      const lost = isNeeded
        ? `up to ${countText(readings)} readings that are in no chunk yet are lost, and the gateway does not start`
        : 'its readings are in chunks; only clients that resume miss it';
      return `Commit ${countText(seq)} of ${moment(at)}: ${lost}: ${detail}`;
    }
    case 'rollup': {
      const { device, metric, tier, from, to, detail } = finding;
      return `${device}/${metric}: what was summed up by the ${tier} from ${moment(from)} to ${moment(to)} cannot be told: ${detail}`;
    }
    case 'total':
      return `The total of ${finding.name} says ${countText(finding.kept)}, and there are ${countText(finding.counted)}.`;
    default:
      return `${finding.file}: ${finding.detail}`;
  }
}

function moment(time: number): string {
  return new Date(time).toISOString();
}
