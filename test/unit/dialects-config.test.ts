import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { loadMappings, mappingFiles } from '../support/mapping-files.ts';
import { tempFolder } from '../support/temp-folder.ts';

it('a mapping with faults stops the start, and each fault is named with its place', () => {
  const folder = tempFolder();
  const file = join(folder.path, 'config.yaml');
  const metrics = '[{ path: /t, metric: "{room}" }]';
  writeFileSync(
    file,
    `ingest:\n  mappings:\n    - { name: mine, topic: "x/{device}", device: "{dev}", metrics: ${metrics} }\n`,
  );
  expect(() => loadConfig({ file })).toThrow(
    /ingest\.mappings\.0\.device: "\{dev\}"[^]*ingest\.mappings\.0\.metrics\.0\.metric: "\{room\}"/,
  );
  folder.remove();
});

it.each(mappingFiles())('config/mappings/%s.yaml can be given as the configuration', (name) => {
  const file = fileURLToPath(new URL(`../../config/mappings/${name}.yaml`, import.meta.url));
  expect(loadConfig({ file }).ingest.mappings).toEqual(loadMappings(name));
});
