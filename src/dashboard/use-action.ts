import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ProblemError } from './rest-client.ts';

/** Something that a person asked to be done: whether it is under way, and why it failed last. */
export interface Action {
  readonly isBusy: boolean;
  readonly problem: ProblemError | null;
  /** True when it was done. Does nothing while another is under way. */
  readonly run: (act: () => Promise<void>) => Promise<boolean>;
}

export function useAction(): Action {
  const [isBusy, setIsBusy] = useState(false);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const isUnderWay = useRef(false);
  const isShown = useRef(true);
  useEffect(
    () => () => {
      isShown.current = false;
    },
    [],
  );

  const run = useCallback(async (act: () => Promise<void>): Promise<boolean> => {
    if (isUnderWay.current) return false;
    isUnderWay.current = true;
    setIsBusy(true);
    setProblem(null);
    let failed: ProblemError | null = null;
    try {
      await act();
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      failed = error;
    } finally {
      isUnderWay.current = false;
      if (isShown.current) {
        setIsBusy(false);
        setProblem(failed);
      }
    }
    return failed === null;
  }, []);
  return { isBusy, problem, run };
}
