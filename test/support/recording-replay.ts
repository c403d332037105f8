import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const simulator = fileURLToPath(new URL('../../simulator/main.ts', import.meta.url));

const Tally = z.object({
  sent: z.int(),
  acked: z.int(),
  inFlight: z.int(),
  readings: z.int(),
  errors: z.int(),
  recording: z.object({ rows: z.int(), readings: z.int(), distinct: z.int(), complete: z.boolean() }),
});

/** What the simulator says it did. */
export type ReplayTally = z.output<typeof Tally>;

/** Replays a recording of `test/data` with the simulator as a process of its own; rejects unless all was acknowledged. */
export async function replayRecording(name: string, url: string, args: readonly string[]): Promise<ReplayTally> {
  const child = spawn(process.execPath, [simulator, 'replay', recordingPath(name), '--url', url, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await once(child, 'close');
  if (child.exitCode !== 0) throw new Error(`the replay ended with ${child.exitCode}: ${stderr}`);
  return Tally.parse(JSON.parse(stdout.trim()));
}

/** The lines of a recording as they stand in the file. */
export function recordingLines(name: string): string[] {
  return readFileSync(recordingPath(name), 'utf8').trimEnd().split('\n');
}

function recordingPath(name: string): string {
  return fileURLToPath(new URL(`../data/${name}`, import.meta.url));
}
