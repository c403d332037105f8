import { existsSync } from 'node:fs';

const places = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** The browser that the end-to-end tests drive, if there is one. */
export function findBrowser(): string | undefined {
  return places.find((place) => place !== undefined && existsSync(place));
}

/** The browser, or an error that says how to get one: a test never passes by not running. */
export function requireBrowser(): string {
  const browser = findBrowser();
  if (browser === undefined) {
    throw new Error('no Chromium found: install it (Debian: apt-get install chromium) or set CHROMIUM_PATH');
  }
  return browser;
}

/** Options with which Chromium starts in a container and keeps to itself. */
export const browserArgs: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
