import { isIP } from 'node:net';
import { z } from 'zod';
import { parseDuration } from '../base/duration.ts';
import { RejectedError } from '../base/errors.ts';
import { MappingSpec } from '../contract/mapping.ts';
import { mappingFaults } from '../domain/mapping-faults.ts';
import { parseKeep } from '../domain/keep.ts';
import { rollupTiers } from '../domain/retention.ts';
import { isTopicFilter } from '../domain/topic-filter.ts';

/** Milliseconds, written `30s`, `5m`, `1h30m`. */
const duration = z.union([z.string(), z.number()]).transform((text, context) => {
  try {
    return parseDuration(String(text));
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof RejectedError ? error.message : 'not a duration' });
    return z.NEVER;
  }
});

/** A duration at the end of which something is done, over and over or instead of waiting: none at all is no such time. */
const span = duration.pipe(z.number().min(1, { error: 'must be 1ms or longer' }));

/** Milliseconds for which something is kept; null for ever. 0 is a way to say "not at all", where the option says so. */
const keep = z.union([z.string(), z.number()]).transform((text, context) => {
  try {
    return parseKeep(String(text));
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof RejectedError ? error.message : 'not a duration' });
    return z.NEVER;
  }
});

const sizes: Readonly<Record<string, number>> = { '': 1, b: 1, kb: 1_024, mb: 1_048_576, gb: 1_073_741_824 };

/** Bytes, written `256kb`, `64mb` or as a plain number. */
const bytes = z.union([z.string(), z.number()]).transform((text, context) => {
  const match = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i.exec(String(text).trim());
  if (!match) {
    context.addIssue({ code: 'custom', message: `"${text}" is not a size; write for example 256kb or 64mb` });
    return z.NEVER;
  }
  return Math.round(Number(match[1]) * sizes[(match[2] ?? '').toLowerCase()]);
});

/** A mapping without faults. */
const SoundMapping = MappingSpec.superRefine((mapping, context) => {
  for (const { pointer, detail } of mappingFaults(mapping)) {
    context.addIssue({ code: 'custom', message: detail, path: pointer.split('/').slice(1) });
  }
});

/** A whole number, as text where it comes from the environment; nothing else is taken for one, least of all nothing. */
const whole = z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)], { error: 'must be a whole number' });
const port = whole.pipe(z.number().int().min(0).max(65_535));
const count = whole.pipe(z.number().int().min(1));
const list = z.union(
  [
    z.array(z.string()),
    z.string().transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean),
    ),
  ],
  { error: 'must be a list of texts, or one text with commas' },
);
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')], {
  error: 'must be true or false',
});
/** 0 is a way to say "no limit" or "off", where the sentence of the option says so. */
const countOrOff = whole.pipe(z.number().int().min(0));
const url = z.union([z.literal(''), z.url({ protocol: /^https?$/ })], { error: 'must be an http or https URL, or ""' });

/** An origin (RFC 6454) of a page, perhaps with a slash at its end. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text.replace(/\/$/, '').toLowerCase();
}

/** `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`. */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const most = isIP(address) === 6 ? 128 : 32;
  return isIP(address) !== 0 && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && +bits <= most));
}

/** A secret that is presented in an `Authorization` header, which has no place for blanks in it. */
const headerText = z.string().regex(/^[\x21-\x7e]*$/, {
  error: 'must have no blanks and nothing beyond ASCII, or no request could carry it',
});

/** Paths of PEM files; both empty: no TLS. */
const tls = z.strictObject({ cert: z.string(), key: z.string() });

