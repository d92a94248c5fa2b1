import { afterAll, describe, expect, test } from "vitest";
import { type AgentVmError, createClient, terminal } from "../../src/client/index.ts";
import type { AnyRegistry } from "../../src/client/types.ts";
import { failure } from "../support/until.ts";

// Nothing listens there: a call that is sent rejects with `connection_lost`.
const endpoint = "http://127.0.0.1:9";
const client = createClient<AnyRegistry>(endpoint) as unknown as {
  vm: Record<string, (...args: unknown[]) => never>;
  counter: Record<string, (...args: unknown[]) => never>;
  tokens: Record<string, (...args: unknown[]) => Promise<unknown>>;
  dispose(): Promise<void>;
};
type Call = (...args: unknown[]) => Promise<unknown>;
const vm = client.vm.getOrCreate?.("options") as unknown as Record<string, Call>;
afterAll(() => client.dispose());

const call =
  (method: string, ...args: unknown[]) =>
  () =>
    (vm[method] as Call)(...args);
const locked = () => {
  const stream = new Blob(["x"]).stream();
  stream.getReader();
  return stream;
};
async function* generated() {
  yield new Uint8Array(3);
}
const make = createClient as (options: unknown) => unknown;

describe("the client refuses before it sends anything", () => {
  test.each<[string, () => unknown, string]>([
    ["an unknown option", call("readFile", "/x", { bogus: 1 }), "Unknown option `bogus` of readFile"],
    ["a misspelt option", call("readFile", "/x", { steam: true }), "Unknown option `steam` of readFile"],
    ["options that are no object", call("readFile", "/x", 5), "Expected `options` to be an object, got 5"],
    ["an argument too many", call("readFile", "/x", {}, 5), "readFile takes at most 2 arguments, got 3"],
    [
      "a path that is no text",
      call("readFile", /x/),
      "Argument 1 of readFile is a RegExp, which cannot cross",
    ],
    [
      "a promise as path",
      call("writeFile", Promise.resolve("/x"), ""),
      "Argument 1 of writeFile is a Promise",
    ],
    ["a number as path", call("importTar", new Uint8Array(), 5), "Expected `path` to be a path, got 5"],
    ["a missing path", call("readFile"), "Expected `path` to be a path, got undefined"],
    ["a flag that is none", call("readFile", "/x", { stream: "yes" }), "Expected `stream` to be a boolean"],
    [
      "a number as content",
      call("writeFile", "/x", 5),
      "Expected `content` to be a string, bytes, a Blob or",
    ],
    ["a generator as content", call("writeFile", "/x", generated()), "Expected `content` to be a string"],
    ["a locked stream", call("writeFile", "/x", locked()), "Expected `content` to be a stream that is not"],
    [
      "a number as signal",
      call("writeFile", "/x", "", { signal: 5 }),
      "Expected `signal` to be an AbortSignal",
    ],
    [
      "a number as callback",
      call("writeFile", "/x", "", { onProgress: 5 }),
      "Expected `onProgress` to be a fun",
    ],
    [
      "an unknown option of a write",
      call("writeFile", "/x", "", { mode: 1 }),
      "Unknown option `mode` of writeF",
    ],
    [
      "an object as signal",
      call("exec", "true", {}, { signal: {} }),
      "Expected `signal` to be an AbortSignal",
    ],
    ["a misspelt signal", call("exec", "true", {}, { signl: 1 }), "Unknown option `signl` of exec"],
    ["a signal of fork", call("fork", "x", { signal: 5 }), "Expected `signal` to be an AbortSignal, got 5"],
    [
      "an unknown option of run",
      call("run", "true", { bogus: 1 }),
      "Unknown option `bogus` of run: it takes",
    ],
    ["a signal of run", call("run", "true", { signal: 5 }), "Expected `signal` to be an AbortSignal, got 5"],
    ["an unknown option of runArgv", call("runArgv", "a", [], { x: 1 }), "Unknown option `x` of runArgv"],
    ["an unknown option of attach", call("attach", 5, { cwd: "/" }), "Unknown option `cwd` of attach"],
    ["a number as archive", call("importTar", 5), "Expected `data` to be bytes, or a stream of them"],
    ["a locked archive", call("importTar", locked()), "Expected `data` to be a stream that is not locked"],
    [
      "an unknown option of a tar",
      call("exportTar", "/", { gzip: true }),
      "Unknown option `gzip` of exportTar",
    ],
    ["an export's path", call("exportTar", 5), "Expected `path` to be a path, got 5"],
    [
      "an object as body",
      call("vmFetch", 1, "/", { body: new FormData() }),
      "Argument 3.body of vmFetch is a For",
    ],
    [
      "a stream that is none",
      call("vmFetch", 1, "/", { stream: 1 }),
      "Expected `stream` to be a boolean, got 1",
    ],
    [
      "a signal of vmFetch",
      call("vmFetch", 1, "/", { stream: true }, { signal: 1 }),
      "Expected `signal` to be",
    ],
    [
      "a listener of a terminal",
      call("terminal", { onData: 5 }),
      "Expected `onData` to be a function, got 5",
    ],
    ["the id of a shell", call("terminal", { shellId: 5 }), "Expected `shellId` to be a non-empty string"],
    ["terminal()", () => terminal(vm as never, { onData: 5 } as never), "Expected `onData` to be a function"],
    [
      "an action without a name",
      call("action", "readFile"),
      "Expected `request` to be an object with `name`",
    ],
    [
      "an action without arguments",
      call("action", { name: "exec" }),
      "Expected `args` to be an array, got undef",
    ],
    [
      "a number as key",
      () => client.vm.getOrCreate?.(5),
      "Expected `key` to be a string, or an array of strings",
    ],
    [
      "a big integer as key",
      () => client.vm.get?.(5n),
      "Expected `key` to be a string, or an array of strings",
    ],
    [
      "a number in a key",
      () => client.vm.get?.([5]),
      "Expected `key` to be a string, or an array of strings",
    ],
    ["a key of create", () => client.vm.create?.(5), "Expected `key` to be a string, or an array of strings"],
    ["an empty id", () => client.vm.getForId?.(""), "Expected `actorId` to be a non-empty string, got"],
    [
      "a missing id",
      () => client.vm.getForId?.(),
      "Expected `actorId` to be a non-empty string, got undefined",
    ],
    [
      "an option of get",
      () => client.vm.get?.("x", { input: {} }),
      "Unknown option `input` of get: it takes",
    ],
    [
      "an option of create",
      () => client.vm.create?.("x", { createWithInput: 1 }),
      "Unknown option `createWithI",
    ],
    [
      "a list that JSON has not",
      () => client.vm.list?.({ limit: 5n }),
      "The arguments of list cannot be written as JSON",
    ],
    [
      "options of the client",
      () => make({ endpont: "x" }),
      "Unknown option `endpont` of createClient: it takes",
    ],
    ["a number for a client", () => make(5), "Expected `options` to be a URL or an object, got 5"],
    ["null for a client", () => make(null), "Expected `options` to be a URL or an object, got null"],
    ["headers", () => make({ endpoint, headers: 5 }), "Expected `headers` to be an object of strings, got 5"],
    [
      "the names of VMs",
      () => make({ endpoint, vms: "vm" }),
      'Expected `vms` to be an array of strings, got "vm"',
    ],
    ["tokens", () => client.tokens.create?.({ x: () => 1 }), "Argument 1.x of tokens.create is a function"],
  ])("%s", async (_name, attempt, message) => {
    const error = (await failure((async () => attempt())())) as AgentVmError;
    expect(error.message).toContain(message);
    expect(error).toMatchObject({ name: "AgentVmError", code: "invalid_argument" });
  });
});

