import { expect, test } from "vitest";
import { startTestServer } from "../../support/servers.ts";
import { connectTo, readAll, readSome, TCP_SERVER } from "../../support/tcp.ts";

test("a tunnel needs the right `network` for its VM, and ends with its token", async () => {
  const server = await startTestServer({ kind: "kernel", options: { token: "secret" } });
  const admin = server.client({ token: "secret" });
  const vm = admin.vm.getOrCreate("mine");
  const other = admin.vm.getOrCreate("other");
  await other.exec("true");
  await vm.writeFile("/tmp/tcp-server.cjs", TCP_SERVER);
  await vm.spawn("node", ["/tmp/tcp-server.cjs", "4000"]);
  await vm.waitForPort(4000);
  const vms = "mine";
  const reader = await admin.tokens.create({ vms, may: ["read", "exec", "files"] });
  const user = await admin.tokens.create({ vms, may: ["network"] });
  const as = (token: string, key: string) => server.client({ token }).vm.get(key);

  await expect(as(reader.token, "mine").tunnel({ port: 4000 })).rejects.toMatchObject({ code: "forbidden" });
  await expect(as(reader.token, "mine").vmWebSocket(4000)).rejects.toMatchObject({ code: "forbidden" });
  await expect(as(user.token, "other").tunnel({ port: 4000 })).rejects.toMatchObject({ code: "forbidden" });
  const id = await other.resolve();
  const byId = server.client({ token: user.token }).vm.getForId(id);
  await expect(byId.tunnel({ port: 4000 })).rejects.toMatchObject({ code: "actor_not_found" });
  await expect(as("wrong", "mine").tunnel({ port: 4000 })).rejects.toMatchObject({ code: "unauthorized" });

  const errors: string[] = [];
  await using tunnel = await as(user.token, "mine").tunnel({
    port: 4000,
    onError: ({ code }) => errors.push(code),
  });
  const socket = await connectTo(tunnel);
  socket.write("echo\nx");
  expect(await readSome(socket)).toBe("x");
  await admin.tokens.revoke(user.id);
  await readAll(socket).catch(() => undefined);
  await expect.poll(() => errors).toEqual(["unauthorized"]);
  const next = await connectTo(tunnel);
  await readAll(next).catch(() => undefined);
  await expect.poll(() => errors).toEqual(["unauthorized", "unauthorized"]);
});
