import { catalogFiles } from '../catalog/backup-files.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Engine } from '../history/engine.ts';
import { BackupArchive } from '../storage/backup-archive.ts';
import type { Surroundings } from './surroundings.ts';

/** Backups of what this gateway keeps. */
export function buildBackup(
  { config, clock, random, version }: Pick<Surroundings, 'config' | 'clock' | 'random' | 'version'>,
  { engine, catalog }: { readonly engine: Pick<Engine, 'backup'>; readonly catalog: Catalog },
): BackupArchive {
  const { dir } = config.data;
  return new BackupArchive({
    dir,
    engine,
    decisions: () => catalogFiles(dir, catalog.snapshot().registrations.values()),
    clock,
    random,
    version,
  });
}
