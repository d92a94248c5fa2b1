// @module-tag attack
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AgentVmError, IssuedToken, Right, VmConnection } from "../../../src/client/index.ts";
import { type FakeServer, startTestServer } from "../../support/servers.ts";
import { failure, until } from "../../support/until.ts";

const TOKEN = "administrator's token";
let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake", options: { token: TOKEN } });
});
afterAll(() => server.stop());

interface Open extends IssuedToken {
  connection: VmConnection;
  /** The error with which the connection ends. */
  ended: Promise<AgentVmError>;
}

/** Opens a connection with a token of its own. */
async function open(key: string, options: { may: Right[]; expiresIn?: number }): Promise<Open> {
  const issued = await server.client({ token: TOKEN }).tokens.create({ vms: key, ...options });
  const connection = server.client({ token: issued.token }).vm.getOrCreate(key).connect();
  const ended = new Promise<AgentVmError>((resolve) => void connection.onError(resolve));
  await connection.status().catch(() => undefined);
  return { ...issued, connection, ended };
}

const revoke = (id: string) => server.client({ token: TOKEN }).tokens.revoke(id);

test("a connection ends when its token expires", async () => {
  const { connection, ended, expiresAt } = await open("expires", { may: ["admin"], expiresIn: 1 });
  expect(await ended).toMatchObject({ code: "unauthorized", metadata: { reason: "expired" } });
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
  expect(connection.connStatus).toBe("idle");
  expect(await failure(connection.exists("/x"))).toMatchObject({ code: "unauthorized" });
});

test("a connection ends when its token is revoked, and no other connection", async () => {
  const [gone, kept] = await Promise.all([open("r", { may: ["admin"] }), open("r", { may: ["admin"] })]);
  await revoke(gone.id);
  expect(await gone.ended).toMatchObject({
    code: "unauthorized",
    message: "The token has been revoked",
    metadata: { reason: "revoked" },
  });
  expect(await kept.connection.exists("/x")).toBe(false);
});

test("a running call ends with its connection, and its command runs on", async () => {
  const { id, connection } = await open("running", { may: ["admin"] });
  const call = failure(connection.exec("sleep 5000"));
  await until(() => server.vms.ran.includes("sleep 5000"));
  await revoke(id);
  expect(await call).toMatchObject({ code: "unauthorized" });
});

test("an answer over HTTP is withheld if the token was revoked meanwhile", async () => {
  const { id, token } = await server.client({ token: TOKEN }).tokens.create({ vms: "http", may: ["admin"] });
  const actorId = await server.client({ token }).vm.getOrCreate("http").resolve();
  const answer = fetch(`${server.endpoint}/gateway/${actorId}/action/exec`, {
    method: "POST",
    headers: { "x-rivet-token": token },
    body: '{"args":["sleep 5001"]}',
  });
  await until(() => server.vms.ran.includes("sleep 5001"));
  await revoke(id);
  expect(await (await answer).json()).toMatchObject({
    code: "unauthorized",
    metadata: { reason: "revoked" },
  });
});

test("a connection that ignores the close is answered no more", async () => {
  const { id, token } = await server.client({ token: TOKEN }).tokens.create({ vms: "raw", may: ["admin"] });
  const actorId = await server.client({ token }).vm.getOrCreate("raw").resolve();
  const params = encodeURIComponent(JSON.stringify({ token }));
  const url = `${server.endpoint.replace("http", "ws")}/gateway/${actorId}/connect`;
  const socket = new WebSocket(url, ["rivet", "rivet_encoding.json", `rivet_conn_params.${params}`]);
  const messages: string[] = [];
  socket.addEventListener("message", ({ data }) => void messages.push(String(data)));
  await until(() => messages.length > 0);
  const closed = new Promise<CloseEvent>((resolve) => void socket.addEventListener("close", resolve));
  const ran = server.vms.ran.length;
  await revoke(id);
  for (let n = 0; n < 20; n++) {
    const request = { id: n, name: "exec", args: ["echo hacked"] };
    socket.send(JSON.stringify({ body: { tag: "ActionRequest", val: request } }));
  }
  expect((await closed).reason).toBe("user.unauthorized#revoked");
  expect(server.vms.ran).toHaveLength(ran);
});

test("a refused subscription fails no call and leaves the connection open", async () => {
  const { token } = await server
    .client({ token: TOKEN })
    .tokens.create({ vms: "sub", may: ["exec", "create"] });
  const connection = server.client({ token }).vm.getOrCreate("sub").connect();
  const errors: AgentVmError[] = [];
  connection.onError((error) => errors.push(error));
  // Sent with the first message of the connection, whose answer is under way then.
  for (const event of ["shellData", "fileChanged", "sessionEvent"] as const)
    connection.on(event, () => undefined);
  expect((await connection.exec("echo hi")).stdout).toBe("hi\n");
  const call = connection.exec("sleep 50");
  connection.on("cronEvent", () => undefined);
  expect(await call).toMatchObject({ exitCode: 0 });
  expect(errors).toMatchObject(
    ["shellData", "fileChanged", "sessionEvent", "cronEvent"].map((event) => ({
      code: "forbidden",
      metadata: { event },
    })),
  );
  expect(connection.isConnected).toBe(true);
});
