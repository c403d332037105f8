import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tempFolder } from '../support/temp-folder.ts';

const module = new URL('../../src/storage/sqlite/threads/thread-source.ts', import.meta.url).href;
let folder: ReturnType<typeof tempFolder>;

beforeEach(() => {
  folder = tempFolder();
  write('entry.ts', "import { two } from './two.ts';\nexport const one: number = two;\n");
  write('two.ts', 'export const two: number = 2;\n');
});

afterEach(() => folder.remove());

function write(name: string, text: string): void {
  writeFileSync(join(folder.path, name), text);
}

/** What a new process, which keeps compiled code, finds the sources of the threads to be: the text of each file. */
function sources(): readonly string[] {
  const entry = pathToFileURL(join(folder.path, 'entry.ts')).href;
  const script = `
    const { threadSources } = await import(${JSON.stringify(module)});
    console.log(JSON.stringify([...threadSources(new URL(${JSON.stringify(entry)})).values()]));`;
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder.path, 'cache') };
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { env, encoding: 'utf8' });
  return JSON.parse(said) as readonly string[];
}

function keptFile(): string {
  const [name = ''] = readdirSync(join(folder.path, 'cache'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('storage-threads.json'),
  );
  return join(folder.path, 'cache', name);
}

describe('the code of the storage threads', () => {
  it('is what the entry imports, without types', () => {
    const [entry, two] = sources();
    expect(entry).toMatch(/export const one {9}= two;/);
    expect(two).toMatch(/export const two {9}= 2;/);
  });

  it('is taken from where an earlier start kept it while the files stay the same', () => {
    sources();
    const kept = keptFile();
    writeFileSync(kept, readFileSync(kept, 'utf8').replace('= 2;', '= 3;'));
    expect(sources()[1]).toContain('= 3;');
  });

  it('is made anew when one of the files has changed', () => {
    sources();
    write('two.ts', 'export const two: number = 4;\n');
    expect(sources()[1]).toContain('= 4;');
  });

  it('is made anew when what was kept is damaged', () => {
    sources();
    writeFileSync(keptFile(), '[["');
    expect(sources()[1]).toContain('= 2;');
  });
});
