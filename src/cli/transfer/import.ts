import { stat } from 'node:fs/promises';
import { systemClock } from '../../base/clock.ts';
import { fileFault } from '../../base/file-fault.ts';
import { systemRandom } from '../../base/random.ts';
import { ImportFileError } from '../device-table.ts';
import { FileImport } from './file-import.ts';
import { type ClientFlags, GatewayClient } from '../gateway-client.ts';
import { markPathOf, readMark } from './import-mark.ts';
import { countText, spanText } from './progress.ts';
import { importFormats } from './row-readings.ts';

/* `pulsegate import`: the readings of a file, over REST, in constant memory. */

export interface ImportFlags extends ClientFlags {
  readonly format?: string;
  readonly precision: string;
  readonly refused?: string;
}

const precisions = ['ns', 'us', 'ms', 's'] as const;

/**
 * Sends the readings of `file` (`-`: standard input) to the gateway. What is acknowledged stands in `FILE.progress`, from
 * which the same command goes on when it was ended; what is refused goes to `FILE.refused` with line and reason, and the
 * exit code is then 1. Sending a reading again changes nothing, so a file may be imported twice.
 */
export async function importReadings(file: string, flags: ImportFlags): Promise<void> {
  const isFile = file !== '-';
  const size = isFile ? await sizeOf(file) : null;
  const mark = isFile ? await readMark(file) : null;
  if (mark) {
    console.error(
      `Going on at line ${countText(mark.line)} of ${file}; without ${markPathOf(file)} it begins at the first.`,
    );
  }
  const work = new FileImport({
    file,
    size,
    mark,
    format: flags.format === undefined ? null : oneOf(importFormats, flags.format, '--format'),
    precision: oneOf(precisions, flags.precision, '--precision'),
    refusedPath: flags.refused ?? `${isFile ? file : 'import'}.refused`,
    gateway: new GatewayClient(flags, process.env),
    out: process.stderr,
    clock: systemClock,
    random: systemRandom,
  });
  const onInterrupt = (): void => work.stop();
  // Of standard input there is nothing to go on with.
  if (isFile) process.once('SIGINT', onInterrupt);
  const tally = await work.run();
  process.off('SIGINT', onInterrupt);
  const { stored, replaced, identical, refused } = tally;
  const where = refused === 0 ? '' : ` (${work.refusedPath} says why)`;
  const counts = `${countText(stored)} stored, ${countText(replaced)} replaced, ${countText(identical)} identical`;
  console.log(`${counts}, ${countText(refused)} refused${where}, in ${spanText(work.elapsed)}.`);
  if (refused === 0) return;
  process.exitCode = 1;
  if (stored + replaced + identical === 0) {
    console.error(`Nothing of it could be read as ${work.format}; --format says what else it is.`);
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    throw new ImportFileError(`${file} cannot be read: ${fileFault(error)}.`);
  }
}

function oneOf<T extends string>(names: readonly T[], asked: string, option: string): T {
  const known = names.find((name) => name === asked);
  if (known !== undefined) return known;
  throw new ImportFileError(`${option} ${asked}: there are ${names.join(', ')}.`);
}
