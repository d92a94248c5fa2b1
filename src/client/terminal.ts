import type { ShellDataEvent, ShellExitEvent } from "../api/events.ts";
import type { ConnectTerminalOptions, ShellInfo, ShellOutput } from "../api/types.ts";
import { toAgentVmError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Invoke } from "./transfer.ts";

/** An open terminal in a VM. */
export interface Terminal {
  /** Process id of the shell inside the VM. */
  readonly pid: number;
  readonly shellId: string;
  /** Sends keystrokes; they arrive in the order of the calls. */
  write(data: string | Uint8Array): Promise<void>;
  resize(cols: number, rows: number): Promise<void>;
  /** Hangs the shell up. A second close does nothing. */
  close(): Promise<void>;
  /** The shell's exit code, after all its output. */
  readonly exited: Promise<number>;
}

/** A connection that carries a terminal. */
export interface TerminalLine {
  link: Link;
  invoke: Invoke;
}

/**
 * Opens a shell and feeds its output to `onData`, complete and in order: it listens before the shell opens, and closes
 * whatever gap a broken connection leaves out of the shell's scrollback (256 KiB; older output is gone).
 */
export async function openTerminal(
  { link, invoke }: TerminalLine,
  { onData, ...options }: ConnectTerminalOptions = {},
): Promise<Terminal> {
  const output = new Output(invoke, onData ?? (() => undefined));
  const ends = [
    link.on("shellData", (event: ShellDataEvent) => output.heard(event)),
    link.on("shellExit", (event: ShellExitEvent) => output.ended(event)),
    link.opened.add(() => output.catchUp()),
  ];
  const stop = () => {
    for (const end of ends) end();
  };
  try {
    const { shellId } = (await invoke("openShell", [options])) as { shellId: string };
    const shells = (await invoke("listShells", [])) as ShellInfo[];
    output.follow(shellId);
    return {
      pid: shells.find((shell) => shell.shellId === shellId)?.pid ?? 0,
      shellId,
      write: async (data) => void (await invoke("writeShell", [shellId, data])),
      resize: async (cols, rows) => void (await invoke("resizeShell", [shellId, cols, rows])),
      close: async () => void (await invoke("closeShell", [shellId])),
      exited: output.exited.finally(stop),
    };
  } catch (error) {
    stop();
    throw error;
  }
}

/** Puts a shell's output back together from events and scrollback. */
class Output {
  readonly #invoke: Invoke;
  readonly #onData: (data: Uint8Array) => void;
  /** What was heard before the shell's id was known. */
  #early: (ShellDataEvent | ShellExitEvent)[] | undefined = [];
  #shellId: string | undefined;
  /** The chunk that comes next, and the newest one heard of. */
  #next = 0;
  #newest = -1;
  #exitCode: number | undefined;
  #catchingUp = false;
  readonly #exit = Promise.withResolvers<number>();

  constructor(invoke: Invoke, onData: (data: Uint8Array) => void) {
    this.#invoke = invoke;
    this.#onData = onData;
    // Whoever does not wait for the exit need not handle its failure.
    this.#exit.promise.catch(() => undefined);
  }

  get exited(): Promise<number> {
    return this.#exit.promise;
  }

  follow(shellId: string): void {
    this.#shellId = shellId;
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) {
      if ("seq" in event) this.heard(event);
      else this.ended(event);
    }
  }

  heard(event: ShellDataEvent): void {
    if (this.#early) this.#early.push(event);
    if (event.shellId !== this.#shellId) return;
    this.#newest = Math.max(this.#newest, event.seq);
    if (event.seq === this.#next && !this.#catchingUp) this.#deliver(event);
    else if (event.seq >= this.#next) this.catchUp();
  }

  ended(event: ShellExitEvent): void {
    if (this.#early) this.#early.push(event);
    if (event.shellId !== this.#shellId) return;
    this.#exitCode = event.exitCode;
    if (!this.#catchingUp) this.#exit.resolve(event.exitCode);
  }

  /** Reads what was not heard, until nothing is missing. */
  catchUp(): void {
    if (this.#shellId === undefined || this.#catchingUp) return;
    this.#catchingUp = true;
    this.#read(this.#shellId).then(
      () => {
        this.#catchingUp = false;
        if (this.#newest >= this.#next) this.catchUp();
        else if (this.#exitCode !== undefined) this.#exit.resolve(this.#exitCode);
      },
      (error: unknown) => {
        this.#catchingUp = false;
        this.#exit.reject(toAgentVmError(error));
      },
    );
  }

  async #read(shellId: string): Promise<void> {
    const output = (await this.#invoke("readShell", [shellId, { after: this.#next - 1 }])) as ShellOutput;
    for (const chunk of output.chunks) if (chunk.seq >= this.#next) this.#deliver(chunk);
    // What the scrollback has dropped cannot be waited for.
    if (output.chunks.length === 0) this.#next = Math.max(this.#next, this.#newest + 1);
    if (!output.running && output.exitCode !== null) this.#exitCode = output.exitCode;
  }

  #deliver({ seq, data }: { seq: number; data: Uint8Array }): void {
    this.#next = seq + 1;
    this.#newest = Math.max(this.#newest, seq);
    this.#onData(data);
  }
}
