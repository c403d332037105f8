import { decoderTargets } from './decoder-targets.ts';
import { packetTargets } from './packet-targets.ts';
import type { FuzzTarget } from './target.ts';
import { topicTargets } from './topic-targets.ts';

/** Everything that takes bytes from strangers and can be asked without a socket. */
export const fuzzTargets: readonly FuzzTarget[] = [...decoderTargets, ...packetTargets, ...topicTargets];

/** Most bytes of heap that a target may keep of what it was shown. */
export const growthMax = 16 * 1_048_576;
