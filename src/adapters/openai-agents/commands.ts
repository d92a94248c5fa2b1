import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import { ShortenedText } from "../shared/text.ts";
import type { AdapterVm } from "../shared/workplace.ts";
import type { ExecArgs, ExecOutcome, WriteStdinArgs } from "./sandbox-types.ts";

const EXEC_YIELD_MS = 10_000;
const STDIN_YIELD_MS = 250;

/** Characters of output that one answer has. */
const MAX_OUTPUT = 1024 * 1024;

/** The SDK counts four bytes as a token. */
const BYTES_PER_TOKEN = 4;

/** Begins the output of a terminal whose scrollback no longer has all of it. */
const EARLIER_DROPPED = "[agent-vm: earlier output was dropped]\n";

/** The key Ctrl-C. */
const INTERRUPT = "\u0003";

/** A command that goes on after an answer. */
type Live = LiveProcess | { shellId: string; after: number };

interface LiveProcess {
  pid: number;
  startedAt: number;
  after: number;
}

/** Output of one answer, and whether the command has ended. */
interface Step {
  output: string;
  stdout: string;
  stderr: string;
  exitCode: number | null;
  /** `undefined` if the command has ended. */
  live: Live | undefined;
}

/** Commands of one session: each answers after a time, and goes on under a number. */
export class Commands {
  readonly #vm: AdapterVm;
  readonly #live = new Map<number, Live>();
  #last = 0;

  constructor(vm: AdapterVm) {
    this.#vm = vm;
  }

  /** Starts a command. */
  async exec(args: ExecArgs, cwd: string, env: Record<string, string>): Promise<ExecOutcome> {
    const { cmd, shell = "bash", login = true, tty = false, yieldTimeMs = EXEC_YIELD_MS } = args;
    const begun = performance.now();
    const argv = [login ? "-lc" : "-c", cmd];
    const step = tty
      ? await this.#terminal(shell, argv, { cwd, env }, yieldTimeMs)
      : await this.#pipes({ shell, argv, cwd, env }, yieldTimeMs);
    const number = ++this.#last;
    return this.#outcome(number, step, begun, args.maxOutputTokens);
  }

