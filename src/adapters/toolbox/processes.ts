import { z } from "zod";
import type { AttachOptions, RunningCommand, RunResult } from "../../client/index.ts";
import { ShortenedText, shortened } from "../shared/text.ts";
import { defineTool, type ToolAnswer, type ToolContext } from "./tool.ts";

const MAX_TIMEOUT_MS = 24 * 3_600_000;

/** Clients of MCP give up a request after 60 s. */
const MAX_WAIT_MS = 50_000;

const directory = z
  .string()
  .optional()
  .describe("Working directory, absolute or relative. Default: the base directory");
const environment = z.record(z.string(), z.string()).optional().describe("Environment variables");
const pid = z.int().min(1).describe("Process id");
const started_at = z
  .int()
  .min(0)
  .optional()
  .describe(
    "`started_at` of the answer that named the pid. Refuses another process that has the pid since a restart",
  );
const after = z.int().min(-1).optional();

const exec = { right: "exec" } as const;
const see = { right: "exec", reads: true } as const;

/** Collects the output of a call, shortened to the limit of an answer. */
function collector({ outputLimit, onOutput, signal }: ToolContext) {
  const output = new ShortenedText(outputLimit);
  const listener = (text: string) => {
    output.add(text);
    onOutput?.(output.toString());
  };
  const options = {
    onStdout: listener,
    onStderr: listener,
    captureStdio: false,
    signal,
  } satisfies AttachOptions;
  return { output, options };
}

/** Options that tell a process from others at its pid. */
/** Describes a command that has ended or goes on. */
function answerOf(step: RunResult | RunningCommand, output: ShortenedText): ToolAnswer {
  const text = output.toString();
  const facts = {
    pid: step.pid,
    started_at: step.startedAt,
    running: step.running,
    output: text,
    truncated: step.truncated || output.isShortened,
  };
  const shown = text === "" ? "(no output)" : text;
  if (step.running) {
    const next = `Call read_output with pid ${step.pid}, started_at ${step.startedAt} and after ${step.after}, or stop_process.`;
    return { ...facts, after: step.after, text: `${shown}\n[still running: pid ${step.pid}. ${next}]` };
  }
  const { exitCode, reason, signal, durationMs } = step;
  const ended =
    reason === "exit"
      ? `exit code ${exitCode}`
      : `exit code ${exitCode}, ended by ${signal ?? reason} (${reason})`;
  return { ...facts, exitCode, reason, durationMs, text: `${shown}\n[${ended}]` };
}

/** Tools for commands and processes. */
export const PROCESS_TOOLS = {
  exec: defineTool({
    title: "Run a command",
    description:
      "Runs a bash command line in the Linux VM and returns its output (stdout and stderr together) and exit code. A command " +
      "that takes long goes on in the background: the answer then has its pid for read_output and stop_process.",
    input: z.strictObject({
      command: z.string().min(1).describe("Line for bash"),
      cwd: directory,
      env: environment,
      stdin: z.string().optional().describe("Text for the command's stdin. Default: empty"),
      timeout_ms: z
        .int()
        .min(1)
        .max(MAX_TIMEOUT_MS)
        .optional()
        .describe("Kills the command after this time. Default: never"),
    }),
    effect: "execute",
    needs: [exec],
    async run({ command, cwd, env, stdin, timeout_ms }, context) {
      const { output, options } = collector(context);
      const step = await context.vm.run(command, {
        ...options,
        cwd: await context.place.directory(cwd),
        yieldAfterMs: context.yieldAfterMs,
        env,
        stdin,
        timeout: timeout_ms,
      });
      return answerOf(step, output);
    },
  }),
  start_process: defineTool({
    title: "Start a process",
    description:
      "Starts a bash command line in the background, such as a server, and returns its pid and start at once.",
    input: z.strictObject({
      command: z.string().min(1).describe("Line for bash"),
      cwd: directory,
      env: environment,
    }),
    effect: "execute",
    needs: [exec],
    async run({ command, cwd, env }, { vm, place }) {
      const process = await vm.spawn("bash", ["-c", command], { cwd: await place.directory(cwd), env });
      const facts = { pid: process.pid, started_at: process.startedAt };
      return { ...facts, text: `Started: pid ${facts.pid}, started_at ${facts.started_at}` };
    },
  }),
  read_output: defineTool({
    title: "Read the output of a process",
    description:
      "Returns output of a process that exec or start_process started, and whether it still runs. Waits up to wait_ms for its end.",
    input: z.strictObject({
      pid,
      started_at,
      after: after.describe(
        "Number of the last piece that you have: `after` of the earlier answer. Default: all that is kept",
      ),
      wait_ms: z.int().min(0).max(MAX_WAIT_MS).optional().describe("Longest wait for the end. Default: 0"),
    }),
    effect: "read",
    needs: [exec],
    async run({ pid: of, started_at: startedAt, after: seen, wait_ms = 0 }, context) {
      const { output, options } = collector(context);
      const step = await context.vm.attach(of, {
        ...options,
        startedAt,
        yieldAfterMs: wait_ms,
        after: seen,
      });
      return answerOf(step, output);
    },
  }),
  write_stdin: defineTool({
    title: "Write to a process",
    description: "Writes text to the stdin of a process that start_process started.",
    input: z.strictObject({
      pid,
      started_at,
      text: z.string().describe("Text, with line ends"),
      close: z.boolean().optional().describe("Closes stdin after the text. Default: false"),
    }),
    effect: "execute",
    needs: [exec],
    async run({ pid: of, started_at: startedAt, text, close }, { vm }) {
      if (text !== "") await vm.writeProcessStdin(of, text, { startedAt });
      if (close) await vm.closeProcessStdin(of, { startedAt });
      return { text: "Written" };
    },
  }),
  stop_process: defineTool({
    title: "Stop a process",
    description: "Ends a process and everything that it started: SIGTERM, or SIGKILL with force.",
    input: z.strictObject({
      pid,
      started_at,
      force: z.boolean().optional().describe("SIGKILL, which no process can refuse. Default: false"),
    }),
    effect: "execute",
    idempotent: true,
    needs: [exec],
    async run({ pid: of, started_at: startedAt, force }, { vm }) {
      if (force) await vm.killProcess(of, { tree: true, startedAt });
      else await vm.stopProcess(of, { startedAt });
      return { text: `Signalled: pid ${of}` };
    },
  }),
  list_processes: defineTool({
    title: "List processes",
    description:
      "Lists the processes that exec and start_process started, newest last, with their state, exit code, started_at and command.",
    input: z.strictObject({}),
    effect: "read",
    needs: [see],
    async run(_input, { vm, outputLimit }) {
      const processes = (await vm.listProcesses()).map((process) => ({
        pid: process.pid,
        started_at: process.startedAt,
        running: process.running,
        exitCode: process.exitCode,
        command: [process.command, ...process.args].join(" ").slice(0, 200),
      }));
      const lines = processes.map(({ pid: id, started_at: start, running, exitCode, command }) =>
        [id, running ? "running" : `exit ${exitCode}`, start, command].join("\t"),
      );
      return { processes, text: shortened(lines.join("\n") || "(no processes)", outputLimit) };
    },
  }),
};
