import type { Caller } from '../../domain/principal.ts';
import type { Asker } from '../../history/queries.ts';

/** Whose questions a caller's are: those of his key, or of everybody in open mode, have their turns together. */
export function askerOf(caller: Caller, signal: AbortSignal): Asker {
  switch (caller.kind) {
    case 'key':
      return { name: `key ${caller.id}`, signal };
    case 'device':
      return { name: `device ${caller.device}`, signal };
    default:
      return { name: caller.kind, signal };
  }
}
