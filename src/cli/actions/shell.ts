import process from "node:process";
import { AgentVmError } from "../../api/errors.ts";
import { type Terminal, type TerminalOptions, terminal } from "../../client/index.ts";
import type { VmHandle } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { keyText, parseKey } from "../key.ts";
import { DetachKeys, parseDetachKeys } from "../terminal/detach-keys.ts";
import { onSignals } from "../terminal/interrupts.ts";
import { RawTerminal } from "../terminal/raw-terminal.ts";

const BELL = new Uint8Array([7]);

/** Errors of a write to a shell that has ended. */
const HAS_ENDED: ReadonlySet<string> = new Set(["shell_not_found", "vm_destroyed"]);

interface ShellOptions {
  attach?: string | true;
  list?: boolean;
  detachKeys: string;
  env?: Record<string, string>;
  cwd?: string;
}

/** Opens a shell in a VM on this terminal, or takes up an open shell. Exits with its exit code. */
export async function shell(cli: Cli, key: string, words: string[], options: ShellOptions): Promise<void> {
  const vm = await cli.vm(key);
  if (options.list) return await list(cli, vm);
  const keys = new DetachKeys(parseDetachKeys(options.detachKeys));
  if (cli.out.json) throw new UsageError("A shell has no JSON. Pass --json with --list");
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new UsageError("A shell needs a terminal. Use `agent-vm run` in a script");
  const size = { cols: process.stdout.columns, rows: process.stdout.rows };
  const own = new RawTerminal();
  const onData = (data: Uint8Array) => own.print(data);
  const opened = await terminal(vm, { ...(await request(vm, words, options)), ...size, onData });
  const left = Promise.withResolvers<"detached" | "hung up">();
  const onWriteError = (error: AgentVmError) => {
    // A terminal rings when it takes no more keys.
    if (error.code === "limit_exceeded") own.print(BELL);
    // `exited` has the end of a shell that is gone.
    else if (!HAS_ENDED.has(error.code)) left.reject(error);
  };
  // The shell stays open for --attach when this terminal goes away.
  const stop = onSignals((signal) => left.resolve(signal === "SIGINT" ? "detached" : "hung up"));
  try {
    own.open({
      onKeys: (data) => {
        const { data: passed, isComplete } = keys.take(data);
        if (passed.byteLength > 0) void opened.write(passed).catch(onWriteError);
        if (isComplete) left.resolve("detached");
      },
      onResize: (cols, rows) => void opened.resize(cols, rows).catch(() => undefined),
    });
    const end = await Promise.race([opened.exited, left.promise]);
    if (typeof end === "number") process.exitCode = end;
    else leave(opened, key, own);
  } finally {
    own.close();
    stop();
  }
}

function leave(opened: Terminal, key: string, own: RawTerminal): void {
  opened.exited.catch(() => undefined);
  opened.detach();
  own.close();
  const again = `agent-vm shell ${keyText(parseKey(key))} --attach ${opened.shellId}`;
  process.stderr.write(`\r\nDetached. The shell goes on: ${again}\r\n`);
}

async function request(
  vm: VmHandle,
  words: string[],
  { attach, env, cwd }: ShellOptions,
): Promise<TerminalOptions> {
  if (attach === undefined) {
    const [command, ...args] = words;
    return {
      ...(command !== undefined && { command, args }),
      cwd,
      env: { ...terminalEnvironment(), ...env },
    };
  }
  if (words.length > 0)
    throw new UsageError("An open shell has its program already: pass --attach without a command");
  if (attach !== true) return { shellId: attach };
  const newest = (await vm.listShells()).findLast(({ running }) => running);
  if (newest === undefined) throw new AgentVmError("shell_not_found", "The VM has no open shell");
  return { shellId: newest.shellId };
}

function terminalEnvironment(): Record<string, string> {
  const { TERM, COLORTERM } = process.env;
  return { ...(TERM && { TERM }), ...(COLORTERM && { COLORTERM }) };
}

async function list(cli: Cli, vm: VmHandle): Promise<void> {
  await cli.out.table(await vm.listShells(), [
    { title: "SHELL", of: ({ shellId }) => shellId },
    { title: "PID", of: ({ pid }) => pid, isNumber: true },
    { title: "STATE", of: ({ running, exitCode }) => (running ? "open" : `exit ${exitCode}`) },
    { title: "SIZE", of: ({ cols, rows }) => `${cols}x${rows}` },
    { title: "COMMAND", of: ({ command, args }) => [command, ...args].join(" ") },
  ]);
}
