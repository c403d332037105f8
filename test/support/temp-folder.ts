import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder of its own; `remove` it at the end of the test. */
export function tempFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'pulsegate-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
