/// <reference lib="esnext.disposable" preserve="true" />
import { type AgentVmError, shellNotFound } from "../api/errors.ts";
import type { ShellDataEvent, ShellExitEvent } from "../api/events.ts";
import type { ConnectTerminalOptions, OpenedShell, ShellInfo } from "../api/methods/shells.ts";
import { onLineEnd } from "./line-end.ts";
import type { Link } from "./link.ts";
import { callBack } from "./listeners.ts";
import { anything, callback, checkOptions, type Rules, someText } from "./options.ts";
import { Output } from "./terminal-output.ts";
import type { Invoke } from "./transfer.ts";

/** Options of `terminal()` for a shell that is open already. */
export interface AttachTerminalOptions {
  /** Id of the shell, from `openShell`, `listShells` or another terminal. */
  shellId: string;
  /** Called with the scrollback, and then with the output. @default the output is not delivered */
  onData?: (data: Uint8Array) => void;
  /** Columns, from 1 to 4,096. @default the shell keeps its columns */
  cols?: number;
  /** Rows, from 1 to 4,096. @default the shell keeps its rows */
  rows?: number;
}

type NewTerminalOptions = Extract<TerminalOptions, { shellId?: undefined }>;

/** Options of `terminal()`: a new shell's, or the `shellId` of an open shell. */
export type TerminalOptions =
  | AttachTerminalOptions
  | (ConnectTerminalOptions & {
      /** Absent: `terminal` opens a shell. */
      shellId?: undefined;
      /** Called with the new shell when the shell has opened again after `vmRestarted`. @default not called */
      onReopen?: (shell: OpenedShell) => void;
    });

/** An open terminal in a VM. `await using` closes a shell that it has opened, and detaches from another. */
export interface Terminal extends AsyncDisposable {
  /** Process id of the shell inside the VM. Changes when the shell opens again after `vmRestarted`. */
  readonly pid: number;
  /** Id of the shell. Changes when the shell opens again after `vmRestarted`. */
  readonly shellId: string;
  /**
   * Sends keystrokes. They arrive in the order of the calls.
   *
   * @throws AgentVmError `limit_exceeded` when 1 MiB waits to be read
   */
  write(data: string | Uint8Array): Promise<void>;
  /** Changes the size of the terminal, each from 1 to 4,096. The foreground program gets SIGWINCH. */
  resize(cols: number, rows: number): Promise<void>;
  /** Hangs up the shell's whole session. A second close does nothing. On a handle it does not wait for a broken connection. */
  close(): Promise<void>;
  /** Leaves the shell open: no more output arrives, and `exited` rejects with `connection_lost`. */
  detach(): void;
  /**
   * Resolves with the shell's exit code after all its output; 128 + n when signal n ended the shell. Rejects when the connection
   * has ended for good, or has stayed broken for 60 s.
   */
  readonly exited: Promise<number>;
}

const ATTACH_OPTIONS: Rules<AttachTerminalOptions> = {
  shellId: someText,
  onData: callback,
  cols: anything,
  rows: anything,
};

/** A connection that carries a terminal. */
interface TerminalLine {
  link: Link;
  /** Opens and closes the shell. */
  invoke: Invoke;
  /** Makes every later call except the close, and waits for a broken connection. */
  patient: Invoke;
}

/**
 * Opens a shell, or takes up an open shell, and passes its output to `onData`, complete and in order. It listens before the
 * shell opens. After a broken connection it reads the missed output from the scrollback, which keeps 256 KiB.
 *
 * After a restart of the VM it opens its own default shell again. A program of the caller is not started a second time, and
 * `exited` rejects.
 */
