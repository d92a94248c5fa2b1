// @module-tag attack
import { expect, test } from "vitest";
import { startTestServer } from "../../support/servers.ts";
import { failure } from "../../support/until.ts";

const TOKEN = "administrator's token";

test("a token opens no service of the server's machine to its VM", async () => {
  const server = await startTestServer({
    kind: "kernel",
    vm: { runtime: "memory", perVm: { network: true } },
    options: { token: TOKEN },
  });
  const { token } = await server
    .client({ token: TOKEN })
    .tokens.create({ vms: ["tenant", "tenant2"], may: ["admin"] });
  const { vm } = server.client({ token: token });
  const policy = (...allow: string[]) => ({ outbound: { allow } });
  const refused = { code: "forbidden", metadata: { hint: expect.stringContaining("administrator") } };
  for (const rule of [
    "host.agent-vm:5432",
    "HOST.agent-vm.:5432",
    "169.254.169.254:80",
    "0.0.0.0/0:80",
    "[::]:1",
  ]) {
    const handle = vm.getOrCreate("tenant");
    expect(await failure(handle.setNetworkPolicy(policy("a.example", rule)))).toMatchObject(refused);
    const created = vm.create("tenant2", { input: { network: policy(rule) } });
    expect(await failure(created)).toMatchObject(refused);
  }
  await vm.getOrCreate("tenant").setNetworkPolicy(policy("a.example:443", "192.0.2.0/24"));
  const { vm: all } = server.client({ token: TOKEN });
  await all.get("tenant").setNetworkPolicy(policy("host.agent-vm:5432"));
  await vm.get("tenant").setNetworkPolicy(policy("host.agent-vm:5432", "b.example"));
  // A rule of `deny` may bound what a rule of the administrator opens.
  const bounded = { allow: ["127.0.0.0/8:5432"], deny: ["127.0.0.1", "c.example"] };
  await all.get("tenant").setNetworkPolicy({ outbound: bounded });
  for (const outbound of [
    { allow: bounded.allow },
    { allow: ["a.example"], ask: bounded.allow, deny: ["c.example"] },
  ])
    expect(await failure(vm.get("tenant").setNetworkPolicy({ outbound }))).toMatchObject(refused);
  await vm.get("tenant").setNetworkPolicy({ outbound: { ...bounded, deny: [...bounded.deny, "d.example"] } });
  await vm.get("tenant").setNetworkPolicy({ outbound: { allow: ["a.example"] } });
});
