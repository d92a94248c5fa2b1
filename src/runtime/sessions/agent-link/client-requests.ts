import { setImmediate as turn } from "node:timers/promises";
import { CLIENT_METHODS } from "@agentclientprotocol/sdk";
import { z } from "zod";
import { AgentVmError } from "../../../api/errors.ts";
import type { Mutex } from "../../../base/mutex.ts";
import { pause } from "../../../base/pace.ts";
import type { Files } from "../../filesystem/files.ts";
import { MAX_AGENT_READ_BYTES, MAX_AGENT_READ_FILE_BYTES } from "../limits.ts";
import type { Permissions } from "../permissions.ts";
import { INTERNAL_ERROR, INVALID_PARAMS, methodNotFound, RESOURCE_NOT_FOUND, RpcError } from "./rpc.ts";
import { type AgentTerminals, createTerminalSchema } from "./terminals.ts";

const path = z.string().startsWith("/");
const readSchema = z.looseObject({
  path,
  /** First line to read. Lines count from 1. */
  line: z.int().nonnegative().nullish(),
  limit: z.int().nonnegative().nullish(),
});
const writeSchema = z.looseObject({ path, content: z.string() });
const terminalSchema = z.looseObject({ terminalId: z.string() });

/** Lines of a file after which others have their turn. */
const LINES_AT_ONCE = 1024;

export interface ClientSide {
  files: Pick<Files, "readFile" | "writeFile" | "stat">;
  terminals: AgentTerminals;
  /** Requests with long answers run one at a time: an agent may send hundreds at once. */
  answering: Mutex;
  permissions: Pick<Permissions, "request">;
}

/** Answers a request of an agent. Files go through the same `Files` as the calls of the API. */
export async function answerAgent(client: ClientSide, method: string, params: unknown): Promise<unknown> {
  const { terminals } = client;
  const terminal = () => parse(terminalSchema, params).terminalId;
  switch (method) {
    case CLIENT_METHODS.session_request_permission:
      return client.permissions.request(params);
    case CLIENT_METHODS.fs_read_text_file:
      return inTurn(client, () => readTextFile(client.files, parse(readSchema, params)));
    case CLIENT_METHODS.fs_write_text_file:
      return writeTextFile(client.files, parse(writeSchema, params));
    case CLIENT_METHODS.terminal_create:
      return terminals.create(parse(createTerminalSchema, params));
    case CLIENT_METHODS.terminal_output:
      return inTurn(client, async () => terminals.output(terminal()));
    case CLIENT_METHODS.terminal_wait_for_exit:
      return terminals.waitForExit(terminal());
    case CLIENT_METHODS.terminal_kill:
      return terminals.kill(terminal());
    case CLIENT_METHODS.terminal_release:
      return terminals.release(terminal());
    case CLIENT_METHODS.elicitation_create:
      return { action: "decline" };
    default:
      throw methodNotFound(method);
  }
}

/** Yields to the event loop before each long answer, which takes some milliseconds to write. */
function inTurn<Result>({ answering }: ClientSide, work: () => Promise<Result>): Promise<Result> {
  return answering.run(async () => {
    await turn();
    return await work();
  });
}

async function readTextFile(
  files: ClientSide["files"],
  { path: file, line, limit }: z.infer<typeof readSchema>,
): Promise<{ content: string }> {
  const bytes = await withRpcErrors(file, async () => {
    const { size } = await files.stat(file);
    assertReadable(file, size);
    const bytes = await files.readFile(file);
    // The file may have grown, and stat(2) gives size 0 for files of /proc.
    assertReadable(file, bytes.byteLength);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  });
  const part = await linesOf(bytes, Math.max((line ?? 1) - 1, 0), limit ?? Number.POSITIVE_INFINITY);
  if (part.byteLength > MAX_AGENT_READ_BYTES) {
    throw new RpcError(
      INTERNAL_ERROR,
      `${part.byteLength} bytes of ${file} were asked for; at most ${MAX_AGENT_READ_BYTES} bytes can be sent. Read fewer lines with \`line\` and \`limit\``,
    );
  }
  return { content: part.toString("utf8") };
}

function assertReadable(file: string, size: number): void {
  if (size <= MAX_AGENT_READ_FILE_BYTES) return;
  throw new RpcError(
    INTERNAL_ERROR,
    `${file} has ${size} bytes; files of at most ${MAX_AGENT_READ_FILE_BYTES} bytes can be read`,
  );
}

/** Returns `count` lines after the first `skipped` ones, without the last line break. */
async function linesOf(content: Buffer, skipped: number, count: number): Promise<Buffer> {
  if (count === 0) return content.subarray(0, 0);
  const from = (await lineBreak(content, 0, skipped)) + 1;
  if (from === 0 && skipped > 0) return content.subarray(0, 0);
  const to = count === Number.POSITIVE_INFINITY ? -1 : await lineBreak(content, from, count);
  return to < 0 ? content.subarray(from) : content.subarray(from, to);
}

/** Returns the index of the `count`th line break from an index on, or -1. */
async function lineBreak(content: Buffer, from: number, count: number): Promise<number> {
  let at = from - 1;
  for (let line = 0; line < count; line++) {
    const turn = line % LINES_AT_ONCE === 0 ? pause() : null;
    if (turn !== null) await turn;
    at = content.indexOf("\n", at + 1);
    if (at < 0) return -1;
  }
  return at;
}

async function writeTextFile(
  files: ClientSide["files"],
  { path: file, content }: z.infer<typeof writeSchema>,
): Promise<object> {
  await withRpcErrors(file, () => files.writeFile(file, content));
  return {};
}

/** Translates errors of file calls into JSON-RPC errors. */
async function withRpcErrors<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AgentVmError)) throw error;
    const code = error.code === "ENOENT" ? RESOURCE_NOT_FOUND : INTERNAL_ERROR;
    throw new RpcError(code, error.message, { uri: file, code: error.code });
  }
}

function parse<Schema extends z.ZodType>(schema: Schema, params: unknown): z.output<Schema> {
  const { success, data, error } = schema.safeParse(params);
  if (!success) throw new RpcError(INVALID_PARAMS, z.prettifyError(error));
  return data;
}
