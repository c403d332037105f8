import { z } from 'zod';
import { alertRoutes } from './alerts.ts';
import { backupRoutes } from './backup.ts';
import { commandRoutes } from './commands.ts';
import { deleteReadingsRoutes } from './delete-readings.ts';
import { deliveryRoutes } from './deliveries.ts';
import { deviceTokenRoutes } from './device-tokens.ts';
import { deviceRoutes } from './devices.ts';
import { Downloads } from './readings/downloads.ts';
import { influxRoutes } from './influx.ts';
import { ingestRoutes } from './ingest.ts';
import { keyRoutes } from './keys.ts';
import { latestRoutes } from './latest.ts';
import { manyReadingsRoutes } from './readings/many-readings.ts';
import { mappingRoutes } from './mappings.ts';
import { openApiDocument } from './openapi.ts';
import { operationRoutes } from './operations.ts';
import { noParameters } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { profileRoutes } from './profiles.ts';
import { provisioningRoutes } from './provisioning.ts';
import { quarantineRoutes } from './quarantine.ts';
import { readingRoutes } from './readings/readings.ts';
import { retentionRoutes } from './retention.ts';
import { type Route, route } from './route.ts';
import { ruleRoutes } from './rules.ts';
import { storageRoutes } from './storage.ts';
import { SeriesOrder } from './readings/series-order.ts';
import { streamRoutes } from './stream.ts';
import { webhookRoutes } from './webhooks.ts';

/** The flat route table: everything that the API answers, in the order in which the documentation shows it. */
export function routeTable(ports: ApiPorts): readonly Route[] {
  const order = new SeriesOrder(ports.names);
  const downloads = new Downloads(ports.reader, ports.limits.downloadsMax);
  const routes: Route[] = [
    ...deviceRoutes(ports),
    ...deviceTokenRoutes(ports),
    ...profileRoutes(ports),
    ...mappingRoutes(ports),
    ...provisioningRoutes(ports),
    ...commandRoutes(ports),
    ...latestRoutes(ports, order),
    ...readingRoutes(ports, order, downloads),
    ...manyReadingsRoutes(ports, order, downloads),
    ...ingestRoutes(ports),
    ...deleteReadingsRoutes(ports),
    ...influxRoutes(ports),
    ...streamRoutes(ports),
    ...retentionRoutes(ports),
    ...ruleRoutes(ports),
    ...alertRoutes(ports),
    ...webhookRoutes(ports),
    ...deliveryRoutes(ports),
    ...quarantineRoutes(ports),
    ...keyRoutes(ports),
    ...storageRoutes(ports),
    ...operationRoutes(ports),
    ...backupRoutes(ports),
  ];
  routes.push(openApiRoute(() => openApiDocument(routes, ports)));
  return routes;
}

function openApiRoute(describe: () => Record<string, unknown>): Route {
  let document: Record<string, unknown> | undefined;
  return route({
    method: 'GET',
    path: '/openapi.json',
    id: 'getOpenApi',
    tag: 'operations',
    summary: 'This API as an OpenAPI 3.1 document',
    params: noParameters,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The document', schema: z.record(z.string(), z.unknown()) },
    handler: () => (document ??= describe()),
  });
}
