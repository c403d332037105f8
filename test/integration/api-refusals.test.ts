import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RequestFacts } from '../../src/api/ports.ts';
import type { Route } from '../../src/api/route.ts';
import { routeTable } from '../../src/api/routes.ts';
import { openApiDocument } from '../../src/api/openapi.ts';
import type { HttpServer } from '../../src/api/server.ts';
import { RejectedError, TransientError } from '../../src/base/errors.ts';
import type { ProvisioningKey } from '../../src/domain/registration.ts';
import { expectProblem } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { type Answer, type Ask, ask } from '../support/http-client.ts';

// Walks the route table: every route times every way to fail, over a real socket. The answers must look alike, and
// every status that is seen must be in the OpenAPI document of its route.

const page = 'https://dashboards.example';
const strangers = new Strangers();
const facts: RequestFacts[] = [];
/** Our own; what clients of other products hear is in tests of their own. */
const routes = routeTable(strangers.ports()).filter(({ foreign }) => foreign === null);
const document = openApiDocument(routes, { version: '1', basePath: '' });
const withBody = routes.filter((route) => route.body !== null);
const withId = routes.filter((route) => route.path.includes('{id}'));
/** These answer without asking anybody. */
const selfSufficient = ['getHealth', 'getReadiness', 'getOpenApi'];
const asking = routes.filter((route) => !selfSufficient.includes(route.id));

const bodies: Readonly<Record<string, unknown>> = {
  postReadings: [{ device: 'a', metric: 'b', time: 1_790_000_000_000, value: 1 }],
  createRule: { name: 'Hot', metric: 'temperature', condition: { type: 'threshold', above: 8 } },
  updateRule: { name: 'Hotter' },
  createKey: { name: 'Grafana', scopes: ['admin'] },
  updateKey: { name: 'Grafana 12' },
  createWebhook: { url: 'https://example.org/hook' },
  updateWebhook: { description: 'ours' },
  createCommand: { name: 'restart' },
  retryQuarantine: {},
  createDevices: { id: 'fridge-07' },
  updateDevice: { name: 'Fridge' },
  approveDevices: { devices: ['fridge-07'] },
  rotateDeviceToken: {},
  createProfile: { id: 'fridge', metrics: { temperature: { unit: 'Cel' } } },
  putProfile: { metrics: { temperature: { unit: 'Cel' } } },
  updateProfile: { description: 'cold' },
  createMapping: { name: 'rooms', topic: 'room/{device}' },
  putMapping: { topic: 'room/{device}' },
  updateMapping: { topic: 'room/{device}' },
  testMapping: { mapping: { name: 'rooms', topic: 'room/{device}' }, topic: 'room/fridge-1', payload: '{}' },
  provisionDevice: { device: 'sensor-0042' },
  createProvisioningKey: { name: 'Line 2', profile: 'fridge' },
  updateProvisioningKey: { name: 'Line 3' },
  putRetention: { rules: [{ name: 'All', raw: '30d' }] },
};

/** What a question cannot do without. */
const required: Readonly<Record<string, string>> = {
  getDeviceReadings: 'metric=heart_rate',
  deleteReadings: 'device=*&all=true',
};

const held: ProvisioningKey = {
  id: 'held',
  name: 'Line 2',
  hash: '',
  profile: 'fridge',
  approval: false,
  devicesMax: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
  expiresAt: null,
};

let server: HttpServer;
let port: number;

beforeAll(async () => {
  const judge = (seen: RequestFacts) => {
    facts.push(seen);
    return strangers.verdict;
  };
  const { provisioning } = strangers.ports();
  // A key that holds, so that what comes after the credential is looked at.
  const verify = (presented: string) => provisioning.verify(presented) ?? held;
  const ports = { corsOrigins: [page], access: { judge }, provisioning: { ...provisioning, verify } };
  ({ server, port } = await startApi(strangers, ports));
  // What is asked of each series is asked of one.
  strangers.put('fridge-01', 'temperature', strangers.clock.now(), 4);
});
afterAll(() => server.stop(1_000));
afterEach(() => {
  strangers.failure = null;
  strangers.verdict = { allowed: true, caller: { kind: 'open' } };
  strangers.logged.length = 0;
  facts.length = 0;
});

