import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { clock, resumed } from './gateway.ts';
import { ProblemError } from './rest-client.ts';

/** Something asked of REST, and how it stands. A value stays while a newer one is asked for or refused. */
export interface Resource<Value> {
  readonly value: Value | null;
  readonly problem: ProblemError | null;
  /** When `value` came, epoch ms. */
  readonly loadedAt: number | null;
  readonly reload: () => void;
}

interface ResourceState<Value> {
  readonly key: string;
  readonly value: Value | null;
  readonly problem: ProblemError | null;
  readonly loadedAt: number | null;
}

/**
 * Loads on first use, whenever `key` changes, when the connection is back, and every `everyMs` while the tab is seen.
 * The value of another key is never shown.
 */
export function useResource<Value>(
  key: string,
  load: (signal: AbortSignal) => Promise<Value>,
  everyMs?: number,
): Resource<Value> {
  const [state, setState] = useState<ResourceState<Value>>({ key, value: null, problem: null, loadedAt: null });
  const [turn, setTurn] = useState(0);
  const latestLoad = useRef(load);
  latestLoad.current = load;
  const resumes = resumed.value;

  useEffect(() => {
    const abort = new AbortController();
    let cancel = (): void => undefined;
    const again = (): void => {
      if (everyMs !== undefined && !abort.signal.aborted) cancel = clock.after(everyMs, () => void run());
    };
    const run = async (): Promise<void> => {
      if (document.hidden) {
        again();
        return;
      }
      try {
        const value = await latestLoad.current(abort.signal);
        if (!abort.signal.aborted) setState({ key, value, problem: null, loadedAt: clock.now() });
      } catch (error) {
        if (abort.signal.aborted) return;
        setState((before) => ({
          key,
          value: before.key === key ? before.value : null,
          problem: problemOf(error),
          loadedAt: before.key === key ? before.loadedAt : null,
        }));
      }
      again();
    };
    void run();
    return () => {
      abort.abort();
      cancel();
    };
  }, [key, turn, everyMs, resumes]);

  const reload = useCallback(() => setTurn((before) => before + 1), []);
  if (state.key !== key) return { value: null, problem: null, loadedAt: null, reload };
  return { value: state.value, problem: state.problem, loadedAt: state.loadedAt, reload };
}

function problemOf(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  return new ProblemError({
    status: 0,
    title: 'The answer could not be read',
    detail: error instanceof Error ? error.message : String(error),
    code: 'unreadable',
  });
}
