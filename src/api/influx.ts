import { z } from 'zod';
import { type Fault, RejectedError } from '../base/errors.ts';
import type { ErrorCode } from '../contract/error-codes.ts';
import type { InfluxBatch, InfluxPrecision } from '../decode/influx.ts';
import { senderOf } from '../domain/principal.ts';
import { InfluxRefusal, influxAnswer } from './influx-refusal.ts';
import { flag, noParameters } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { RequestRefused } from './problem.ts';
import { bytesBody, type Incoming, type Outgoing, type Route, route } from './route.ts';

/** How clients of both versions of InfluxDB write the unit of timestamps. */
const precisions = {
  ns: 'ns',
  n: 'ns',
  us: 'us',
  u: 'us',
  µ: 'us',
  ms: 'ms',
  s: 's',
  m: 'm',
  h: 'h',
} as const satisfies Readonly<Record<string, InfluxPrecision>>;

const precision = z
  .enum(['ns', 'n', 'us', 'u', 'µ', 'ms', 's', 'm', 'h'])
  .default('ns')
  .transform((name) => precisions[name])
  .meta({
    description: 'Unit of the timestamps',
    override: { type: 'string', enum: Object.keys(precisions), default: 'ns' },
  });

/** Understood because clients send it; there is one store here, and no databases or buckets in it. */
const ignored = z.string().optional().meta({ description: 'Taken, and of no effect' });

const body = bytesBody(
  ['text/plain', 'application/octet-stream', 'application/x-www-form-urlencoded'],
  z
    .string()
    .meta({ description: 'Line protocol', example: 'climate,device=hall temperature=21.4 1790000000000000000' }),
  { mayBeUntyped: true, mayBeGzip: true },
);

const description =
  'Line protocol, also with `Content-Encoding: gzip`. The device is the tag `device`, `device_id`, `id` or `host` (`ingest.influxDeviceTags`), the first that a line has, or else the device whose token is presented; the metric is `measurement.field`, or the measurement alone for a field named `value`; values of the tags `cpu`, `interface`, `path`, `name` and `sensor` (`ingest.influxMetricTags`) stand between the two. The answer comes after the readings are on disk. All or nothing: one bad line refuses the request with 400 and every fault in `errors`; with `partial=true` the good lines are stored first.';

const refusals = ['payload_shape', 'rate_limited', 'storage_unavailable', 'overloaded'] as const satisfies ErrorCode[];

/** What Telegraf and the clients of InfluxDB 1 and 2 write to and ask before they write. */
export function influxRoutes(ports: ApiPorts): readonly Route[] {
  const shared = { method: 'POST', tag: 'influx', scope: 'write', forDevices: true, params: noParameters } as const;
  const success = { status: 204, description: 'The readings are on disk', schema: z.undefined() } as const;

  const write2 = route({
    ...shared,
    path: '/api/v2/write',
    id: 'writeLines',
    summary: 'Send readings as a client of InfluxDB 2 does',
    description: `${description} A key as \`Authorization: Token …\` or \`Bearer …\`.`,
    query: z.object({ org: ignored, orgID: ignored, bucket: ignored, precision, partial: flag }),
    body,
    success,
    refusals,
    handler: (request) => write(request),
  });

  const write1 = route({
    ...shared,
    path: '/write',
    id: 'writeLinesToDatabase',
    summary: 'Send readings as a client of InfluxDB 1 does',
    description: `${description} A key as the password, Basic or in \`p\`; the user name may be any. A header is better: addresses end up in the logs of proxies.`,
    query: z.object({
      db: ignored,
      rp: ignored,
      consistency: ignored,
      u: ignored,
      p: z.string().optional().meta({ description: 'A key' }),
      precision,
      partial: flag,
    }),
    body,
    success,
    refusals,
    handler: (request) => write(request),
  });

  const ping = route({
    method: 'GET',
    path: '/ping',
    id: 'pingInflux',
    tag: 'influx',
    summary: 'Whether lines can be sent here, for clients of InfluxDB',
    isPublic: true,
    params: noParameters,
    query: z.object({ verbose: ignored, wait_for_leader: ignored }),
    body: null,
    success: { status: 204, description: 'They can', schema: z.undefined() },
    handler: () => undefined,
  });

  const health = route({
    method: 'GET',
    path: '/health',
    id: 'getInfluxHealth',
    tag: 'influx',
    summary: 'Whether lines can be stored, for clients of InfluxDB 2',
    isPublic: true,
    params: noParameters,
    query: noParameters,
    body: null,
    success: {
      status: 200,
      description: 'They can',
      schema: z.object({ name: z.string(), message: z.string(), status: z.literal('pass'), version: z.string() }),
    },
    refusals: ['storage_unavailable', 'stopping'],
    handler() {
      const { ready, reasons, code } = ports.ready();
      if (!ready) throw new RequestRefused(code ?? 'storage_unavailable', reasons.join('; ') || 'not ready');
      return { name: 'pulsegate', message: 'ready to take lines', status: 'pass' as const, version: ports.version };
    },
  });

  const version = { 'x-influxdb-version': ports.version };
  return [write2, write1, withHeaders(ping, version), health].map(asInflux);

  async function write(request: {
    readonly query: { readonly precision: InfluxPrecision; readonly partial: boolean };
    readonly body: { readonly bytes: Uint8Array };
    readonly caller: Parameters<typeof senderOf>[0];
  }): Promise<undefined> {
    const sender = senderOf(request.caller);
    const { bytes } = request.body;
    const { devices, faults } = decoded(bytes, { precision: request.query.precision, fallback: sender.device });
    const { partial } = request.query;
    const { refused } = await ports.intake.postBatch(devices, { partial, sender, bytes: bytes.length, faults });
    if (refused.length === 0) return;
    throw new RejectedError('validation_failed', `the other lines were stored: ${refused[0].detail}`, {
      errors: refused,
    });
  }

  /** A body that is none is counted like any other that is refused. */
  function decoded(
    bytes: Uint8Array,
    options: { readonly precision: InfluxPrecision; readonly fallback: string | null },
  ): Pick<InfluxBatch, 'devices' | 'faults'> {
    try {
      return ports.decodeLines(bytes, options);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      const fault: Fault = { pointer: error.pointer, code: error.code, detail: error.message };
      return { devices: [], faults: [fault] };
    }
  }
}

function withHeaders(route: Route, headers: Readonly<Record<string, string>>): Route {
  return {
    ...route,
    async answer(incoming) {
      const outgoing = await route.answer(incoming);
      return { ...outgoing, headers: { ...outgoing.headers, ...headers } };
    },
  };
}

/** The same route with keys and refusals as clients of InfluxDB have them. */
function asInflux(route: Route): Route {
  return {
    ...route,
    foreign: { refusal: InfluxRefusal, authorization: influxAuthorization },
    async answer(incoming: Incoming): Promise<Outgoing> {
      try {
        return await route.answer(incoming);
      } catch (error) {
        // Nobody is left to hear, or the gateway stops: the same on every route.
        if (incoming.signal.aborted) throw error;
        return influxAnswer(error, incoming.id);
      }
    },
  };
}

/** InfluxDB 1 takes user name and password, Basic or in the address. The password is the key, the user name may be any. */
function influxAuthorization(header: string | undefined, query: URLSearchParams): string | undefined {
  const basic = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header ?? '')?.[1];
  const password =
    basic === undefined
      ? query.get('p')
      : Buffer.from(basic, 'base64')
          .toString('utf8')
          .replace(/^[^:]*:/, '');
  return password === null || password === '' || (basic === undefined && header !== undefined)
    ? undefined
    : `Token ${password}`;
}
