import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake" });
});
afterAll(() => server.stop());

/** Calls an action with a plain HTTP request. Returns status and body. */
async function plain(action: string, args: unknown[]): Promise<[number, Record<string, unknown>]> {
  const actorId = await server.client().vm.getOrCreate("errors").resolve();
  const response = await fetch(`${server.endpoint}/gateway/${actorId}/action/${action}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args }),
  });
  return [response.status, (await response.json()) as Record<string, unknown>];
}

test("a coded error keeps its code, text and metadata, with a fitting status", async () => {
  expect(await plain("exec", ["enoent"])).toEqual([
    404,
    { group: "user", code: "ENOENT", message: "ENOENT: no such file or directory, open '/x'", metadata: {} },
  ]);
  expect(await plain("exec", ["x", { shell: "zsh" }])).toMatchObject([400, { code: "invalid_argument" }]);
  expect(await plain("waitProcess", [77])).toMatchObject([404, { code: "process_not_found" }]);
});

test("an unexpected error reaches the client only as an id, and the log has the whole error under that id", async () => {
  const [status, answer] = await plain("exec", ["fail"]);
  const { errorId } = answer.metadata as { errorId: string };
  expect(status).toBe(500);
  expect(answer).toEqual({
    group: "user",
    code: "internal_error",
    message: `Internal error of exec; the server logged it as ${errorId}`,
    metadata: { errorId, action: "exec", hint: "Read the server's log." },
  });
  const line = server.log.find((entry) => entry.includes(errorId));
  expect(JSON.parse(line ?? "{}")).toMatchObject({
    level: 50,
    msg: "internal error",
    action: "exec",
    err: { message: "a secret of the server" },
  });
});

test.each([
  "noSuchAction",
  "constructor",
  "toString",
  "hasOwnProperty",
  "valueOf",
  "__defineGetter__",
  "__proto__",
])("%s is not an action", async (name) => {
  expect(await plain(name, [])).toMatchObject([400, { group: "action", code: "not_found" }]);
});

test("a failure of background work is logged with the VM's key", async () => {
  await server.client().vm.getOrCreate(["team", "errors"]).exists("/x");
  server.vms.all.at(-1)?.hooks.onFailure?.(new Error("the disk is full"));
  const line = server.log.find((entry) => entry.includes("the disk is full"));
  expect(JSON.parse(line ?? "{}")).toMatchObject({
    level: 50,
    msg: "background work of the VM failed",
    vm: ["team", "errors"],
    err: { message: "the disk is full" },
  });
});

test("files that a boot has put back are logged with the VM's key", async () => {
  await server.client().vm.getOrCreate(["team", "broken"]).exists("/x");
  server.vms.all.at(-1)?.hooks.emit("vmBooted", { putBack: ["/bin"] });
  const line = server.log.find((entry) => entry.includes("put back"));
  expect(JSON.parse(line ?? "{}")).toMatchObject({ level: 40, vm: ["team", "broken"], paths: ["/bin"] });
});

test.each(["sendPrompt", "createSession"])("%s checks its arguments", async (action) => {
  expect(await plain(action, [5, 5, 5, 5])).toMatchObject([400, { code: "invalid_argument" }]);
});

test("refuses a result above the size of a message, over HTTP and over connections", async () => {
  const agent = server.client().vm.getOrCreate("errors");
  const command = `big ${32 * 1024 * 1024}`;
  expect(await plain("exec", [command])).toMatchObject([413, { code: "response_too_large" }]);
  expect(await failure(agent.exec(command))).toMatchObject({ code: "response_too_large" });
  expect(await failure(agent.connect().exec(command))).toMatchObject({ code: "response_too_large" });
});

test("the server does not log normal errors", async () => {
  server.log.length = 0;
  const agent = server.client().vm.getOrCreate("errors");
  await failure(agent.exec("enoent"));
  await failure(agent.readFile("/missing"));
  const connection = agent.connect();
  await failure(connection.exec("enoent"));
  await connection.dispose();
  expect(server.log).toEqual([]);
});