describe.each(routes.map((route) => [`${route.method} ${route.path}`, route] as const))('%s', (_name, route) => {
  test('refuses a method that its address does not have with 405 and the ones that it has', async () => {
    const answer = await call(route, { method: 'PROPFIND' });
    expectProblem(answer, 'method_not_allowed');
    expect(answer.headers.allow?.split(', ').sort()).toEqual(methodsOf(route.path));
  });

  test('refuses a parameter that it does not know with 400 and names it', async () => {
    const problem = expectProblem(await call(route, {}, '&surprise=1'), 'parameter_invalid');
    expect(problem.errors).toMatchObject([{ parameter: 'surprise', code: 'parameter_invalid' }]);
  });

  test('carries CORS for a listed origin on a refusal too, and none for another', async () => {
    const listed = await call(route, { headers: { origin: page } }, '&surprise=1');
    expect(listed.headers).toMatchObject({ 'access-control-allow-origin': page, vary: 'origin' });
    expect(listed.headers['access-control-expose-headers']).toContain('x-request-id');
    const other = await call(route, { headers: { origin: 'https://elsewhere.example' } }, '&surprise=1');
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
  });

  test('says 401 with a challenge, or 403, as access decides', async () => {
    strangers.verdict = { allowed: false, code: 'unauthorized', detail: 'a key is needed' };
    const answer = await call(route);
    expectProblem(answer, 'unauthorized');
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="pulsegate"');
    strangers.verdict = { allowed: false, code: 'origin_not_allowed', detail: 'not from there' };
    expectProblem(await call(route), 'origin_not_allowed');
    expect(facts.map(({ isPublic, isUpgrade }) => ({ isPublic, isUpgrade }))).toEqual([
      { isPublic: route.isPublic, isUpgrade: false },
      { isPublic: route.isPublic, isUpgrade: false },
    ]);
  });
});

describe.each(asking.map((route) => [`${route.method} ${route.path}`, route] as const))('%s', (_name, route) => {
  test('answers 500 for an error of ours without its cause, and logs it once under the request id', async () => {
    strangers.failure = new Error('secret: /var/lib/pulsegate', { cause: new Error('deeper secret') });
    const answer = await call(route);
    const problem = expectProblem(answer, 'internal');
    expect(answer.text).not.toMatch(/secret|pulsegate\/|\bat /);
    expect(strangers.logged).toMatchObject([{ requestId: problem.instance, error: 'secret: /var/lib/pulsegate' }]);
    expectDocumented(route, answer);
  });

  test('answers 503 with Retry-After when overloaded or while storage fails, without a log line', async () => {
    strangers.failure = new TransientError('window full');
    const overloaded = await call(route);
    expectProblem(overloaded, 'overloaded');
    expect(Number(overloaded.headers['retry-after'])).toBeGreaterThan(0);
    strangers.failure = new TransientError('later', { cause: named('CommitFailedError', 'disk full at /secret') });
    const storage = await call(route);
    expectProblem(storage, 'storage_unavailable');
    expect(storage.text).not.toContain('secret');
    expect(strangers.logged).toEqual([]);
    expectDocumented(route, storage);
  });
});

describe.each(
  routes.filter((route) => route.success.mediaType === 'application/json').map((route) => [route.id, route] as const),
)('%s', (_name, route) => {
  test('refuses an Accept that leaves JSON out with 406, and serves one that lets it in', async () => {
    const refused = await call(route, { headers: { accept: 'image/png, application/xml;q=0.5' } });
    expectProblem(refused, 'not_acceptable');
    expectDocumented(route, refused);
    const served = await call(route, { headers: { accept: 'image/png, application/*;q=0.1' } }, '&surprise=1');
    expectProblem(served, 'parameter_invalid');
  });
});

describe.each(withBody.map((route) => [route.id, route] as const))('%s', (_name, route) => {
  test.each([['text/plain'], ['application/json; charset=latin1'], ['nonsense'], [undefined]])(
    'refuses a body of type %s with 415 and says what it takes',
    async (type) => {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
      const answer = await call(route, { headers, body: '{}' });
      expectProblem(answer, 'unsupported_media_type');
      expect(answer.headers.accept).toContain('application/json');
      expectDocumented(route, answer);
    },
  );

  test('refuses a compressed body with 415', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    expectProblem(await call(route, { headers, body: '{}' }), 'unsupported_media_type');
  });

  test('refuses malformed JSON with 400', async () => {
    const answer = await call(route, { headers: { 'content-type': 'application/json' }, body: '{"a":' });
    expectProblem(answer, 'payload_not_json');
    expectDocumented(route, answer);
  });

  test('refuses a body beyond the bound with 413, whether or not its length was told', async () => {
    const headers = { 'content-type': 'application/json; charset=UTF-8' };
    const chunk = Buffer.alloc(16 * 1024, 0x20);
    const chunked = await call(route, { headers, body: [chunk, chunk, chunk, chunk, chunk] });
    expectProblem(chunked, 'payload_too_large');
    const told = await call(route, { headers, body: ' '.repeat(64 * 1024 + 1) });
    expectProblem(told, 'payload_too_large');
    expectDocumented(route, told);
  });
});

describe.each(withId.map((route) => [`${route.method} ${route.path}`, route] as const))('%s', (_name, route) => {
  test('answers 404 for an id that does not exist', async () => {
    const answer = await call(route);
    expectProblem(answer, 'not_found');
    expectDocumented(route, answer);
  });
});

test('a refusal of a room keeps its code, its status and every fault', async () => {
  const errors = [
    { pointer: '/0/value', code: 'value_not_finite', detail: 'no' },
    { pointer: '/7/time', code: 'time_implausible', detail: 'too early' },
  ];
  strangers.failure = new RejectedError('time_implausible', 'two readings are refused', { errors });
  const post = routes.find((route) => route.id === 'postReadings');
  if (!post) throw new Error('postReadings is gone');
  expect(expectProblem(await call(post), 'time_implausible').errors).toEqual(errors);
});

