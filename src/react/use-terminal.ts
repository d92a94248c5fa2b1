import { useCallback, useEffect, useRef, useState } from "react";
import {
  AgentVmError,
  type Terminal,
  type TerminalOptions,
  terminal,
  type VmHandle,
} from "../client/index.ts";

/** A terminal of a component. */
export interface UsedTerminal {
  /** `opening`, then `open`; `exited` after the end of the shell; `failed` with `error`. */
  state: "opening" | "open" | "exited" | "failed";
  /** Id of the shell, with which another component or page takes it up. Changes when the shell opens again after a restart. */
  shellId: string | undefined;
  /** Exit code of the shell; `undefined` while it runs. */
  exitCode: number | undefined;
  /** Why the terminal could not be opened, or was lost. */
  error: AgentVmError | undefined;
  /** Sends keystrokes. Ignored while the terminal is not open. */
  write(data: string | Uint8Array): Promise<void>;
  /** Changes the size. Ignored while the terminal is not open. */
  resize(cols: number, rows: number): Promise<void>;
}

type State = Pick<UsedTerminal, "state" | "shellId" | "exitCode" | "error">;

const OPENING: State = { state: "opening", shellId: undefined, exitCode: undefined, error: undefined };

/**
 * Opens a terminal in a VM, or takes up the shell `shellId`, while the component is mounted. A shell that the hook has opened
 * ends with the component; a shell that it has taken up stays open.
 *
 * @param vm handle of `useVm`; `undefined` waits
 * @param options as for `terminal()`. The newest `onData` gets the output, and the newest `onReopen` is called; other values open another terminal
 * @example
 * ```tsx
 * const { state, write } = useTerminal(vm, { onData: (bytes) => xterm.write(bytes) });
 * ```
 */
export function useTerminal(vm: VmHandle | undefined, options: TerminalOptions = {}): UsedTerminal {
  const { onData: _onData, ...rest } = options;
  const newest = useRef(options);
  newest.current = options;
  const [state, setState] = useState<State>(OPENING);
  const opened = useRef<Terminal>(undefined);
  const wanted = JSON.stringify(rest);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text stands for the options
  useEffect(() => {
    setState(OPENING);
    if (vm === undefined) return;
    let isOver = false;
    const fail = (error: unknown) => {
      if (!isOver && error instanceof AgentVmError)
        setState((known) => ({ ...known, state: "failed", error }));
    };
    const all = {
      ...rest,
      onData: (data: Uint8Array) => newest.current.onData?.(data),
      ...(rest.shellId === undefined && {
        onReopen: (shell: { shellId: string; pid: number }) => {
          if (!isOver) setState((known) => ({ ...known, shellId: shell.shellId }));
          if ("onReopen" in newest.current) newest.current.onReopen?.(shell);
        },
      }),
    } as TerminalOptions;
    const leave = (shell: Terminal) => {
      if (rest.shellId === undefined) shell.close().catch(() => undefined);
      else shell.detach();
      shell.exited.catch(() => undefined);
    };
    const opening = terminal(vm, all);
    opening.then((shell) => {
      if (isOver) return leave(shell);
      opened.current = shell;
      setState({ ...OPENING, state: "open", shellId: shell.shellId });
      shell.exited.then((exitCode) => {
        if (!isOver) setState((known) => ({ ...known, state: "exited", exitCode }));
      }, fail);
    }, fail);
    return () => {
      isOver = true;
      if (opened.current !== undefined) leave(opened.current);
      opened.current = undefined;
    };
  }, [vm, wanted]);
  const write = useCallback(async (data: string | Uint8Array) => await opened.current?.write(data), []);
  const resize = useCallback(
    async (cols: number, rows: number) => await opened.current?.resize(cols, rows),
    [],
  );
  return { ...state, write, resize };
}
