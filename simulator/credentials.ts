import type { ConnectionOptions } from './command-line.ts';
import { CredentialError } from './credential-error.ts';
import type { GatewayNotice } from './gateway-notice.ts';
import { provision } from './provisioning.ts';
import { TokenFile } from './token-file.ts';

/** Connections that a run may have. */
const connectionsMax = 20_000;

interface CredentialPlan {
  readonly options: Pick<ConnectionOptions, 'url' | 'tokens' | 'provision'>;
  readonly devices: readonly string[];
  readonly notice: GatewayNotice;
  readonly say: (sentence: string) => void;
  readonly signal: AbortSignal;
}

/**
 * The token of each device, from the file, from the gateway, or first the one and then the other; null when every
 * connection has the same password. Throws `CredentialError` when a device has none and gets none.
 */
export async function tokensOf(plan: CredentialPlan): Promise<ReadonlyMap<string, string> | null> {
  const { options, devices, notice, say, signal } = plan;
  if (options.tokens === undefined && options.provision === undefined) return null;
  if (devices.length > connectionsMax) {
    throw new CredentialError(`Each device has a connection of its own here; ${connectionsMax} are the most.`);
  }
  const file = options.tokens === undefined ? null : new TokenFile(options.tokens);
  const tokens = file?.read(options.provision !== undefined) ?? new Map<string, string>();
  const without = devices.filter((device) => !tokens.has(device));
  if (without.length === 0) return tokens;
  if (options.provision === undefined) {
    throw new CredentialError(
      `${options.tokens} has no token of ${without[0]}${without.length > 1 ? ` and ${without.length - 1} others` : ''}; give a provisioning key with --provision.`,
    );
  }
  const pending = await provision({
    url: options.url,
    key: options.provision,
    devices: without,
    notice,
    signal,
    onToken(device, token) {
      tokens.set(device, token);
      file?.add(device, token);
    },
  });
  if (signal.aborted) return tokens;
  say(
    `${without.length} devices got a token of their own${pending === 0 ? '' : `; ${pending} wait for a person to approve them`}.`,
  );
  return tokens;
}
