import { expect, test } from "vitest";
import { createLogger } from "../../src/http/logger.ts";
import { startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const TOKEN = "administrator's token";
const VALUE = "sk-value-0123456789";

test("a fork has the VM's secrets only if they are asked for, which needs the right admin, and keeps them", async () => {
  const options = { token: TOKEN, logger: createLogger("silent") };
  const server = await startTestServer({ kind: "kernel", vm: {}, options });
  const admin = server.client({ token: TOKEN });
  const vm = admin.vm.getOrCreate("source");
  await vm.setSecrets({ KEY: { value: VALUE, hosts: ["api.test"], headers: { "x-key": "{secret}" } } });
  await vm.fork("without");
  expect(await admin.vm.get("without").listSecrets()).toEqual([]);
  await vm.fork("with", { secrets: true, signal: new AbortController().signal });
  const fork = admin.vm.get("with");
  const secret = { name: "KEY", from: "vm", durable: true, hosts: ["api.test"] };
  expect(await fork.listSecrets()).toMatchObject([secret]);
  // They are the fork's own: each VM may change them alone.
  await vm.setSecrets({ KEY: null });
  await fork.sleep();
  expect(await fork.listSecrets()).toMatchObject([secret]);
  const { token } = await admin.tokens.create({ vms: { prefix: "w" }, may: ["create", "exec"] });
  const weak = server.client({ token }).vm.get("with");
  expect(await failure(weak.fork("w2", { secrets: true }))).toMatchObject({ code: "forbidden" });
  expect(await failure(admin.vm.get("w2").status())).toMatchObject({ code: "actor_not_found" });
  // The copy's own actions stay closed, also with a blob.
  const taking = failure(fork.action({ name: "takeFork", args: ["AAAA"] }));
  expect(await taking).toMatchObject({ code: "action_not_found" });
});
