import { RejectedError } from '../base/errors.ts';
import { isDeviceId } from '../domain/series.ts';

/**
 * The device id for a name that a ThingsBoard gateway uses: each character that ids do not have becomes `-`, what does not
 * begin an id falls off the front, and 64 characters are kept. "Device A" is `Device-A`. Two names that differ in nothing
 * else are one device. Throws `device_invalid` when nothing is left.
 */
export function thingsboardDeviceId(name: string, pointer: string): string {
  const id = name
    .slice(0, 256)
    .replaceAll(/[^A-Za-z0-9._:-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64);
  if (isDeviceId(id)) return id;
  throw new RejectedError('device_invalid', 'a device name needs a letter or a digit', { pointer });
}
