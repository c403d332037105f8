import { Worker } from 'node:worker_threads';
import { threadSources } from './thread-source.ts';
import type { Call, Failure, Response, WorkerSetup } from './worker-messages.ts';

/** A question that its thread could not answer. */
export class CallFailedError extends Error {
  override readonly name = 'CallFailedError';
  /** Null when the thread itself is gone. */
  readonly failure: Failure | null;
  /** What came back of the question. */
  readonly returned: unknown;

  constructor(message: string, failure: Failure | null, returned: unknown) {
    super(message);
    this.failure = failure;
    this.returned = returned;
  }
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The main thread's end of a worker: questions go out, answers come back in order. `Table` is what it answers. */
export class WorkerLink<Table extends { [Name in keyof Table]: Call }> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #gone: Error | null = null;

  /** `onGone` is called once when the thread ends without having been asked to. */
  constructor(setup: WorkerSetup, onGone: (error: Error) => void) {
    this.#worker = new Worker(new URL('./worker-boot.js', import.meta.url), {
      workerData: { ...setup, sources: threadSources(new URL('./worker.ts', import.meta.url)) },
      name: `storage ${setup.role}`,
      // Columns live outside the heap; a small nursery costs no speed and spares the memory of three large ones.
      resourceLimits: { maxYoungGenerationSizeMb: 16 },
    });
    this.#worker.unref();
    this.#worker.on('message', (response: Response) => this.#settle(response));
    this.#worker.on('error', (error: Error) => this.#end(error, onGone));
    this.#worker.on('exit', (code) => this.#end(new Error(`the storage ${setup.role} thread ended (${code})`), onGone));
  }

  /** Rejects with `CallFailedError`. The buffers in `transfer` go over without being copied. */
  ask<Name extends keyof Table & string>(
    name: Name,
    question: Table[Name]['question'],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Table[Name]['answer']> {
    return new Promise((resolve, reject) => {
      if (this.#gone) {
        reject(new CallFailedError(this.#gone.message, null, null));
        return;
      }
      const id = this.#next++;
      // Throws, and so rejects, when something in the question cannot cross over.
      this.#worker.postMessage({ id, name, question }, transfer);
      this.#waiting.set(id, { resolve, reject });
      // A process with an unanswered question stays alive for the answer.
      this.#worker.ref();
    });
  }

  /** Ends the thread; what is still unanswered fails. */
  async stop(): Promise<void> {
    this.#gone ??= new Error('the storage engine is closed');
    await this.#worker.terminate();
  }

  #settle(response: Response): void {
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ('failure' in response) {
      waiting?.reject(new CallFailedError(response.failure.message, response.failure, response.returned));
    } else {
      waiting?.resolve(response.answer);
    }
  }

  #end(error: Error, onGone: (error: Error) => void): void {
    const isAsked = this.#gone !== null;
    this.#gone ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(new CallFailedError(this.#gone.message, null, null));
    this.#waiting.clear();
    if (!isAsked) onGone(error);
  }
}
