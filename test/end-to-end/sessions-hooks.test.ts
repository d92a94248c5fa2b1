import { expect, test } from "vitest";
import type { PermissionRequest } from "../../src/api/methods/session-types.ts";
import { testRows } from "../support/rows.ts";
import { ask, open, withScripted } from "../support/scripted.ts";
import { startTestServer } from "../support/servers.ts";

const KINDS = "allow_once,allow_always,reject_once";

/** Returns a VM whose server answers permissions with this handler. */
async function answering(
  onPermissionRequest: (
    c: { key: unknown },
    sessionId: string,
    request: PermissionRequest,
  ) => string | undefined | Promise<string | undefined>,
) {
  const client = (
    await startTestServer({ kind: "kernel", vm: { ...withScripted, onPermissionRequest } })
  ).client();
  return client.vm.getOrCreate("one");
}

test("the server's handler gets the actor's context and answers before any client is asked", async () => {
  const seen: unknown[] = [];
  const vm = await answering((c, sessionId, request) => {
    seen.push([c.key, sessionId, request.description]);
    return request.description === "ls" ? "always" : "reject";
  });
  const conn = vm.connect();
  let asked = 0;
  conn.on("permissionRequest", () => {
    asked += 1;
  });
  const id = await open(conn);
  expect(await ask(conn, id, `permission ls ${KINDS}`)).toBe("ls: allow_always");
  expect(await ask(conn, id, `permission rm ${KINDS}`)).toBe("rm: reject_once");
  expect(seen).toEqual([
    [["one"], id, "ls"],
    [["one"], id, "rm"],
  ]);
  expect(asked).toBe(0);
});

test("the server's handler learns the identity of the client whose prompt runs", async () => {
  const seen: unknown[] = [];
  const server = await startTestServer({
    kind: "kernel",
    vm: {
      ...withScripted,
      onPermissionRequest(c) {
        seen.push(c.identity);
        return "once";
      },
    },
    options: { authorize: ({ token }) => ({ identity: { user: token }, vms: "one", may: ["admin"] }) },
  });
  const [alice, bob] = ["alice", "bob"].map((token) => server.client({ token }).vm.getOrCreate("one"));
  const id = await open(alice!.connect());
  for (const vm of [alice!, bob!, alice!]) await ask(vm.connect(), id, `permission ls ${KINDS}`);
  expect(seen).toEqual([{ user: "alice" }, { user: "bob" }, { user: "alice" }]);
});

test("a handler without an answer leaves the request to clients", async () => {
  const vm = await answering(async () => undefined);
  const conn = vm.connect();
  conn.on("permissionRequest", ({ sessionId, request }) => {
    void conn.respondPermission(sessionId, request.permissionId, "once");
  });
  const id = await open(conn);
  expect(await ask(conn, id, `permission ls ${KINDS}`)).toBe("ls: allow_once");
});

testRows<[string, () => string | Promise<string>]>(
  [
    [
      "fails",
      () => {
        throw new Error("a secret of the server");
      },
    ],
    ["rejects", () => Promise.reject(new Error("a secret of the server"))],
    ["answers with nonsense", () => "whatever"],
  ],
  1,
)("a handler that %s denies the request", async (_what, handler) => {
  const vm = await answering(handler);
  const id = await open(vm);
  expect(await ask(vm, id, `permission ls ${KINDS}`)).toBe("ls: reject_once");
  expect(JSON.stringify(await vm.getSessionEvents(id))).not.toContain("secret");
});

test("a slow handler does not delay the end of a cancelled prompt", { tags: ["slow"] }, async () => {
  const vm = await answering(() => new Promise(() => undefined));
  const conn = vm.connect();
  const id = await open(conn);
  const turn = conn.sendPrompt(id, `permission ls ${KINDS}`);
  await expect.poll(async () => (await conn.getSession(id)).pendingPermissions.length).toBe(1);
  await conn.cancelPrompt(id);
  expect((await turn).text).toBe("ls: cancelled");
});
