import { setImmediate as turn } from "node:timers/promises";
import { z } from "zod";
import { parseJson } from "../../base/json.ts";
import { LineSplitter } from "../../base/line-splitter.ts";
import { packageVersion } from "../../base/package-version.ts";
import type { HostCall } from "../sandbox/host-call.ts";
import { assertBounded, messageOf } from "./calls.ts";
import type { CatalogFunction } from "./catalog.ts";
import type { HostServices } from "./command-line.ts";
import { UsageError } from "./flags.ts";
import { MAX_HOST_INPUT_BYTES } from "./limits.ts";

/** Versions of the Model Context Protocol that this server speaks, newest first. */
const VERSIONS = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] as const;

/** Codes of JSON-RPC errors. */
const CODES = { parse: -32_700, request: -32_600, method: -32_601, params: -32_602 } as const;

/** A line is an input with little around it. */
const MAX_LINE_BYTES = MAX_HOST_INPUT_BYTES + 64 * 1024;

const idSchema = z.union([z.string().max(256), z.number()]);

const messageSchema = z.looseObject({
  id: idSchema.optional(),
  method: z.string().max(256),
  params: z.looseObject({}).optional(),
});

const callSchema = z.looseObject({
  name: z.string(),
  arguments: z.looseObject({}).default({}),
  _meta: z.looseObject({ progressToken: idSchema.optional() }).optional(),
});

type Id = z.output<typeof idSchema>;

/**
 * Serves host functions as tools of the Model Context Protocol on a program's stdin and stdout. Resolves at the end of
 * stdin, when all calls have ended.
 *
 * @throws UsageError for a line above the limit
 */
export async function serveMcp(call: HostCall, services: HostServices): Promise<void> {
  const server = new McpServer(call, services);
  let received: string[] = [];
  let isTooLong = false;
  const lines = new LineSplitter(
    MAX_LINE_BYTES,
    (line) => received.push(line),
    () => {
      isTooLong = true;
    },
  );
  try {
    for (let piece = await call.read(); piece.length > 0; piece = await call.read()) {
      lines.push(piece);
      const batch = received.filter((line) => line.trim() !== "");
      received = [];
      for (const line of batch) {
        if (call.isClosed) return;
        server.receive(line);
        // No more is handled while the program does not read its answers.
        await server.flushed();
        // Others have their turn between the lines of one piece.
        await turn();
      }
      if (isTooLong) throw new UsageError(`A message is longer than ${MAX_LINE_BYTES} bytes`);
    }
    await server.settled();
  } finally {
    server.close();
  }
}

class McpServer {
  readonly #call: HostCall;
  readonly #services: HostServices;
  readonly #tools: ReadonlyMap<string, CatalogFunction>;
  /** Answer to `tools/list`. */
  readonly #listed: object;
  readonly #running = new Map<Id, AbortController>();
  readonly #ends = new Set<Promise<void>>();
  #written: Promise<void> = Promise.resolve();

  constructor(call: HostCall, services: HostServices) {
    this.#call = call;
    this.#services = services;
    this.#tools = new Map(services.catalog.functions.map((called) => [toolName(called), called]));
    const tools = [...this.#tools].map(([name, { description, jsonSchema }]) => ({
      name,
      description,
      inputSchema: jsonSchema,
    }));
    this.#listed = { tools };
  }

  /** Resolves when the program has room for more answers. */
  flushed(): Promise<void> {
    return this.#written;
  }

  /** Resolves when all calls so far have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#ends);
  }

  /** Ends the calls that run. */
  close(): void {
    for (const running of this.#running.values()) running.abort(new Error("the program has ended"));
  }

  receive(line: string): void {
    try {
      assertBounded(line);
    } catch (error) {
      this.#refuse(null, CODES.request, messageOf(error));
      return;
    }
    const json = parseJson(line);
    const { data } = messageSchema.safeParse(json);
    if (data !== undefined) this.#handle(data);
    else if (json === undefined) this.#refuse(null, CODES.parse, "not JSON");
    else this.#refuse(null, CODES.request, "not a request");
  }

  #handle({ id, method, params = {} }: z.output<typeof messageSchema>): void {
    if (id === undefined) {
      const cancelled =
        method === "notifications/cancelled" ? this.#running.get(params.requestId as Id) : undefined;
      cancelled?.abort(new Error("the call was cancelled"));
    } else if (method === "initialize") this.#send({ id, result: initialized(params.protocolVersion) });
    else if (method === "ping") this.#send({ id, result: {} });
    else if (method === "tools/list") this.#send({ id, result: this.#listed });
    else if (method === "tools/call") this.#begin(this.#callTool(id, params));
    else this.#refuse(id, CODES.method, `unknown method ${method}`);
  }

  #begin(work: Promise<void>): void {
    this.#ends.add(work);
    void work.then(() => this.#ends.delete(work));
  }

  #refuse(id: Id | null, code: number, message: string): void {
    this.#send({ id, error: { code, message } });
  }

  /** Never rejects. */
  async #callTool(id: Id, params: unknown): Promise<void> {
    const parsed = callSchema.safeParse(params);
    const called = this.#tools.get(parsed.data?.name ?? "");
    if (!parsed.success || called === undefined || this.#running.has(id)) {
      const message =
        parsed.success && called === undefined ? `unknown tool ${parsed.data.name}` : "invalid call";
      return this.#refuse(id, CODES.params, message);
    }
    const abort = new AbortController();
    this.#running.set(id, abort);
    const progressToken = parsed.data._meta?.progressToken;
    let progress = 0;
    try {
      const text = await this.#services.calls.run({
        called,
        input: parsed.data.arguments,
        session: this.#services.sessionOf(this.#call),
        signals: [this.#call.gone, abort.signal],
        stdin: NOTHING,
        progress: async (message) => {
          if (progressToken === undefined) return;
          progress += 1;
          this.#send({ method: "notifications/progress", params: { progressToken, progress, message } });
          await this.#written;
        },
      });
      this.#send({ id, result: { content: [{ type: "text", text }] } });
    } catch (error) {
      // A client that has cancelled a call expects no answer.
      if (abort.signal.aborted) return;
      this.#send({ id, result: { content: [{ type: "text", text: messageOf(error) }], isError: true } });
    } finally {
      this.#running.delete(id);
    }
  }

  #send(message: object): void {
    const data = Buffer.from(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    const written = this.#call.write("stdout", data);
    this.#written = Promise.all([this.#written, written]).then(() => undefined);
  }
}

function initialized(asked: unknown) {
  const protocolVersion = VERSIONS.find((version) => version === asked) ?? VERSIONS[0];
  const serverInfo = { name: "agentos", title: "Host functions", version: packageVersion() };
  return { protocolVersion, capabilities: { tools: {} }, serverInfo };
}

/** Names of tools have no spaces; names of functions have no underscores. */
function toolName({ group, name }: CatalogFunction): string {
  return `${group}_${name}`;
}

const NOTHING: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }),
};
