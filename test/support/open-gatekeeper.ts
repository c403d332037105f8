import type { Gatekeeper } from '../../src/ingest/gatekeeper.ts';

/** Decides about a CONNECT and nothing else; the answer is a sentence for the log when it is not let in. */
export type ConnectJudge = (facts: {
  readonly remoteAddress: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
}) => { readonly allowed: true } | { readonly allowed: false; readonly detail: string };

/** A gatekeeper that lets whoever comes in do everything. */
export function openGatekeeper(judge: ConnectJudge = () => ({ allowed: true })): Gatekeeper {
  const everybody = { kind: 'open' } as const;
  return {
    isBarred: () => Promise.resolve(false),
    admit: ({ remoteAddress, username, password }) => {
      const judged = judge({ remoteAddress, username, password });
      return Promise.resolve(
        judged.allowed ? { allowed: true, principal: everybody } : { allowed: false, code: 5, detail: judged.detail },
      );
    },
    mayPublish: () => true,
    maySubscribe: () => true,
    mayReceive: () => true,
    isValid: () => true,
  };
}
