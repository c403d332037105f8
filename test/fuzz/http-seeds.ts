import { gzipSync } from 'node:zlib';
import { loadMappings } from '../support/mapping-files.ts';
import type { Mutator } from './mutator.ts';
import { casesOf, posted, postedLines } from './seeds.ts';

interface Way {
  readonly target: string;
  readonly headers: readonly string[];
  readonly bodies: readonly Buffer[];
}

const json = 'Content-Type: application/json';
const lines = casesOf('influx').map(({ payload }) => payload);
const texts = (...bodies: readonly string[]): readonly Buffer[] => bodies.map((body) => Buffer.from(body));

/** Where bodies of strangers are taken. `provisioningKey` opens the one place that wants a key. */
export function httpWays(provisioningKey: string): readonly Way[] {
  const [mapping] = loadMappings('zigbee2mqtt');
  return [
    { target: '/api/v1/readings', headers: [json], bodies: posted },
    { target: '/api/v1/readings?partial=true', headers: ['Content-Type: application/x-ndjson'], bodies: postedLines },
    { target: '/api/v2/write?precision=ms&bucket=b', headers: ['Authorization: Token any'], bodies: lines },
    {
      target: '/api/v2/write',
      headers: ['Content-Encoding: gzip'],
      bodies: [...lines.map((line) => gzipSync(line)), gzipSync(Buffer.alloc(16 * 1_048_576, 'a'))],
    },
    { target: '/write?db=x&precision=s&partial=true', headers: [], bodies: lines },
    {
      target: '/api/v1/provision',
      headers: [json, `Authorization: Bearer ${provisioningKey}`],
      bodies: texts('{"device":"new-1"}', '{"device":"new-2"}'),
    },
    {
      target: '/api/v1/mappings/test',
      headers: [json],
      bodies: texts(JSON.stringify({ mapping, topic: 'zigbee2mqtt/lamp', payload: '{"state":"ON"}' })),
    },
    {
      target: '/api/v1/devices/d1/commands',
      headers: [json],
      bodies: texts('{"name":"set","params":{"target":21},"expiresIn":"1m"}', '{"name":"reboot"}'),
    },
  ];
}

/** A request byte for byte: its body is changed, and once in four times all of it; then it may wait for more, or not. */
export function httpRequest(
  ways: readonly Way[],
  port: number,
  mutator: Mutator,
): { readonly bytes: Buffer; readonly isWhole: boolean } {
  const { target, headers, bodies } = mutator.pick(ways);
  const body = mutator.mutated(bodies);
  const head = [
    `POST ${target} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Connection: close',
    ...headers,
    `Content-Length: ${body.length}`,
  ];
  const request = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
  return mutator.once(4) ? { bytes: mutator.mutated([request]), isWhole: false } : { bytes: request, isWhole: true };
}
