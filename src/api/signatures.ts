import { z } from "zod";
import type { VmMethodName, VmMethods } from "./actions.ts";
import {
  MAX_ACKNOWLEDGED_CALLS,
  MAX_ARGUMENTS_BYTES,
  MAX_BATCH_ENTRIES,
  MAX_CRON_JITTER_SECONDS,
  MAX_CRON_RUNS,
  MAX_ID_BYTES,
  MAX_INSTRUCTIONS_BYTES,
  MAX_MCP_SERVERS,
  MAX_PREVIEW_SECONDS,
  MAX_SESSION_EVENTS,
  MAX_SESSION_OPTIONS_BYTES,
  MAX_TIMEOUT_MS,
  MAX_TRANSFER_BYTES,
  MAX_WATCH_EXCLUDES,
  TRANSFER_CHUNK_BYTES,
} from "./limits.ts";
import { outboundSchema } from "./network-policy.ts";
import { fitsJson, fitsUtf8 } from "./size.ts";
import {
  actorKey,
  args,
  argument,
  binary,
  bool,
  bytes,
  cells,
  clientOnly,
  cronSchedule,
  cwd,
  env,
  fitsCommand,
  id,
  integer,
  offset,
  options,
  path,
  paths,
  pid,
  port,
  program,
  signal,
  text,
  timeout,
  timezone,
  WHOLE,
} from "./values.ts";

/** A name in a directory, as in Linux (NAME_MAX). */
const MAX_NAME_BYTES = 255;

/** What one action takes: its parameters by name, and the schema of the tuple. */
export interface Signature<Args extends readonly unknown[]> {
  readonly names: readonly string[];
  readonly args: z.ZodType<Args>;
}

type Signatures = { readonly [Name in VmMethodName]: Signature<Parameters<VmMethods[Name]>> };

const COMMAND_TOO_LONG = {
  error: `${WHOLE}A command's arguments and variables come to at most ${MAX_ARGUMENTS_BYTES} bytes together`,
  path: [0],
};

const processOptions = { env: env.optional(), cwd: cwd.optional(), stdin: bytes.optional() };
const execOptions = options({
  ...processOptions,
  timeout: timeout.optional(),
  captureStdio: bool.optional(),
  outputLimit: z.enum(["truncate", "kill"], { error: '"truncate" or "kill"' }).optional(),
});
const spawnOptions = options(processOptions);
const shellOptions = {
  command: program.optional(),
  args: args.optional(),
  env: env.optional(),
  cwd: cwd.optional(),
  cols: cells.optional(),
  rows: cells.optional(),
};
const readOptions = options({
  after: integer(-1, Number.MAX_SAFE_INTEGER, "an integer from -1").optional(),
}).optional();
const recursive = options({ recursive: bool.optional() }).optional();
const sessionOptions = options({
  cwd: cwd.optional(),
  env: env.optional(),
  mcpServers: z
    .array(
      z.union(
        [
          options({
            type: z.literal("local").optional(),
            name: id.optional(),
            command: program,
            args: args.optional(),
            env: env.optional(),
          }),
          options({
            type: z.literal("remote").optional(),
            name: id.optional(),
            url: z.url(),
            headers: z.record(text, text).optional(),
          }),
        ],
        { error: "an MCP server: { command, args?, env? } or { url, headers? }" },
      ),
      { error: "an array of MCP servers" },
    )
    .max(MAX_MCP_SERVERS, { error: `at most ${MAX_MCP_SERVERS} MCP servers` })
    .optional(),
  skipOsInstructions: bool.optional(),
  additionalInstructions: text
    .refine((instructions) => fitsUtf8(instructions, MAX_INSTRUCTIONS_BYTES), {
      error: `at most ${MAX_INSTRUCTIONS_BYTES} bytes of instructions`,
    })
    .optional(),
  permissionPolicy: z
    .enum(["ask", "allow_all", "reject_all"], { error: '"ask", "allow_all" or "reject_all"' })
    .optional(),
}).refine((given) => fitsJson(given, MAX_SESSION_OPTIONS_BYTES), {
  error: `options of at most ${MAX_SESSION_OPTIONS_BYTES} bytes as JSON`,
});
const spawn = {
  names: ["command", "args", "options"],
  args: z
    .tuple([program, args.optional(), spawnOptions.optional()])
    .refine(([command, rest = [], given]) => fitsCommand([command, ...rest], given?.env), COMMAND_TOO_LONG),
};
const wait = integer(1, MAX_TIMEOUT_MS, `milliseconds from 1 to ${MAX_TIMEOUT_MS}`);
const previewRange = `${WHOLE}expiresInSeconds must be between 1 and ${MAX_PREVIEW_SECONDS}`;
const previewSeconds = z
  .number({ error: "a number of seconds" })
  .min(1, { error: previewRange })
  .max(MAX_PREVIEW_SECONDS, { error: previewRange });
