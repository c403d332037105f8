// A whole gateway, and strangers on its MQTT, WebSocket and HTTP sides who say what is nearly right: the process lives
// without a complaint, keeps no memory of it, accounts for every message, and serves a healthy device all the while.
// `npm run fuzz` says a million packets. A finding prints its seed: FUZZ_SEED=… says the same again.
import { expect, it } from 'vitest';
import { seedOf } from '../fuzz/seed.ts';
import { fuzzSocket } from '../fuzz/socket-run.ts';

it('thirty thousand packets and requests that are nearly right hurt neither the gateway nor a healthy device', async () => {
  const { summary, faults } = await fuzzSocket({ packets: 30_000, seed: seedOf(process.env.FUZZ_SEED) });
  expect(faults, summary).toEqual([]);
});
