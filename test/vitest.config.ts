import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    testTimeout: 20_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    // Most wait for processes, sockets and browsers most of the time: two at once also where there are two cores.
    maxWorkers: 2,
    passWithNoTests: false,
    allowOnly: false,
  },
});
