// A Python interpreter for each user, in a VM of its own: variables stay between cells, and each user has a quota.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { VmAccessor, VmConnection } from "agent-vm/client";

const KERNEL = "/home/agentos/.kernel.py";

/** Result of a cell. */
export interface CellResult {
  printed: string;
  /** `repr` of the last expression, if the cell ends with one. */
  value: string | null;
  error: string | null;
}

export interface InterpreterOptions {
  /** Cells that a user may run in a minute. */
  cellsPerMinute: number;
  /** Milliseconds after which a cell is ended, with the variables of its user. */
  cellTimeoutMs: number;
}

/** The interpreters of all users. */
export class Interpreters {
  readonly #vms: VmAccessor;
  readonly #options: InterpreterOptions;
  readonly #users = new Map<string, Interpreter>();

  constructor(vms: VmAccessor, options: InterpreterOptions) {
    this.#vms = vms;
    this.#options = options;
  }

  /** Runs a cell after the earlier cells of its user. */
  run(user: string, code: string): Promise<CellResult> {
    let interpreter = this.#users.get(user);
    if (interpreter === undefined) {
      const conn = this.#vms.getOrCreate(["interpreter", user]).connect();
      interpreter = new Interpreter(conn, this.#options);
      this.#users.set(user, interpreter);
    }
    return interpreter.run(code);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#users.values()].map((interpreter) => interpreter.close()));
  }
}

class Interpreter {
  readonly #conn: VmConnection;
  readonly #options: InterpreterOptions;
  /** Times of the cells of the last minute. */
  #ran: number[] = [];
  #pid: Promise<number> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #line = "";
  #answer: PromiseWithResolvers<CellResult> | undefined;

  constructor(conn: VmConnection, options: InterpreterOptions) {
    this.#conn = conn;
    this.#options = options;
    const decoder = new TextDecoder();
    conn.on("processOutput", async ({ pid, stream, data }) => {
      if (stream !== "stdout" || pid !== (await this.#pid)) return;
      this.#line += decoder.decode(data, { stream: true });
      if (!this.#line.endsWith("\n")) return;
      this.#answer?.resolve(JSON.parse(this.#line));
      this.#line = "";
    });
    conn.on("processExit", async ({ pid }) => {
      if (pid !== (await this.#pid)) return;
      this.#pid = undefined;
      this.#line = "";
      this.#answer?.resolve({ printed: "", value: null, error: "The interpreter ended" });
    });
  }

  run(code: string): Promise<CellResult> {
    const now = Date.now();
    this.#ran = this.#ran.filter((at) => now - at < 60_000);
    if (this.#ran.length >= this.#options.cellsPerMinute)
      throw new Error(`A user may run ${this.#options.cellsPerMinute} cells a minute`);
    this.#ran.push(now);
    const result = this.#last.then(() => this.#cell(code));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #cell(code: string): Promise<CellResult> {
    this.#pid ??= this.#start();
    const pid = await this.#pid;
    this.#answer = Promise.withResolvers();
    const timer = setTimeout(
      () => void this.#conn.killProcess(pid).catch(() => undefined),
      this.#options.cellTimeoutMs,
    );
    try {
      await this.#conn.writeProcessStdin(pid, `${JSON.stringify({ code })}\n`);
      return await this.#answer.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async #start(): Promise<number> {
    await this.#conn.writeFile(KERNEL, await readFile(join(import.meta.dirname, "kernel.py"), "utf8"));
    const { pid } = await this.#conn.spawn("python3", [KERNEL]);
    return pid;
  }

  async close(): Promise<void> {
    if (this.#pid !== undefined) await this.#conn.killProcess(await this.#pid);
    await this.#conn.dispose();
  }
}