const one = <Schema extends z.ZodType>(name: string, schema: Schema) => ({
  names: [name],
  args: z.tuple([schema]),
});
const snapshotName = z
  .string({ error: "a name" })
  .refine((name) => name !== "" && fitsUtf8(name, MAX_ID_BYTES), {
    error: `a name of 1 to ${MAX_ID_BYTES} bytes`,
  });
const fileName = z
  .string({ error: "a name" })
  .refine((name) => name !== "" && !name.includes("/") && fitsUtf8(name, MAX_NAME_BYTES), {
    error: `a name without "/", of 1 to ${MAX_NAME_BYTES} bytes`,
  });
const piece = binary.refine((data) => data.byteLength <= TRANSFER_CHUNK_BYTES, {
  error: `at most ${TRANSFER_CHUNK_BYTES} bytes`,
});
const none = { names: [], args: z.tuple([]) };
const process = one("pid", pid);
const session = one("sessionId", id);
const file = one("path", path);
const fileOptions = { names: ["path", "options"], args: z.tuple([path, recursive]) };

/** Every action's signature. */
export const SIGNATURES = {
  // Files
  readFile: file,
  writeFile: { names: ["path", "content"], args: z.tuple([path, bytes]) },
  readFiles: one("paths", paths),
  writeFiles: one(
    "entries",
    z
      .array(options({ path: z.string({ error: "a path" }), content: bytes }), {
        error: "an array of entries",
      })
      .max(MAX_BATCH_ENTRIES, { error: `at most ${MAX_BATCH_ENTRIES} entries` }),
  ),
  stat: file,
  lstat: file,
  exists: file,
  mkdir: fileOptions,
  readdir: file,
  readdirRecursive: {
    names: ["path", "options"],
    args: z.tuple([
      path,
      options({
        maxDepth: offset.optional(),
        exclude: z.array(text, { error: "an array of names" }).optional(),
      }).optional(),
    ]),
  },
  move: { names: ["from", "to"], args: z.tuple([path, path]) },
  delete: fileOptions,
  deleteFile: fileOptions,

  // Processes
  exec: {
    names: ["command", "options"],
    args: z
      .tuple([argument(), execOptions.optional()])
      .refine(([command, given]) => fitsCommand([command], given?.env), COMMAND_TOO_LONG),
  },
  execArgv: {
    names: ["command", "args", "options"],
    args: z
      .tuple([program, args.optional(), execOptions.optional()])
      .refine(([command, rest = [], given]) => fitsCommand([command, ...rest], given?.env), COMMAND_TOO_LONG),
  },
  spawn,
  spawnProcess: spawn,
  listProcesses: none,
  getProcess: process,
  writeProcessStdin: { names: ["pid", "data"], args: z.tuple([pid, bytes]) },
  closeProcessStdin: process,
  waitProcess: process,
  stopProcess: process,
  killProcess: process,
  signalProcess: { names: ["pid", "signal"], args: z.tuple([pid, signal]) },
  allProcesses: none,
  processTree: none,
  readProcessOutput: { names: ["pid", "options"], args: z.tuple([pid, readOptions]) },

  // Shells
  openShell: one("options", options(shellOptions).optional()),
  writeShell: { names: ["shellId", "data"], args: z.tuple([id, bytes]) },
  resizeShell: { names: ["shellId", "cols", "rows"], args: z.tuple([id, cells, cells]) },
  closeShell: one("shellId", id),
  connectTerminal: one(
    "options",
    options({
      ...shellOptions,
      onData: clientOnly,
    }).optional(),
  ),
  waitShell: one("shellId", id),
  listShells: none,
  readShell: { names: ["shellId", "options"], args: z.tuple([id, readOptions]) },

  // Durable files
  snapshotRootFilesystem: none,
  checkpoint: none,
  restore: one("options", options({ allowMissing: bool.optional() }).optional()),
  createSnapshot: one("name", snapshotName.optional()),
  listSnapshots: none,
  restoreSnapshot: one("snapshotId", id),
  deleteSnapshot: one("snapshotId", id),
  diff: one("snapshotId", id.optional()),
  undo: { names: ["paths", "snapshotId"], args: z.tuple([paths, id.optional()]) },
  exportTar: one("path", path.optional()),
  exportSnapshot: none,
  importTar: { names: ["data", "path"], args: z.tuple([binary, path.optional()]) },
  fork: one("newKey", actorKey),

  // Watches
  watchFiles: {
    names: ["path", "options"],
    args: z.tuple([
      path,
      options({
        recursive: bool.optional(),
        exclude: z
          .array(fileName, { error: "an array of names" })
          .max(MAX_WATCH_EXCLUDES, { error: `at most ${MAX_WATCH_EXCLUDES} names` })
          .optional(),
      }).optional(),
    ]),
  },
  unwatchFiles: one("watchId", id),
  listWatches: none,

  // Network, cron
  vmFetch: {
    names: ["port", "path", "options"],
    args: z.tuple([
      port,
      text,
      options({
        method: text.optional(),
        headers: z
          .union([z.record(text, text), z.array(z.tuple([text, text])).max(MAX_BATCH_ENTRIES)], {
            error: "an object of strings, or an array of pairs of them",
          })
          .optional(),
        body: bytes.optional(),
        timeoutMs: wait.optional(),
      }).optional(),
    ]),
  },
  listPorts: none,
  waitForPort: {
    names: ["port", "options"],
    args: z.tuple([
      port,
      options({
        timeoutMs: wait.optional(),
        path: text.optional(),
        status: integer(100, 599, "an HTTP status").optional(),
      }).optional(),
    ]),
  },
  createSignedPreviewUrl: {
    names: ["port", "expiresInSeconds"],
    args: z.tuple([port, previewSeconds.optional()]),
  },
  expireSignedPreviewUrl: one("token", id),
  listPreviews: none,
  setNetworkPolicy: one("policy", options({ outbound: outboundSchema })),
  getNetworkPolicy: none,
  getNetworkLog: none,
  scheduleCron: one(
    "options",
    options({
      id: id.optional(),
      schedule: cronSchedule,
      action: z.discriminatedUnion(
        "type",
        [
          options({
            type: z.literal("session"),
            agentType: text,
            prompt: text,
            options: sessionOptions.optional(),
          }),
          options({
            type: z.literal("exec"),
            command: argument(),
            args: args.optional(),
            env: env.optional(),
            cwd: cwd.optional(),
          }),
        ],
        { error: 'an action of type "session" or "exec"' },
      ),
      overlap: z.enum(["allow", "skip", "queue"], { error: '"allow", "skip" or "queue"' }).optional(),
      timezone: timezone.optional(),
      catchUp: z.enum(["none", "once", "all"], { error: '"none", "once" or "all"' }).optional(),
      jitterSeconds: integer(
        0,
        MAX_CRON_JITTER_SECONDS,
        `an integer of seconds from 0 to ${MAX_CRON_JITTER_SECONDS}`,
      ).optional(),
      timeoutMs: timeout.optional(),
      maxRuns: integer(1, Number.MAX_SAFE_INTEGER, "a positive integer").optional(),
      startAt: cronSchedule.optional(),
      stopAt: cronSchedule.optional(),
      enabled: bool.optional(),
    }),
  ),
  listCronJobs: none,
  cancelCronJob: one("id", id),
  listCronRuns: {
    names: ["jobId", "options"],
    args: z.tuple([
      id.nullish().transform((jobId) => jobId ?? undefined),
      options({
        limit: integer(1, MAX_CRON_RUNS, `an integer from 1 to ${MAX_CRON_RUNS}`).optional(),
        before: id.optional(),
      }).optional(),
    ]),
  },
  runCronJob: one("id", id),
  pauseCronJob: one("id", id),
  resumeCronJob: one("id", id),

  // Sessions
  createSession: { names: ["agentType", "options"], args: z.tuple([id, sessionOptions.optional()]) },
  listSessions: none,
  listPersistedSessions: none,
  getSession: session,
  resumeSession: session,
  listAgents: none,
  sendPrompt: { names: ["sessionId", "prompt"], args: z.tuple([id, text]) },
  prompt: { names: ["sessionId", "text"], args: z.tuple([id, text]) },
  cancelPrompt: session,
  cancelSession: session,
  closeSession: session,
  destroySession: session,
  respondPermission: {
    names: ["sessionId", "permissionId", "reply"],
    args: z.tuple([id, id, id]),
  },
  setMode: { names: ["sessionId", "modeId"], args: z.tuple([id, id]) },
  setModel: { names: ["sessionId", "model"], args: z.tuple([id, id]) },
  setThoughtLevel: { names: ["sessionId", "level"], args: z.tuple([id, id]) },
  getModes: session,
  getConfigOptions: session,
  getSequencedEvents: {
    names: ["sessionId", "options"],
    args: z.tuple([
      id,
      options({
        since: integer(-1, Number.MAX_SAFE_INTEGER, "an integer from -1").optional(),
        limit: integer(1, MAX_SESSION_EVENTS, `an integer from 1 to ${MAX_SESSION_EVENTS}`).optional(),
      }).optional(),
    ]),
  },
  getSessionEvents: session,

  // Transport
  beginCall: one(
    "request",
    options({
      callId: id,
      action: text,
      args: z.array(z.unknown(), { error: "an array" }),
      instanceId: id.optional(),
      received: z.array(id).max(MAX_ACKNOWLEDGED_CALLS).optional(),
    }),
  ),
  acknowledge: one(
    "received",
    z
      .array(id, { error: "an array of call ids" })
      .max(MAX_ACKNOWLEDGED_CALLS, { error: `at most ${MAX_ACKNOWLEDGED_CALLS} call ids` }),
  ),
  abandonCall: one("callId", id),
  beginFileRead: file,
  readFileChunk: { names: ["transferId", "offset"], args: z.tuple([id, offset]) },
  beginFileWrite: {
    names: ["path", "size"],
    args: z.tuple([path, integer(0, MAX_TRANSFER_BYTES, `a size of at most ${MAX_TRANSFER_BYTES} bytes`)]),
  },
  writeFileChunk: {
    names: ["transferId", "offset", "data"],
    args: z.tuple([id, offset, piece]),
  },
  commitFileWrite: one("transferId", id),
  endFileTransfer: one("transferId", id),
  beginTarRead: one("path", path.optional()),
  readTarChunk: { names: ["transferId", "offset"], args: z.tuple([id, offset]) },
  beginTarWrite: one("path", path),
  writeTarChunk: { names: ["transferId", "offset", "data"], args: z.tuple([id, offset, piece]) },
  commitTarWrite: one("transferId", id),
} satisfies Signatures;
