/** A program of the VM that calls the server: its arguments and its streams. Everything in it is the VM's word. */
export interface HostCall {
  /** Name of the program, and its arguments. */
  readonly args: readonly string[];
  /** Value of the program's variable `HOST_CALL_SESSION`; `""` without it. Any program of the VM can set it. */
  readonly session: string;
  /** Aborts when the program has ended. */
  readonly gone: AbortSignal;
  /** Whether the program gets no more output: it has ended or was cut off. `gone` may abort a moment later. */
  readonly isClosed: boolean;
  /** Writes to the program's output. Resolves when the program has room for more, or has ended. */
  write(stream: "stdout" | "stderr", data: Uint8Array): Promise<void>;
  /** Reads the next piece of the program's stdin. @returns an empty piece at its end @throws once the program has ended */
  read(): Promise<Buffer>;
  /**
   * Reads a file as the program sees it; `-` is its stdin.
   *
   * @throws Error with a line for the program's user; `gone`'s reason once the program has ended
   */
  readFile(path: string, maxBytes: number): Promise<Buffer>;
  /** Ends the program after the output so far. */
  exit(code: number): void;
}

/** Variable that names the session of the agent that a program belongs to. */
export const HOST_CALL_SESSION = "AGENT_VM_SESSION";
