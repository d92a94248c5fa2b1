import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake" });
});
afterAll(() => server.stop());

async function* generated() {
  yield 1;
}
const circle: Record<string, unknown> = {};
circle.inner = { circle };

describe.each(["request", "connection"] as const)(
  "arguments that cannot cross the wire, over a %s",
  (kind) => {
    test.each<[string, unknown, string, string?]>([
      ["a function", { onData: () => undefined }, "Argument 2.onData of openShell is a function"],
      ["a symbol", [Symbol("x")], "Argument 2.0 of openShell is a symbol"],
      [
        "a signal among the options",
        { signal: new AbortController().signal },
        "Argument 2.signal of openShell is an AbortSignal",
        "Pass { signal } as the argument after the options.",
      ],
      ["a promise", Promise.resolve(1), "Argument 2 of openShell is a Promise", "Await it first."],
      [
        "a Blob",
        [new Blob(["x"])],
        "Argument 2.0 of openShell is a Blob",
        "Pass its bytes: new Uint8Array(await blob.arrayBuffer()).",
      ],
      ["a regular expression", /x/, "Argument 2 of openShell is a RegExp"],
      ["a URL", new URL("http://x/"), "Argument 2 of openShell is a URL", "Pass its text: String(url)."],
      ["a generator", generated(), "Argument 2 of openShell is an AsyncGenerator"],
      ["a circle", circle, "Argument 2.inner.circle of openShell is an object inside itself"],
    ])("%s", async (_name, argument, message, hint) => {
      const agent = server.client().vm.getOrCreate("arguments");
      const connection = kind === "connection" ? agent.connect() : undefined;
      const vm = connection ?? agent;
      const error = await failure(vm.action({ name: "openShell", args: [{}, argument] }));
      expect(error).toMatchObject({
        code: "invalid_argument",
        message: `${message}, which cannot cross the wire`,
        metadata: hint === undefined ? {} : { hint },
      });
      await connection?.dispose();
    });
  },
);

test("a subscription on a handle says that events need a connection", async () => {
  const agent = server.client().vm.getOrCreate("arguments") as unknown as Record<
    "on" | "once",
    (event: string, callback: () => void) => Promise<unknown>
  >;
  for (const name of ["on", "once"] as const) {
    expect(await failure(agent[name]("processExit", () => undefined))).toMatchObject({
      code: "invalid_argument",
      metadata: { hint: "Use vm.connect().on(event, callback)." },
    });
  }
});

test("an unknown action fails alike over HTTP and over a connection", async () => {
  const agent = server.client().vm.getOrCreate("arguments");
  const connection = agent.connect();
  for (const vm of [agent, connection]) {
    expect(await failure(vm.action({ name: "fly", args: [] }))).toMatchObject({
      code: "action_not_found",
      message: "Action not found: fly",
    });
  }
  await connection.dispose();
});

test("create refuses a key that a VM has", async () => {
  const client = server.client();
  await client.vm.create("taken");
  expect(await failure(client.vm.create("taken"))).toMatchObject({
    code: "duplicate_key",
    message: 'A VM with the key ["taken"] exists already',
    metadata: { hint: "getOrCreate() returns the actor that has the key." },
  });
});
