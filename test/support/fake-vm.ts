import { AgentVmError, processNotFound } from "../../src/api/errors.ts";
import type { VmEvents } from "../../src/api/events.ts";
import { TRANSFER_CHUNK_BYTES } from "../../src/api/limits.ts";
import type { ExecResult, ProcessOutput } from "../../src/api/methods/process-types.ts";
import type { OpenedShell, ShellOutput } from "../../src/api/methods/shells.ts";
import type { FileReadTransfer } from "../../src/api/methods/transport.ts";
import type { Bytes } from "../../src/api/values.ts";
import type { VmHooks, VmRunOptions } from "../../src/runtime/hooks.ts";
import type { TestSeams } from "../../src/runtime/test-seams.ts";
import { BodyTurn } from "../../src/runtime/transfers/body-turn.ts";
import type { LiveVm } from "../../src/runtime/vm.ts";

/** Result of a command without output. */
export const EXEC_RESULT: ExecResult = {
  exitCode: 0,
  stdout: "",
  stderr: "",
  output: "",
  signal: null,
  timedOut: false,
  reason: "exit",
  truncated: false,
  durationMs: 1,
  cpuMs: 1,
  oomKills: 0,
  maxRssBytes: 1,
};

/** The fake VMs of a server. */
export interface FakeVms {
  create: NonNullable<TestSeams["createVm"]>;
  /** Every command line that a VM has run, in order. */
  ran: string[];
  /** Every VM that the server has made, newest last. */
  all: FakeVm[];
}

/**
 * Makes VMs in this process whose actions are slow, large or failing on purpose.
 *
 * @param onRun receives every command line
 */
export function fakeVms(onRun: (command: string) => void = () => undefined): FakeVms {
  const vms: FakeVms = {
    ran: [],
    all: [],
    create: async (_options, hooks, { onFailure }) => {
      const vm = new FakeVm({ ...hooks, onFailure }, (command) => {
        vms.ran.push(command);
        onRun(command);
      });
      vms.all.push(vm);
      return vm as unknown as LiveVm;
    },
  };
  return vms;
}

interface FakeShell {
  chunks: { data: Uint8Array; seq: number }[];
  pid: number;
  exitCode: number | null;
  exited: PromiseWithResolvers<number>;
}

/**
 * A VM without a machine. `exec` runs `sleep MS`, `fail` (an internal error), `enoent`, `big BYTES` and `echo TEXT`.
 * A shell echoes its input, and `exit` ends it.
 */
export class FakeVm {
  readonly state = () => "awake";
  readonly processCount = () => 1;
  readonly sessionCount = async () => 0;
  readonly listUse = async () => ({ memoryBytes: 1, cpuMs: 2, diskBytes: 3, promptsRunning: 0 });
  readonly labels = async () => ({});

  readonly hooks: VmHooks & Pick<VmRunOptions, "onFailure">;
  readonly files = new Map<string, Uint8Array>();
  readonly shells = new Map<string, FakeShell>();
  disposedFor: string | undefined;
  readonly #onRun: (command: string) => void;
  readonly #stopped = Promise.withResolvers<never>();
  #transfers = 0;
  readonly #reads = new Map<string, Uint8Array>();
  readonly #writes = new Map<string, { path: string; data: Uint8Array; offset: number; turn: BodyTurn }>();

  constructor(hooks: FakeVm["hooks"], onRun: (command: string) => void) {
    this.hooks = hooks;
    this.#onRun = onRun;
    this.#stopped.promise.catch(() => undefined);
  }

  async ringCron(): Promise<void> {
    // A fake VM has no cron jobs.
  }

  async dispose(reason: VmEvents["vmShutdown"]["reason"]): Promise<void> {
    this.disposedFor = reason;
    this.#stopped.reject(new AgentVmError("vm_stopped", "The VM was stopped"));
    this.hooks.emit("vmShutdown", { reason });
  }

