import type { ExitStatus, ProcessTree, ProgramCall, ProgramOptions } from "./processes.ts";

export interface TerminalRequest extends ProgramOptions, ProgramCall {
  cols: number;
  rows: number;
}

export type OutputListener = (data: Buffer) => void;

export interface SandboxTerminal extends ProcessTree {
  onOutput(listener: OutputListener): void;
  readonly pendingInput: number;
  write(data: Uint8Array): void;
  resize(cols: number, rows: number): void;
  /** Hangs up the terminal's whole session and frees the terminal. */
  hangup(): Promise<void>;
  /** Resolves after the last output. */
  readonly exited: Promise<ExitStatus>;
}

/** Runs programs on terminals. */
export interface SandboxTerminals {
  /** Interactive shell of the VM. */
  readonly shell: string;
  open(request: TerminalRequest): Promise<SandboxTerminal>;
}
