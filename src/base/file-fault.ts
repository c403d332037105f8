import { messageOf } from './errors.ts';

/** errno(3), as a person at a terminal would say it. */
const faults: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EISDIR: 'it is a folder',
  ENOTDIR: 'what should be a folder on the way to it is a file',
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the disk is read-only',
};

/** Whether a file, or the disk it lies on, is why this was thrown. */
export function isFileFault(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && 'code' in thrown && Object.hasOwn(faults, String(thrown.code));
}

/** What is wrong with a file: the second half of a sentence that names it. */
export function fileFault(thrown: unknown): string {
  return isFileFault(thrown) ? faults[String(thrown.code)] : messageOf(thrown);
}