  async exec(command: string): Promise<ExecResult> {
    this.#onRun(command);
    const [name, argument = ""] = command.split(" ", 2);
    if (name === "sleep") await Promise.race([delay(Number(argument)), this.#stopped.promise]);
    if (name === "fail") throw new Error("a secret of the server");
    if (name === "enoent") throw new AgentVmError("ENOENT", "ENOENT: no such file or directory, open '/x'");
    const stdout = name === "big" ? "x".repeat(Number(argument)) : `${command.slice(5)}\n`;
    return { ...EXEC_RESULT, stdout };
  }

  /** Emits `args[0]` MiB of output in pieces of 192 KiB, waiting `args[1]` ms between them. */
  async spawn(_command: string, args: string[] = []): Promise<{ pid: number }> {
    const total = Number(args[0] ?? 0) * 1024 * 1024;
    const pauseMs = Number(args[1] ?? 0);
    const piece = new Uint8Array(192 * 1024);
    const work = (async () => {
      for (let sent = 0, seq = 0; sent < total; sent += piece.length, seq += 1) {
        this.hooks.emit("processOutput", { pid: 2, stream: "stdout", data: piece, seq });
        await delay(pauseMs);
      }
      this.hooks.emit("processExit", { pid: 2, exitCode: 0, reason: "exit" });
    })();
    this.hooks.keepAwake(work);
    return { pid: 2 };
  }

  async readProcessOutput(): Promise<ProcessOutput> {
    return { chunks: [], truncated: false, running: false, exitCode: 0 };
  }

  async waitProcess(pid: number): Promise<number> {
    if (pid !== 2) throw processNotFound(pid);
    return 0;
  }

  async listProcesses() {
    return [];
  }

  async exists(path: string) {
    return this.files.has(path);
  }

  async readFile(path: string): Promise<Uint8Array> {
    const data = this.files.get(path);
    if (!data) throw new AgentVmError("ENOENT", `ENOENT: no such file or directory, open '${path}'`);
    return data;
  }

  async writeFile(path: string, content: Bytes): Promise<void> {
    this.files.set(path, typeof content === "string" ? new TextEncoder().encode(content) : content.slice());
  }

  async beginFileRead(path: string, firstBytes = TRANSFER_CHUNK_BYTES): Promise<FileReadTransfer> {
    const data = await this.readFile(path);
    if (data.length <= firstBytes) return { size: data.length, data, transferId: null };
    this.#transfers += 1;
    const transferId = `read-${this.#transfers}`;
    this.#reads.set(transferId, data);
    return { size: data.length, data: data.subarray(0, firstBytes), transferId };
  }

  async readFileChunk(transferId: string, offset: number): Promise<Uint8Array> {
    return this.#reads.get(transferId)!.subarray(offset, offset + TRANSFER_CHUNK_BYTES);
  }

  async beginFileWrite(path: string, size: number): Promise<{ transferId: string }> {
    this.#transfers += 1;
    const transferId = `write-${this.#transfers}`;
    this.#writes.set(transferId, { path, data: new Uint8Array(size), offset: 0, turn: new BodyTurn() });
    return { transferId };
  }

  async writeFileChunk(transferId: string, offset: number, data: Uint8Array): Promise<void> {
    this.#writes.get(transferId)!.data.set(data, offset);
  }

  readonly bodies: LiveVm["bodies"] = {
    send: async (transferId, { offset }, send) => {
      let rest = this.#reads.get(transferId)!.subarray(offset);
      const fill = async (target: Uint8Array) => {
        const piece = rest.subarray(0, target.length);
        target.set(piece);
        rest = rest.subarray(piece.length);
        return piece.length;
      };
      await send({ length: rest.length, fill }, new AbortController().signal);
    },
    receive: async (transferId, offset, receive) => {
      const upload = this.#writes.get(transferId)!;
      return await upload.turn.run(async (signal) => {
        upload.offset = offset;
        await receive(async (data) => {
          upload.data.set(data, upload.offset);
          upload.offset += data.length;
        }, signal);
        return upload.offset;
      });
    },
  };

  async transferOffset(transferId: string): Promise<number> {
    const upload = this.#writes.get(transferId)!;
    await upload.turn.end();
    return upload.offset;
  }

  async commitFileWrite(transferId: string): Promise<void> {
    const { path, data } = this.#writes.get(transferId)!;
    this.files.set(path, data);
    this.#writes.delete(transferId);
  }

  async endFileTransfer(transferId: string): Promise<void> {
    this.#reads.delete(transferId);
    this.#writes.delete(transferId);
  }

  /** Number of transfers that have not ended. */
  get openTransfers(): number {
    return this.#reads.size + this.#writes.size;
  }

  async openShell(): Promise<OpenedShell> {
    const shellId = `shell-${this.shells.size + 1}`;
    const pid = 100 + this.shells.size;
    const exited = Promise.withResolvers<number>();
    this.shells.set(shellId, { chunks: [], pid, exitCode: null, exited });
    this.hooks.keepAwake(exited.promise);
    this.#output(shellId, "$ ");
    return { shellId, pid };
  }

  async writeShell(shellId: string, data: Bytes): Promise<void> {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    this.#output(shellId, text);
    if (text.startsWith("exit")) this.#exit(shellId, 0);
  }

  async resizeShell(shellId: string, cols: number, rows: number): Promise<void> {
    this.#output(shellId, `${cols}x${rows}`);
  }

  async closeShell(shellId: string): Promise<void> {
    this.#exit(shellId, 129);
  }

  async waitShell(shellId: string): Promise<number> {
    return await this.#shell(shellId).exited.promise;
  }

  async listShells() {
    return [...this.shells].map(([shellId, { pid, exitCode }]) => ({
      shellId,
      pid,
      command: "bash",
      args: ["-i"],
      cols: 80,
      rows: 24,
      running: exitCode === null,
      exitCode,
    }));
  }

  async readShell(shellId: string, { after = -1 } = {}): Promise<ShellOutput> {
    const { chunks, exitCode } = this.#shell(shellId);
    return {
      chunks: chunks.filter(({ seq }) => seq > after),
      truncated: false,
      running: exitCode === null,
      exitCode,
    };
  }

  #output(shellId: string, text: string): void {
    const { chunks } = this.#shell(shellId);
    const chunk = { data: new TextEncoder().encode(text), seq: chunks.length };
    chunks.push(chunk);
    this.hooks.emit("shellData", { shellId, ...chunk });
  }

  #exit(shellId: string, exitCode: number): void {
    const shell = this.#shell(shellId);
    if (shell.exitCode !== null) return;
    shell.exitCode = exitCode;
    shell.exited.resolve(exitCode);
    this.hooks.emit("shellExit", { shellId, exitCode });
  }

  #shell(shellId: string): FakeShell {
    const shell = this.shells.get(shellId);
    if (!shell) throw new AgentVmError("shell_not_found", `Shell not found: ${shellId}`);
    return shell;
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
