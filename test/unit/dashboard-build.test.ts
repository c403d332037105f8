import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuiltDashboard, buildDashboard } from '../../src/dashboard/build.ts';

/** What a first visit may weigh, bytes of gzip. */
const budget = { js: 80 * 1024, css: 12 * 1024 };

describe('the built page', () => {
  let folder: string;
  let built: BuiltDashboard;
  let html: string;
  let assets: { readonly name: string; readonly text: string; readonly gzip: number }[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pulsegate-dashboard-'));
    built = await buildDashboard({ dir: join(folder, 'dist') });
    html = await readFile(join(built.dir, 'index.html'), 'utf8');
    const names = await readdir(join(built.dir, 'assets'));
    assets = await Promise.all(
      names.map(async (name) => {
        const bytes = await readFile(join(built.dir, 'assets', name));
        return { name, text: bytes.toString('utf8'), gzip: gzipSync(bytes, { level: 9 }).length };
      }),
    );
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  function weight(end: string): number {
    return assets.filter(({ name }) => name.endsWith(end)).reduce((total, { gzip }) => total + gzip, 0);
  }

  test('weighs no more than its budget', () => {
    console.log(`dashboard: ${weight('.js')} bytes of script and ${weight('.css')} of style, gzip`);
    expect(weight('.js')).toBeGreaterThan(0);
    expect(weight('.js')).toBeLessThanOrEqual(budget.js);
    expect(weight('.css')).toBeGreaterThan(0);
    expect(weight('.css')).toBeLessThanOrEqual(budget.css);
  });

  test('has nothing inline that a policy of only its own files would refuse', () => {
    for (const [, attributes = '', body = ''] of html.matchAll(/<script\b([^>]*)>([\s\S]*?)<\/script>/g)) {
      expect(attributes).toMatch(/\bsrc="/);
      expect(body.trim()).toBe('');
    }
    expect(html).toMatch(/<script\b/);
    expect(html).not.toMatch(/<style\b/);
    expect(html).not.toMatch(/\s(style|on\w+)\s*=/i);
    expect([html, ...assets.map(({ text }) => text)].some((text) => text.includes('data:image'))).toBe(false);
  });

  test('asks only for its own files, by relative addresses and under names that change with their bytes', async () => {
    const links = [...html.matchAll(/\b(?:src|href)="([^"]+)"/g)].map(([, link = '']) => link);
    const files = links.filter((link) => link.startsWith('./'));
    expect(links.filter((link) => /^([a-z]+:|\/)/i.test(link))).toEqual([]);
    expect(files.length).toBeGreaterThanOrEqual(3);
    for (const file of files) {
      expect(file).toMatch(/^\.\/assets\/[\w-]+-[\w-]{8}\.\w+$/);
      expect((await stat(join(built.dir, file))).isFile()).toBe(true);
    }
    for (const { name, text } of assets) {
      expect(text.match(/url\(["']?https?:/i), name).toBeNull();
    }
  });

  test('takes only types from the contract: no schema reaches the browser', () => {
    for (const { text } of assets) expect(text).not.toMatch(/ZodError|zod-to|discriminatedUnion/);
  });

  test('follows the system between light and dark, and the toggle over it', () => {
    const css = assets.find(({ name }) => name.endsWith('.css'))?.text ?? '';
    expect(css).toContain('light-dark(');
    expect(css).toMatch(/\[data-theme=["']?dark["']?\]/);
    expect(css).toContain('prefers-reduced-motion');
  });

  test('is not built again while its sources are the same', async () => {
    const before = (await stat(join(built.dir, 'index.html'))).mtimeMs;
    expect(built.built).toBe(true);
    expect(await buildDashboard({ dir: built.dir })).toEqual({ dir: built.dir, built: false });
    expect((await stat(join(built.dir, 'index.html'))).mtimeMs).toBe(before);
  });

  test('leaves nothing half built beside it', async () => {
    await buildDashboard({ dir: built.dir, force: true });
    expect(await readdir(folder)).toEqual(['dist']);
  });
});

describe('the palette', () => {
  test('has AA contrast for every text colour on every ground it stands on, in both themes', async () => {
    const css = await readFile(new URL('../../src/dashboard/styles/tokens.css', import.meta.url), 'utf8');
    const tokens = new Map(
      [...css.matchAll(/--([\w-]+):\s*light-dark\((#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\)/g)].map(
        ([, name, light, dark]) => [name, [light ?? '', dark ?? '']],
      ),
    );
    const pairs: [string, string][] = [
      ...['text', 'text-soft', 'text-quiet', 'accent', 'good', 'critical', 'warning', 'info'].flatMap(
        (text): [string, string][] => [
          [text, 'surface'],
          [text, 'ground'],
        ],
      ),
      ['text-quiet', 'raised'],
      ['text-soft', 'raised'],
      ['text', 'warning-ground'],
      ['text', 'critical-ground'],
      ['text-quiet', 'critical-ground'],
      ['critical', 'critical-ground'],
      ['accent', 'accent-ground'],
      ['on-accent', 'accent'],
      ['on-accent', 'critical'],
    ];
    for (const [text, ground] of pairs) {
      for (const theme of [0, 1]) {
        const ratio = contrast(tokens.get(text)?.[theme] ?? '', tokens.get(ground)?.[theme] ?? '');
        expect(ratio, `${text} on ${ground}, ${theme === 0 ? 'light' : 'dark'}`).toBeGreaterThanOrEqual(4.5);
      }
    }
    for (const line of ['chart-line', 'edge-strong']) {
      for (const theme of [0, 1]) {
        const ratio = contrast(tokens.get(line)?.[theme] ?? '', tokens.get('surface')?.[theme] ?? '');
        expect(ratio, `${line} on surface`).toBeGreaterThanOrEqual(3);
      }
    }
  });
});

/** Relative luminance, WCAG 2.2. */
function luminance(hex: string): number {
  const channels = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
  const [red = 0, green = 0, blue = 0] = channels.map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].toSorted((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}
