import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { attempt } from "../ui/toast.tsx";

/** Pause between two questions about a machine that sleeps, of which little changes. In milliseconds. */
export const ASLEEP_MS = 3_600_000;

export interface Polled<Value> {
  value: Value | undefined;
  /** Failure of the newest try; `undefined` after a success. */
  error: Error | undefined;
  /** Asks again now. */
  refresh(): void;
  /** Runs an action of the user, tells its failure, and asks again. @returns whether it succeeded */
  act(work: () => Promise<unknown>, done?: string): Promise<boolean>;
}

/**
 * Asks again and again, one question at a time, and not while the page is hidden.
 *
 * @param ask `undefined`: nothing to ask now
 * @param everyMs pause between an answer and the next question
 * @param id another id drops the answers of the one before
 */
export function usePoll<Value>(
  ask: (() => Promise<Value>) | undefined,
  everyMs: number,
  id: string,
): Polled<Value> {
  const [state, setState] = useState<{ id: string; value?: Value; error?: Error }>({ id });
  const asking = useRef(ask);
  asking.current = ask;
  const again = useRef<() => void>(() => undefined);
  const isAsked = ask !== undefined;
  useEffect(() => {
    if (!isAsked) return;
    let isOver = false;
    let isBusy = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      clearTimeout(timer);
      if (isBusy || isOver) return;
      if (!document.hidden) {
        isBusy = true;
        try {
          const value = await asking.current?.();
          if (!isOver && value !== undefined) setState({ id, value });
        } catch (error) {
          if (!isOver)
            setState((known) => ({ ...(known.id === id ? known : { id }), error: error as Error }));
        }
        isBusy = false;
      }
      if (!isOver) timer = setTimeout(run, everyMs);
    };
    again.current = () => void run();
    const onVisible = () => void (document.hidden || run());
    document.addEventListener("visibilitychange", onVisible);
    void run();
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [id, everyMs, isAsked]);
  const refresh = useCallback(() => again.current(), []);
  const act = async (work: () => Promise<unknown>, done?: string) => {
    const isDone = await attempt(work, done);
    refresh();
    return isDone;
  };
  const isCurrent = state.id === id;
  return {
    value: isCurrent ? state.value : undefined,
    error: isCurrent ? state.error : undefined,
    refresh,
    act,
  };
}
