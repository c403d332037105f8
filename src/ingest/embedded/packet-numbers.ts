import { createRequire } from 'node:module';

/**
 * With the first packet that it writes, the package that aedes writes packets with makes a buffer for each number from 0
 * to 65,535, in case one is needed: 8 MB that a gateway carries for as long as it runs. Without them it makes the two
 * bytes when it writes them. The package is taken from where aedes takes it.
 */
export function makeNoNumbersAhead(): void {
  const ours = createRequire(import.meta.url);
  const writer: unknown = createRequire(ours.resolve('aedes'))('mqtt-packet/writeToStream');
  if (typeof writer === 'function' && 'cacheNumbers' in writer) writer.cacheNumbers = false;
}
