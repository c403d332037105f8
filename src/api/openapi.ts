import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi';
import { type ErrorCode, errorCodes } from '../contract/error-codes.ts';
import { Problem } from '../contract/rest.ts';
import { AlertWebhookBody, DeviceWebhookBody } from '../contract/webhook-body.ts';
import { ThresholdCondition } from '../contract/rule.ts';
import type { Route } from './route.ts';

/** What every route may answer, beside its own refusals. */
const everywhere: readonly ErrorCode[] = [
  'bad_request',
  'parameter_invalid',
  'not_acceptable',
  'host_not_allowed',
  'origin_not_allowed',
  'proxy_not_allowed',
  'internal',
  'stopping',
];

/** OpenAPI 3.1 of the route table. */
export function openApiDocument(
  routes: readonly Route[],
  gateway: { readonly version: string; readonly basePath: string },
): Record<string, unknown> {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  const document = createDocument(
    {
      openapi: '3.1.1',
      info: {
        title: 'Pulsegate',
        version: gateway.version,
        description:
          'A telemetry gateway for devices and wearables. Lists are read on with `page` until `next` is null. Everything that fails is `application/problem+json` (RFC 9457) with a `code`.',
      },
      servers: [{ url: gateway.basePath === '' ? '/' : gateway.basePath }],
      security: [{ key: [] }, {}],
      paths,
      webhooks: {
        alert: posted('An alert changed state', AlertWebhookBody),
        device: posted('A device came or went', DeviceWebhookBody),
      },
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            description:
              'A key, `pulse_…`; beside it stands the scope that it needs. Not needed in open mode: no keys exist and everything stays on loopback',
          },
          deviceToken: {
            type: 'http',
            scheme: 'bearer',
            description: 'The token of a device, `pulsedev_…`, with which it sends readings of its own',
          },
        },
      },
    },
    {
      override({ jsonSchema, zodSchema, io }) {
        // Readers must expect fields that a later version adds. A condition is written, too, and closed both ways.
        const isOpen = io === 'output' && zodSchema !== ThresholdCondition;
        if (isOpen && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
        // The format says it; the pattern that a schema may add runs over 300 characters.
        if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
      },
    },
  );
  return { ...document };
}

/** What the gateway itself posts, to the URLs of webhooks. */
function posted(summary: string, body: z.ZodType): { post: ZodOpenApiOperationObject } {
  return {
    post: {
      summary,
      description:
        'Signed by Standard Webhooks 1.0 (`webhook-id`, `webhook-timestamp`, `webhook-signature`). Any 2xx takes it; anything else is tried again, with the same `webhook-id`.',
      requestBody: { required: true, content: { 'application/json': { schema: body } } },
      responses: { '2XX': { description: 'Taken' } },
    },
  };
}

function operationOf(route: Route): ZodOpenApiOperationObject {
  const { params, query, body, success } = route;
  const operation: ZodOpenApiOperationObject = {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    requestParams: {
      ...(Object.keys(params.shape).length > 0 && { path: params }),
      ...(Object.keys(query.shape).length > 0 && { query }),
    },
    responses: {
      [`${success.status}` as const]: successOf(route, success.description),
      ...(success.final && { [`${success.final.status}` as const]: successOf(route, success.final.description) }),
      ...problemsOf(route),
    },
  };
  const description = [route.description, needOf(route)].filter(Boolean).join(' ');
  if (description !== '') operation.description = description;
  // OpenAPI 3.1: beside a scheme that is not OAuth stand the roles that are needed.
  operation.security = route.isPublic
    ? []
    : [{ key: [route.scope] }, ...(route.forDevices ? [{ deviceToken: [] }] : []), {}];
  if (body) {
    operation.requestBody = {
      required: true,
      content: Object.fromEntries(body.types.map((type) => [type, { schema: body.schema }])),
    };
  }
  return operation;
}

function needOf({ isPublic, scope, forDevices }: Route): string {
  if (isPublic) return '';
  return `Needs a key with the scope \`${scope}\`${forDevices ? ", or a device's token" : ''}.`;
}

function successOf(
  route: Route,
  description: string,
): { description: string; headers?: z.ZodObject; content?: Record<string, { schema: Route['params'] }> } {
  const { schema, mediaType, alternatives, headers } = route.success;
  if (!schema) return { description };
  const content = Object.entries({ [mediaType]: schema, ...alternatives }).map(([type, held]) => [
    type,
    { schema: held as Route['params'] },
  ]);
  const hasHeaders = Object.keys(headers).length > 0;
  return { description, ...(hasHeaders && { headers: z.object(headers) }), content: Object.fromEntries(content) };
}

function problemsOf(route: Route): Record<`${4 | 5}${string}`, ReturnType<typeof problemOf>> {
  const codes = new Set<ErrorCode>([...everywhere, ...route.refusals]);
  if (!route.isPublic) codes.add('unauthorized').add('forbidden').add('rate_limited');
  if (Object.keys(route.params.shape).length > 0) codes.add('not_found');
  if ('page' in route.query.shape) codes.add('page_invalid');
  if (route.body) {
    for (const code of ['payload_too_large', 'unsupported_media_type', 'payload_empty', 'payload_not_utf8'] as const) {
      codes.add(code);
    }
    codes.add('payload_not_json');
  }
  const byStatus = Map.groupBy(codes, (code) => statusOf(code, route));
  const sorted = [...byStatus].sort(([left], [right]) => left - right);
  return Object.fromEntries(sorted.map(([status, codes]) => [status, problemOf(codes, route)]));
}

/** Foreign protocols know no 422. */
function statusOf(code: ErrorCode, { foreign }: Route): number {
  const { status } = errorCodes[code];
  return foreign && status === 422 ? 400 : status;
}

function problemOf(
  codes: readonly ErrorCode[],
  { foreign }: Route,
): { description: string; content: Record<string, { schema: z.ZodType }> } {
  const description = codes.map((code) => `\`${code}\`: ${errorCodes[code].title}`).join('; ');
  const problem = { 'application/problem+json': { schema: Problem } };
  // What is refused before the route is asked is a problem on foreign routes, too.
  return { description, content: foreign ? { 'application/json': { schema: foreign.refusal }, ...problem } : problem };
}
