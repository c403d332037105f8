// Plain JavaScript, so that a storage thread never needs the type stripper; thread-source.ts says why.
import { registerHooks } from 'node:module';
import { workerData } from 'node:worker_threads';

const { sources } = workerData;

registerHooks({
  load(url, context, nextLoad) {
    const source = sources.get(url);
    return source === undefined ? nextLoad(url, context) : { format: 'module', source, shortCircuit: true };
  },
});

await import('./worker.ts');