export async function openTerminal(
  { link, invoke: first, patient }: TerminalLine,
  given?: TerminalOptions,
): Promise<Terminal> {
  const { onData, onReopen = () => undefined, ...options } = checked(given);
  let shell: OpenedShell | undefined;
  const invoke: Invoke = (...call) => (shell === undefined ? first : patient)(...call);
  const output = new Output(patient, onData ?? (() => undefined));
  const isOwn = options.shellId === undefined;
  let size: Pick<ConnectTerminalOptions, "cols" | "rows"> = {};
  const open = async () =>
    isOwn
      ? ((await invoke("openShell", [{ ...options, ...size }])) as OpenedShell)
      : await openedShell(invoke, options);
  let opening: Promise<unknown> = Promise.resolve();
  /** Number of the newest reopening. A restart of the VM during a reopening begins another one. */
  let newest = 0;
  const reopen = () => {
    if (shell === undefined || output.isOver || !isOwn || options.command !== undefined) return;
    output.restart();
    newest += 1;
    const number = newest;
    opening = open().then(
      (opened) => {
        if (number !== newest) {
          // A shell that the newest instance has opened for an older reopening has no other owner.
          invoke("closeShell", [opened.shellId]).catch(() => undefined);
          return opening;
        }
        shell = opened;
        output.follow(opened.shellId, true);
        callBack(onReopen, opened);
        return undefined;
      },
      (error: unknown) => {
        if (number !== newest) return opening;
        output.fail(error);
        return undefined;
      },
    );
  };
  const ends = [
    link.on("shellData", (event: ShellDataEvent) => output.onChunk(event)),
    link.on("shellExit", (event: ShellExitEvent) => output.onExit(event)),
    link.on("vmRestarted", reopen),
    link.opened.add(() => output.catchUp()),
    onLineEnd(link, (error) => output.fail(error)),
  ];
  const stop = () => {
    for (const end of ends) end();
  };
  const before = link.destroyed;
  const send = async (call: Invoke, action: string, ...args: unknown[]) => {
    await opening;
    // A call must not make another VM of the key.
    const { destroyed } = link;
    if (destroyed !== undefined && destroyed !== before) throw destroyed;
    await call(action, [shell?.shellId, ...args]);
  };
  try {
    const opened = await open();
    output.follow(opened.shellId, isOwn);
    shell = opened;
    const close = async () => {
      try {
        await send(first, "closeShell");
      } catch (error) {
        // The shell has ended with its VM.
        if ((error as AgentVmError).code !== "vm_destroyed") throw error;
      }
    };
    const detach = () => output.leave();
    return {
      get pid() {
        return (shell ?? opened).pid;
      },
      get shellId() {
        return (shell ?? opened).shellId;
      },
      write: (data) => send(patient, "writeShell", data),
      resize: async (cols, rows) => {
        await send(patient, "resizeShell", cols, rows);
        size = { cols, rows };
      },
      close,
      detach,
      [Symbol.asyncDispose]: isOwn ? close : async () => detach(),
      exited: output.exited.finally(stop),
    };
  } catch (error) {
    stop();
    throw error;
  }
}

/** The options of a new shell are the server's own to check, except callbacks. */
function checked(
  options: TerminalOptions | undefined,
): TerminalOptions & Pick<NewTerminalOptions, "onReopen"> {
  const { shellId, onData, onReopen } = Object(options) as NewTerminalOptions;
  if (shellId === undefined)
    checkOptions("terminal", { onData, onReopen }, { onData: callback, onReopen: callback });
  else checkOptions("terminal", options, ATTACH_OPTIONS);
  return options ?? {};
}

async function openedShell(
  invoke: Invoke,
  { shellId, ...size }: AttachTerminalOptions,
): Promise<OpenedShell> {
  const shells = (await invoke("listShells", [])) as ShellInfo[];
  const shell = shells.find((each) => each.shellId === shellId);
  if (shell === undefined) throw shellNotFound(shellId);
  const { pid, cols, rows } = { ...shell, ...size };
  if (shell.running && (cols !== shell.cols || rows !== shell.rows))
    await invoke("resizeShell", [shellId, cols, rows]);
  return { shellId, pid };
}
