import { expect, test } from 'vitest';
import { z } from 'zod';
import { corsHeaders } from '../../src/api/headers.ts';
import { openApiDocument } from '../../src/api/openapi.ts';
import { routeTable } from '../../src/api/routes.ts';
import { errorCodes } from '../../src/contract/error-codes.ts';
import { Strangers } from '../support/api-strangers.ts';

// The document is made of the route table; these tests hold that it is complete, closed and well-formed.

const routes = routeTable(new Strangers().ports());
const document = openApiDocument(routes, { version: '1.2.3', basePath: '' });

const media = z.record(z.string(), z.strictObject({ schema: z.looseObject({}) }));
const parameter = z.looseObject({
  name: z.string().min(1),
  in: z.enum(['path', 'query']),
  required: z.boolean().optional(),
  schema: z.looseObject({}),
});
const operation = z.strictObject({
  operationId: z.string().regex(/^[a-z][A-Za-z]+$/),
  tags: z.tuple([z.string()]),
  summary: z.string().min(1),
  description: z.string().min(1).optional(),
  parameters: z.array(parameter).optional(),
  requestBody: z.strictObject({ required: z.literal(true), content: media }).optional(),
  responses: z.record(
    z.string().regex(/^[245]\d\d$/),
    z.strictObject({
      description: z.string().min(1),
      headers: z.record(z.string(), z.looseObject({ description: z.string(), schema: z.looseObject({}) })).optional(),
      content: media.optional(),
    }),
  ),
  security: z.array(z.record(z.string(), z.array(z.string()))),
});
/** What OpenAPI 3.1 asks of a document, as far as this one goes. */
const shape = z.strictObject({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.looseObject({ title: z.string(), version: z.literal('1.2.3') }),
  servers: z.array(z.strictObject({ url: z.string() })),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  paths: z.record(
    z.string().startsWith('/'),
    z.partialRecord(z.enum(['get', 'post', 'put', 'patch', 'delete']), operation),
  ),
  webhooks: z.record(z.string(), z.strictObject({ post: z.looseObject({ requestBody: z.looseObject({}) }) })),
  components: z.looseObject({
    schemas: z.record(z.string().regex(/^[\w.-]+$/), z.looseObject({})),
    securitySchemes: z.looseObject({ key: z.looseObject({ type: z.literal('http'), scheme: z.literal('bearer') }) }),
  }),
});
const parsed = shape.parse(JSON.parse(JSON.stringify(document)));

test('every route is in the document, and the reverse', () => {
  const described = Object.entries(parsed.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => `${method.toUpperCase()} ${path} ${operation.operationId}`),
  );
  expect(described.sort()).toEqual(routes.map(({ method, path, id }) => `${method} ${path} ${id}`).sort());
  expect(new Set(routes.map((route) => route.id)).size).toBe(routes.length);
});

test('what stands above readings, because there is no place inside, is described, and pages of other sites may read it', () => {
  const listed = corsHeaders({ headers: { origin: 'https://a.example' } }, ['https://a.example']);
  const exposed = listed['access-control-expose-headers'].split(', ');
  for (const path of ['/api/v1/readings', '/api/v1/devices/{id}/readings']) {
    const headers = Object.keys(parsed.paths[path]?.get?.responses['200']?.headers ?? {});
    expect(headers.sort()).toEqual(['x-damaged-first', 'x-damaged-readings', 'x-next-page', 'x-total-estimate']);
    expect(exposed).toEqual(expect.arrayContaining(headers));
  }
});

test('what is posted to webhooks is described', () => {
  const bodies = Object.values(parsed.webhooks).map(({ post }) => JSON.stringify(post.requestBody));
  expect(bodies.map((body) => /schemas\/(\w+)/.exec(body)?.[1])).toEqual(['AlertWebhookBody', 'DeviceWebhookBody']);
});

test('every reference leads to a component, and every component is referred to', () => {
  const references = new Set<string>();
  collect(parsed, (key, value) => {
    if (key === '$ref') references.add(String(value));
  });
  const components = Object.keys(parsed.components.schemas).map((name) => `#/components/schemas/${name}`);
  expect([...references].sort()).toEqual(components.sort());
});