test('a code that is not in the registry is an error of ours', async () => {
  strangers.failure = new RejectedError('made_up', 'never shown');
  expectProblem(await ask(port, '/api/v1/devices'), 'internal');
  expect(strangers.logged).toHaveLength(1);
});

test.each([
  ['/api/v1/devices/%zz', 'bad_request'],
  ['/api/v1/devices?device=%zz', 'bad_request'],
  ['/api/v1/devices/%ff', 'bad_request'],
  ['/api/v1/devices/', 'not_found'],
  ['/API/v1/devices', 'not_found'],
  ['//api/v1/devices', 'not_found'],
  ['/api/v1/devices/..%2f..%2fetc', 'not_found'],
  ['/api/v1/nothing', 'not_found'],
  ['/api/v1/devices?limit=0', 'parameter_invalid'],
  ['/api/v1/devices?limit=1001', 'parameter_invalid'],
  ['/api/v1/devices?limit=10&limit=20', 'parameter_invalid'],
  ['/api/v1/devices?state=asleep', 'parameter_invalid'],
  ['/api/v1/devices?device=a%20b', 'parameter_invalid'],
  ['/api/v1/devices?page=nonsense', 'page_invalid'],
  ['/api/v1/stream?since=yesterday', 'cursor_invalid'],
  ['/api/v1/stream?wait=forever', 'duration_invalid'],
  ['/api/v1/stream?wait=61s', 'parameter_invalid'],
  ['/api/v1/readings?from=now&to=-1h', 'parameter_invalid'],
  ['/api/v1/readings?from=1790000000', 'parameter_invalid'],
] as const)('GET %s is refused as %s', async (path, code) => {
  expectProblem(await ask(port, path), code);
});

test('an unknown parameter is told the one that was meant', async () => {
  const problem = expectProblem(await ask(port, '/api/v1/latest?devcie=a'), 'parameter_invalid');
  expect(problem.detail).toContain('did you mean "device"?');
});

test('all faults of a request are told at once', async () => {
  const query = expectProblem(await ask(port, '/api/v1/devices?limit=x&state=y&surprise=1'), 'parameter_invalid');
  expect(query.errors?.map((fault) => fault.parameter).sort()).toEqual(['limit', 'state', 'surprise']);
  const body = { metrik: 'x', metric: 7, condition: { type: 'threshold', abov: 1 }, severity: 'loud' };
  const answer = await ask(port, '/api/v1/rules', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const pointers = expectProblem(answer, 'validation_failed').errors?.map((fault) => fault.pointer);
  expect(pointers?.sort()).toEqual(['/condition/abov', '/metric', '/metrik', '/name', '/severity']);
});

test('a body with "__proto__" is refused like any other unknown key', async () => {
  const answer = await ask(port, '/api/v1/rules', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"name":"a","metric":"b","condition":{"type":"threshold","above":1},"__proto__":{"enabled":false}}',
  });
  expect(expectProblem(answer, 'validation_failed').errors).toMatchObject([{ pointer: '/__proto__' }]);
});

test('a request id of the client is taken over when it is harmless, else replaced', async () => {
  const own = await ask(port, '/api/v1/nothing', { headers: { 'x-request-id': 'trace-42' } });
  expect(own.headers['x-request-id']).toBe('trace-42');
  expect(own.json()).toMatchObject({ instance: 'trace-42' });
  const odd = await ask(port, '/api/v1/nothing', { headers: { 'x-request-id': 'a b"<script>' } });
  expectProblem(odd, 'not_found');
});

/** Asks a route with everything it needs, changed by `options`; `{id}` becomes a name that nobody has. */
function call(route: Route, options: Ask = {}, query = ''): Promise<Answer> {
  const path = `${route.path.replace(/\{\w+\}/, 'nobody')}?${required[route.id] ?? ''}${query}`
    .replace('?&', '?')
    .replace(/\?$/, '');
  const headers = options.headers ?? (route.body ? { 'content-type': 'application/json' } : {});
  // The one address that brings its own credential; to the others it means nothing.
  const authorization = route.id === 'provisionDevice' ? 'Bearer pulseprov_held' : undefined;
  const body = route.body ? JSON.stringify(bodies[route.id]) : undefined;
  return ask(port, path, {
    method: route.method,
    ...(body !== undefined && { body }),
    ...options,
    headers: { ...headers, ...(authorization !== undefined && { authorization }) },
  });
}

function methodsOf(path: string): string[] {
  // An address may fit a path with a parameter as well: `/quarantine/retry` and `/quarantine/{id}`.
  const fits = (template: string): boolean =>
    new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path);
  const methods = routes.filter((route) => fits(route.path)).map((route): string => route.method);
  return [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort();
}

function expectDocumented(route: Route, answer: Answer): void {
  expect(document).toHaveProperty([
    'paths',
    route.path,
    route.method.toLowerCase(),
    'responses',
    String(answer.status),
  ]);
}

function named(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}
