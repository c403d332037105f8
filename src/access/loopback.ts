import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether an address (`127.0.0.1`, `::1`, `::ffff:127.0.0.1`) is of this machine alone. Names are not addresses. */
export function isLoopbackAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Whether a listener bound to `host` can only be reached from this machine. */
export function isLoopbackBind(host: string): boolean {
  return host.toLowerCase() === 'localhost' || isLoopbackAddress(unbracketed(host));
}

/**
 * Whether a `Host` header (RFC 9110 §7.2) names this machine: `localhost` or a loopback literal, with any port. Every other
 * name is refused, for a page elsewhere can point its own name at 127.0.0.1 (DNS rebinding).
 */
export function isLoopbackHost(header: string): boolean {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?$/.exec(header);
  return match?.[1] !== undefined && isLoopbackBind(match[1]);
}

function unbracketed(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}
