import { expect, test } from "vitest";
import type { PermissionRequest } from "../../src/api/types.ts";
import { startOwnServer } from "../support/own-server.ts";
import { ask, open, withScripted } from "../support/scripted.ts";

const KINDS = "allow_once,allow_always,reject_once";

/** A VM whose server answers permissions itself. */
async function answering(
  onPermissionRequest: (
    c: { key: unknown },
    sessionId: string,
    request: PermissionRequest,
  ) => string | undefined | Promise<string | undefined>,
) {
  const { client } = await startOwnServer({ ...withScripted, onPermissionRequest });
  return client.vm.getOrCreate("one");
}

test("the server's own handler answers before anybody is asked, with the actor's context", async () => {
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

test("a handler that has no answer leaves it to those who listen", async () => {
  const vm = await answering(async () => undefined);
  const conn = vm.connect();
  conn.on("permissionRequest", ({ sessionId, request }) => {
    void conn.respondPermission(sessionId, request.permissionId, "once");
  });
  const id = await open(conn);
  expect(await ask(conn, id, `permission ls ${KINDS}`)).toBe("ls: allow_once");
});

test.each([
  [
    "fails",
    () => {
      throw new Error("a secret of the server");
    },
  ],
  ["rejects", () => Promise.reject(new Error("a secret of the server"))],
  ["answers with nonsense", () => "whatever"],
])("a handler that %s lets nothing through", async (_what, handler) => {
  const vm = await answering(handler);
  const id = await open(vm);
  expect(await ask(vm, id, `permission ls ${KINDS}`)).toBe("ls: reject_once");
  expect(JSON.stringify(await vm.getSessionEvents(id))).not.toContain("secret");
});

test("a handler that takes long does not hold a cancelled prompt up", async () => {
  const vm = await answering(() => new Promise(() => undefined));
  const conn = vm.connect();
  const id = await open(conn);
  const turn = conn.sendPrompt(id, `permission ls ${KINDS}`);
  await expect.poll(async () => (await conn.getSession(id)).pendingPermissions.length).toBe(1);
  await conn.cancelPrompt(id);
  expect((await turn).text).toBe("ls: cancelled");
});