/** Every option there is; `config/default.yaml` gives each its default and a sentence. */
export const configSchema = z.strictObject({
  http: z.strictObject({
    host: z.string().min(1),
    port,
    publicUrl: url,
    basePath: z.string().regex(/^(?:\/[A-Za-z0-9._~-]+)*$/, {
      error: 'must begin with a slash and not end with one, for example /telemetry',
    }),
    cors: list.refine((origins) => origins.every(isOrigin), {
      error: 'must be origins as browsers send them: scheme, name and port, for example https://dash.example.com',
    }),
    trustProxy: flag,
    trustedProxies: list.refine((entries) => entries.every(isNetwork), {
      error: 'must be addresses or networks, for example 10.0.0.0/8',
    }),
    bodyBytesMax: bytes,
    downloadsMax: count,
    tls,
  }),
  mqtt: z.strictObject({
    mode: z.enum(['embedded', 'external']),
    host: z.string().min(1),
    port,
    webSocket: flag,
    tls: z.strictObject({
      ...tls.shape,
      port,
      clientCa: z.string(),
      requireCertificate: flag,
      identity: z.enum(['cn', 'san']),
    }),
    packetBytesMax: bytes,
    connectBytesMax: bytes,
    connectionsMax: count,
    connectionsPerAddressMax: count,
    halfOpenMax: count,
    connectTimeout: span,
    keepaliveMin: duration,
    keepaliveMax: duration,
    topicLevelsMax: count,
    subscriptionsMax: count,
    denySubscribe: list.refine((filters) => filters.every(isTopicFilter), { error: 'must be MQTT filters' }),
    stallMax: duration,
    subscriberBacklogMax: bytes,
    retainedMax: countOrOff,
    retainedBytesMax: bytes,
    retainedPerClientMax: countOrOff,
    queueMessagesMax: countOrOff,
    queueBytesMax: bytes,
    sessionsMax: countOrOff,
    sessionBytesMax: bytes,
    sessionExpiry: duration,
    external: z.strictObject({
      url: z.union([z.literal(''), z.url({ protocol: /^(mqtts?|wss?)$/ })], {
        error: 'must be an mqtt, mqtts, ws or wss URL, or ""',
      }),
      protocol: z.union([z.literal(4), z.literal(5), z.enum(['4', '5']).transform(Number)], {
        error: 'must be 4 (MQTT 3.1.1) or 5',
      }),
      clientId: z.string().min(1),
      username: z.string(),
      password: z.string(),
      ca: z.string(),
      cert: z.string(),
      key: z.string(),
      topics: list,
      group: z.string().regex(/^[^/+#]*$/, { error: 'must have none of / + #' }),
      connections: count,
      inFlightMax: count,
    }),
  }),
  data: z.strictObject({ dir: z.string().min(1) }),
  ingest: z.strictObject({
    futureMax: duration,
    inFlightMessagesMax: count,
    inFlightBytesMax: bytes,
    mappings: z.array(SoundMapping),
    influxDeviceTags: list.refine((tags) => tags.length > 0, 'name at least one tag'),
    influxMetricTags: list,
    sparkplugHost: z.string().regex(/^[^/+#]*$/, { error: 'must have none of / + #' }),
  }),
  device: z.strictObject({
    metricsMax: count,
    autoCreate: z.enum(['open', 'always', 'never']),
    autoCreateMax: countOrOff,
    messagesPerSecond: countOrOff,
    bytesPerSecond: bytes,
    burst: duration,
    offlineAfter: duration,
    sleepyOfflineAfter: duration,
  }),
  storage: z.strictObject({
    seriesMax: count,
    sealAfter: duration,
    resumeWindow: duration,
    resumeBytesMax: bytes,
    keepRaw: keep.refine((ms) => ms === null || ms >= rollupTiers.minute.windowMs, {
      error: 'must be 6h or longer, or forever: rollups are made of whole windows of 6h',
    }),
    keepMinutes: keep,
    keepHours: keep,
    maxBytes: bytes,
    reserve: bytes,
  }),
  alerts: z.strictObject({ keepFor: keep }),
  quarantine: z.strictObject({ maxBytes: bytes }),
  live: z.strictObject({ clientsMax: count, subscriptionsMax: count, clientBacklogMax: bytes, heartbeat: span }),
  webhooks: z.strictObject({ allowTargets: list, concurrency: count, timeout: span, keepFor: keep }),
  access: z.strictObject({ adminKey: headerText, failuresPerMinute: countOrOff }),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'silent']) }),
});

export type Config = z.output<typeof configSchema>;

/** Options whose value never appears in a log or in `config print`. */
export const secretPaths: readonly string[] = ['access.adminKey', 'mqtt.external.password'];