test('the path parameters of every route are those in its path, all required', () => {
  for (const [path, item] of Object.entries(parsed.paths)) {
    for (const { parameters = [] } of Object.values(item)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const inPath = parameters.filter((parameter) => parameter.in === 'path');
      expect(inPath.map(({ name, required }) => [name, required])).toEqual(named.map((name) => [name, true]));
    }
  }
});

test('every refusal is a problem under the status of its code, or what clients of another product expect beside it', () => {
  const statuses = new Map(Object.entries(errorCodes).map(([code, { status }]) => [code, status]));
  for (const [path, item] of Object.entries(parsed.paths)) {
    const isForeign = routes.some((route) => route.path === path && route.foreign !== null);
    for (const { responses } of Object.values(item)) {
      const failures = Object.entries(responses).filter(([status]) => Number(status) >= 400);
      expect(failures.map(([status]) => status)).toEqual(expect.arrayContaining(['400', '403', '406', '500', '503']));
      for (const [status, { description, content }] of failures) {
        expect(content).toEqual({
          'application/problem+json': reference('Problem'),
          ...(isForeign && { 'application/json': reference('InfluxRefusal') }),
        });
        const codes = [...description.matchAll(/`(\w+)`/g)].map(([, code]) => code);
        expect(codes.length).toBeGreaterThan(0);
        // Clients of InfluxDB know no 422.
        const expected = isForeign && status === '400' ? [400, 422] : [Number(status)];
        for (const code of codes) expect(expected, code).toContain(statuses.get(code));
      }
    }
  }
});

test('lists take limit and page, and no route takes a parameter without a description', () => {
  for (const [path, { get }] of Object.entries(parsed.paths)) {
    const names = get?.parameters?.map((parameter) => parameter.name) ?? [];
    if (names.includes('page')) expect(names, path).toContain('limit');
    for (const parameter of get?.parameters ?? []) {
      if (!['id', 'state'].includes(parameter.name)) expect(parameter, path).toHaveProperty('description');
    }
  }
  expect(parsed.paths['/api/v1/devices/{id}/readings'].get?.parameters).toContainEqual(
    expect.objectContaining({
      name: 'limit',
      schema: expect.objectContaining({
        default: 100,
        oneOf: [
          { type: 'integer', minimum: 1, maximum: 10_000 },
          { type: 'string', const: 'all' },
        ],
      }),
    }),
  );
});

test('what no key protects asks for none; a device that asks for its token has a key of another kind', () => {
  const open = routes.filter((route) => parsed.paths[route.path][methodOf(route.method)]?.security?.length === 0);
  expect(open.map((route) => route.path)).toEqual(['/api/v1/provision', '/ping', '/health', '/healthz', '/readyz']);
});

test('every other route says which scope a key needs for it, and whether a device may come with its token', () => {
  const shown = routes
    .filter((route) => !route.isPublic)
    .map((route) => ({ route, operation: parsed.paths[route.path][methodOf(route.method)] }));
  for (const { route, operation } of shown) {
    const device = route.forDevices ? [{ deviceToken: [] }] : [];
    expect(operation?.security, route.id).toEqual([{ key: [route.scope] }, ...device, {}]);
    expect(operation?.description, route.id).toContain(`scope \`${route.scope}\``);
  }
  const scopes = Object.fromEntries(shown.map(({ route, operation }) => [route.id, operation?.security[0].key]));
  expect(scopes).toMatchObject({ listDevices: ['read'], postReadings: ['write'], listKeys: ['admin'] });
});

function reference(name: string): object {
  return { schema: { $ref: `#/components/schemas/${name}` } };
}

function methodOf(method: string): 'get' | 'post' | 'put' | 'patch' | 'delete' {
  return z.enum(['get', 'post', 'put', 'patch', 'delete']).parse(method.toLowerCase());
}

function collect(node: unknown, visit: (key: string, value: unknown) => void): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    visit(key, value);
    collect(value, visit);
  }
}
