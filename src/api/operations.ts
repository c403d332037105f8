import { z } from 'zod';
import { Broker } from '../contract/broker.ts';
import { Health } from '../contract/rest.ts';
import { noParameters } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { RequestRefused } from './problem.ts';
import { type Route, route } from './route.ts';

/** What those who run the gateway ask: is it alive, is it ready, how is it doing. */
export function operationRoutes(ports: ApiPorts): readonly Route[] {
  const healthy = route({
    method: 'GET',
    path: '/healthz',
    id: 'getHealth',
    tag: 'operations',
    summary: 'Whether the process answers',
    isPublic: true,
    params: noParameters,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'It does', schema: Health },
    handler: () => ({ status: 'ok' as const }),
  });

  const ready = route({
    method: 'GET',
    path: '/readyz',
    id: 'getReadiness',
    tag: 'operations',
    summary: 'Whether everything listens and can store',
    isPublic: true,
    params: noParameters,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'Ready', schema: Health },
    refusals: ['storage_unavailable', 'broker_unavailable', 'stopping'],
    handler() {
      const { ready, reasons, code } = ports.ready();
      if (!ready) throw new RequestRefused(code ?? 'storage_unavailable', reasons.join('; ') || 'not ready');
      return { status: 'ok' as const };
    },
  });

  const metrics = route({
    method: 'GET',
    path: '/metrics',
    id: 'getMetrics',
    tag: 'operations',
    summary: 'Counters for Prometheus',
    params: noParameters,
    query: noParameters,
    body: null,
    success: {
      status: 200,
      description: 'Text exposition format 0.0.4',
      schema: z.string(),
      mediaType: 'text/plain; version=0.0.4; charset=utf-8',
    },
    handler: () => ports.metrics.render(),
  });

  const broker = route({
    method: 'GET',
    path: '/api/v1/broker',
    id: 'getBroker',
    tag: 'operations',
    summary: 'Where devices connect',
    description: 'With the ports as they were picked.',
    params: noParameters,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The broker', schema: Broker },
    handler: () => ports.broker(),
  });

  return [healthy, ready, metrics, broker];
}
