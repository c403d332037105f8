/** Options that `start` and `demo` share, as commander hands them over. */
export interface GatewayFlags {
  readonly config?: string;
  readonly data?: string;
  readonly httpHost?: string;
  readonly httpPort?: string;
  readonly mqttHost?: string;
  readonly mqttPort?: string;
  readonly set?: readonly [string, string][];
}

/** Flags as dotted paths for `loadConfig`. */
export function flagPaths(flags: GatewayFlags): Readonly<Record<string, unknown>> {
  const paths: Record<string, unknown> = Object.fromEntries(flags.set ?? []);
  const named = [
    ['data.dir', flags.data],
    ['http.host', flags.httpHost],
    ['http.port', flags.httpPort],
    ['mqtt.host', flags.mqttHost],
    ['mqtt.port', flags.mqttPort],
  ] as const;
  for (const [path, value] of named) {
    if (value !== undefined) paths[path] = value;
  }
  return paths;
}
