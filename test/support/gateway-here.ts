import { loadConfig } from '../../src/config/load.ts';
import { createGateway, type Gateway, type GatewayParts } from '../../src/gateway.ts';
import { ask } from './http-client.ts';

/** A whole gateway inside the test's process, on free ports of loopback. */
export interface GatewayHere {
  readonly gateway: Gateway;
  readonly httpPort: number;
  readonly mqttPort: number;
  readonly liveUrl: string;
}

/** `settings` are options by dotted path. Webhooks may go to loopback. */
export async function startGatewayHere(
  dir: string,
  settings: Readonly<Record<string, unknown>> = {},
  parts: GatewayParts = {},
): Promise<GatewayHere> {
  const loopback = { 'http.port': 0, 'mqtt.port': 0, 'webhooks.allowTargets': '127.0.0.0/8' };
  const gateway = createGateway(loadConfig({ flags: { 'data.dir': dir, ...loopback, ...settings } }), parts);
  await gateway.start();
  const httpPort = Number(new URL(gateway.httpUrl).port);
  const mqttPort = Number(new URL(gateway.mqttUrl).port);
  return { gateway, httpPort, mqttPort, liveUrl: `ws://127.0.0.1:${httpPort}/api/v1/live` };
}

/** Asks `/readyz` until it answers with this status. */
export async function untilReadiness(httpPort: number, status: number): Promise<void> {
  while ((await ask(httpPort, '/readyz')).status !== status) await new Promise((resolve) => setTimeout(resolve, 10));
}
