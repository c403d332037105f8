import { spawnSync } from 'node:child_process';
import { tempFolder } from './temp-folder.ts';

/** A file system of its own that is full after a few megabytes. */
export interface SmallDisk {
  readonly path: string;
  /** Takes it away with everything on it. */
  remove(): void;
}

/**
 * Mounts a tmpfs of `bytes`, by root or by sudo without a password. Throws where neither may: what these tests show
 * cannot be shown otherwise, and passing them over would look as if it had been.
 */
export function smallDisk(bytes: number): SmallDisk {
  const folder = tempFolder();
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const options = `size=${bytes},mode=0700,uid=${uid},gid=${gid}`;
  const asRoot = (...command: readonly string[]): ReturnType<typeof spawnSync> =>
    uid === 0 ? spawnSync(command[0], command.slice(1)) : spawnSync('sudo', ['-n', ...command]);
  const mounted = asRoot('mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder.path);
  if (mounted.status !== 0) {
    folder.remove();
    const reason = mounted.error?.message ?? String(mounted.stderr).trim();
    throw new Error(
      `A small file system is needed and cannot be mounted (${reason}): run the tests as root or with sudo.`,
    );
  }
  return {
    path: folder.path,
    remove() {
      const unmounted = asRoot('umount', folder.path);
      // Somebody may still have a file open: it goes with the last of them.
      if (unmounted.status !== 0) asRoot('umount', '-l', folder.path);
      folder.remove();
    },
  };
}
