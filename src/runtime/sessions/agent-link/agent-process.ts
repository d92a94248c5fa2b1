import { constants } from "node:os";
import { AgentVmError } from "../../../api/errors.ts";
import type { ByteShare } from "../../../base/byte-share.ts";
import { LineSplitter } from "../../../base/line-splitter.ts";
import { Tail } from "../../../base/tail.ts";
import { within } from "../../../base/within.ts";
import type { CommandRequest, ExitStatus, SandboxProcess } from "../../sandbox/processes.ts";
import { capabilityOf, type Sandbox } from "../../sandbox/sandbox.ts";
import {
  AGENT_STDERR_BYTES,
  AGENT_STOP_GRACE_MS,
  MAX_AGENT_LINE_BYTES,
  MAX_PENDING_AGENT_BYTES,
} from "../limits.ts";
import { LineQueue } from "./line-queue.ts";

/** End of an agent's process. */
export interface AgentEnd extends ExitStatus {
  /** The last AGENT_STDERR_BYTES of stderr. */
  stderr: string;
  /** Why agent-vm killed the agent, if it did. */
  fault?: string;
}

/** An agent's process in a VM, with lines on stdin and stdout. Its end also ends every process that it has started. */
export class AgentProcess {
  readonly pid: number;
  /** Resolves when the agent and all its descendants have ended. */
  readonly ended: Promise<AgentEnd>;
  readonly #process: SandboxProcess;
  readonly #stderr = new Tail(AGENT_STDERR_BYTES);
  readonly #lines: LineSplitter;
  readonly #queue: LineQueue;
  /** Memory that the sessions of the VM share, and what lines have of it that are not passed on. */
  readonly #memory: ByteShare;
  #held = 0;
  /** Reasons for which the server does not read stdout. */
  readonly #pauses = new Set<string>();
  #fault: string | undefined;

  private constructor(process: SandboxProcess, memory: ByteShare, onLine: (line: string) => void) {
    this.#process = process;
    this.#memory = memory;
    this.pid = process.pid;
    this.#queue = new LineQueue(
      (line) => {
        this.#payForLines();
        onLine(line);
      },
      (isBusy) => this.setPaused("lines", isBusy),
    );
    this.#lines = new LineSplitter(
      MAX_AGENT_LINE_BYTES,
      (line) => this.#queue.push(line),
      () => this.killFor(`it wrote a line of more than ${MAX_AGENT_LINE_BYTES} bytes`),
    );
    process.onOutput((stream, data) => {
      if (stream === "stdout") {
        this.#lines.push(data);
        if (!this.#payForLines()) this.killFor("the agents of its VM wrote too much that is not read yet");
      } else this.#stderr.push(data);
    });
    this.ended = this.#end();
    // The callback also runs if stdout has already ended.
    process.onStdoutEnd(() => void this.#endSoon());
  }

  /** @param memory pays for lines that are not passed on yet */
  static async start(
    sandbox: Sandbox,
    request: CommandRequest,
    memory: ByteShare,
    onLine: (line: string) => void,
  ) {
    return new AgentProcess(
      await capabilityOf(sandbox, "processes", "Starting an agent").spawn({ ...request, stdin: true }),
      memory,
      onLine,
    );
  }

  get stderr(): string {
    return this.#stderr.text();
  }

  write(line: string): void {
    if (this.#fault !== undefined) return;
    const data = Buffer.from(line, "utf8");
    if (this.#process.pendingStdin + data.byteLength > MAX_PENDING_AGENT_BYTES) {
      this.killFor(`it left more than ${MAX_PENDING_AGENT_BYTES} bytes of its stdin unread`);
      return;
    }
    try {
      this.#process.writeStdin(data);
    } catch (error) {
      this.killFor(`its unread stdin has no room in the VM: ${(error as Error).message}`);
    }
  }

  /** Stops or resumes reading of the agent's stdout. The server reads again when no reason is left. */
  setPaused(reason: "events" | "requests" | "lines", isPaused: boolean): void {
    const before = this.#pauses.size;
    if (isPaused) this.#pauses.add(reason);
    else this.#pauses.delete(reason);
    if (before === 0 && isPaused) this.#process.pauseStdout();
    else if (before > 0 && this.#pauses.size === 0) this.#process.resumeStdout();
  }

  /** Closes the agent's stdin, then sends SIGTERM, then kills it. Some agents ignore the first, some the second. */
  async stop(): Promise<void> {
    // An agent that blocks on a full stdout cannot end. Read the rest, and drop it if the server was paused.
    if (this.#pauses.size > 0) this.#lines.stop();
    this.#payForLines();
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
    const ended =
      (await within(
        this.#process.exited.then(() => true),
        AGENT_STOP_GRACE_MS,
      )) ?? false;
    if (ended) await this.ended;
    return ended;
  }

  /** Kills an agent that has closed its stdout but does not end, because it cannot answer any more. */
  async #endSoon(): Promise<void> {
    if (!(await this.#endsSoon())) this.killFor("it closed its stdout");
  }

  /** Kills the agent for a fault and ignores its further output. */
  killFor(fault: string): void {
    this.#fault ??= fault;
    this.#lines.stop();
    this.#queue.stop();
    this.#payForLines();
    void this.#process.killTree();
  }

  /** @returns `false` if there is no room for what has arrived */
  #payForLines(): boolean {
    const held = this.#lines.begun + this.#queue.chars;
    const more = held - this.#held;
    if (more > 0 && !this.#memory.take(more)) return false;
    if (more < 0) this.#memory.give(-more);
    this.#held = held;
    return true;
  }

  async #end(): Promise<AgentEnd> {
    const { exitCode, signal } = await this.#process.exited;
    this.#lines.stop();
    await this.#queue.idle();
    this.#payForLines();
    // The agent may have left daemons behind.
    await this.#process.killTree();
    return {
      exitCode,
      signal,
      stderr: this.stderr,
      ...(this.#fault !== undefined && { fault: this.#fault }),
    };
  }
}

/** @param event end of the sentence, such as `"did not start"` */
export function agentFailed(agentType: string, event: string, end?: Partial<AgentEnd>): AgentVmError {
  return new AgentVmError("agent_failed", `Agent ${agentType} ${event}${because(end)}`, { ...end });
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

/** Last line of stderr, which usually has the reason for a failure. */
function lastLine(stderr = ""): string {
  return excerpt(stderr.trimEnd().split("\n").at(-1)?.trim() ?? "");
}

/** The first 300 characters of an agent's text, for an error message. */
export function excerpt(text: string): string {
  return text.slice(0, 300);
}
