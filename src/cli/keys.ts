import { newKey } from '../access/keys.ts';
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { Catalog } from '../catalog/catalog.ts';
import { loadConfig } from '../config/load.ts';
import { lockDataFolder } from '../storage/data-lock.ts';
import { flagPaths, type GatewayFlags } from './gateway-flags.ts';
import { createLog } from './logger.ts';

/** `pulsegate keys create NAME`: writes the key's hash to secrets.json and shows the key, which nothing keeps. */
export async function createKey(name: string, flags: GatewayFlags): Promise<void> {
  const config = loadConfig({ file: flags.config, env: process.env, flags: flagPaths(flags) });
  const lock = await lockDataFolder(config.data.dir);
  try {
    const catalog = await Catalog.open({
      dir: config.data.dir,
      clock: systemClock,
      random: systemRandom,
      log: createLog('warn'),
    });
    const { key, record } = newKey(systemRandom, { name, createdAt: new Date(systemClock.now()).toISOString() });
    await catalog.addKey(record);
    await catalog.close();
    console.log(key);
    console.error('This is shown once. HTTP: "Authorization: Bearer <key>"; MQTT: any user name, the key as password.');
  } finally {
    lock.release();
  }
}
