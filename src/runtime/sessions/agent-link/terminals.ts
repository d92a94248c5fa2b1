import { z } from "zod";
import { MAX_ARGUMENT_BYTES, MAX_ARGUMENTS_BYTES, MAX_PATH_BYTES } from "../../../api/limits.ts";
import { fitsUtf8 } from "../../../api/size.ts";
import type { Env } from "../../../api/values.ts";
import { fitsCommand } from "../../../api/values.ts";
import { type OutputBudget, Tail } from "../../../base/tail.ts";
import type { SandboxProcess } from "../../sandbox/processes.ts";
import { capabilityOf, type Sandbox } from "../../sandbox/sandbox.ts";
import { MAX_AGENT_TERMINAL_BYTES, MAX_AGENT_TERMINALS } from "../limits.ts";
import { INTERNAL_ERROR, RESOURCE_NOT_FOUND, RpcError } from "./rpc.ts";

/** A string that execve(2) accepts. */
const word = (maxBytes: number) =>
  z
    .string()
    .regex(/^[^\0]*$/, "must not contain NUL")
    .refine((text) => fitsUtf8(text, maxBytes), { error: `must have at most ${maxBytes} bytes` });
const variableSchema = z.object({
  name: word(MAX_ARGUMENT_BYTES).regex(/^[^=]+$/),
  value: word(MAX_ARGUMENT_BYTES),
});

export const createTerminalSchema = z
  .looseObject({
    command: word(MAX_ARGUMENT_BYTES).min(1),
    args: z.array(word(MAX_ARGUMENT_BYTES)).default([]),
    env: z.array(variableSchema).default([]),
    cwd: word(MAX_PATH_BYTES).startsWith("/").nullish(),
    outputByteLimit: z.int().nonnegative().nullish(),
  })
  .refine(({ command, args, env }) => fitsCommand([command, ...args], variablesOf(env)), {
    error: `the command's arguments and variables must have at most ${MAX_ARGUMENTS_BYTES} bytes together`,
    path: ["args"],
  });

function variablesOf(env: z.infer<typeof variableSchema>[]): Env {
  return Object.fromEntries(env.map(({ name, value }) => [name, value]));
}

interface TerminalOptions {
  env: Env;
  cwd: string;
  /** Output that the VM keeps. */
  kept: OutputBudget;
}

interface Terminal {
  process: SandboxProcess;
  output: Tail;
  written: number;
  limit: number;
  exit: { exitCode: number | null; signal: string | null } | undefined;
}

/** Commands that an agent runs through ACP. stdout and stderr share one output. */
export class AgentTerminals {
  readonly #sandbox: Sandbox;
  readonly #defaults: TerminalOptions;
  readonly #terminals = new Map<string, Terminal>();
  #lastId = 0;
  #starting = 0;
  #closing: Promise<void> | undefined;

  constructor(sandbox: Sandbox, defaults: TerminalOptions) {
    this.#sandbox = sandbox;
    this.#defaults = defaults;
  }

  async create(request: z.infer<typeof createTerminalSchema>): Promise<{ terminalId: string }> {
    if (this.#terminals.size + this.#starting >= MAX_AGENT_TERMINALS) {
      throw new RpcError(
        INTERNAL_ERROR,
        `Terminal limit reached (MAX_AGENT_TERMINALS = ${MAX_AGENT_TERMINALS}). Release one first.`,
      );
    }
    this.#starting++;
    try {
      const terminal = await this.#start(request);
      const terminalId = `terminal-${++this.#lastId}`;
      this.#terminals.set(terminalId, terminal);
      return { terminalId };
    } finally {
      this.#starting--;
    }
  }

  output(terminalId: string): object {
    const { output, written, limit, exit } = this.#find(terminalId);
    return {
      output: output.text(),
      truncated: written > limit || output.isCut,
      ...(exit && { exitStatus: exit }),
    };
  }

  async waitForExit(terminalId: string): Promise<object> {
    const terminal = this.#find(terminalId);
    await terminal.process.exited;
    return { ...terminal.exit };
  }

  async kill(terminalId: string): Promise<object> {
    await this.#find(terminalId).process.killTree();
    return {};
  }

  async release(terminalId: string): Promise<object> {
    const { process, output } = this.#find(terminalId);
    this.#terminals.delete(terminalId);
    await process.killTree();
    output.clear();
    return {};
  }

  /** Ends all commands. Every caller waits until they have ended. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    const terminals = [...this.#terminals.values()];
    this.#terminals.clear();
    await Promise.all(terminals.map(({ process }) => process.killTree()));
    for (const { output } of terminals) output.clear();
  }

  async #start({
    command,
    args,
    env,
    cwd,
    outputByteLimit,
  }: z.infer<typeof createTerminalSchema>): Promise<Terminal> {
    const defaults = this.#defaults;
    // Agents pass a whole line as the command if they want a shell to run it.
    const program = args.length > 0 ? { command, args } : { line: command };
    const process = await capabilityOf(this.#sandbox, "processes", "Starting a terminal").spawn({
      ...program,
      env: { ...defaults.env, ...variablesOf(env) },
      cwd: cwd ?? defaults.cwd,
      stdin: false,
    });
    const limit = Math.min(outputByteLimit ?? MAX_AGENT_TERMINAL_BYTES, MAX_AGENT_TERMINAL_BYTES);
    const terminal: Terminal = {
      process,
      output: new Tail(limit, defaults.kept),
      written: 0,
      limit,
      exit: undefined,
    };
    process.onOutput((_stream, data) => {
      terminal.written += data.byteLength;
      terminal.output.push(data);
    });
    void process.exited.then(({ exitCode, signal }) => {
      terminal.output.end();
      terminal.exit = { exitCode: signal === null ? exitCode : null, signal };
    });
    if (this.#closing !== undefined) {
      await process.killTree();
      throw new RpcError(INTERNAL_ERROR, "The session has ended");
    }
    return terminal;
  }

  #find(terminalId: string): Terminal {
    const terminal = this.#terminals.get(terminalId);
    if (!terminal) throw new RpcError(RESOURCE_NOT_FOUND, `Terminal not found: ${terminalId}`);
    return terminal;
  }
}