test("a connection refuses a listener that is no function, and an event without a name", async () => {
  const connection = (vm.connect as unknown as () => Record<string, (...args: unknown[]) => void>)();
  for (const name of ["on", "once"])
    expect(() => connection[name]?.("processExit", 5)).toThrow("Expected `callback` to be a function, got 5");
  for (const name of ["onError", "onOpen", "onClose", "onStatusChange"])
    expect(() => connection[name]?.(5)).toThrow("Expected `callback` to be a function, got 5");
  expect(() => connection.on?.(5, () => undefined)).toThrow("Expected `event` to be a non-empty string");
  connection.on?.("anEventOfTheServer", () => undefined);
  await connection.dispose?.();
});

test("null and undefined stand for options that are left out", async () => {
  for (const options of [null, undefined, {}, { signal: null, onProgress: undefined }])
    expect(await failure(call("readFile", "/x", options)())).toMatchObject({ code: "connection_lost" });
});

test("the client takes the options of RivetKit's client, and ends a creation with its signal", async () => {
  const own = make({
    endpoint,
    disableMetadataLookup: true,
    devtools: false,
    getUpgradeWebSocket: undefined,
  }) as {
    vm: { create(key: string, options: object): Promise<unknown> };
    dispose(): Promise<void>;
  };
  const reason = new Error("enough");
  expect(await failure(own.vm.create("a", { signal: AbortSignal.abort(reason) }))).toBe(reason);
  await own.dispose();
});
