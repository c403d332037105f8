import { z } from 'zod';

/** `POST /backup`: the answer itself is the backup. */
export const backupMediaType = 'application/x-tar';
export const Backup = z.string().meta({
  id: 'Backup',
  format: 'binary',
  description: 'A tar file; its last member, manifest.json, says what is in it',
});