  /** Writes to a command and returns its output. `undefined` if no command has this number. */
  async write(args: WriteStdinArgs): Promise<ExecOutcome | undefined> {
    const { sessionId, chars = "", yieldTimeMs = STDIN_YIELD_MS } = args;
    const begun = performance.now();
    const live = this.#live.get(sessionId);
    if (live === undefined) return undefined;
    const step = await ("pid" in live
      ? this.#writePipe(live, chars, yieldTimeMs)
      : this.#writeTerminal(live, chars, yieldTimeMs));
    return this.#outcome(sessionId, step, begun, args.maxOutputTokens);
  }

  /** Ends all commands that go on. */
  async stop(): Promise<void> {
    const all = [...this.#live.values()];
    this.#live.clear();
    await Promise.all(
      all.map((live) =>
        "pid" in live
          ? ended(this.#vm.killProcess(live.pid, { tree: true, startedAt: live.startedAt }))
          : ended(this.#vm.closeShell(live.shellId)),
      ),
    );
  }

  async #pipes(
    { shell, argv, cwd, env }: { shell: string; argv: string[]; cwd: string; env: Record<string, string> },
    yieldAfterMs: number,
  ): Promise<Step> {
    const { texts, options } = collector();
    const step = await this.#vm.runArgv(shell, argv, { ...options, cwd, env, openStdin: true, yieldAfterMs });
    return pipeStep(step, texts);
  }

  async #writePipe({ pid, startedAt, after }: LiveProcess, chars: string, yieldAfterMs: number) {
    const text = chars.replaceAll(INTERRUPT, "");
    if (chars.includes(INTERRUPT))
      await ended(this.#vm.signalProcess(pid, "SIGINT", { tree: true, startedAt }));
    if (text !== "") await ended(this.#vm.writeProcessStdin(pid, text, { startedAt }));
    const { texts, options } = collector();
    return pipeStep(await this.#vm.attach(pid, { ...options, startedAt, after, yieldAfterMs }), texts);
  }

  async #terminal(
    command: string,
    args: string[],
    place: { cwd: string; env: Record<string, string> },
    ms: number,
  ) {
    const { shellId } = await this.#vm.openShell({ command, args, ...place });
    return await this.#readTerminal({ shellId, after: -1 }, ms);
  }

  async #writeTerminal(live: { shellId: string; after: number }, chars: string, ms: number): Promise<Step> {
    if (chars !== "") await ended(this.#vm.writeShell(live.shellId, chars));
    return await this.#readTerminal(live, ms);
  }

  /** Waits for the end of a terminal's program, at most so many milliseconds, and reads what it has written. */
  async #readTerminal({ shellId, after }: { shellId: string; after: number }, ms: number): Promise<Step> {
    const signal = AbortSignal.timeout(ms);
    await this.#vm.waitShell(shellId, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    const { chunks, exitCode, truncated } = await this.#vm.readShell(shellId, { after });
    const decoder = new TextDecoder();
    const text = new ShortenedText(MAX_OUTPUT);
    if (truncated) text.add(EARLIER_DROPPED);
    for (const { data } of chunks) text.add(decoder.decode(data, { stream: true }));
    const output = text.toString();
    return {
      output,
      stdout: output,
      stderr: "",
      exitCode,
      live: { shellId, after: chunks.at(-1)?.seq ?? after },
    };
  }

  #outcome(number: number, step: Step, begun: number, maxTokens: number | undefined): ExecOutcome {
    const { exitCode, live, output, stdout, stderr } = step;
    if (exitCode === null && live !== undefined) this.#live.set(number, live);
    else this.#live.delete(number);
    return {
      ...cut(output, maxTokens),
      stdout,
      stderr,
      wallTimeSeconds: (performance.now() - begun) / 1000,
      ...(exitCode === null ? { sessionId: number } : { exitCode }),
    };
  }
}

/** Formats an outcome as the SDK shows it to a model. */
export function shown(outcome: Omit<ExecOutcome, "stdout" | "stderr">): string {
  const { wallTimeSeconds, sessionId, exitCode, originalTokenCount, output } = outcome;
  return [
    `Wall time: ${wallTimeSeconds.toFixed(4)} seconds`,
    ...(sessionId === undefined ? [] : [`Process running with session ID ${sessionId}`]),
    ...(exitCode === undefined ? [] : [`Process exited with code ${exitCode}`]),
    ...(originalTokenCount === undefined ? [] : [`Original token count: ${originalTokenCount}`]),
    "Output:",
    output,
  ].join("\n");
}

/** Refuses another user than the VM's own. */
export function checkUser(runAs: string | undefined): void {
  if (runAs !== undefined && runAs !== "agentos")
    throw invalidArgument("runAs", "agentos, the VM's user", runAs);
}

function collector() {
  const texts = {
    output: new ShortenedText(MAX_OUTPUT),
    stdout: new ShortenedText(MAX_OUTPUT),
    stderr: new ShortenedText(MAX_OUTPUT),
  };
  const add = (stream: "stdout" | "stderr") => (text: string) => {
    texts.output.add(text);
    texts[stream].add(text);
  };
  return {
    texts,
    options: { onStdout: add("stdout"), onStderr: add("stderr"), captureStdio: false } as const,
  };
}

function pipeStep(
  step: Awaited<ReturnType<AdapterVm["attach"]>>,
  texts: ReturnType<typeof collector>["texts"],
): Step {
  return {
    output: texts.output.toString(),
    stdout: texts.stdout.toString(),
    stderr: texts.stderr.toString(),
    exitCode: step.running ? null : step.exitCode,
    live: step.running ? { pid: step.pid, startedAt: step.startedAt, after: step.after } : undefined,
  };
}

/** Cuts output to a number of tokens, from its middle. */
function cut(
  output: string,
  maxTokens: number | undefined,
): Pick<ExecOutcome, "output" | "originalTokenCount"> {
  const tokens = Math.ceil(Buffer.byteLength(output) / BYTES_PER_TOKEN);
  if (maxTokens === undefined || tokens <= maxTokens) return { output };
  const text = new ShortenedText(maxTokens * BYTES_PER_TOKEN);
  text.add(output);
  return { output: text.toString(), originalTokenCount: tokens };
}

/** Waits for a call to a command that may have ended meanwhile. */
async function ended(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    const { code } = error as Partial<AgentVmError>;
    const isOver = code === "process_not_found" || code === "shell_not_found" || code === "EPIPE";
    if (!(error instanceof AgentVmError && isOver)) throw error;
  }
}
