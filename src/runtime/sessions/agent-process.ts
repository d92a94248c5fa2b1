import { constants } from "node:os";
import { AgentVmError } from "../../api/errors.ts";
import {
  AGENT_STDERR_BYTES,
  AGENT_STOP_GRACE_MS,
  MAX_AGENT_LINE_BYTES,
  MAX_PENDING_AGENT_BYTES,
} from "../../api/limits.ts";
import { Tail } from "../processes/tail.ts";
import type { CommandRequest, ExitStatus, Sandbox, SandboxProcess } from "../sandbox/sandbox.ts";
import { LineQueue } from "./line-queue.ts";
import { LineSplitter } from "./line-splitter.ts";

/** How an agent's process ended. */
export interface AgentEnd extends ExitStatus {
  /** The end of what it wrote to stderr. */
  stderr: string;
  /** What it did that it was killed for, where it was. */
  fault?: string;
}

/** An agent's process in a VM: lines out, lines in, the end of its stderr, and its end with all that it has started. */
export class AgentProcess {
  readonly pid: number;
  /** Resolves when it has ended and everything that descends from it has. */
  readonly ended: Promise<AgentEnd>;
  readonly #process: SandboxProcess;
  readonly #stderr = new Tail(AGENT_STDERR_BYTES);
  readonly #lines: LineSplitter;
  readonly #queue: LineQueue;
  readonly #holds = new Set<string>();
  #fault: string | undefined;

  private constructor(process: SandboxProcess, onLine: (line: string) => void) {
    this.#process = process;
    this.pid = process.pid;
    this.#queue = new LineQueue(onLine, (isBusy) => this.hold("lines", isBusy));
    this.#lines = new LineSplitter(
      MAX_AGENT_LINE_BYTES,
      (line) => this.#queue.push(line),
      () => this.killFor(`it wrote a line of more than ${MAX_AGENT_LINE_BYTES} bytes`),
    );
    process.onOutput((stream, data) => {
      if (stream === "stdout") this.#lines.push(data);
      else this.#stderr.push(data);
    });
    this.ended = this.#end();
    // It may be over already.
    process.onStdoutEnd(() => void this.#endSoon());
  }

  static async start(
    sandbox: Sandbox,
    request: CommandRequest,
    onLine: (line: string) => void,
  ): Promise<AgentProcess> {
    return new AgentProcess(await sandbox.spawn({ ...request, stdin: true }), onLine);
  }

  get stderr(): string {
    return this.#stderr.text();
  }

  write(line: string): void {
    if (this.#fault !== undefined) return;
    const data = Buffer.from(line, "utf8");
    if (this.#process.pendingStdin + data.byteLength > MAX_PENDING_AGENT_BYTES) {
      this.killFor(`it has not read ${this.#process.pendingStdin} bytes that were sent to it`);
    } else this.#process.writeStdin(data);
  }

  /**
   * Lets the agent wait with what it writes, or go on.
   *
   * @param why it goes on when no reason is left.
   */
  hold(why: "events" | "requests" | "lines", isHeld: boolean): void {
    const before = this.#holds.size;
    if (isHeld) this.#holds.add(why);
    else this.#holds.delete(why);
    if (before === 0 && isHeld) this.#process.pauseStdout();
    else if (before > 0 && this.#holds.size === 0) this.#process.resumeStdout();
  }

  /** Ends it politely, then less so: some agents ignore the end of their stdin, some SIGTERM. */
  async stop(): Promise<void> {
    // One that waits to be read cannot end. What it says above what is taken in time is no longer waited for.
    if (this.#holds.size > 0) this.#lines.stop();
    this.#process.resumeStdout();
    this.#process.closeStdin();
    if (await this.#endsSoon()) return;
    this.#process.signal(constants.signals.SIGTERM);
    if (await this.#endsSoon()) return;
    await this.kill();
  }

  async kill(): Promise<void> {
    await this.#process.killTree();
    await this.ended;
  }

  async #endsSoon(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), AGENT_STOP_GRACE_MS);
    });
    const ended = await Promise.race([this.#process.exited.then(() => true), late]);
    clearTimeout(timer);
    if (ended) await this.ended;
    return ended;
  }

  /** Without a stdout there is nothing that it could answer with. */
  async #endSoon(): Promise<void> {
    if (!(await this.#endsSoon())) this.killFor("it closed its stdout");
  }

  /** Kills it for what it did, and hears nothing more of it. */
  killFor(fault: string): void {
    this.#fault ??= fault;
    this.#lines.stop();
    this.#queue.stop();
    void this.#process.killTree();
  }

  async #end(): Promise<AgentEnd> {
    const { exitCode, signal } = await this.#process.exited;
    this.#lines.stop();
    await this.#queue.idle();
    // Daemons that it has left behind.
    await this.#process.killTree();
    return {
      exitCode,
      signal,
      stderr: this.stderr,
      ...(this.#fault !== undefined && { fault: this.#fault }),
    };
  }
}

/** @param what e.g. `"did not start"` */
export function agentFailed(agentType: string, what: string, end?: Partial<AgentEnd>): AgentVmError {
  return new AgentVmError("agent_failed", `Agent ${agentType} ${what}${because(end)}`, { ...end });
}

export function agentCrashed(agentType: string, end: AgentEnd): AgentVmError {
  return new AgentVmError("agent_crashed", `Agent ${agentType} ended${because(end)}`, { ...end });
}

function because({ exitCode, signal, stderr, fault }: Partial<AgentEnd> = {}): string {
  const how =
    fault ?? (signal ? `killed by ${signal}` : exitCode === undefined ? undefined : `exit code ${exitCode}`);
  const line = lastLine(stderr);
  return [how && ` (${how})`, line && `: ${line}`].filter(Boolean).join("");
}

/** What a program says last is mostly why it failed. */
function lastLine(stderr = ""): string {
  return excerpt(stderr.trimEnd().split("\n").at(-1)?.trim() ?? "");
}

/** As much of an agent's words as an error's message has room for. */
export function excerpt(text: string): string {
  return text.slice(0, 300);
}
