import type { Config } from '../config/schema.ts';

/** Where the gateway that the configuration describes is asked from this machine. */
export function gatewayUrl(config: Config): string {
  const { host, port, basePath, tls } = config.http;
  const address = ['0.0.0.0', '::'].includes(host) ? 'localhost' : host;
  const scheme = tls.cert === '' ? 'http' : 'https';
  return `${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}${basePath}`;
}
