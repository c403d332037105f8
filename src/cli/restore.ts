import { systemRandom } from '../base/random.ts';
import { loadConfig } from '../config/load.ts';
import { restoreBackup } from '../storage/backup-restore.ts';
import { flagPaths, type GatewayFlags } from './gateway-flags.ts';
import { countText } from './transfer/progress.ts';

/** `pulsegate restore`: makes a data folder of a backup. */
export async function restore(file: string, flags: GatewayFlags): Promise<void> {
  const config = loadConfig({ file: flags.config, env: process.env, flags: flagPaths(flags) });
  const { dir } = config.data;
  const { madeAt, program, seq, files } = await restoreBackup(file, dir, systemRandom);
  for (const { name, bytes } of files) console.log(`${name.padEnd(14)} ${countText(bytes).padStart(16)} bytes`);
  console.log(
    `Restored into ${dir}: everything up to commit ${countText(seq)}, as of ${madeAt}, made by Pulsegate ${program}. Every checksum was right.`,
  );
  console.log('Cursors from before the restore meet a gap, once. "pulsegate start" goes on from here.');
}
